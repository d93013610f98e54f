"""
Holding every outbound lane after a restore, and releasing them: which of what they hold may be doubled, who said so.

The backup knows what had to be sent when it was made, and nothing of what was sent afterwards. So a restored lane is
held, and in it whatever could arrive twice stands as unknown. What changes nothing when it is said again (receipts,
typing, profiles, and messages to a channel that recognises our ids) stays queued.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from access.models import Brand
from adapters.registry import list_adapters
from audit import api as audit
from conversations import lanes
from conversations.models import Dispatch, DispatchKind, DispatchState, Lane
from conversations.settling import mark_sent
from conversations.turn import Turn
from core import queue
from core.actor import Actor

# The error code of what is in doubt since a restore, and a mark in the progress of what had ended badly before it.
RESTORED = "restored"
_DETAIL = "A backup was restored in which it waited: it may have been sent since. Look where it would stand."


class NotHeld(Exception):
    """The lane is not held, or no longer; the text says so."""


_END_ATTEMPTS = """
    UPDATE conversations_attempt SET finished_at = now(), outcome = 'UNANSWERED', error_code = 'unanswered',
        detail = 'A backup was made while the request was under way.'
    WHERE finished_at IS NULL
"""
_HOLD = """
    UPDATE conversations_lane lane
    SET held_at = now(), due_at = NULL, leased_until = NULL, fence = fence + 1, blocked_by = %s
    WHERE held_at IS NULL AND EXISTS (
        SELECT 1 FROM conversations_dispatch dispatch
        WHERE dispatch.lane_id = lane.id AND dispatch.state IN ('QUEUED', 'SENDING', 'UNKNOWN'))
"""
_END_LEASES = "UPDATE conversations_lane SET leased_until = NULL, fence = fence + 1 WHERE leased_until IS NOT NULL"
# Where a consumer's words would go by what the backup knows, and the highest sequence it knows there.
_DOUBT_TO_LIVEPERSON = """
    UPDATE conversations_dispatch dispatch SET
        state = 'UNKNOWN', unknown_at = COALESCE(dispatch.unknown_at, now()), next_attempt_at = NULL,
        step = CASE WHEN dispatch.kind = 'OPEN' THEN 'OPEN' ELSE dispatch.step END,
        error_code = %(code)s, error_detail = %(detail)s,
        conversation_id = COALESCE(dispatch.conversation_id, place.conversation_id),
        lp_dialog_id = CASE WHEN dispatch.lp_dialog_id = '' THEN COALESCE(place.lp_dialog_id, '')
                            ELSE dispatch.lp_dialog_id END,
        sequence_before = COALESCE(dispatch.sequence_before, place.last_sequence)
    FROM conversations_lane lane LEFT JOIN LATERAL (
        SELECT conversation.id AS conversation_id, dialog.lp_dialog_id, dialog.last_sequence
        FROM conversations_conversation conversation
        JOIN conversations_dialog dialog ON dialog.conversation_id = conversation.id
        WHERE conversation.consumer_id = lane.consumer_id
          AND CASE conversation.state WHEN 'OPEN' THEN dialog.lp_dialog_id = conversation.lp_conversation_id
                   WHEN 'SURVEY' THEN dialog.type = 'POST_SURVEY' AND dialog.is_open ELSE false END
        LIMIT 1) place ON true
    WHERE dispatch.lane_id = lane.id AND lane.held_at IS NOT NULL AND lane.direction = 'TO_LIVEPERSON'
      AND dispatch.state IN ('QUEUED', 'SENDING') AND dispatch.kind IN ('OPEN', 'TEXT', 'FILE', 'RICH')
"""
_DOUBT_TO_CHANNEL = """
    UPDATE conversations_dispatch dispatch SET state = 'UNKNOWN', unknown_at = COALESCE(dispatch.unknown_at, now()),
        next_attempt_at = NULL, error_code = %(code)s, error_detail = %(detail)s
    FROM conversations_lane lane, conversations_message message, installations_channel channel
    WHERE dispatch.lane_id = lane.id AND lane.held_at IS NOT NULL AND lane.direction = 'TO_CHANNEL'
      AND message.id = dispatch.message_id AND channel.id = message.channel_id
      AND dispatch.state IN ('QUEUED', 'SENDING') AND dispatch.kind IN ('TEXT', 'FILE', 'RICH')
      AND NOT (channel.type = ANY(%(recognising)s) AND dispatch.id < %(made_before)s)
"""
# A person may have sent these again since. They stay ended; whoever sends them again is told of the doubt.
_DOUBT_WHAT_ENDED_BADLY = """
    UPDATE conversations_dispatch dispatch SET progress = dispatch.progress || jsonb_build_object(%(code)s::text, true)
    FROM conversations_lane lane, conversations_message message, installations_channel channel
    WHERE lane.id = dispatch.lane_id AND message.id = dispatch.message_id AND channel.id = message.channel_id
      AND dispatch.state IN ('DEAD', 'FAILED') AND dispatch.kind IN ('TEXT', 'FILE', 'RICH')
      AND (lane.direction = 'TO_LIVEPERSON' OR NOT channel.type = ANY(%(recognising)s))
"""
_QUEUE_THE_REST = """
    UPDATE conversations_dispatch dispatch SET state = 'QUEUED', attempt_count = 0, next_attempt_at = NULL
    FROM conversations_lane lane
    WHERE dispatch.lane_id = lane.id AND lane.held_at IS NOT NULL
      AND (dispatch.state = 'SENDING'
           OR dispatch.state = 'UNKNOWN' AND dispatch.kind IN ('RECEIPT', 'CLOSE', 'PROFILE'))
