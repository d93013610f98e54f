"""
Sends whose outcome is unknown: what settles them, and what is done where nothing does.

The evidence is LivePerson's own echo of the consumer's message: same dialog, same text, a sequence above the last one
known when the send began. One send is in flight per lane, so there is at most one candidate even for equal texts.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models.functions import Now

from conversations import lanes
from conversations.models import Conversation, Dispatch, DispatchKind, DispatchState
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


def note_echo(conversation: Conversation, *, lp_dialog_id: str, sequence: int, digest: bytes) -> Dispatch | None:
    """
    Remember that a message of the consumer came back; None when it is none of ours.

    The caller holds the consumer's mutex. An unknown send that this settles has its lane looked at at once.
    """
    known = Dispatch.objects.filter(
        conversation=conversation, lp_dialog_id=lp_dialog_id, lp_sequence=sequence,
        kind__in=(DispatchKind.TEXT, DispatchKind.FILE),
    ).first()  # fmt: skip
    if known is not None:
        if known.echo_sequence is None:
            Dispatch.objects.filter(pk=known.pk).update(echo_sequence=sequence)
        return known
    in_doubt = _in_doubt(conversation, lp_dialog_id, sequence, digest)
    if in_doubt is not None:
        Dispatch.objects.filter(pk=in_doubt.pk).update(echo_sequence=sequence)
        if in_doubt.state != DispatchState.SENDING:
            lanes.make_due([in_doubt.lane_id])
        return in_doubt
    return _second_arrival(conversation, lp_dialog_id, digest)


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
