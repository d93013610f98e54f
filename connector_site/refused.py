"""
Webhooks that nobody here could verify: on the page of a connector, and for the overview.

They are not kept, so there are only their counts of five minutes. What was refused before the last request that was
accepted is over, and is not told.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.dispatch import receiver

from connector_site.models import Counting, Figure, Span
from core.moments import in_utc
from installations.arrivals import last_arrivals
from installations.findings import Check, Finding, Step
from installations.models import AppInstallation, Channel, State
from installations.signals import channel_health_asked, health_asked

_LOOKED_BACK = timedelta(hours=3)
_SLOT = timedelta(seconds=int(Span.FIVE_MINUTES))
_MOST_SLOTS = _LOOKED_BACK // _SLOT
# One or two may be a stranger's.
_ENOUGH = 3
_FIGURES = (Figure.REFUSED_TO_LIVEPERSON, Figure.REFUSED_TO_CHANNEL)
_DO = (
    "If the secret has changed on the other side, add the one that it has now: what it keeps it sends again. "
    "If it has not, the log (webhook.rejected) says what was wrong with each."
)


@dataclass(frozen=True, kw_only=True)
class Refused:
    """count: how many. since: when the first five minutes with one of them began. is_all: none was accepted since."""

    count: int
    since: datetime
    is_all: bool

    @property
    def is_stopping(self) -> bool:
        return self.is_all and self.count >= _ENOUGH


# Each by its own stretch of the index; the limit, never reached, keeps PostgreSQL from reading that time of all brands.
_REFUSED = """
    SELECT source.id, refused.at, refused.count FROM unnest(%(brands)s::uuid[], %(ids)s::uuid[]) source(brand_id, id)
    CROSS JOIN LATERAL (
        SELECT at, count FROM connector_site_rollupcount
        WHERE brand_id = source.brand_id AND source_id = source.id AND span = %(span)s AND at > %(after)s
          AND figure = ANY(%(figures)s) AND label = '401' AND counting = %(counting)s
        ORDER BY at DESC LIMIT %(most)s
    ) refused
"""


def refused_lately(
    sources: Collection[AppInstallation | Channel], last_seen: Mapping[uuid.UUID, datetime | None], *, now: datetime
) -> dict[uuid.UUID, Refused]:
    """
    Of these app installations and channels, those at which requests were refused and none accepted afterwards.

    last_seen: when each last sent something authentic; None: never.
    """
    counts: defaultdict[uuid.UUID, dict[datetime, int]] = defaultdict(dict)
    values: dict[str, Any] = {
        "brands": [one.brand_id for one in sources],
        "ids": [one.pk for one in sources],
        "span": Span.FIVE_MINUTES,
        "after": now - _LOOKED_BACK,
        "figures": list(_FIGURES),
        "counting": Counting.MEASURED,
        "most": _MOST_SLOTS * len(_FIGURES),
    }
    with connection.cursor() as cursor:
        cursor.execute(_REFUSED, values)
        for source_id, at, count in cursor.fetchall():
            seen_at = last_seen[source_id]
            if seen_at is None or seen_at < at + _SLOT:
                counts[source_id][at] = count
    return {source_id: _refused(of_slots, last_seen[source_id]) for source_id, of_slots in counts.items()}


def _refused(of_slots: Mapping[datetime, int], seen_at: datetime | None) -> Refused:
    afterwards = {at: count for at, count in of_slots.items() if seen_at is None or seen_at < at}
    told = afterwards or of_slots
    return Refused(count=sum(told.values()), since=min(told), is_all=bool(afterwards))


@receiver(health_asked)
def tell_of_refused(*, installation: AppInstallation, now: datetime, **_: Any) -> list[Finding]:
    return _findings(installation, now=now)


@receiver(channel_health_asked)
def tell_of_refused_of_channel(*, channel: Channel, now: datetime, **_: Any) -> list[Finding]:
    return _findings(channel, now=now)


def _findings(row: AppInstallation | Channel, *, now: datetime) -> list[Finding]:
    if row.state == State.DISABLED:
        return []  # that all of them are refused is told by its state
    found = refused_lately([row], last_arrivals([row]), now=now).get(row.pk)
    check = Check(
        name="Refused requests",
        means="What cannot be verified is answered 401, and not kept.",
        seen_at=found.since if found else None,
    )
    if found is None:
        return [check.fine("None lately, or what came later was accepted.")]
    what = f"{amount(found)} since {in_utc(found.since)}: no secret that is kept here verifies "
    what += "them, and none was accepted since." if found.is_all else "them. Others were accepted."
    tell = check.stops if found.is_stopping else check.worries
    return [tell(what, do=_DO, step=Step.ROTATE)]


def amount(found: Refused) -> str:
    return "1 webhook was refused" if found.count == 1 else f"{found.count:,} webhooks were refused"
