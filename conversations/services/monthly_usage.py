"""What brands used, month by month: the sums that were counted and measured, as somebody may see them."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.db.models import Q, QuerySet

from conversations.models import Reckoning, UsageCount, UsageStorage
from conversations.services.usage import all_walks, counted_to, first_open_month

COUNT_FIGURES = (
    "messages_to_liveperson", "messages_to_channel", "private_notes", "segments_to_liveperson", "segments_to_channel",
    "media_files", "media_bytes", "conversations_opened", "consumers",
)  # fmt: skip
STORAGE_FIGURES = ("content_bytes", "file_bytes", "body_bytes")
MOST_ROWS = 10_000


@dataclass(frozen=True, kw_only=True)
class MonthOfChannel:
    """
    What one channel used in one month. channel_id None: what belongs to the brand, and to no channel alone.

    figures: by name. measured_at: when the storage was measured; None: not in this month.
    """

    month: date
    brand_id: uuid.UUID
    channel_id: uuid.UUID | None
    is_final: bool
    figures: dict[str, int]
    measured_at: datetime | None

    @property
    def named_month(self) -> str:
        return f"{self.month:%Y-%m}"


@dataclass(frozen=True, kw_only=True)
class Usage:
    """counted_to: what happened until then is in the figures; None: nothing has been counted yet."""

    counted_to: datetime | None
    rows: list[MonthOfChannel]


class TooMuch(Exception):
    """More rows than one answer holds."""


def usage_in(months: Q, *, counts: QuerySet[UsageCount], storage: QuerySet[UsageStorage]) -> Usage:
    """
    What was used in some months, the newest first, out of the rows that somebody may see. Raises TooMuch.

    months: a condition on the member `month`.
    """
    walks = all_walks()
    first_open = first_open_month(walks)
    which = Q(month__lt=first_open, reckoning=Reckoning.FINAL) | Q(month__gte=first_open, reckoning=Reckoning.SOON)
    found: dict[tuple[date, uuid.UUID, uuid.UUID | None], dict[str, Any]] = {}
    measured: dict[tuple[date, uuid.UUID, uuid.UUID | None], datetime | None] = {}
    for count in counts.filter(months, which).order_by("-month")[: MOST_ROWS + 1]:
        found[_key(count)] = {name: getattr(count, name) for name in COUNT_FIGURES}
    for stored in storage.filter(months, measured_at__isnull=False).order_by("-month")[: MOST_ROWS + 1]:
        found.setdefault(_key(stored), {}).update({name: getattr(stored, name) for name in STORAGE_FIGURES})
        measured[_key(stored)] = stored.measured_at
    if len(found) > MOST_ROWS:
        raise TooMuch
    nothing = dict.fromkeys((*COUNT_FIGURES, *STORAGE_FIGURES), 0)
    rows = [
        MonthOfChannel(
            month=key[0], brand_id=key[1], channel_id=key[2], is_final=key[0] < first_open,
            figures={**nothing, **figures}, measured_at=measured.get(key),
        )
        for key, figures in found.items()
    ]  # fmt: skip
    rows.sort(key=lambda row: (-row.month.toordinal(), str(row.brand_id), str(row.channel_id or "")))
    return Usage(counted_to=counted_to(walks, Reckoning.SOON), rows=rows)


def _key(row: UsageCount | UsageStorage) -> tuple[date, uuid.UUID, uuid.UUID | None]:
    return (row.month, row.brand_id, row.channel_id)
