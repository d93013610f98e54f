"""
A worker's loop: turns in the database by the main thread, calls in threads, nothing else.

Each turn is one transaction: it writes the results of finished calls and the attempts of the next ones together, so
that a message costs far less than a commit of its own, and every attempt is on disk before its first byte is written.
"""

from __future__ import annotations

import queue
import time
import uuid
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime

import structlog
from django.db import DatabaseError, InterfaceError, OperationalError, connection, transaction

from conversations import lanes
from conversations.calls import Done, Job, perform
from conversations.lanes import Room
from conversations.models import Attempt
from conversations.preparing import prepare
from conversations.recovery import bring_forward
from conversations.settling import give_up_attempts, set_aside, settle, take_late
from conversations.token_desk import TokenDesk
from conversations.turn import Turn
from conversations.under_way import UnderWay
from core.database import refuses_row
from installations.breakers import WAITING, BreakerDesk
from installations.pause_desk import PauseDesk

logger = structlog.get_logger(__name__)

# Twice as many calls as keep a worker busy: half of them is what one account may have.
SLOTS = 48
# How long to wait for an answer before looking for new work: longer each time that there is none. While one brand's
# calls hang, this is what the others wait for.
_PATIENCE_S = 0.02
_MOST_PATIENCE_S = 0.05
# A database that restarts is back within this; well below a lease, so that nobody else has begun anything anew.
_RESCUE_S = lanes.LEASE_S / 2
_RESCUE_PAUSE_S = 0.2
_A_FEW = 4
_RENEW_EVERY_S = lanes.LEASE_S / 4
# A call ends sooner; a step that needs several, such as a file's, is left to itself.
_SERVES_OTHERS_S = 10.0
# With many calls under way answers come one by one; a moment's wait lets one turn write several of them.
_GATHER_S = 0.004
_GATHER_FROM = 8


