"""What pages ask about pauses: which cover a row, which were put on it, and where each stands."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q
from django.urls import reverse

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
    return list(Pause.objects.filter(covering, ended_at=None).order_by("id")[:MOST_SHOWN])


def pauses_on(row: models.Model | None) -> list[Pause]:
    """Those in force that were put on this very row, or on the platform; asked once for each page."""
    if row is None:
        return pauses_of_platform()
    known: list[Pause] | None = getattr(row, "_pauses_on", None)
    if known is None:
        known = list(own_pauses(row))
        row._pauses_on = known  # type: ignore[attr-defined]
    return known


def pauses_of_platform() -> list[Pause]:
    """Those in force that keep everything of everybody."""
    return list(own_pauses(None))


def directions_left(row: models.Model | None) -> list[PausedDirection]:
    """In which directions it, or the platform, is not paused itself."""
    taken = [PausedDirection(one.direction) for one in pauses_on(row)]
    return [one for one in PausedDirection if not any(other.covers(one) for other in taken)]


def url_of(pause: Pause) -> str:
    """The page of what is paused; empty for the platform, which has none."""
    return reverse(_PAGES[PauseScope(pause.scope)], args=[pause.target_id]) if pause.target_id else ""


_PAGES = {
    PauseScope.BRAND: "admin:access_brand_change",
    PauseScope.INSTALLATION: "admin:installations_appinstallation_change",
    PauseScope.CHANNEL: "admin:installations_channel_change",
    PauseScope.CONSUMER: "admin:conversations_consumer_change",
}
