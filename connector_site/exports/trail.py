"""What the trail tells of an export: who took what out of which brand, and how much of it arrived."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Sequence
from typing import Any

import structlog
from django.db import DatabaseError, connection, transaction

from access.models import Brand
from audit import api as audit
from core.actor import Actor
from core.postgres import patience

logger = structlog.get_logger(__name__)


class Trail:
    """Of one export; an entry at its beginning and one at its end, in the trail of each brand that it may speak of."""

    def __init__(self, brands: Sequence[Brand], *, actor: Actor, resource: str) -> None:
        self._brands = brands
        self._actor = actor
        self._resource = resource
        self.rows: Counter[uuid.UUID | None] = Counter()

    def begin(self, asked: dict[str, Any]) -> None:
        """Before the first row is told: nothing leaves that the trail does not know of."""
        self._record("export.made", [{"resource": self._resource, **asked}] * len(self._brands))

    def end(self, how: str) -> None:
        """The rows are those of each brand itself. What goes wrong here is logged: the rows have gone."""
        facts = [{"resource": self._resource, "rows": self.rows[one.pk], "ended": how} for one in self._brands]
        try:
            with patience.limited(None):
                self._record("export.ended", facts)
        except DatabaseError:
            connection.close()
            logger.exception("export.end_not_recorded", resource=self._resource)

    def _record(self, action: str, facts: Sequence[dict[str, Any]]) -> None:
        with transaction.atomic():
            for brand, data in zip(self._brands, facts, strict=True):
                audit.record(action, actor=self._actor, subject=brand, data=data)
