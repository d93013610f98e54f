"""An upstream answers again: what was put off because it did not is tried then, not when its own pause ends."""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog
from django.db import DatabaseError, InterfaceError

from conversations import lanes
from conversations.models import Direction, Dispatch, DispatchState, Step
from conversations.outcomes import RECOVERING_WAIT_S
from conversations.turn import Turn
from conversations.upstreams import upstream_of
from core.errors import NotSent, Refused, Unanswered
from installations.breakers import UpstreamKey
from installations.connectors import get_connector

logger = structlog.get_logger(__name__)

_TROUBLE = (NotSent.code, Refused.code, Unanswered.code)
# The longest pauses first; what is left keeps its own.
_AT_MOST = 200
_APART = timedelta(milliseconds=50)
# An upstream that comes and goes must not use up in minutes the tries that are meant for hours.
_ONCE_IN = timedelta(hours=1)
_MARK = "brought_forward_at"


def bring_forward(turn: Turn, key: UpstreamKey) -> None:
    """
    Try soon what a breaker's upstream has failed, now that the breaker has closed.

    What a worker has in its hands at this moment keeps its pause.
    """
    idle = lanes.take_idle(
        installation_id=key.installation_id, blocked_by=(lanes.IN_DOUBT, *_TROUBLE), at_most=_AT_MOST
    )
    sooner = [(head, until) for head in lanes.heads_of(idle) if (until := _sooner(turn.now, head, key)) is not None]
    for number, (head, until) in enumerate(sooner):
        head.next_attempt_at = until + number * _APART
        head.progress = {**head.progress, _MARK: turn.now.isoformat()}
        turn.save(head)
        turn.release(head.lane_id, due_at=head.next_attempt_at, blocked_by=head.lane.blocked_by)


def _sooner(now: datetime, head: Dispatch, key: UpstreamKey) -> datetime | None:
    """When it may be tried; None: in its own time. Whatever is wrong with one must not stop those beside it."""
    try:
        until = _after_trouble(now, head)
        if until is None or head.next_attempt_at is None or until >= head.next_attempt_at or _was_of_late(now, head):
            return None
        return until if upstream_of(Step(head.step), get_connector(head.channel_id)) == key else None
    except (DatabaseError, InterfaceError):
        raise
    except Exception:
        logger.exception("dispatch.bring_forward.broke", dispatch_id=str(head.pk))
        return None


def _after_trouble(now: datetime, head: Dispatch) -> datetime | None:
    """
    None: it waits for something else than its upstream.

    What was refused may have been taken all the same, and who has just been down tells late of what it has done.
    """
    if head.error_code not in _TROUBLE:
        return None
    if head.state == DispatchState.QUEUED:
        return now
    is_sent_again = head.error_code == Refused.code and head.direction == Direction.TO_LIVEPERSON
    if head.state != DispatchState.UNKNOWN or not is_sent_again or head.unknown_at is None:
        return None
    return max(now, head.unknown_at + timedelta(seconds=RECOVERING_WAIT_S))


def _was_of_late(now: datetime, head: Dispatch) -> bool:
    before = head.progress.get(_MARK)
    return before is not None and now - datetime.fromisoformat(before) < _ONCE_IN
