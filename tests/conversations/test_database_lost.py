"""The database goes away under a worker whose calls are under way: what they bring is written when it is back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest
from django.db import InterfaceError, OperationalError, connection, transaction

from conversations.drain import Drain
from conversations.models import Dispatch, DispatchState, Lane
from tests.conversations.stand import Stand, in_thread


class Worker:
    """A worker in a thread, whose connection can be cut as a restart of PostgreSQL does."""

    def __init__(self, stand: Stand) -> None:
        self.failure: Exception | None = None
        self._has_begun = threading.Event()

        def work() -> None:
            self._pid = backend_pid()
            self._has_begun.set()
            try:
                stand.work()
            except (OperationalError, InterfaceError) as error:
                self.failure = error

        self._thread = in_thread(work)
        self._has_begun.wait()

    def lose_connection(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s)", [self._pid])

    def join(self) -> None:
        self._thread.join()


def backend_pid() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        pid: int = cursor.fetchone()[0]
        return pid


@pytest.fixture
def under_way(stand: Stand) -> Stand:
    """Three consumers wait, each with one text."""
    for number in range(3):
        stand.says("Hello", consumer=f"consumer-{number}")
    stand.settle()
    for number in range(3):
        stand.says("under way", consumer=f"consumer-{number}")
    return stand


def test_answers_under_way_are_not_lost(under_way: Stand) -> None:
    with under_way.answers_held("send"):
        worker = Worker(under_way)
        under_way.simulator_waits_for("send", count=6)
        worker.lose_connection()
    worker.join()

    assert worker.failure is not None, "the worker is told that it has no database"
    sent = Dispatch.objects.filter(message__content__text="under way")
    assert [(one.state, one.resolution) for one in sent] == [(DispatchState.SENT, "answer")] * 3
    assert not Lane.objects.filter(leased_until__isnull=False).exists()


@pytest.fixture
def cut_off_commit(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """The next turn that begins a call is committed, but the worker does not get to hear of it."""
    transact = Drain._transact
    is_cut = False

    def transact_and_lose(drain: Drain, *args: object, **names: object) -> object:
        nonlocal is_cut
        jobs = transact(drain, *args, **names)  # type: ignore[arg-type]
        if jobs and not is_cut:
            is_cut = True
            raise OperationalError("the connection was lost")
        return jobs

    def cut() -> None:
        monkeypatch.setattr(Drain, "_transact", transact_and_lose)

    return cut


def test_a_call_whose_attempt_was_written_after_all_is_made(stand: Stand, cut_off_commit: Callable[[], None]) -> None:
    stand.says("Hello")
    stand.settle()
    stand.says("and this")
    cut_off_commit()

    with pytest.raises(OperationalError):
        stand.work()

    dispatch = Dispatch.objects.get(message__content__text="and this")
    assert (dispatch.state, dispatch.resolution) == (DispatchState.SENT, "answer")
    assert stand.heard() == ["Hello", "and this"]


def lose_what_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first turn that writes a result is committed, and the connection breaks before that is known."""
    settle = Drain._settle
    has_lost = False

    def settle_and_lose(drain: Drain, turn: object, done: list[object], **how: object) -> object:
        nonlocal has_lost
        settled = settle(drain, turn, done, **how)  # type: ignore[arg-type]
        if done and not has_lost:
            has_lost = True
            transaction.on_commit(lose)
        return settled

    def lose() -> None:
        raise OperationalError("the connection was lost")

    monkeypatch.setattr(Drain, "_settle", settle_and_lose)


def test_a_result_that_was_written_after_all_is_not_written_twice(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second renewal of a token in a row would pause the installation."""
    stand.says("Hello")
    stand.settle()
    stand.says("and this")
    stand.simulator.control("PATCH", f"accounts/{stand.account}", {"expire_tokens": "consumer"})
    lose_what_is_written(monkeypatch)
    with pytest.raises(OperationalError):
        stand.work()
    stand.work()

    assert stand.installation.state == "ACTIVE"
    assert stand.heard() == ["Hello", "and this"]


def test_a_lane_whose_next_call_is_under_way_is_not_given_away(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    stand.says("Hello")
    stand.settle()
    stand.says("first")
    stand.says("second")
    # The second is held; long enough for the first to be settled anew meanwhile.
    stand.faults({"on": "send", "do": "delay", "seconds": 0, "times": 1}, {"on": "send", "do": "hold", "seconds": 7})
    lose_what_is_written(monkeypatch)
    leased = []

    def look() -> None:
        stand.simulator_waits_for("send", count=3)
        time.sleep(0.7)
        leased.append(Lane.objects.get(direction="TO_LIVEPERSON").leased_until)
        stand.faults()

    watch = in_thread(look)
    with pytest.raises(OperationalError):
        stand.work()
    watch.join()

    assert leased[0] is not None, "another worker would take the second for unanswered"
    assert stand.heard() == ["Hello", "first", "second"]
