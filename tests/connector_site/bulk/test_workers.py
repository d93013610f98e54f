"""Several workers at one job, and a worker that is killed in the middle of one."""

from __future__ import annotations

import threading

from audit.models import AuditEntry
from connector_site.bulk import running
from tests.connector_site.bulk.rows import dead_texts, started, work
from tests.conversations.stand import in_thread
from tests.factories import make_world


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
