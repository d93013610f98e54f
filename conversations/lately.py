"""
The sends of a connector that lately came to an end, to doubt, or to another try: of each of its channels the newest.

So a page costs the same however many there are.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from conversations.models import Direction, DispatchKind, DispatchState
from conversations.newest_sends import newest_sends_of
from core.ids import first_id_at
from installations.models import AppInstallation, Channel

LOOKED_BACK = timedelta(hours=24)
_NEWEST = 200
_KINDS = (DispatchKind.TEXT, DispatchKind.FILE, DispatchKind.RICH)
_STATES = (DispatchState.SENT, DispatchState.UNKNOWN, DispatchState.PARKED, DispatchState.DEAD, DispatchState.FAILED)
_UNDER_WAY = (DispatchState.QUEUED, DispatchState.SENDING)
# What these say is about one consumer or one message, not about the connector.
_OF_ONE = frozenset({"consumer_gone", "content_unsupported", "conversation_closed"})

_LATELY = """
    SELECT send.lane_id, send.direction, send.kind, send.state, send.error_code, send.finished_at,
           send.lp_sequence IS NOT NULL, send.echo_sequence IS NOT NULL
    FROM {}
    WHERE send.kind = ANY(%(kinds)s) AND send.state = ANY(%(states)s)
       OR send.kind = ANY(%(tried)s) AND send.state = ANY(%(under_way)s) AND send.error_code <> ''
    ORDER BY send.id DESC
"""


@dataclass(frozen=True, kw_only=True)
class Ended:
    """One send. at: when it ended; None where it has not. may_echo: LivePerson took it as a text, and tells us so."""

    lane_id: uuid.UUID
    direction: str
    state: str
    error_code: str
    at: datetime | None
    may_echo: bool
    is_echoed: bool

    @property
    def is_to_be_tried_again(self) -> bool:
        """Whether its last try failed, and another comes by itself."""
        return self.state in _UNDER_WAY

    @property
    def is_telling(self) -> bool:
        """Whether it says anything about the connector, and not only about its consumer."""
        return self.state == DispatchState.SENT or self.error_code not in _OF_ONE


def lately_ended(row: AppInstallation | Channel, *, now: datetime) -> list[Ended]:
    """Messages of a connector, newest first."""
    values: dict[str, Any] = {
        "row": row.pk,
        "since": first_id_at(now - LOOKED_BACK),
        "newest": _NEWEST,
        "kinds": list(_KINDS),
        "states": list(_STATES),
        "tried": [*_KINDS, DispatchKind.OPEN],  # what fails before the words do keeps them back
        "under_way": list(_UNDER_WAY),
    }
    with connection.cursor() as cursor:
        cursor.execute(_LATELY.format(newest_sends_of(row)), values)
        found = cursor.fetchall()
    return [
        Ended(
            lane_id=lane_id,
            direction=Direction(direction),
            state=state,
            error_code=error_code,
            at=finished_at,
            may_echo=kind == DispatchKind.TEXT and state == DispatchState.SENT and has_sequence,
            is_echoed=is_echoed,
        )
        for lane_id, direction, kind, state, error_code, finished_at, has_sequence, is_echoed in found
    ]
