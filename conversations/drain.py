"""
A worker's loop: turns in the database by the main thread, calls in threads, nothing else.

Each turn is one transaction: it writes the results of finished calls and the attempts of the next ones together, so
that a message costs far less than a commit of its own, and every attempt is on disk before its first byte is written.
"""

from __future__ import annotations

import queue
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import structlog
from django.db import DatabaseError, InterfaceError, connection, transaction

from conversations import lanes
from conversations.calls import Done, Job, perform
from conversations.preparing import prepare
from conversations.settling import record_late, set_aside, settle
from conversations.token_desk import TokenDesk
from conversations.turn import Turn

logger = structlog.get_logger(__name__)

SLOTS = 24
_PATIENCE_S = 0.02
# With many calls under way answers come one by one; a moment's wait lets one turn write several of them.
_GATHER_S = 0.004
_GATHER_FROM = 8


class Drain:
    """Sends what is due until nothing is, or until the deadline; then waits for the calls under way."""

    def __init__(self, *, deadline_s: float, slots: int = SLOTS) -> None:
        self._ends_at_s = time.monotonic() + deadline_s
        self._slots = slots
        self._pool = ThreadPoolExecutor(max_workers=slots + 2, thread_name_prefix="send")
        self._desk = TokenDesk(pool=self._pool)
        self._done: queue.SimpleQueue[Done] = queue.SimpleQueue()
        self._unsettled: list[Done] = []
        self._in_flight = 0

    def run(self, *, feed: Callable[[], bool] = lambda: False) -> None:
        """feed: applies what has arrived, one bounded portion a call; tells whether it found anything."""
        try:
            while True:
                is_late = time.monotonic() >= self._ends_at_s
                found = False if is_late else feed()
                jobs = self._turn(is_late=is_late)
                # Also when late: the token that was asked for serves the next worker.
                if not (found or jobs or self._is_busy or self._desk.is_busy):
                    break
                if self._in_flight >= _GATHER_FROM:
                    time.sleep(_GATHER_S)
                elif not jobs and not found:
                    self._wait()
        finally:
            self._pool.shutdown(wait=True)

    @property
    def _is_busy(self) -> bool:
        return bool(self._in_flight or self._unsettled)

    def _turn(self, *, is_late: bool) -> list[Job]:
        done = self._collect()
        free = 0 if is_late else self._slots - self._in_flight - len(done)
        if not done and free <= 0 and not self._desk.has_returned:
            return []
        now = _database_now()
        self._desk.finish_renewals(now=now)
        with transaction.atomic():
            turn = Turn(now=now, consumer_tokens=self._desk.consumer_tokens)
            fences = self._settle(turn, done)
            if is_late:
                for lane_id in fences:
                    turn.release(lane_id, due_at=now)
                turn.flush()
                return []
            fences.update(lanes.claim(free))
            jobs = prepare(turn, fences=fences, desk=self._desk) if fences else []
        self._desk.start_renewals()
        for job in jobs:
            self._in_flight += 1
            self._pool.submit(self._perform, job)
        return jobs

    def _settle(self, turn: Turn, done: list[Done]) -> dict[uuid.UUID, int]:
        """Write results; returns the lanes that this worker still leases. What is locked elsewhere waits a turn."""
        held = lanes.regain([item.job.lane_id for item in done])
        self._unsettled = [item for item in done if item.job.lane_id not in held]
        settled = [item for item in done if item.job.lane_id in held]
        fences: dict[uuid.UUID, int] = {}
        for item in settled:
            if held[item.job.lane_id] != item.job.fence:
                record_late(turn, item)
                continue
            self._settle_one(turn, item)
            fences[item.job.lane_id] = item.job.fence
        turn.flush()
        return fences

    def _settle_one(self, turn: Turn, item: Done) -> None:
        """Whatever is wrong with one result must not lose the others."""
        try:
            settle(turn, item, desk=self._desk)
        except (DatabaseError, InterfaceError):
            raise
        except Exception as bug:
            logger.exception("dispatch.settle.broke", dispatch_id=str(item.job.dispatch.pk))
            set_aside(turn, item.job.dispatch, bug)

    def _collect(self) -> list[Done]:
        done, self._unsettled = self._unsettled, []
        while True:
            try:
                done.append(self._done.get_nowait())
                self._in_flight -= 1
            except queue.Empty:
                return done

    def _wait(self) -> None:
        try:
            item = self._done.get(timeout=_PATIENCE_S)
        except queue.Empty:
            return
        self._in_flight -= 1
        self._unsettled.append(item)

    def _perform(self, job: Job) -> None:
        self._done.put(perform(job))


def _database_now() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        now: datetime = cursor.fetchone()[0]
        return now
