"""Several workers at one job, and real workers that are killed in the middle of one."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlencode

import psutil
import pytest
from django.db import connection

from audit.models import AuditEntry
from connector_site.bulk import running
from connector_site.bulk.models import BulkItem, BulkJob, BulkState
from connector_site.environment import BASE_DIR
from connector_site.invariants import check
from connector_site.invariants.bulk import INVARIANTS as BULK_INVARIANTS
from installations.models import AppInstallation
from tests.connector_site.bulk.rows import dead_texts, started, work
from tests.conversations.stand import in_thread
from tests.factories import make_world
from tests.waiting import wait_until


def test_two_workers_at_once_do_each_row_once(transactional_db: None) -> None:
    world = make_world(slug="amber", mark="AMBERXQJ7")
    rows = dead_texts(world, 12)
    job = started("RESEND", rows, world.operator)
    together = threading.Barrier(2)

    def run() -> None:
        together.wait()
        for _ in range(3):
            running.work()

    for thread in [in_thread(run) for _ in range(2)]:
        thread.join()
    work(job)
    acts = AuditEntry.objects.filter(action="dispatch.resent", correlation_id=str(job.pk)).order_by("id")
    assert list(acts.values_list("subject_id", flat=True)) == [str(row.pk) for row in rows]
    assert job.done_count == 12


# --- killed ----------------------------------------------------------------------------------------------------------

ROWS = 36


@pytest.fixture
def job(transactional_db: None) -> BulkJob:
    """Under way for some seconds, in the database of the tests. What it makes due waits: the installation is paused."""
    world = make_world(slug="amber", mark="AMBERXQJ7")
    AppInstallation.objects.update(state="PAUSED")
    return started("RESEND", dead_texts(world, ROWS), world.operator, per_second=8)


@pytest.fixture
def worker(job: BulkJob, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`manage.py worker` of the site under test."""
    values = os.environ | {"DATABASE_URL": _url_of_test_database()}
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, str(BASE_DIR / "manage.py"), "worker"], env=values, stdout=log, stderr=log
        )
    yield process
    process.terminate()
    process.wait(30)


def _url_of_test_database() -> str:
    parts = connection.get_connection_params()
    known = {name: parts[name] for name in ("user", "password", "host", "port") if parts.get(name)}
    return f"postgresql:///{quote(parts['dbname'])}?{urlencode(known)}"


def test_killed_workers_leave_no_row_out_and_do_none_twice(job: BulkJob, worker: subprocess.Popen[bytes]) -> None:
    wait_until(lambda: fresh(job).done_count > 0, within_s=60)
    for part in psutil.Process(worker.pid).children(recursive=True):
        part.kill()
    assert fresh(job).state == BulkState.RUNNING
    wait_until(lambda: fresh(job).state == BulkState.DONE, within_s=120)
    assert fresh(job).done_count == ROWS
    acts = AuditEntry.objects.filter(action="dispatch.resent", correlation_id=str(job.pk)).order_by("id")
    targets = BulkItem.objects.filter(job=job).order_by("target_id").values_list("target_id", flat=True)
    assert list(acts.values_list("subject_id", flat=True)) == [str(one) for one in targets]
    assert check(BULK_INVARIANTS) == []


def fresh(job: BulkJob) -> BulkJob:
    return BulkJob.objects.get(pk=job.pk)
