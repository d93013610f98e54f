"""
A job's work, in slices of a second or two between the workers' other work: whatever ends a slice, the next goes on.

What is done to a row, what became of it and the job's counts are one transaction. So a worker may be killed at any
point, and nothing is done twice or forgotten. The row of the job is taken last: whoever stops it waits for nobody, and
a row whose job was stopped meanwhile is undone.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog
from django.db import connection, transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Greatest, Now

from access.rules import Verb, may
from audit import api as audit
from connector_site.bulk import gathering
from connector_site.bulk.kinds import KINDS, Kind, NotPossible
from connector_site.bulk.models import AT_WORK, BulkItem, BulkJob, BulkState, ItemState
from core import queue, restoring
from core.actor import SYSTEM, Actor
from core.database import is_away
from core.ids import NO_ID

SLICE_S = 2.0
LEASE_S = 20
# What a job may catch up on after it had to wait: no more than this much of its pace at once.
_CATCHES_UP_S = 2

logger = structlog.get_logger(__name__)
_COUNTERS = {
    ItemState.DONE: "done_count",
    ItemState.SETTLED: "settled_count",
    ItemState.REFUSED: "refused_count",
}


class _NoLongerOurs(Exception):
    """The job was stopped, or another worker has it: what was done in this transaction is undone."""


@dataclass(frozen=True, kw_only=True)
class _Claim:
    job_id: uuid.UUID
    fence: int


def work(*, is_stopping: Callable[[], bool] = lambda: False) -> None:
    """Go on with the jobs whose turn has come, for a slice; ring when there is more to do at once."""
    if restoring.is_unfinished():
        return
    ends_at = time.monotonic() + SLICE_S

    def has_time() -> bool:
        return not is_stopping() and time.monotonic() < ends_at

    while has_time() and (claim := _claim()):
        with structlog.contextvars.bound_contextvars(correlation_id=str(claim.job_id)):
            while has_time() and _go_on(claim):
                pass
        _release(claim)
    sweep()


def sweep() -> None:
    """Ring when the turn of some job has come. Cheap; called every second."""
    if _due().exists():
        with transaction.atomic():
            queue.ring()


def _due() -> QuerySet[BulkJob]:
    is_free = Q(leased_until=None) | Q(leased_until__lt=Now())
    return BulkJob.objects.filter(is_free, state__in=AT_WORK, next_at__lte=Now())


@transaction.atomic
def _claim() -> _Claim | None:
    """Lease the job that has waited longest for its turn. One whose asker may not do this any more is stopped."""
    job = _due().select_for_update(no_key=True, skip_locked=True).order_by("next_at").first()
    if job is None:
        return None
    if job.state == BulkState.RUNNING and not may(job.asked_by, Verb.OPERATE, job):
        _stop(job, because="Who asked for it may not repair rows of this brand any more.")
        return None
    _update(job.pk, fence=F("fence") + 1, leased_until=_lease_end())
    return _Claim(job_id=job.pk, fence=job.fence + 1)


def _release(claim: _Claim) -> None:
    BulkJob.objects.filter(pk=claim.job_id, fence=claim.fence).update(leased_until=None)


def _go_on(claim: _Claim) -> bool:
    """One more row, or one more stretch of rows to gather; whether there may be more to do now."""
    job = BulkJob.objects.select_related("asked_by").get(pk=claim.job_id)
    if job.fence != claim.fence:
        return False
    if job.state == BulkState.GATHERING:
        return _gather(claim)
    if job.state != BulkState.RUNNING:
        return False
    try:
        return _do_next(job)
    except _NoLongerOurs:
        return False


@transaction.atomic
def _gather(claim: _Claim) -> bool:
    job = BulkJob.objects.select_for_update(no_key=True).get(pk=claim.job_id)
    if job.fence != claim.fence or job.state != BulkState.GATHERING:
        return False
    gathering.go_on(job)
    _update(job.pk, leased_until=_lease_end())
    return job.state == BulkState.GATHERING


# --- one row ---------------------------------------------------------------------------------------------------------

# The lane of the oldest row that waits, and in that lane the row that stands first: an opening is younger than what it
# was put before. Of one out of two jobs the planner does not know that it is always the same: so it walks the index of
# what waits, and no other, past everything that is done.
_NEXT = """
    SELECT item.id FROM connector_site_bulkitem item
    WHERE item.job_id = %(job)s AND item.state = 'WAITING' AND item.lane_id = (
        SELECT oldest.lane_id FROM connector_site_bulkitem oldest
        WHERE oldest.job_id IN (%(job)s, %(nobody)s) AND oldest.state = 'WAITING'
        ORDER BY oldest.job_id, oldest.target_id LIMIT 1)
    ORDER BY item.position, item.target_id LIMIT 1
    FOR NO KEY UPDATE OF item
