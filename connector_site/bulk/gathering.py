"""
Freezing which rows a job is about, before anybody starts it: a stretch of the table at a time, each in a transaction.

Nothing is counted by itself: the preview is the sum of what was gathered. So it costs the same however long the tables
are, and what is done later is what was shown.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from access import newest
from connector_site.bulk.kinds import KINDS, Foreseen, Kind
from connector_site.bulk.models import BulkItem, BulkJob, BulkState
from core.ids import first_id_at

STRETCH = 1_000
MOST_ROWS = 100_000


def add(job: BulkJob, ids: Collection[uuid.UUID]) -> None:
    """Put rows into a job and into its preview. The caller holds the job's row, and saves it."""
    known = set(BulkItem.objects.filter(job=job, target_id__in=ids).values_list("target_id", flat=True))
    found = sorted(KINDS[job.kind].foresee([one for one in ids if one not in known]), key=lambda one: one.target_id)
    room = MOST_ROWS - job.total
    job.is_cut = job.is_cut or len(found) > room
    found = found[:room]
    BulkItem.objects.bulk_create(
        BulkItem(job=job, brand_id=one.brand_id, target_id=one.target_id, lane_id=one.lane_id, position=one.position)
        for one in found
    )
    _foretell(job, found)


def _foretell(job: BulkJob, found: Sequence[Foreseen]) -> None:
    brands = {*job.gathered_to.get("brands", []), *(str(one.brand_id) for one in found)}
    job.gathered_to = {**job.gathered_to, "brands": sorted(brands)}
    job.total += len(found)
    job.closed_count += sum(one.is_of_closed for one in found)
    job.doubtful_count += sum(one.is_doubtful for one in found)
    job.impossible_count += sum(one.is_impossible for one in found)
    job.oldest_at = min([*filter(None, [job.oldest_at]), *(one.came_at for one in found)], default=None)


def go_on(job: BulkJob) -> None:
    """Look at one more stretch, and make the job ready once there is none. The caller holds the job's row."""
    kind = KINDS[job.kind]
    ranges = _ranges_of(job, kind)
    number = int(job.gathered_to.get("range", 0))
    if number < len(ranges) and not job.is_cut:
        ids = list(_walk(job, kind, *ranges[number])[:STRETCH])
        job.looked_at += len(ids)
        rows = kind.narrowed(kind.model._default_manager.filter(pk__in=ids), job.wanted["filters"])
        add(job, rows.filter(state__in=kind.states).values_list("pk", flat=True))
        is_over = len(ids) < STRETCH
        place = {"range": number + 1} if is_over else {"range": number, "after": str(ids[-1])}
        job.gathered_to = {"brands": job.gathered_to.get("brands", []), **place}
    if job.is_cut or int(job.gathered_to.get("range", 0)) >= len(ranges):
        make_ready(job)
    job.save()


def make_ready(job: BulkJob) -> None:
    """All that belongs to it is in it. A job without any row has nothing to wait for; one brand's rows are its own."""
    brands = job.gathered_to.get("brands", [])
    if len(brands) == 1:
        job.brand_id = uuid.UUID(brands[0])
    job.state = BulkState.READY if job.total else BulkState.DISCARDED
    job.finished_at = None if job.total else timezone.now()


def _ranges_of(job: BulkJob, kind: Kind) -> list[tuple[str, str]]:
    """What is walked one after another: (brand, state); without a state, all rows of the brand."""
    wanted_state = job.wanted["filters"].get("state")
    states = {wanted_state} & set(kind.states) if wanted_state else set(kind.states)
    walks = sorted(states) if states <= set(kind.walked) else [""]
    return [(brand, state) for brand in job.wanted["brands"] for state in walks]


def _walk(job: BulkJob, kind: Kind, brand: str, state: str) -> QuerySet[Any]:
    """
    The ids of a range from where the look stands, the oldest first.

    Its order is that of an index that begins with the brand, read backwards, and of no other: see access.newest.
    """
    rows = newest.along(kind.model._default_manager.all(), "brand_id", brand)
    rows = rows.filter(pk__lt=_first_id(job.wanted["until"]))
    if state:
        rows = rows.filter(state=state).order_by("brand_id", "state", "-pk")
    if since := job.wanted["since"]:
        rows = rows.filter(pk__gte=_first_id(since))
    if after := job.gathered_to.get("after"):
        rows = rows.filter(pk__gt=after)
    return rows.reverse().values_list("pk", flat=True)


def _first_id(moment: str) -> uuid.UUID:
    return first_id_at(datetime.fromisoformat(moment))


__all__ = ["MOST_ROWS", "STRETCH", "add", "go_on", "make_ready"]
