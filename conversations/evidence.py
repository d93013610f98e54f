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
from django.db.models.functions import Now

from conversations import lanes
from conversations.models import Conversation, Dispatch, DispatchKind, DispatchState, MessageStatus
from conversations.settling import mark_sent
from conversations.turn import Turn
from core.errors import Refused
from installations.connectors import get_connector
from installations.models import UnknownPolicy

_HELD_FOR = timedelta(days=3650)


def decide(turn: Turn, dispatch: Dispatch) -> datetime | None:
    """
    Settle an unknown dispatch if it can be; None when it was, else the time until which it holds its lane.

    Refused: sent again. Unanswered: an opening is tried again, because LivePerson refuses a second one; anything else
    follows the installation's policy.
    """
    if dispatch.echo_sequence is not None:
        mark_sent(turn, dispatch, resolution="echo", sequence=dispatch.echo_sequence)
        return None
    if dispatch.next_attempt_at and dispatch.next_attempt_at > turn.now:
        return dispatch.next_attempt_at
    if dispatch.error_code == Refused.code or dispatch.kind == DispatchKind.OPEN:
        _send_again(turn, dispatch)
        return None
    policy = get_connector(dispatch.lane.consumer.channel_id).installation.unknown_policy
    if policy == UnknownPolicy.HOLD:
        return turn.now + _HELD_FOR
    if policy == UnknownPolicy.AUTO and _later_echo_seen(dispatch):
        _send_again(turn, dispatch)
        return None
    dispatch.state = DispatchState.PARKED
    turn.save(dispatch)
    return None


@dataclass(frozen=True, kw_only=True)
class Echoed:
    """A message of ours that came back."""

    message_id: uuid.UUID | None


def note_echo(conversation: Conversation, *, lp_dialog_id: str, sequence: int, digest: bytes) -> Echoed | None:
    """
    Remember that a message of the consumer came back; None when it is none of ours.

    The caller holds the consumer's mutex. An unknown send that this settles has its lane looked at at once.
    """
    known = _mark_echoed(conversation, lp_dialog_id, sequence)
    if known is not None:
        return known
    in_doubt = _in_doubt(conversation, lp_dialog_id, sequence, digest)
    if in_doubt is not None:
        _settle_by_echo(in_doubt, sequence)
        return Echoed(message_id=in_doubt.message_id)
    doubled = _second_arrival(conversation, lp_dialog_id, digest)
    return Echoed(message_id=doubled.message_id) if doubled else None


def _settle_by_echo(dispatch: Dispatch, sequence: int) -> None:
    Dispatch.objects.filter(pk=dispatch.pk).update(echo_sequence=sequence)
    if dispatch.state == DispatchState.UNKNOWN:
        lanes.make_due([dispatch.lane_id])  # its lane waits for it and settles it
    elif dispatch.state == DispatchState.PARKED:
        Dispatch.objects.filter(pk=dispatch.pk).update(
            state=DispatchState.SENT, resolution="echo", lp_sequence=sequence, finished_at=Now(), error_code=""
        )
        if dispatch.message is not None and dispatch.message.climb_to(MessageStatus.SENT):
            dispatch.message.save(update_fields=["status"])


# One statement, because every message of a consumer comes back this way.
_MARK_ECHOED = """
    UPDATE conversations_dispatch SET echo_sequence = lp_sequence
    WHERE conversation_id = %s AND lp_dialog_id = %s AND lp_sequence = %s AND kind IN ('TEXT', 'FILE')
    RETURNING message_id
"""


def _mark_echoed(conversation: Conversation, lp_dialog_id: str, sequence: int) -> Echoed | None:
    with connection.cursor() as cursor:
        cursor.execute(_MARK_ECHOED, [conversation.pk, lp_dialog_id, sequence])
        row = cursor.fetchone()
    return Echoed(message_id=row[0]) if row else None


def _in_doubt(conversation: Conversation, lp_dialog_id: str, sequence: int, digest: bytes) -> Dispatch | None:
    return (
        Dispatch.objects.filter(
            lane__consumer_id=conversation.consumer_id,
            conversation=conversation,
            lp_dialog_id=lp_dialog_id,
            state__in=(DispatchState.SENDING, DispatchState.UNKNOWN, DispatchState.PARKED),
            content_digest=digest,
            echo_sequence=None,
            sequence_before__lt=sequence,
        )
        .order_by("position")
        .select_related("message")
        .first()
    )


def _second_arrival(conversation: Conversation, lp_dialog_id: str, digest: bytes) -> Dispatch | None:
    """A send that was repeated in doubt, whose first try turns up after all: a proved duplicate."""
    doubled = (
        Dispatch.objects.filter(
            conversation=conversation,
            lp_dialog_id=lp_dialog_id,
            possible_duplicate=True,
            content_digest=digest,
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
    """Whether echoes flow: a later send of this installation has come back, and this one has not."""
    if dispatch.conversation is None:
        return False
    return Dispatch.objects.filter(
        brand_id=dispatch.brand_id,
        pk__gt=dispatch.pk,
        conversation__installation_id=dispatch.conversation.installation_id,
        echo_sequence__isnull=False,
    ).exists()
