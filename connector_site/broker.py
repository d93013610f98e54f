"""
django-q2's ORM broker, made to live through a database that is away, and to prove that its own cluster works.

The broker itself asks for work every few seconds: a doorbell that exists only in its cluster, on no table. It passes
the pusher, a worker and the monitor like any other, so the heartbeat that it writes says that this very cluster works;
a doorbell on the shared table could be answered by another machine's cluster for ever.
"""

import time
import uuid
from typing import Any, TypeAlias

import structlog
from django.db import DatabaseError, close_old_connections, connection
from django.db.models.functions import Now
from django.utils import timezone
from django_q.brokers.orm import ORM
from django_q.conf import Conf
from django_q.signing import SignedPackage

from connector_site.logs import first_line
from core.queue import WORK

BEAT_EVERY_S = 5.0
_PAUSE_S = 1.0
_OWN_DOORBELL = "own-doorbell"

logger = structlog.get_logger(__name__)
Package: TypeAlias = tuple[int | str, str]


class Broker(ORM):
    """Named by Q_CLUSTER["broker_class"]; django-q2 makes one in each process."""

    def __init__(self, list_key: str | None = None) -> None:
        super().__init__(list_key=list_key)
        self._next_beat = 0.0
        self._is_away = False

    def __setstate__(self, state: Any) -> None:
        super().__setstate__(state)
        self._next_beat = 0.0
        self._is_away = False

    def enqueue(self, task: str) -> int:
        """Put a doorbell on the table, with the database's time: that of the machine that rings may be another."""
        key = self.list_key or Conf.CLUSTER_NAME
        return int(self.get_connection().create(key=key, payload=task, lock=Now()).pk)

    def dequeue(self) -> list[Package] | None:
        """What to do next. An error would end the pusher after ten idle seconds: here it is a pause of one."""
        if time.monotonic() >= self._next_beat:
            self._next_beat = time.monotonic() + BEAT_EVERY_S
            return [(_OWN_DOORBELL, _own_doorbell())]
        try:
            packages: list[Package] | None = super().dequeue()
        except DatabaseError as error:
            self._note_outage(error)
            time.sleep(_PAUSE_S)
            return None
        if self._is_away:
            self._is_away = False
            self._next_beat = 0.0  # others wait to see that we are back
            logger.info("queue.database_back")
        return packages

    def acknowledge(self, task_id: int | str) -> None:
        """Take a doorbell off the table; one that stays because the database is away rings once more, to no harm."""
        if task_id == _OWN_DOORBELL:
            return
        try:
            super().acknowledge(task_id)
        except DatabaseError as error:
            self._note_outage(error)

    def fail(self, task_id: int | str) -> None:
        """Take a doorbell off the table that cannot be read."""
        self.acknowledge(task_id)

    def _note_outage(self, error: DatabaseError) -> None:
        connection.close()
        close_old_connections()
        if not self._is_away:
            self._is_away = True
            logger.warning("queue.database_away", reason=first_line(error))


def _own_doorbell() -> str:
    name = uuid.uuid4().hex
    return SignedPackage.dumps(
        {
            "id": name,
            "name": name,
            "func": WORK,
            "args": (),
            "kwargs": {},
            "ack_failure": True,
            "started": timezone.now(),
        }
    )
