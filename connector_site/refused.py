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

from django.dispatch import receiver

from connector_site.models import Counting, Figure, RollupCount, Span
from core.moments import in_utc
from installations.arrivals import last_arrivals
from installations.findings import Check, Finding, Step
from installations.models import AppInstallation, Channel, State
from installations.signals import channel_health_asked, health_asked

_LOOKED_BACK = timedelta(hours=3)
_SLOT = timedelta(seconds=int(Span.FIVE_MINUTES))
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


def refused_lately(
    brand_ids: Collection[uuid.UUID], last_seen: Mapping[uuid.UUID, datetime | None], *, now: datetime
) -> dict[uuid.UUID, Refused]:
    """
    Of these app installations and channels, those at which requests were refused and none accepted afterwards.

    last_seen: when each last sent something authentic; None: never.
    """
    counts: defaultdict[uuid.UUID, dict[datetime, int]] = defaultdict(dict)
    rows = RollupCount.objects.filter(
        brand_id__in=brand_ids, source_id__in=list(last_seen), span=Span.FIVE_MINUTES, at__gt=now - _LOOKED_BACK,
        figure__in=_FIGURES, label="401", counting=Counting.MEASURED,
    )  # fmt: skip
    for source_id, at, count in rows.values_list("source_id", "at", "count"):
        assert source_id is not None
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
    found = refused_lately([row.brand_id], last_arrivals([row]), now=now).get(row.pk)
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
