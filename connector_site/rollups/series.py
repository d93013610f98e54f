"""
The figures of a time range, for tiles, tables and charts.

series_of_installation and series_of_channel are for the pages of connectors; dashboards ask for whole brands. Each is
one or two statements, however many brands, sources or rows there are.
"""

from __future__ import annotations

import uuid
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection
from django.utils import timezone

from connector_site.models import Counting, Figure, Span
from connector_site.rollups import buckets, counting
from installations.models import AppInstallation, Channel

Counts = Mapping[tuple[str, str], int]


@dataclass(frozen=True, kw_only=True)
class Range:
    """A time range that ends now. since: what the lists' filter calls it."""

    name: str
    label: str
    since: str
    span: Span
    slots: int

    def begins(self, now: datetime) -> datetime:
        return counting.start_of(self.span, now) - timedelta(seconds=int(self.span) * (self.slots - 1))

    def moments(self, now: datetime) -> list[datetime]:
        """When each of its spans of time begins, the oldest first."""
        return [self.begins(now) + timedelta(seconds=int(self.span) * number) for number in range(self.slots)]


HOUR = Range(name="hour", label="1 hour", since="hour", span=Span.FIVE_MINUTES, slots=12)
DAY = Range(name="day", label="24 hours", since="day", span=Span.HOUR, slots=24)
WEEK = Range(name="week", label="7 days", since="week", span=Span.HOUR, slots=24 * 7)
MONTH = Range(name="month", label="30 days", since="month", span=Span.DAY, slots=30)
RANGES = {one.name: one for one in (HOUR, DAY, WEEK, MONTH)}


@dataclass(frozen=True, kw_only=True)
class Figures:
    """Counts by figure and label, and what follows from them."""

    counts: Counts = field(default_factory=dict)

    def total(self, *figures: Figure) -> int:
        return sum(count for (figure, _), count in self.counts.items() if figure in figures)

    def by_label(self, *figures: Figure) -> dict[str, int]:
        """Of these figures together: label to count."""
        found: Counter[str] = Counter()
        for (figure, label), count in self.counts.items():
            if figure in figures:
                found[label] += count
        return dict(found)

    def percentile_ms(self, figure: Figure, share: float) -> int | None:
        """The upper edge of the bucket below which this share stayed; None where nothing was counted."""
        return buckets.percentile_ms(self.by_label(figure), share)

    def share_within(self, figure: Figure, limit_ms: int) -> float | None:
        return buckets.share_within(self.by_label(figure), limit_ms)


@dataclass(frozen=True, kw_only=True)
class Series:
    """
    What happened in a time range.

    slots: of each span of time, the oldest first; the last one still runs. total: of all of them. of_brand: the same by
    brand, where whole brands were asked for.
    """

    range: Range
    moments: list[datetime]
    slots: list[Figures]
    total: Figures
    of_brand: dict[uuid.UUID, Figures]

    def line(self, *figures: Figure) -> list[int]:
        """One number for each span of time."""
        return [slot.total(*figures) for slot in self.slots]

    def percentiles_ms(self, figure: Figure, share: float) -> list[int | None]:
        return [slot.percentile_ms(figure, share) for slot in self.slots]

    @property
    def is_empty(self) -> bool:
        return not any(self.total.counts.values())


def series_of_brands(brand_ids: Collection[uuid.UUID], *, asked: Range, now: datetime | None = None) -> Series:
    """Of whole brands, together and each."""
    return _series(asked, now or timezone.now(), brand_ids=brand_ids, source_ids=None)


def series_of_installation(
    installation: AppInstallation, *, asked: Range = MONTH, now: datetime | None = None
) -> Series:
    """Of an app installation and the channels that speak through it now."""
    channels = Channel.objects.filter(installation=installation).values_list("pk", flat=True)
    return _series(
        asked, now or timezone.now(), brand_ids=[installation.brand_id], source_ids=[installation.pk, *channels]
    )


def series_of_channel(channel: Channel, *, asked: Range = MONTH, now: datetime | None = None) -> Series:
    """Of one channel."""
    return _series(asked, now or timezone.now(), brand_ids=[channel.brand_id], source_ids=[channel.pk])


# Soon and final count the same: a span that final has passed is final's. Of an end that can be undone the higher one.
_SUMS = """
    SELECT at, brand_id, figure, label, sum(count) FROM (
        SELECT brand_id, source_id, at, figure, label, max(count) AS count FROM connector_site_rollupcount
        WHERE brand_id = ANY(%(brands)s) AND {of} AND span = %(span)s AND at >= %(begins)s
          AND (counting = 'MEASURED' OR figure = ANY(%(undoable)s) OR (counting = 'FINAL') = (at < %(final_to)s))
        GROUP BY brand_id, source_id, at, figure, label
    ) one GROUP BY GROUPING SETS ((at, figure, label), (brand_id, figure, label))
"""
_OF_BRANDS, _OF_SOURCES = "source_id IS NULL", "source_id = ANY(%(sources)s)"


def _series(
    asked: Range,
    now: datetime,
    *,
    brand_ids: Collection[uuid.UUID],
    source_ids: Sequence[uuid.UUID] | None,
) -> Series:
    at: dict[datetime, dict[tuple[str, str], int]] = defaultdict(dict)
    of_brand: dict[uuid.UUID, dict[tuple[str, str], int]] = defaultdict(dict)
    for moment, brand_id, figure, label, count in _rows(asked, now, brand_ids, source_ids):
        into = of_brand[brand_id] if moment is None else at[moment]
        into[figure, label] = int(count)
    moments = asked.moments(now)
    return Series(
        range=asked,
        moments=moments,
        slots=[Figures(counts=at.get(moment, {})) for moment in moments],
        total=Figures(counts=_sum(of_brand.values())),
        of_brand={brand_id: Figures(counts=counts) for brand_id, counts in of_brand.items()},
    )


def _rows(
    asked: Range, now: datetime, brand_ids: Collection[uuid.UUID], source_ids: Sequence[uuid.UUID] | None
) -> list[tuple[Any, ...]]:
    if not brand_ids:
        return []
    final_to = counting.counted_to(Counting.FINAL) if asked.span in counting.SPANS[Counting.FINAL] else None
    values: dict[str, Any] = {
        "brands": list(brand_ids), "sources": list(source_ids or ()), "span": int(asked.span),
        "begins": asked.begins(now), "undoable": [figure.value for figure in counting.UNDOABLE],
        "final_to": counting.start_of(asked.span, final_to) if final_to else datetime(1970, 1, 1, tzinfo=UTC),
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(_SUMS.format(of=_OF_BRANDS if source_ids is None else _OF_SOURCES), values)
        return cursor.fetchall()


def _sum(several: Iterable[Counts]) -> Counts:
    found: Counter[tuple[str, str]] = Counter()
    for counts in several:
        found.update(counts)
    return dict(found)
