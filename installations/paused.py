"""What pages ask about pauses: which cover a row, which were put on it, which are in force, and where."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import models
from django.db.models import Q

from access.rules import Person, limit
from installations.models import Pause, PausedDirection, PauseScope
from installations.pausing import own_pauses

MOST_SHOWN = 50
# Where a row stands: whatever covers one of these covers it.
_STANDS_IN = ("pk", "brand_id", "installation_id", "channel_id", "consumer_id")


def pauses_over(row: models.Model) -> list[Pause]:
    """Those in force that keep something of this row from being sent: its own, and those of what it stands in."""
    ids: set[uuid.UUID | None] = {getattr(row, name, None) for name in _STANDS_IN}
    channel = getattr(row, "channel", None)
    ids |= {getattr(channel, "installation_id", None)}
    covering = Q(scope=PauseScope.PLATFORM) | Q(target_id__in=ids - {None})
    return list(Pause.objects.filter(covering, ended_at=None).select_related("brand").order_by("id")[:MOST_SHOWN])


def pauses_on(row: models.Model) -> list[Pause]:
    """Those in force that were put on this very row; asked once for each page."""
    known: list[Pause] | None = getattr(row, "_pauses_on", None)
    if known is None:
        known = list(own_pauses(row))
        row._pauses_on = known  # type: ignore[attr-defined]
    return known


def pauses_in_force(person: Person) -> list[Pause]:
    """Those that somebody should know of: in their brands, and of the whole platform."""
    mine = limit(Pause.objects.all(), person).values("pk")
    rows = Pause.objects.filter(Q(pk__in=mine) | Q(scope=PauseScope.PLATFORM), ended_at=None)
    return list(rows.select_related("brand").order_by("id")[:MOST_SHOWN])


def directions_left(row: models.Model) -> list[PausedDirection]:
    """In which directions it is not paused itself."""
    taken = [PausedDirection(one.direction) for one in pauses_on(row)]
    return [one for one in PausedDirection if not any(other.covers(one) for other in taken)]


def address_of(pause: Pause) -> tuple[str, Any] | None:
    """The page of what is paused: its name and the id; None: the platform has none."""
    names = {
        PauseScope.BRAND: "admin:access_brand_change",
        PauseScope.INSTALLATION: "admin:installations_appinstallation_change",
        PauseScope.CHANNEL: "admin:installations_channel_change",
        PauseScope.CONSUMER: "admin:conversations_consumer_change",
    }
    name = names.get(PauseScope(pause.scope))
    return (name, pause.target_id) if name else None
