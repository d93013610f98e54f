"""An upstream answers again: what was put off because it did not is tried then, not when its own pause ends."""

from __future__ import annotations

from datetime import datetime, timedelta

from conversations import lanes
from conversations.models import Direction, Dispatch, DispatchState, Step
from conversations.outcomes import RECOVERING_WAIT_S
from conversations.turn import Turn
from conversations.upstreams import upstream_of
from core.errors import NotSent, Refused, Unanswered
from installations.breakers import UpstreamKey
from installations.connectors import get_connector

_TROUBLE = (NotSent.code, Refused.code, Unanswered.code)


def bring_forward(turn: Turn, key: UpstreamKey) -> None:
    """
    Try soon what a breaker's upstream has failed, now that the breaker has closed.

    What a worker has in its hands at this moment keeps its pause.
    """
    idle = lanes.take_idle(installation_id=key.installation_id, blocked_by=(lanes.IN_DOUBT, *_TROUBLE))
    for head in lanes.heads_of(idle):
        until = _sooner(turn.now, head)
        is_sooner = until is not None and head.next_attempt_at is not None and until < head.next_attempt_at
        if is_sooner and head.step and upstream_of(Step(head.step), get_connector(head.channel_id)) == key:
            head.next_attempt_at = until
            turn.save(head)
            turn.release(head.lane_id, due_at=until, blocked_by=head.lane.blocked_by)


def _sooner(now: datetime, head: Dispatch) -> datetime | None:
    """
    When it may be tried; None: when it waits for something else than the upstream.

    What was refused may have been taken all the same, and who has just been down tells late of what it has done.
    """
    if head.error_code not in _TROUBLE:
        return None
    if head.state == DispatchState.QUEUED:
        return now
    is_sent_again = head.error_code == Refused.code and head.lane.direction == Direction.TO_LIVEPERSON
    if head.state != DispatchState.UNKNOWN or not is_sent_again or head.unknown_at is None:
        return None
    return max(now, head.unknown_at + timedelta(seconds=RECOVERING_WAIT_S))
