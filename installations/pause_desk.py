"""What one worker knows of the pauses in force: read twice a second, held against the head of each lane it has."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection

from installations.connectors import Connector
from installations.models import Pause, PausedDirection, PauseScope

LOOK_EVERY = timedelta(milliseconds=500)

# Shared: of those who put lanes to sleep for a pause none waits for another, and whoever ends it waits for them all.
_IS_IN_FORCE = "SELECT ended_at IS NULL FROM installations_pause WHERE id = %s FOR SHARE SKIP LOCKED"


@dataclass(frozen=True, kw_only=True)
class Paused:
    """A pause in force that covers a lane. blocked_by: what the lane says while it waits for its end."""

    id: uuid.UUID
    blocked_by: str


class PauseDesk:
    """
    Belongs to a worker's main thread; every method runs inside a turn's transaction.

    now: the database's clock, the same for the whole turn.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[str, uuid.UUID | None], list[tuple[PausedDirection, Paused]]] = {}
        self._looked_at: datetime | None = None
        self._sure: tuple[datetime | None, set[uuid.UUID]] = (None, set())

    def covering(self, *, connector: Connector, consumer_id: uuid.UUID, direction: str, now: datetime) -> Paused | None:
        """The pause for which nothing may be begun in this lane, the widest first; None: it may, as far as is known."""
        self._look(now)
        if not self._known:
            return None
        channel = connector.channel
        targets: tuple[tuple[PauseScope, uuid.UUID | None], ...] = (
            (PauseScope.PLATFORM, None),
            (PauseScope.BRAND, channel.brand_id),
            (PauseScope.INSTALLATION, channel.installation_id),
            (PauseScope.CHANNEL, channel.pk),
            (PauseScope.CONSUMER, consumer_id),
        )
        for scope, target_id in targets:
            for paused_direction, paused in self._known.get((scope.value, target_id), ()):
                if paused_direction.covers(direction):
                    return paused
        return None

    def is_in_force(self, paused: Paused, *, now: datetime) -> bool | None:
        """
        Whether it is so at this very moment; None while somebody is ending it.

        Until the running transaction ends nobody can end it, so that what is put to sleep in it is found by whoever
        wakes the sleepers.
        """
        if self._sure[0] != now:
            self._sure = (now, set())
        if paused.id in self._sure[1]:
            return True
        with connection.cursor() as cursor:
            cursor.execute(_IS_IN_FORCE, [paused.id])
            row = cursor.fetchone()
        if row is None:
            return None
        if row[0]:
            self._sure[1].add(paused.id)
        else:
            self._looked_at = None  # what is known is old
        return bool(row[0])

    def _look(self, now: datetime) -> None:
        if self._looked_at is not None and now - self._looked_at < LOOK_EVERY:
            return
        self._looked_at = now
        self._known = {}
        rows = Pause.objects.filter(ended_at=None).values_list("pk", "scope", "target_id", "direction")
        for pause_id, scope, target_id, direction in rows:
            paused = Paused(id=pause_id, blocked_by=PauseScope(scope).blocks_as)
            self._known.setdefault((scope, target_id), []).append((PausedDirection(direction), paused))
