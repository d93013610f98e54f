"""
Where an event stands in its dialog: LivePerson numbers the events of each, and they may come in another order.

A number that has not come may be on its way, or may never come: it may be of an event that we are not told of. The
caller of each function holds the consumer's mutex.
"""

from __future__ import annotations

import enum
import time
from collections.abc import Iterable
from dataclasses import dataclass

from django.db import connection
from django.db.models import Q

from conversations.models import Conversation, Dialog, Dispatch

# Of a leap no more is looked at and remembered than this: nobody waits for thousands of events.
_MOST = 100


class Place(enum.Enum):
    IN_ORDER = enum.auto()
    AFTER_GAP = enum.auto()  # something before it has not come, and is not waited for any longer
    LATE = enum.auto()  # something after it was taken before it


@dataclass(frozen=True, kw_only=True)
class Seen:
    """late_s: how long ago it was given up, for what is late."""

    place: Place
    late_s: float = 0.0


_TAKE_NEXT = """
    UPDATE conversations_dialog SET complete_to = %s, last_sequence = GREATEST(last_sequence, %s)
    WHERE conversation_id = %s AND lp_dialog_id = %s
      AND COALESCE(complete_to, last_sequence) = %s AND ahead = '[]'::jsonb
"""


def take(conversation: Conversation, lp_dialog_id: str, sequence: int) -> Seen:
    """Something that is shown in its order has come: whatever is missing before it is given up."""
    if _is_next(conversation, lp_dialog_id, sequence):
        return Seen(place=Place.IN_ORDER)
    dialog = _dialog(conversation, lp_dialog_id)
    seen = _note(dialog, sequence)
    _advance(dialog, known=dialog.ahead)
    if seen.place is Place.IN_ORDER and _end(dialog) < sequence:
        gap = _gap(dialog, sequence)
        seen = Seen(place=Place.AFTER_GAP) if gap else seen
        now_ms = int(time.time() * 1000)
        dialog.missing |= {str(number): now_ms for number in gap}
        dialog.missing = dict(list(dialog.missing.items())[-_MOST:])
        dialog.complete_to = sequence
        _advance(dialog, known=dialog.ahead)
    dialog.save()
    return seen


def note(conversation: Conversation, lp_dialog_id: str, sequence: int) -> Seen:
    """Something that has no place among what is shown has come: a receipt, the consumer's own words."""
    if _is_next(conversation, lp_dialog_id, sequence):
        return Seen(place=Place.IN_ORDER)
    dialog = _dialog(conversation, lp_dialog_id)
    seen = _note(dialog, sequence)
    _advance(dialog, known=dialog.ahead)
    if len(dialog.ahead) > _MOST:
        dialog.complete_to = min(dialog.ahead)
        _advance(dialog, known=dialog.ahead)
    dialog.save()
    return seen


def has_gap_before(conversation: Conversation, lp_dialog_id: str, sequence: int) -> bool:
    """Whether something before it has neither come nor been given up. Of a great leap nothing is expected."""
    dialog = Dialog.objects.filter(conversation=conversation, lp_dialog_id=lp_dialog_id).first()
    if dialog is None:
        dialog = Dialog(conversation=conversation, lp_dialog_id=lp_dialog_id, complete_to=-1)
    if sequence - _end(dialog) > _MOST:
        return False
    return bool(_gap(dialog, sequence))


def _is_next(conversation: Conversation, lp_dialog_id: str, sequence: int) -> bool:
    """Take it if it is simply the next one, which nearly all are."""
    with connection.cursor() as cursor:
        cursor.execute(_TAKE_NEXT, [sequence, sequence, conversation.pk, lp_dialog_id, sequence - 1])
        return bool(cursor.rowcount)


def _dialog(conversation: Conversation, lp_dialog_id: str) -> Dialog:
    dialog = Dialog.objects.filter(conversation=conversation, lp_dialog_id=lp_dialog_id).first()
    if dialog is not None:
        return dialog
    return Dialog(
        conversation=conversation,
        lp_dialog_id=lp_dialog_id,
        type="MAIN" if lp_dialog_id == conversation.lp_conversation_id else "POST_SURVEY",
        complete_to=-1,
    )


def _note(dialog: Dialog, sequence: int) -> Seen:
    dialog.complete_to = _end(dialog)
    dialog.last_sequence = max(dialog.last_sequence, sequence)
    if sequence > dialog.complete_to:
        dialog.ahead = sorted({*dialog.ahead, sequence})
        return Seen(place=Place.IN_ORDER)
    given_up_ms = dialog.missing.pop(str(sequence), None)
    if given_up_ms is None:
        return Seen(place=Place.IN_ORDER)
    return Seen(place=Place.LATE, late_s=max(0.0, time.time() - given_up_ms / 1000))


def _end(dialog: Dialog) -> int:
    return dialog.last_sequence if dialog.complete_to is None else dialog.complete_to


def _advance(dialog: Dialog, *, known: Iterable[int]) -> None:
    end, numbers = _end(dialog), set(known)
    while end + 1 in numbers:
        end += 1
    dialog.complete_to = end
    dialog.ahead = sorted(number for number in dialog.ahead if number > end)


def _gap(dialog: Dialog, sequence: int) -> list[int]:
    """The numbers before this one that have not come; LivePerson's answers to our own sends have told some."""
    first = max(_end(dialog) + 1, sequence - _MOST)
    absent = set(range(first, sequence)) - set(dialog.ahead)
    if absent:
        told = Dispatch.objects.filter(
            Q(lp_sequence__in=absent) | Q(echo_sequence__in=absent),
            conversation=dialog.conversation_id,
            lp_dialog_id=dialog.lp_dialog_id,
        )
        for pair in told.values_list("lp_sequence", "echo_sequence"):
            absent -= {number for number in pair if number is not None}
    return sorted(absent)
