"""
The supervisor of the workers: keeps one cluster of django-q2 alive, and sweeps.

It trusts nothing that the cluster says about itself, only the heartbeat row that a task of that cluster writes. The
sweep rings for due work that nobody rang for; it lives here because it must not depend on what it repairs.
"""

import os
import signal
import socket
import sys
import threading
import time
import uuid
from collections.abc import Callable
from types import FrameType

import structlog
from django.db import DatabaseError, InterfaceError, connection

from connector_site import heartbeat
from connector_site.environment import BASE_DIR
from connector_site.logs import first_line
from connector_site.processes import Child, Spacing, describe, stop_all
from core.postgres import patience

SWEEP_EVERY_S = 1.0
_LOOK_WITHIN_S = 5.0
STOP_GRACE_S = 11.0  # below the grace that `run` gives to us

logger = structlog.get_logger(__name__)


class Worker:
    """One cluster under supervision; run() returns when a signal asked for the end."""

    def __init__(self, *, sweep: Callable[[], None]) -> None:
        """sweep: rings when due work exists; called every second, may raise DatabaseError at any time."""
        self._sweep = sweep
        self._cluster_name = f"{socket.gethostname()[:24]}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self._child = Child(
            "cluster",
            [sys.executable, str(BASE_DIR / "manage.py"), "qcluster"],
            env={heartbeat.CLUSTER_VARIABLE: self._cluster_name},
        )
        self._spacing = Spacing()
        self._start_at = 0.0
        self._is_away = False
        # The cluster is judged from here on: its start, or the return of a database that nobody could beat in.
        self._judged_since = 0.0
        self._stopping = threading.Event()

    def run(self) -> None:
        """Keep the cluster alive and sweep until SIGTERM or SIGINT."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._note_signal)
        logger.info("worker.started", cluster=self._cluster_name)
        while not self._stopping.is_set():
            began_at = time.monotonic()
            self._keep_alive()
            self._look_at_database()
            self._stopping.wait(max(0.0, SWEEP_EVERY_S - (time.monotonic() - began_at)))
        late = stop_all([self._child], grace_s=STOP_GRACE_S)
        logger.info("worker.stopped", cluster=self._cluster_name, killed=bool(late))

    def _note_signal(self, number: int, frame: FrameType | None) -> None:
        self._stopping.set()

    def _keep_alive(self) -> None:
        if self._child.is_running() or time.monotonic() < self._start_at:
            return
        status = self._child.exit_status()
        if status is not None and self._start_at < self._child.started_at:
            self._plan_restart(how=describe(status))
            if time.monotonic() < self._start_at:
                return
        self._child.start()
        self._judged_since = time.monotonic()
        logger.info("worker.cluster_started", cluster=self._cluster_name, pid=self._child.pid)

    def _plan_restart(self, *, how: str) -> None:
        self._child.kill()  # what the ended main process may have left behind
        pause_s = self._spacing.pause_s(ran_s=time.monotonic() - self._child.started_at)
        self._start_at = time.monotonic() + pause_s
        logger.error("worker.cluster_ended", cluster=self._cluster_name, how=how, restart_in_s=pause_s)

    def _look_at_database(self) -> None:
        """Sweep, and compare the heartbeat; while the database is away neither can be, which is said once."""
        try:
            # A frozen database would hold us too; thawed, it would show a heartbeat that nobody could write, as if the
            # cluster were to blame.
            with patience.limited(_LOOK_WITHIN_S):
                self._sweep()
                age_s = heartbeat.age_s(cluster=self._cluster_name)
        except (DatabaseError, InterfaceError) as error:
            connection.close()  # the next round makes a fresh one
            if not self._is_away:
                self._is_away = True
                logger.warning("worker.database_away", reason=first_line(error))
            return
        except Exception:
            # A mistake in the sweep must not end the supervision.
            logger.exception("worker.sweep_failed")
            return
        if self._is_away:
            self._is_away = False
            self._judged_since = time.monotonic()
            logger.info("worker.database_back")
        self._judge(age_s)

    def _judge(self, age_s: float | None) -> None:
        """Restart a cluster that had time to beat and did not: it is wedged, and asking it to stop would hang."""
        judged_for_s = time.monotonic() - self._judged_since
        silent_s = judged_for_s if age_s is None else min(age_s, judged_for_s)
        if self._child.is_running() and silent_s > heartbeat.ALIVE_WITHIN_S:
            self._child.kill()
            self._plan_restart(how=f"no heartbeat for {silent_s:.0f} s")
