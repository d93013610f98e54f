"""The one task of the system: a doorbell rang, so look for work."""

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import structlog
from django.db import DatabaseError, connection

from connector_site import cluster, heartbeat
from connector_site.broker import BEAT_EVERY_S
from core.ids import new_id

# Claiming ends after this; what is under way is finished, and while that hangs others are served. Short, because
# ringing again costs next to nothing, and a fresh start forgets what has gone stale.
DEADLINE_S = 5

logger = structlog.get_logger(__name__)


def work(**_: Any) -> None:
    """
    Show a sign of life, then do what is due until nothing is, or the deadline comes.

    Takes keywords of a newer or older caller without looking at them. Returns nothing and raises nothing: django-q2
    would store either, an error with its traceback, in a table that people can read.
    """
    from connector_site.bulk import running  # late: so that naming this module needs no app to be ready
    from webhooks import services

    if cluster.is_stopping():
        return  # the next cluster looks for work when it starts
    with structlog.contextvars.bound_contextvars(correlation_id=str(new_id())):
        try:
            heartbeat.beat(cluster=heartbeat.cluster_name())
            with _beating():
                services.work(deadline_s=DEADLINE_S, is_stopping=cluster.is_stopping)
                # Last: whatever goes wrong in a job, messages go on. What it makes due rings by itself.
                running.work(is_stopping=cluster.is_stopping)
        except DatabaseError:
            connection.close()
            logger.exception("work.database_failed")
        except Exception:
            logger.exception("work.failed")


@contextlib.contextmanager
def _beating() -> Iterator[None]:
    """Go on beating while a slow upstream holds the task: a busy worker is not a dead one."""
    finished = threading.Event()

    def beat_until_finished() -> None:
        while not finished.wait(BEAT_EVERY_S):
            try:
                heartbeat.beat(cluster=heartbeat.cluster_name())
            except DatabaseError:
                logger.warning("work.beat_missed")
            finally:
                connection.close()

    thread = threading.Thread(target=beat_until_finished, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        finished.set()
        thread.join()