"""
# A consumer ended the conversation that was open then: not one that was opened since.
_TIE_CLOSINGS = """
    UPDATE conversations_dispatch dispatch
    SET payload = dispatch.payload || jsonb_build_object(
        'conversation_id', conversation.id, 'dialog_id', conversation.lp_conversation_id)
    FROM conversations_lane lane, conversations_conversation conversation
    WHERE dispatch.lane_id = lane.id AND lane.held_at IS NOT NULL AND lane.direction = 'TO_LIVEPERSON'
      AND dispatch.state = 'QUEUED' AND dispatch.kind = 'CLOSE' AND NOT dispatch.payload ? 'dialog_id'
      AND conversation.consumer_id = lane.consumer_id AND conversation.state <> 'CLOSED'
"""


@transaction.atomic
def hold_all(*, made_before: uuid.UUID) -> None:
    """
    Hold every lane in which something waits, and call unknown what could arrive twice. While no worker runs.

    made_before: a dispatch with a smaller id went out under the same id, if it did; a later one was made out of what
    the backup had not applied yet, and a channel cannot know its id. Called again it holds what was free till then.
    """
    recognising = [adapter.type for adapter in list_adapters() if adapter.capabilities.idempotent_send]
    doubt: dict[str, Any] = {
        "code": RESTORED,
        "detail": _DETAIL,
        "recognising": recognising,
        "made_before": made_before,
    }
    with connection.cursor() as cursor:
        cursor.execute(_END_ATTEMPTS)
        cursor.execute(_HOLD, [lanes.HELD])
        cursor.execute(_END_LEASES)
        cursor.execute(_DOUBT_TO_LIVEPERSON, doubt)
        cursor.execute(_DOUBT_TO_CHANNEL, doubt)
        cursor.execute(_DOUBT_WHAT_ENDED_BADLY, doubt)
        cursor.execute(_QUEUE_THE_REST)
        cursor.execute(_TIE_CLOSINGS)
    _settle_the_echoed()


def _settle_the_echoed() -> None:
    """What had come back before its answer did has arrived."""
    turn = Turn(now=timezone.now())
    echoed = Dispatch.objects.filter(state=DispatchState.UNKNOWN, lane__held_at__isnull=False)
    for dispatch in echoed.exclude(echo_sequence=None).select_related("consumer", "message"):
        mark_sent(turn, dispatch, resolution="echo", sequence=dispatch.echo_sequence)
    turn.flush()


_HELD_BY_BRAND = """
    SELECT lane.brand_id, count(DISTINCT lane.id), count(dispatch.id),
           count(dispatch.id) FILTER (WHERE dispatch.state = 'UNKNOWN')
    FROM conversations_lane lane
    LEFT JOIN conversations_dispatch dispatch
           ON dispatch.lane_id = lane.id AND dispatch.state IN ('QUEUED', 'SENDING', 'UNKNOWN')
    WHERE lane.held_at IS NOT NULL GROUP BY lane.brand_id
"""


@transaction.atomic
def record_hold(*, actor: Actor, reason: str) -> dict[str, int]:
    """Write into each brand's trail how much of it is held. Returns the sums: lanes, dispatches, in_doubt."""
    with connection.cursor() as cursor:
        cursor.execute(_HELD_BY_BRAND)
        counts = {row[0]: dict(zip(("lanes", "dispatches", "in_doubt"), row[1:], strict=True)) for row in cursor}
    for brand in Brand.objects.order_by("slug"):
        if brand.pk in counts:
            audit.record("lanes.held", actor=actor, subject=brand, data=counts[brand.pk], reason=reason)
    return {name: sum(one[name] for one in counts.values()) for name in ("lanes", "dispatches", "in_doubt")}


@dataclass(frozen=True, kw_only=True)
class Released:
    """A lane that goes on. dispatches: what it held. possible_duplicates: those of them that may stand twice now."""

    lane_id: uuid.UUID
    dispatches: int
    possible_duplicates: list[uuid.UUID]


@transaction.atomic
def release(*, lane_id: uuid.UUID, actor: Actor, reason: str) -> Released:
    """Let a held lane go on: what is in doubt is sent, marked as a possible duplicate. Raises NotHeld."""
    lanes.lock_consumer(Lane.objects.values_list("consumer_id", flat=True).get(pk=lane_id))
    lane = Lane.objects.get(pk=lane_id)
    if lane.held_at is None:
        raise NotHeld("This lane is not held.")
    live = Dispatch.objects.filter(lane=lane, state__in=(DispatchState.QUEUED, DispatchState.UNKNOWN))
    count = live.count()
    in_doubt = live.filter(state=DispatchState.UNKNOWN)
    messages = in_doubt.exclude(kind=DispatchKind.OPEN)  # an opening is no message: a second one is refused
    doubled = list(messages.order_by("position").values_list("pk", flat=True))
    messages.update(possible_duplicate=True)
    in_doubt.update(state=DispatchState.QUEUED, attempt_count=0, next_attempt_at=None, error_code="", error_detail="")
    lanes.let_go(lane.pk)
    data = {
        "held_since": lane.held_at.isoformat(),
        "dispatches": count,
        "possible_duplicates": [str(one) for one in doubled],
    }
    audit.record("lane.released", actor=actor, subject=lane, data=data, reason=reason)
    queue.ring()
    return Released(lane_id=lane.pk, dispatches=count, possible_duplicates=doubled)