"""


@transaction.atomic
def _do_next(job: BulkJob) -> bool:
    """Raises _NoLongerOurs when the job was taken away meanwhile."""
    if not BulkJob.objects.filter(pk=job.pk, next_at__lte=Now()).exists():
        return False
    item = _next_item(job)
    if item is None:
        _finish(job)
        return False
    outcome, detail = _do(KINDS[job.kind], item, job)
    BulkItem.objects.filter(pk=item.pk).update(state=outcome, detail=detail, at=Now())
    counter = _COUNTERS[outcome]
    behind = Greatest(F("next_at"), Now() - timedelta(seconds=_CATCHES_UP_S))
    _keep(
        job,
        **{counter: F(counter) + 1},
        next_at=behind + timedelta(seconds=1 / job.per_second),
        leased_until=_lease_end(),
    )
    return True


def _next_item(job: BulkJob) -> BulkItem | None:
    with connection.cursor() as cursor:
        cursor.execute(_NEXT, {"job": job.pk, "nobody": NO_ID})
        row = cursor.fetchone()
    return BulkItem.objects.get(pk=row[0]) if row else None


def _do(kind: Kind, item: BulkItem, job: BulkJob) -> tuple[ItemState, str]:
    """What became of the row. An error of ours ends it as well: it must not hold up all others."""
    actor = Actor(kind="PERSON", id=str(job.asked_by_id), name=job.asked_by.get_username())
    try:
        with transaction.atomic():
            kind.act(item.target_id, actor, job.reason)
    except NotPossible as refusal:
        still_possible = kind.model._default_manager.filter(pk=item.target_id, state__in=kind.states)
        return ItemState.REFUSED if still_possible.exists() else ItemState.SETTLED, str(refusal)[:300]
    except Exception as error:
        if is_away(error):
            raise
        logger.exception("bulk.row_failed", job_id=str(job.pk), target_id=str(item.target_id))
        return ItemState.REFUSED, "An error of ours; the log says which."
    return ItemState.DONE, ""


def _finish(job: BulkJob) -> None:
    _keep(job, state=BulkState.DONE, finished_at=Now(), leased_until=None)
    counts = {"done": job.done_count, "settled_before": job.settled_count, "not_possible": job.refused_count}
    audit.record("bulk_job.finished", actor=SYSTEM, subject=job, data=counts)


def _stop(job: BulkJob, *, because: str) -> None:
    _update(job.pk, state=BulkState.STOPPED, stopped_because=because, leased_until=None)
    audit.record("bulk_job.stopped", actor=SYSTEM, subject=job, reason=because)


def _keep(job: BulkJob, **changes: Any) -> None:
    """Write to the job, if it is still ours and running; otherwise undo all."""
    mine = BulkJob.objects.filter(pk=job.pk, fence=job.fence, state=BulkState.RUNNING)
    if not mine.update(**changes):
        raise _NoLongerOurs


def _update(job_id: uuid.UUID, **changes: Any) -> None:
    BulkJob.objects.filter(pk=job_id).update(**changes)


def _lease_end() -> Any:
    return Now() + timedelta(seconds=LEASE_S)


__all__ = ["sweep", "work"]
