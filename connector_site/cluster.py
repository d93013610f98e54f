"""
django-q2's cluster, made to end as a whole when a part of it dies.

A worker that is killed while it waits holds the lock of the queue for ever: its successor never gets a task, and
nothing says so. So a death by signal ends the cluster, and `manage.py worker` starts a new one. The parts are also tied
to each other by the kernel: whichever process is killed, no orphan goes on working unwatched.
"""

import ctypes
import os
import signal
import time
from multiprocessing.sharedctypes import RawValue
from typing import Any

import django_q.cluster
import structlog
from django_q.cluster import Cluster, Sentinel

from connector_site.processes import describe, die_with_parent

_FINISH_WITHIN_S = 12.0

logger = structlog.get_logger(__name__)
# Shared with every process of the cluster, and without a lock: one that a killed worker held would never be free again.
_stopping = RawValue(ctypes.c_bool, False)


def run() -> int:
    """Run a cluster until it is told to stop or loses a part. Returns its exit status."""
    # Every process that django-q2 forks, and those that they fork, die with the one that made them.
    parent_ends = signal.SIGKILL
    _tie_forks(parent_ends)
    django_q.cluster.Sentinel = WatchfulSentinel
    cluster = StoppableCluster()
    cluster.start()
    sentinel = cluster.sentinel
    while sentinel.is_alive():
        sentinel.join(1)
    return 0 if sentinel.exitcode == 0 else 1


def is_stopping() -> bool:
    """Whether the cluster that this process belongs to is to end: nothing new is begun."""
    return bool(_stopping.value)


class StoppableCluster(Cluster):
    """Tells its workers that it is to stop; django-q2 itself waits for whatever they do."""

    def stop(self) -> bool:
        """Called on SIGTERM and SIGINT."""
        _stopping.value = True
        return bool(super().stop())


class WatchfulSentinel(Sentinel):
    """Replaces processes that ended by themselves; leaves when one was killed."""

    def reincarnate(self, process: Any) -> None:
        """Called by the guard for a process that is gone, or has used up its time."""
        status = process.exitcode
        if status is not None and status < 0:
            logger.error("cluster.process_killed", pid=process.pid, how=describe(status))
            self._leave(killed=process)
        super().reincarnate(process)

    def _leave(self, *, killed: Any) -> None:
        """End the cluster; workers that are in the middle of something may finish it first."""
        _stopping.value = True
        if self.pusher is not killed and self.pusher.is_alive():
            self.pusher.kill()  # no further task
        deadline = time.monotonic() + _FINISH_WITHIN_S
        while time.monotonic() < deadline and any(_is_busy(worker) for worker in self.pool if worker is not killed):
            time.sleep(0.1)
        os._exit(1)  # the kernel ends the others


def _is_busy(worker: Any) -> bool:
    # The timer counts the seconds that the task under way has left; -1 while there is none. Read without its lock,
    # which the killed process may hold.
    return bool(worker.is_alive() and worker.timer.get_obj().value > 0)


def _tie_forks(with_signal: signal.Signals) -> None:
    state: dict[str, Any] = {}
    os.register_at_fork(
        before=lambda: state.update(ask=die_with_parent(with_signal)),
        after_in_child=lambda: state["ask"](),
    )
