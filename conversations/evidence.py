"""
Sends whose outcome is unknown: what settles them, and what is done where nothing does.

The evidence is LivePerson's own echo of the consumer's message: same dialog, same text, a sequence above the last one
known when the send began. One send is in flight per lane, so there is at most one candidate even for equal texts.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection
from django.db.models import Case, Exists, OuterRef, Q, QuerySet, When
from django.db.models.functions import Now
from django.utils import timezone

from conversations import held, lanes
from conversations.models import (
    Attempt,
    Conversation,
    Dialog,
    Direction,
    Dispatch,
    DispatchKind,
    DispatchState,
    MessageStatus,
    Outcome,
    Step,
)
from conversations.settling import mark_sent
from conversations.texts import digest_of
from conversations.turn import Turn
from core.errors import Refused
from core.ids import made_at
from installations.connectors import get_connector
from installations.models import UnknownPolicy

_HELD_FOR = timedelta(days=3650)
_ENDED_BADLY = (DispatchState.DEAD, DispatchState.FAILED)


def decide(turn: Turn, dispatch: Dispatch) -> datetime | None:
    """
    Settle an unknown dispatch if it can be; None when it was, else the time until which it holds its lane.

    Refused by LivePerson: sent again. Unanswered: an opening is tried again, because LivePerson refuses a second one;
    anything else follows the installation's policy. What a channel neither confirms nor recognises has no evidence.
    """
    if dispatch.echo_sequence is not None:
        mark_sent(turn, dispatch, resolution="echo", sequence=dispatch.echo_sequence)
        return None
    if dispatch.next_attempt_at and dispatch.next_attempt_at > turn.now:
        return dispatch.next_attempt_at
    is_to_liveperson = dispatch.direction == Direction.TO_LIVEPERSON
    if is_to_liveperson and (dispatch.error_code == Refused.code or dispatch.kind == DispatchKind.OPEN):
        _send_again(turn, dispatch)
        return None
    policy = get_connector(dispatch.channel_id).installation.unknown_policy
    if policy == UnknownPolicy.HOLD:
        return turn.now + _HELD_FOR
    if policy == UnknownPolicy.AUTO and is_to_liveperson and _later_echo_seen(dispatch):
        _send_again(turn, dispatch)
        return None
    dispatch.state = DispatchState.PARKED
    turn.save(dispatch)
    return None


@dataclass(frozen=True, kw_only=True)
class Echoed:
    """A message of ours that came back."""

    message_id: uuid.UUID | None


def note_echo(
    conversation: Conversation, *, lp_dialog_id: str, sequence: int, text: str, relative_path: str
) -> Echoed | None:
    """
    Remember that a message of the consumer came back; None when it is none of ours.

    relative_path: of a file, which LivePerson gave to this one upload alone; empty for a text. The caller holds the
    consumer's mutex. An unknown send that this settles has its lane looked at at once.
    """
    same = Q(progress__relative_path=relative_path) if relative_path else Q(content_digest=digest_of(text))
    known = _mark_echoed(conversation, lp_dialog_id, sequence)
    if known is not None:
        if known.stray not in (None, sequence):
            _place_stray(conversation, lp_dialog_id, known, same)
        return Echoed(message_id=known.message_id)
    in_doubt = _in_doubt(conversation, lp_dialog_id, sequence, same).first()
    if in_doubt is not None:
        in_doubt.conversation, in_doubt.lp_dialog_id = conversation, lp_dialog_id
        _settle_by_echo(in_doubt, sequence)
        return Echoed(message_id=in_doubt.message_id)
    doubled = _second_arrival(conversation, lp_dialog_id, same)
    return Echoed(message_id=doubled.message_id) if doubled else None


def note_report(dispatch_id: uuid.UUID) -> None:
    """
    A channel told what became of a send: so it has it, whatever we know of that. The caller holds the mutex.
    """
    dispatch = Dispatch.objects.select_related("lane", "consumer", "message").get(pk=dispatch_id)
    was_tried = dispatch.possible_duplicate or (dispatch.step == Step.SEND and dispatch.attempt_count)
    waits = dispatch.state == DispatchState.QUEUED and (was_tried or dispatch.lane.held_at)
    if not waits and dispatch.state not in (DispatchState.UNKNOWN, DispatchState.PARKED):
        return
    turn = Turn(now=timezone.now())
    mark_sent(turn, dispatch, resolution="report", sequence=None)
    turn.flush()
    if dispatch.lane.held_at is not None:
        held.let_go_when_settled(dispatch.lane)
    lanes.make_due([dispatch.lane_id])


def _settle_by_echo(dispatch: Dispatch, sequence: int) -> None:
    Dispatch.objects.filter(pk=dispatch.pk).update(echo_sequence=sequence)
    if dispatch.state == DispatchState.SENDING:
        return  # its answer may still come
    if dispatch.state in _ENDED_BADLY and dispatch.message is not None:
        # We called it failed ourselves, for want of an answer: it was not, and a person need not send it again.
        dispatch.message.status, dispatch.message.error_code = MessageStatus.QUEUED, ""
        dispatch.message.save(update_fields=["status", "error_code"])
    is_held = dispatch.lane.held_at is not None
    if is_held or dispatch.state != DispatchState.UNKNOWN:
        turn = Turn(now=timezone.now())
        mark_sent(turn, dispatch, resolution="echo", sequence=sequence)
        turn.flush()
    if is_held:
        held.let_go_when_settled(dispatch.lane)
    lanes.make_due([dispatch.lane_id])


# One statement, because every message of a consumer comes back this way.
_MARK_ECHOED = """
    WITH before AS (
        SELECT id, echo_sequence FROM conversations_dispatch
        WHERE conversation_id = %s AND lp_dialog_id = %s AND lp_sequence = %s AND kind IN ('TEXT', 'FILE')
        FOR NO KEY UPDATE)
    UPDATE conversations_dispatch AS dispatch SET echo_sequence = lp_sequence FROM before WHERE dispatch.id = before.id
    RETURNING dispatch.id, dispatch.message_id, before.echo_sequence
