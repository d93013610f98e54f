"""
The sends of a connector that lately came to an end, to doubt, or to another try: of each of its channels the newest.

So a page costs the same however many there are.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection

from conversations.models import Direction, DispatchKind, DispatchState
from core.ids import NO_ID, first_id_at
from installations.models import AppInstallation, Channel

LOOKED_BACK = timedelta(hours=24)
_NEWEST = 200
_CHANNELS = 20
_KINDS = (DispatchKind.TEXT, DispatchKind.FILE, DispatchKind.RICH)
_STATES = (DispatchState.SENT, DispatchState.UNKNOWN, DispatchState.PARKED, DispatchState.DEAD, DispatchState.FAILED)
_UNDER_WAY = (DispatchState.QUEUED, DispatchState.SENDING)
# What these say is about one consumer or one message, not about the connector.
_OF_ONE = frozenset({"consumer_gone", "content_unsupported", "conversation_closed"})

# One of two: the index of the channel is walked, however silent the channel is; see access.newest.along.
_LATELY = """
    SELECT newest.lane_id, newest.direction, newest.kind, newest.state, newest.error_code, newest.finished_at,
           newest.lp_sequence IS NOT NULL, newest.echo_sequence IS NOT NULL
    FROM (SELECT id FROM installations_channel WHERE {} = %s ORDER BY id DESC LIMIT %s) channel
    CROSS JOIN LATERAL (
        SELECT id, lane_id, direction, kind, state, error_code, finished_at, lp_sequence, echo_sequence
        FROM conversations_dispatch WHERE channel_id = ANY(ARRAY[channel.id, '{nobody}'::uuid]) AND id >= %s
        ORDER BY channel_id, id DESC LIMIT %s
    ) newest
    WHERE newest.kind = ANY(%s) AND newest.state = ANY(%s)
       OR newest.kind = ANY(%s) AND newest.state = ANY(%s) AND newest.error_code <> ''
    ORDER BY newest.id DESC
"""
_OF_INSTALLATION, _OF_CHANNEL = _LATELY.format("installation_id", nobody=NO_ID), _LATELY.format("id", nobody=NO_ID)


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
    statement = _OF_CHANNEL if isinstance(row, Channel) else _OF_INSTALLATION
    with connection.cursor() as cursor:
        cursor.execute(
            statement,
            [
                *(row.pk, _CHANNELS, first_id_at(now - LOOKED_BACK), _NEWEST, list(_KINDS), list(_STATES)),
                *([*_KINDS, DispatchKind.OPEN], list(_UNDER_WAY)),  # what fails before the words do keeps them back
            ],
        )
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
