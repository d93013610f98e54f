"""
The one wrapper over django-q2: a doorbell that wakes a worker.

A doorbell carries nothing. Due work is rows of our own; the doorbell only says "look". It commits with the rows it
points to, because the ORM broker writes to the same database. At most one doorbell waits at a time.

Coalescing without a gap: whoever finds a waiting doorbell and rings none holds a shared advisory lock until its
transaction ends; the task that the doorbell starts first takes that lock exclusively, and so looks at the rows only
after they are committed.
"""

from __future__ import annotations

from typing import Any

from django.db import connection, transaction

WORK = "connector_site.tasks.work"
_DOORBELL_LOCK = 0x0C5_D00B  # any constant, the same in every process

# A doorbell that was fetched is locked for minutes. By the clock and not by the start of our own transaction, which may
# be older than the doorbell; and with some room, because the doorbell's time is that of the machine that rang.
_ASK = """
    SELECT pg_try_advisory_xact_lock_shared(%s)
       AND EXISTS (SELECT 1 FROM django_q_ormq WHERE lock <= clock_timestamp() + interval '2 seconds')
"""


def ring() -> None:
    """Make sure that a worker looks for work after the running transaction commits. Call it inside that transaction."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(_ASK, [_DOORBELL_LOCK])
            row: tuple[Any, ...] | None = cursor.fetchone()
        if row and row[0]:
            return
        _enqueue()


def wait_for_ringers() -> None:
    """Wait until everybody who relied on the doorbell that started this task has committed. A few milliseconds."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [_DOORBELL_LOCK])
        cursor.execute("SELECT pg_advisory_unlock(%s)", [_DOORBELL_LOCK])


def _enqueue() -> None:
    from django_q.tasks import async_task  # imported late: it reads the settings

    async_task(WORK)