"""


@dataclass(frozen=True, kw_only=True)
class _Known:
    """A send whose sequence its answer told. stray: under which its echo was thought to have come before that."""

    dispatch_id: uuid.UUID
    message_id: uuid.UUID | None
    stray: int | None


def _mark_echoed(conversation: Conversation, lp_dialog_id: str, sequence: int) -> _Known | None:
    with connection.cursor() as cursor:
        cursor.execute(_MARK_ECHOED, [conversation.pk, lp_dialog_id, sequence])
        row = cursor.fetchone()
    return _Known(dispatch_id=row[0], message_id=row[1], stray=row[2]) if row else None


def _place_stray(conversation: Conversation, lp_dialog_id: str, known: _Known, same: Q) -> None:
    """An echo that came during a send was not that send's: it is an equal text's, or this one has arrived twice."""
    assert known.stray is not None
    other = _in_doubt(conversation, lp_dialog_id, known.stray, same).exclude(pk=known.dispatch_id).first()
    if other is not None:
        _settle_by_echo(other, known.stray)
    else:
        Dispatch.objects.filter(pk=known.dispatch_id).update(duplicate_seen_at=Now())


def _in_doubt(conversation: Conversation, lp_dialog_id: str, sequence: int, same: Q) -> QuerySet[Dispatch]:
    """
    The sends of this content that may have arrived without our knowing, the likeliest first.

    What is under way or unknown comes before what was parked or given up long ago: an equal text said again. What a
    restore holds may have gone into a dialog that was opened after the backup: any that we have met since.
    """
    in_its_place = Q(conversation=conversation, lp_dialog_id=lp_dialog_id, sequence_before__lt=sequence)
    dialog_id = Dialog.objects.filter(conversation=conversation, lp_dialog_id=lp_dialog_id).values_list("pk").first()
    if dialog_id is not None:
        in_its_place |= Q(state=DispatchState.UNKNOWN, lane__held_at__lt=made_at(dialog_id[0]))
    is_open = Q(state__in=(DispatchState.SENDING, DispatchState.UNKNOWN, DispatchState.PARKED))
    waits_to_be_repeated = Q(state=DispatchState.QUEUED, possible_duplicate=True)
    doubtful_try = Attempt.objects.filter(
        dispatch=OuterRef("pk"), step=Step.PUBLISH, outcome__in=(Outcome.REFUSED, Outcome.UNANSWERED)
    )
    given_up = Q(Exists(doubtful_try), state__in=_ENDED_BADLY)
    is_live = Case(When(state__in=(DispatchState.SENDING, DispatchState.UNKNOWN), then=0), default=1)
    return (
        Dispatch.objects.filter(
            same,
            is_open | waits_to_be_repeated | given_up,
            in_its_place,
            lane__consumer_id=conversation.consumer_id,
            lane__direction=Direction.TO_LIVEPERSON,
            echo_sequence=None,
        )
        .order_by(is_live, "position")
        .select_related("lane", "consumer", "message")
    )


def _second_arrival(conversation: Conversation, lp_dialog_id: str, same: Q) -> Dispatch | None:
    """A send that was repeated in doubt, whose first try turns up after all: a proved duplicate."""
    doubled = (
        Dispatch.objects.filter(
            same,
            conversation=conversation,
            lp_dialog_id=lp_dialog_id,
            possible_duplicate=True,
            duplicate_seen_at=None,
        )
        .order_by("position")
        .first()
    )
    if doubled is not None:
        Dispatch.objects.filter(pk=doubled.pk).update(duplicate_seen_at=Now())
    return doubled


def _send_again(turn: Turn, dispatch: Dispatch) -> None:
    dispatch.state = DispatchState.QUEUED
    dispatch.possible_duplicate = True
    dispatch.next_attempt_at = None
    turn.save(dispatch)


def _later_echo_seen(dispatch: Dispatch) -> bool:
    """
    Whether echoes flow: something that this installation sent after it has come back, and this one has not.

    Sent after it, not only queued: the echo of what was sent before was on its way already.
    """
    if dispatch.conversation is None or dispatch.unknown_at is None:
        return False
    return Dispatch.objects.filter(
        brand_id=dispatch.brand_id,
        pk__gt=dispatch.pk,
        conversation__installation_id=dispatch.conversation.installation_id,
        echo_sequence__isnull=False,
        attempts__step=Step.PUBLISH,
        attempts__started_at__gt=dispatch.unknown_at,
    ).exists()
