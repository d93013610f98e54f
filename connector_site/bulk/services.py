"""What people do with jobs. Each act is one transaction; from the start of a job on it stands in the trail."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterator
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, Q, Sum
from django.db.models.functions import Now
from django.utils import timezone

from access.models import Brand, User
from access.rules import AllBrands, Verb, brands_of, limit, may
from audit import api as audit
from connector_site.bulk import gathering
from connector_site.bulk.kinds import Kind
from connector_site.bulk.models import PREVIEWS, BulkItem, BulkJob, BulkState
from core import queue, restoring
from core.actor import Actor

# More than that needs a second person: in one job, or in all of one person's that are at work within a day.
MOST_ALONE = 1_000
_ALONE_WITHIN = timedelta(days=1)
MOST_PER_SECOND = 50
# The person waits for these.
_STRETCHES_AT_ONCE = 8
_MOST_FORGOTTEN = 10
_PREVIEWS_KEPT = timedelta(days=1)


class BulkRefused(Exception):
    """It cannot be done with this job, or for these rows; the text says why and what to do."""


@transaction.atomic
def begin_with(kind: Kind, ids: Collection[uuid.UUID], *, person: User) -> BulkJob:
    """
    A preview of what would be done to these rows; those that the person may not repair are left out.

    Raises BulkRefused when nothing is left, or when what is left is of several brands and the person does not work for
    all.
    """
    rows = limit(kind.model._default_manager.filter(pk__in=ids), person, verb=Verb.OPERATE)
    brand_of_row = dict(rows.values_list("pk", "brand_id"))
    brand_ids = set(brand_of_row.values())
    if not brand_ids:
        raise BulkRefused("Nothing of what was chosen may be repaired by you.")
    job = _new_job(kind, sorted(brand_ids), person)
    gathering.add(job, brand_of_row)
    gathering.make_ready(job)
    job.save()
    return job


@transaction.atomic
def begin_matching(
    kind: Kind, *, person: User, brand: uuid.UUID | None, filters: dict[str, str], since: timedelta | None
) -> BulkJob:
    """
    A preview of what would be done to all rows that match, as they are now.

    filters: values by the names of the list's filters. since: only what came within this time. The first rows are
    looked for at once, the others by the workers. Raises BulkRefused where the person has to choose a brand.
    """
    now = timezone.now()
    job = _new_job(kind, _brands_to_walk(person, brand), person)
    since_at = "" if since is None else (now - since).isoformat()
    job.wanted |= {"filters": filters, "since": since_at, "until": now.isoformat()}
    for _ in range(_STRETCHES_AT_ONCE):
        if job.state == BulkState.GATHERING:
            gathering.go_on(job)
    if job.state == BulkState.GATHERING:
        queue.ring()
    return job


def _brands_to_walk(person: User, brand: uuid.UUID | None) -> list[uuid.UUID]:
    theirs = brands_of(person, verb=Verb.OPERATE)
    if brand is not None:
        if not isinstance(theirs, AllBrands) and brand not in theirs:
            raise BulkRefused("Nothing of what was chosen may be repaired by you.")
        return [brand]
    if isinstance(theirs, AllBrands):
        return list(Brand.objects.order_by("pk").values_list("pk", flat=True))
    if len(theirs) != 1:
        raise BulkRefused("Choose a brand first: a job is about the rows of one.")
    return list(theirs)


def _new_job(kind: Kind, brand_ids: list[uuid.UUID], person: User) -> BulkJob:
    if len(brand_ids) > 1 and not isinstance(brands_of(person, verb=Verb.OPERATE), AllBrands):
        raise BulkRefused("These rows are of several brands. Choose those of one brand at a time.")
    return BulkJob.objects.create(
        brand_id=brand_ids[0] if len(brand_ids) == 1 else None,
        kind=kind.name,
        asked_by=person,
        wanted={"brands": [str(one) for one in brand_ids]},
    )


@transaction.atomic
def start(job_id: uuid.UUID, *, person: User, actor: Actor, reason: str, per_second: int) -> BulkJob:
    """Have a preview carried out, by the workers; a large one only once somebody else has agreed."""
    job = _locked(job_id, BulkState.READY, person=person)
    # Who starts it answers for it, whoever made the preview.
    job.asked_by, job.reason, job.per_second = person, reason, per_second
    if _is_too_much_alone(job, person):
        job.state = BulkState.WAITING
        audit.record("bulk_job.asked_for", actor=actor, subject=job, data=_size_of(job), reason=reason)
    else:
        _set_running(job)
        audit.record("bulk_job.started", actor=actor, subject=job, data=_size_of(job), reason=reason)
    job.save()
    return job


@transaction.atomic
def approve(job_id: uuid.UUID, *, person: User, actor: Actor, reason: str = "") -> BulkJob:
    """The second person agrees: it is carried out. Raises BulkRefused for who asked for it."""
    job = _locked(job_id, BulkState.WAITING, person=person)
    if job.asked_by_id == person.pk:
        raise BulkRefused("You asked for it yourself: somebody else has to agree.")
    job.approved_by = person
    _set_running(job)
    job.save()
    audit.record("bulk_job.approved", actor=actor, subject=job, data=_size_of(job), reason=reason)
    return job


@transaction.atomic
def stop(job_id: uuid.UUID, *, person: User, actor: Actor) -> BulkJob:
    """Once this has returned, no further row of it is touched."""
    job = _locked(job_id, BulkState.RUNNING, person=person)
    _set_stopped(job)
    audit.record("bulk_job.stopped", actor=actor, subject=job, data=_size_of(job))
    return job


@transaction.atomic
def resume(job_id: uuid.UUID, *, person: User, actor: Actor) -> BulkJob:
    """
    Go on with a stopped one where it stopped.

    Where its asker may not repair these rows any more, whoever resumes it has asked for it, and a large one needs a
    second person anew.
    """
    job = _locked(job_id, BulkState.STOPPED, person=person)
    if not may(job.asked_by, Verb.OPERATE, job):
        job.asked_by, job.approved_by = person, None
    if job.approved_by is None and _is_too_much_alone(job, person):
        job.state = BulkState.WAITING
        audit.record("bulk_job.asked_for", actor=actor, subject=job, data=_size_of(job), reason=job.reason)
    else:
        _set_running(job)
        audit.record("bulk_job.resumed", actor=actor, subject=job, data=_size_of(job))
    job.save()
    return job


@transaction.atomic
def discard(job_id: uuid.UUID, *, person: User, actor: Actor, reason: str = "") -> BulkJob:
    """Give up a preview, a request, or what is left of a stopped one."""
    possible = (BulkState.GATHERING, BulkState.READY, BulkState.WAITING, BulkState.STOPPED)
    job = _locked(job_id, *possible, person=person)
    job.state, job.finished_at, job.leased_until = BulkState.DISCARDED, timezone.now(), None
    job.save()
    audit.record("bulk_job.discarded", actor=actor, subject=job, data=_size_of(job), reason=reason)
    return job


def stop_all(*, actor: Actor, because: str) -> None:
    """
    Have no job go on by itself: what they did since the backup that was restored is not known here.

    Called in the transaction that makes a restored site safe.
    """
    for job in BulkJob.objects.select_for_update().filter(state=BulkState.RUNNING):
        _set_stopped(job, because=because)
        audit.record("bulk_job.stopped", actor=actor, subject=job, data=_size_of(job), reason=because)
    BulkJob.objects.filter(state__in=PREVIEWS).update(state=BulkState.DISCARDED, finished_at=timezone.now())


def forget_old_previews() -> Iterator[None]:
    """Take away what was looked at and never started; each step of the iterator is one portion."""
    while not restoring.is_unfinished() and forget_previews(before=timezone.now() - _PREVIEWS_KEPT):
        yield


@transaction.atomic
def forget_previews(*, before: datetime) -> int:
    """Take away some of those that are older; returns how many."""
    old = BulkJob.objects.filter(state__in=PREVIEWS, created_at__lt=before).order_by("pk")[:_MOST_FORGOTTEN]
    ids = list(old.select_for_update(skip_locked=True).values_list("pk", flat=True))
    BulkItem.objects.filter(job__in=ids).delete()
    BulkJob.objects.filter(pk__in=ids).delete()
    return len(ids)


def done_alone(person: User, *, beside: BulkJob) -> int:
    """
    Rows of the other jobs of this person that were at work within a day without a second one: what they did, or may.

    When they were started is no matter: several that were stopped on other days can go on together.
    """
    rows = BulkJob.objects.filter(
        asked_by=person, approved_by=None, started_at__isnull=False, next_at__gte=timezone.now() - _ALONE_WITHIN
    )
    has_ended = Q(state__in=(BulkState.DONE, BulkState.DISCARDED))
    told = rows.exclude(pk=beside.pk).aggregate(
        did=Sum(F("done_count"), filter=has_ended, default=0), may=Sum(F("total"), filter=~has_ended, default=0)
    )
    return int(told["did"]) + int(told["may"])


def _is_too_much_alone(job: BulkJob, person: User) -> bool:
    """Many small jobs are a large one. Of two that a person starts at the same moment the second sees the first."""
    User.objects.select_for_update(no_key=True).get(pk=person.pk)
    return job.total + done_alone(person, beside=job) > MOST_ALONE


def _locked(job_id: uuid.UUID, *possible: BulkState, person: User) -> BulkJob:
    job = BulkJob.objects.select_for_update(no_key=True).get(pk=job_id)
    if not may(person, Verb.OPERATE, job):
        raise BulkRefused("You may not repair rows of this brand.")
    if job.state not in possible:
        raise BulkRefused(f"It is not possible as things stand now: {job.get_state_display().lower()}.")
    return job


def _set_stopped(job: BulkJob, *, because: str = "") -> None:
    """because: empty where a person did."""
    job.state, job.leased_until, job.stopped_because = BulkState.STOPPED, None, because
    job.save()


def _set_running(job: BulkJob) -> None:
    job.state, job.stopped_because, job.leased_until = BulkState.RUNNING, "", None
    job.next_at = Now()
    job.started_at = job.started_at or timezone.now()
    queue.ring()


def _size_of(job: BulkJob) -> dict[str, object]:
    return {"kind": job.kind, "rows": job.total, "settled": job.settled, "per_second": job.per_second}


__all__ = [
    "MOST_ALONE",
    "MOST_PER_SECOND",
    "BulkRefused",
    "approve",
    "begin_matching",
    "begin_with",
    "discard",
    "forget_old_previews",
    "forget_previews",
    "resume",
    "start",
    "stop",
    "stop_all",
]