class Drain:
    """
    Sends what is due until nothing is, or until the deadline; then waits for the calls under way.

    Calls that hang at the deadline keep it here for as long as a call may take. Meanwhile it serves the accounts that
    have none of them: a dead upstream costs nobody else anything.
    """

    def __init__(
        self, *, deadline_s: float, is_stopping: Callable[[], bool] = lambda: False, slots: int = SLOTS
    ) -> None:
        """is_stopping: from then on nothing is begun, for nobody."""
        self._ends_at_s = time.monotonic() + deadline_s
        self._is_stopping = is_stopping
        # A renewed token has a place beside those of the calls.
        self._pool = ThreadPoolExecutor(max_workers=2 * slots, thread_name_prefix="send")
        self._desk = TokenDesk(pool=self._pool)
        self._breakers = BreakerDesk()
        self._pauses = PauseDesk()
        self._done: queue.SimpleQueue[Done] = queue.SimpleQueue()
        self._unsettled: list[Done] = []
        self._uncounted: list[Done] = []
        self._under_way = UnderWay(places=slots)
        self._renewed_at_s = time.monotonic()
        self._patience_s = _PATIENCE_S
        self._portion = slots
        self._touched: dict[uuid.UUID, int] = {}
        self._begun: list[Job] = []
        self._trouble: Exception | None = None

    def run(self, *, feed: Callable[[], bool] = lambda: False) -> None:
        """feed: applies what has arrived, one bounded portion a call; tells whether it found anything."""
        try:
            self._loop(feed)
        except (OperationalError, InterfaceError) as lost:
            self._trouble = lost
            self._rescue()
        finally:
            self._pool.shutdown(wait=True)
        if self._trouble is not None:
            raise self._trouble

    def _loop(self, feed: Callable[[], bool]) -> None:
        while True:
            found = False if self._is_closing() else self._feed(feed)
            has_moved = self._turn()
            self._renew_leases()
            # Also when closing: the token that was asked for serves the next worker.
            if not (found or has_moved or self._under_way or self._desk.is_busy):
                return
            if found or has_moved:
                self._patience_s = _PATIENCE_S
            else:
                self._wait()
            if len(self._under_way) >= _GATHER_FROM:
                time.sleep(_GATHER_S)

    def _is_closing(self) -> bool:
        """Whether nothing is begun any more."""
        if self._trouble is not None or self._is_stopping():
            return True
        late_s = time.monotonic() - self._ends_at_s
        if late_s < 0:
            return False
        self._under_way.time_is_up()
        return late_s >= _SERVES_OTHERS_S or not self._under_way.has_overdue

    def _feed(self, feed: Callable[[], bool]) -> bool:
        """Its error ends the drain, but not before the calls under way have brought their results."""
        try:
            return feed()
        except Exception as error:
            self._trouble = error
            return False

    def _turn(self) -> bool:
        """Tell whether anything was written or begun."""
        self._collect()
        done = self._unsettled[: self._portion]
        room = self._room(done)
        if not done and (room is None or room.free <= 0) and not self._desk.has_returned:
            return False
        unsettled = len(self._unsettled)
        now = _database_now()
        self._count_landed(now)
        self._desk.finish_renewals(now=now)
        try:
            jobs = self._transact(now, done, room)
        except (DatabaseError, InterfaceError) as error:
            self._desk.forget_renewals()
            if not refuses_row(error):
                raise
            self._isolate(error)
            return True
        self._desk.start_renewals()
        self._begin(jobs)
        return bool(jobs) or len(self._unsettled) < unsettled

    def _room(self, done: list[Done]) -> Room | None:
        """None: not even what this worker has leased goes on."""
        if self._is_closing():
            return None
        return self._under_way.room(at_most=self._portion - len(done))

    def _begin(self, jobs: list[Job]) -> None:
        self._begun = []
        for job in jobs:
            self._under_way.begin(job)
            self._pool.submit(self._perform, job)

    def _transact(self, now: datetime, done: list[Done], room: Room | None) -> list[Job]:
        """Write results, and the attempts of the calls to make next."""
        self._touched = {item.job.lane_id: item.job.fence for item in done}
        with transaction.atomic():
            turn = Turn(
                now=now,
                consumer_tokens=self._desk.consumer_tokens,
                breakers=self._breakers,
                pauses=self._pauses,
            )
            fences, settled = self._settle(turn, done, is_closing=room is None)
            self._wake_those_heard_of(turn)
            claimed = lanes.claim(room) if room else {}
            # If this turn is rolled back, so is the claim.
            self._touched |= {lane_id: fence - 1 for lane_id, fence in claimed.items()}
            fences |= claimed
            jobs = prepare(turn, fences=fences, desk=self._desk) if fences else []
            self._begun = jobs
        self._have_settled(settled)
        return jobs

    def _have_settled(self, attempt_ids: Collection[uuid.UUID]) -> None:
        self._under_way.end(attempt_ids)
        self._unsettled = [item for item in self._unsettled if item.job.attempt_id not in attempt_ids]

    def _settle(self, turn: Turn, done: list[Done], *, is_closing: bool) -> tuple[dict[uuid.UUID, int], set[uuid.UUID]]:
        """
        Write results; returns the lanes that this worker goes on with, and the attempts that are settled.

        What is locked elsewhere waits a turn.
        """
        barred = self._under_way.barred()
        held = lanes.regain([item.job.lane_id for item in done])
        fences: dict[uuid.UUID, int] = {}
        settled = set()
        for item in done:
            fence = held.get(item.job.lane_id)
            if fence is None:
                continue
            if fence != item.job.fence:
                take_late(turn, item)
            elif not self._is_written(item):
                self._settle_one(turn, item)
                if is_closing or item.job.account_id in barred:
                    turn.release(item.job.lane_id, due_at=turn.now)
                else:
                    fences[item.job.lane_id] = fence
            settled.add(item.job.attempt_id)
        turn.flush()
        return fences, settled

    def _count_landed(self, now: datetime) -> None:
        """Once for each call, whatever becomes of the turn that writes its result."""
        for item in self._uncounted:
            if item.job.upstream is not None:
                self._breakers.note(item.job.upstream, item.job.permit, item.error, now=now)
        self._uncounted = []

    def _wake_those_heard_of(self, turn: Turn) -> None:
        """An upstream that answers again is called again, with care until its breaker has closed."""
        for heard in self._breakers.flush(now=turn.now):
            at_most = None if heard.is_closed else _A_FEW
            lanes.wake(installation_id=heard.key.installation_id, blocked_by=WAITING, at_most=at_most)
            if heard.is_closed:
                bring_forward(turn, heard.key)
                turn.flush()

    def _isolate(self, bug: Exception) -> None:
        """
        The database refuses what one of many dispatches brings, and so the whole turn: from now on one lane at a time,
        and the one that is alone in such a turn is set aside.
        """
        logger.error("drain.turn.broke", error=type(bug).__name__, lanes=sorted(map(str, self._touched)))
        if self._portion > 1:
            self._portion = 1
            return
        with transaction.atomic():
            turn = Turn(now=_database_now())
            # Whoever has claimed a lane since then works on it: its head is none of ours.
            fences = lanes.regain(list(self._touched))
            held = {lane_id for lane_id, fence in fences.items() if fence == self._touched[lane_id]}
            for head in lanes.heads_of(held):
                give_up_attempts(turn, head)
                set_aside(turn, head, bug)
                turn.release(head.lane_id, due_at=turn.now)
            turn.flush()
        # Nor is a late result's dispatch: the result itself is given up.
        late = {
            item.job.attempt_id
            for item in self._unsettled[: self._portion]
            if fences.get(item.job.lane_id, item.job.fence) != item.job.fence
        }
        self._have_settled(late | {item.job.attempt_id for item in self._unsettled if item.job.lane_id in held})

    def _rescue(self) -> None:
        """
        The database went away. What the calls have brought is written if it is back soon: left to a later worker, each
        of them would have an unknown outcome.
        """
        logger.warning("drain.database.lost", calls=len(self._under_way), of_them_answered=len(self._unsettled))
        self._portion = 1
        ends_at_s = time.monotonic() + _RESCUE_S
        while (self._under_way or self._begun) and time.monotonic() < ends_at_s:
            connection.close()
            try:
                self._take_up()
                while self._under_way:
                    self._turn()
                    self._renew_leases()
                    self._wait()
            except (OperationalError, InterfaceError):
                time.sleep(_RESCUE_PAUSE_S)

    def _take_up(self) -> None:
        """A turn whose commit was cut off may be written all the same: then its calls are still to be made."""
        attempts = Attempt.objects.filter(pk__in=[job.attempt_id for job in self._begun], finished_at=None)
        written = set(attempts.values_list("pk", flat=True)) if self._begun else set()
        self._begin([job for job in self._begun if job.attempt_id in written])

    def _is_written(self, item: Done) -> bool:
        """
        The turn before broke, and may have been written all the same: then so was what follows in this lane, whose next
        call may be under way.
        """
        written = Attempt.objects.filter(pk=item.job.attempt_id, finished_at__isnull=False)
        return self._portion == 1 and written.exists()

    def _settle_one(self, turn: Turn, item: Done) -> None:
        """Whatever is wrong with one result must not lose the others."""
        if self._portion == 1:
            item = _afresh(item)  # the turn before has changed our copy
        try:
            settle(turn, item, desk=self._desk)
        except (DatabaseError, InterfaceError):
            raise
        except Exception as bug:
            logger.exception("dispatch.settle.broke", dispatch_id=str(item.job.dispatch.pk))
            set_aside(turn, item.job.dispatch, bug)

    def _collect(self) -> None:
        while True:
            try:
                self._land(self._done.get_nowait())
            except queue.Empty:
                return

    def _land(self, item: Done) -> None:
        self._unsettled.append(item)
        self._uncounted.append(item)

    def _renew_leases(self) -> None:
        """A file may take longer than a lease lasts: while we live and wait, nobody else need begin it anew."""
        if time.monotonic() - self._renewed_at_s >= _RENEW_EVERY_S:
            self._renewed_at_s = time.monotonic()
            lanes.renew([(job.lane_id, job.fence) for job in self._under_way.jobs])

    def _wait(self) -> None:
        try:
            item = self._done.get(timeout=self._patience_s)
        except queue.Empty:
            self._patience_s = min(2 * self._patience_s, _MOST_PATIENCE_S)
            return
        self._land(item)

    def _perform(self, job: Job) -> None:
        self._done.put(perform(job))


def _afresh(item: Done) -> Done:
    """The same with its dispatch as it stands in the database: a turn that was rolled back has changed ours."""
    return replace(item, job=replace(item.job, dispatch=lanes.read_afresh(item.job.dispatch.pk)))


def _database_now() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        now: datetime = cursor.fetchone()[0]
        return now
