"""
The one wrapper over django-q2: a doorbell that wakes a worker.

A doorbell carries nothing. Due work is rows of our own; the doorbell only says "look". It commits with the rows it
points to, because the ORM broker writes to the same database. One doorbell waits at a time, or a few where several
ring at the same moment and cannot see each other's.

Coalescing without a gap: whoever finds a waiting doorbell and rings none holds a shared advisory lock until its
transaction ends; the task that a doorbell starts first takes that lock exclusively, and so looks at the rows only after
they are committed. It answers for every doorbell that waits then, and takes them away: otherwise those who ring while
it waits for the lock would leave more of them behind than there were.
"""

from __future__ import annotations

from typing import Any

from django.db import connection, transaction

WORK = "connector_site.tasks.work"
_DOORBELL_LOCK = 0x0C5_D00B  # any constant, the same in every process

# A doorbell that was fetched is locked for minutes. By the clock and not by the start of our own transaction, which may
# be older than the doorbell. With no room, as the broker writes the database's time: whoever relied on a doorbell that
# a killed worker left behind, a moment before its lock ends, would wait for that moment.
_WAITING = "FROM django_q_ormq WHERE lock <= clock_timestamp()"


def ring() -> None:
    """Make sure that a worker looks for work after the running transaction commits. Call it inside that transaction."""
    with transaction.atomic():
        if not _may_rely_on_another():
            _enqueue()


def answer() -> None:
    """
    Wait until everybody who relied on a doorbell has committed, a few milliseconds, and take all doorbells away.

    Called by the task that a doorbell starts, before it looks at the rows.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [_DOORBELL_LOCK])
        try:
            cursor.execute(f"DELETE {_WAITING}")
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [_DOORBELL_LOCK])


def _may_rely_on_another() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock_shared(%s)", [_DOORBELL_LOCK])
        if not _first(cursor):
            return False
        # A statement of its own: one that began before the lock was taken could see a doorbell that was just answered.
        cursor.execute(f"SELECT EXISTS (SELECT 1 {_WAITING})")
        return _first(cursor)


def _first(cursor: Any) -> bool:
    row = cursor.fetchone()
    return bool(row and row[0])


def _enqueue() -> None:
    from django_q.tasks import async_task  # imported late: it reads the settings

    async_task(WORK)
