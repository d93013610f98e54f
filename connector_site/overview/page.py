"""Everything that the first page shows: a dozen statements, however many brands, connectors and rows there are."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from typing import Any
from urllib.parse import urlencode

from django.db.models import Count, Q
from django.http import Http404, HttpRequest
from django.urls import reverse
from django.utils import timezone

from access import refusals
from access.models import Brand, User
from access.rules import Verb, limit, may
from connector_site import heartbeat
from connector_site.models import Counting
from connector_site.overview import attention, charts, tiles
from connector_site.overview import now as this_moment
from connector_site.overview.links import Links
from connector_site.overview.now import Waiting
from connector_site.refused import refused_lately
from connector_site.rollups import counting, series
from connector_site.rollups.series import Figures, Range, Series
from conversations.selectors import count_unsettled
from core.ids import id_in
from installations.models import AppInstallation, Channel, State
from webhooks.selectors import last_deliveries

_MOST_BRANDS = 50
_MOST_CONNECTORS = 500
Counts = dict[uuid.UUID, dict[str, int]]


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """brands: those that the reader sees, the first of them. chosen: the one that the page is about; None: all."""

    brands: list[Brand]
    chosen: Brand | None
    range: Range

    @property
    def shown(self) -> list[Brand]:
        return [self.chosen] if self.chosen else self.brands

    @property
    def ids(self) -> list[uuid.UUID]:
        return [brand.pk for brand in self.shown]

    @property
    def links(self) -> Links:
        return Links(asked=self.range, brand_id=self.chosen.pk if self.chosen else None)


def context(request: HttpRequest) -> dict[str, Any]:
    """
    What the template admin/index.html shows.

    Raises Http404 for a brand that the reader does not see, and for one that there is not.
    """
    now, reader = timezone.now(), request.user
    assert isinstance(reader, User)  # the admin's pages ask who signs in
    asked = _asked(request)
    waiting, unsettled = this_moment.what_waits(asked.ids), count_unsettled(asked.ids)
    happened = series.series_of_brands(asked.ids, asked=asked.range, now=now)
    connectors = _connectors(asked.shown)
    sources: list[AppInstallation | Channel] = [*connectors, *(one for row in connectors for one in row.channels.all())]
    last_seen = last_deliveries([source.pk for source in sources])
    return {
        "title": "Overview",
        "now_tiles": tiles.of_now(_together(waiting), _sum(unsettled), asked.links, now=now),
        "needs": attention.needs_of(
            connectors,
            this_moment.pauses_in_force(asked.ids),
            this_moment.troubled_hosts(asked.ids, now=now),
            this_moment.troubled_tokens(asked.ids),
            this_moment.jobs_for_a_second_person(reader, asked.chosen),
            refused_lately(sources, last_seen, now=now),
            reader=reader,
            now=now,
        ),
        **_of_range(asked, happened),
        "brand_columns": tiles.BRAND_COLUMNS,
        "brand_lines": _lines(asked, happened, waiting, unsettled, now) if len(asked.shown) > 1 else [],
        "cards": _cards(asked.shown, connectors, last_seen),
        "chosen": asked.chosen,
        "all_url": _url(asked.range, None),
        "has_more_brands": len(asked.brands) == _MOST_BRANDS,
        **_workers(),
        "may_set_up": may(request.user, Verb.OPERATE),
    }


def _asked(request: HttpRequest) -> _Asked:
    seen = limit(Brand.objects.all(), request.user)
    wanted, chosen = request.GET.get("brand", ""), None
    if wanted:
        brand_id = id_in(wanted)
        chosen = seen.filter(pk=brand_id).first() if brand_id else None
        if chosen is None:
            refusals.note(request.user, Brand, brand_id, request)
            raise Http404
    brands = [] if chosen else list(seen[:_MOST_BRANDS])
    asked = series.RANGES.get(request.GET.get("range", ""), series.DAY)
    return _Asked(brands=brands, chosen=chosen, range=asked)


def _url(asked: Range, brand: Brand | None) -> str:
    about = {"brand": str(brand.pk)} if brand else {}
    return f"{reverse('admin:index')}?{urlencode({**about, 'range': asked.name})}"


def _workers() -> dict[str, Any]:
    age_s = heartbeat.youngest_age_s()
    return {"worker_age_s": age_s, "worker_is_alive": age_s is not None and age_s <= heartbeat.ALIVE_WITHIN_S}


# --- a time range ----------------------------------------------------------------------------------------------------


def _of_range(asked: _Asked, happened: Series) -> dict[str, Any]:
    return {
        "ranges": [
            {"label": one.label, "url": _url(one, asked.chosen), "is_chosen": one is asked.range}
            for one in series.RANGES.values()
        ],
        "range": asked.range,
        "range_tiles": tiles.of_range(happened.total, asked.links),
        "charts": charts.charts_of(happened),
        "causes": tiles.causes(happened.total, asked.links),
        "ends": [end.capitalize() for end in tiles.ENDS],
        "is_quiet": happened.is_empty,
        "counted_to": counting.counted_to(Counting.SOON),
    }


def _lines(
    asked: _Asked, happened: Series, waiting: dict[uuid.UUID, Waiting], unsettled: Counts, now: datetime
) -> list[tiles.BrandLine]:
    return [
        tiles.BrandLine(
            name=brand.name,
            url=_url(asked.range, brand),
            cells=tiles.brand_cells(
                happened.of_brand.get(brand.pk, Figures()),
                waiting.get(brand.pk, Waiting()),
                unsettled.get(brand.pk, {}),
                Links(asked=asked.range, brand_id=brand.pk),
                now=now,
            ),
        )
        for brand in asked.shown
    ]


def _together(waiting: dict[uuid.UUID, Waiting]) -> Waiting:
    return reduce(_added, waiting.values(), Waiting())


def _added(one: Waiting, other: Waiting) -> Waiting:
    return Waiting(
        lanes=one.lanes + other.lanes,
        lanes_since=_earlier(one.lanes_since, other.lanes_since),
        held_up=one.held_up + other.held_up,
        deliveries=one.deliveries + other.deliveries,
        deliveries_since=_earlier(one.deliveries_since, other.deliveries_since),
        quarantined=one.quarantined + other.quarantined,
        dead=one.dead + other.dead,
    )


def _earlier(one: datetime | None, other: datetime | None) -> datetime | None:
    known = [moment for moment in (one, other) if moment is not None]
    return min(known) if known else None


def _sum(unsettled: Counts) -> dict[str, int]:
    found: dict[str, int] = defaultdict(int)
    for counts in unsettled.values():
        for state, count in counts.items():
            found[state] += count
    return found


# --- connectors ------------------------------------------------------------------------------------------------------


def _connectors(brands: list[Brand]) -> list[AppInstallation]:
    rows = AppInstallation.objects.filter(brand__in=brands).select_related("account").prefetch_related("channels")
    counted = rows.annotate(valid_secrets=Count("secrets", filter=Q(secrets__retired_at=None)))
    return list(counted.order_by("name", "client_id")[:_MOST_CONNECTORS])


def _cards(
    brands: list[Brand], connectors: list[AppInstallation], last_seen: Mapping[uuid.UUID, datetime | None]
) -> list[dict[str, Any]]:
    of_brand = defaultdict(list)
    for row in connectors:
        of_brand[row.brand_id].append(_connector(row, last_seen.get(row.pk)))
    return [
        {
            "brand": brand,
            "url": reverse("admin:access_brand_change", args=[brand.pk]),
            "connectors": of_brand[brand.pk],
        }
        for brand in brands
    ]


def _connector(row: AppInstallation, last_seen_at: datetime | None) -> dict[str, Any]:
    return {
        "row": row,
        "url": reverse("admin:installations_appinstallation_change", args=[row.pk]),
        "channels": [
            {
                "row": channel,
                "url": reverse("admin:installations_channel_change", args=[channel.pk]),
                "is_active": channel.state == State.ACTIVE,
            }
            for channel in row.channels.all()
        ],
        "is_active": row.state == State.ACTIVE,
        "last_seen_at": last_seen_at,
        "seen_url": f"{reverse('admin:webhooks_delivery_changelist')}?{urlencode({'installation': row.pk})}",
    }
