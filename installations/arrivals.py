"""When connectors last heard anything. Who stores what arrives stands above this package."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import datetime

from installations.models import AppInstallation, Channel
from installations.signals import arrivals_asked


def last_arrivals(rows: Iterable[AppInstallation | Channel]) -> dict[uuid.UUID, datetime | None]:
    """When each of these last sent something authentic; None: never."""
    found: dict[uuid.UUID, datetime | None] = {}
    for _, told in arrivals_asked.send(sender=None, source_ids=[row.pk for row in rows]):
        assert isinstance(told, dict)
        found |= told
    return found
