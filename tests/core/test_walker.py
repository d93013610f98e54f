"""Long work goes on a little at a time, rests when it is done, and keeps its troubles to itself."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from core import walker
from core.walker import Walk, Walker
from tests.clocks import StandingClock, stop_clock


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> StandingClock:
    return stop_clock(monkeypatch, walker)


class Steps:
    """Counts what was done; each step takes a moment."""

    def __init__(self, total: int, clock: StandingClock) -> None:
        self._clock = clock
        self.total, self.done, self.begun, self.is_broken = total, 0, 0, False

    def __call__(self) -> Iterator[None]:
        self.begun += 1
        for _ in range(self.total):
            if self.is_broken:
                raise RuntimeError("a row")
            self._clock.goes_on(0.001)
            self.done += 1
            yield


def test_nothing_is_done_without_a_budget(clock: StandingClock) -> None:
    steps = Steps(5, clock)
    Walker(Walk("steps", steps, pause_s=9), budget_s=0.0).work()
    assert steps.begun == 0


def test_a_walk_goes_on_where_its_budget_ended_and_then_rests(clock: StandingClock) -> None:
    steps = Steps(40, clock)
    worker = Walker(Walk("steps", steps, pause_s=9), budget_s=0.01)

    worker.work()
    assert 0 < steps.done < 40
    for _ in range(60):
        worker.work()

    assert (steps.done, steps.begun) == (40, 1)


def test_a_walk_that_is_done_begins_anew_after_its_pause(clock: StandingClock) -> None:
    steps = Steps(1, clock)
    worker = Walker(Walk("steps", steps, pause_s=0.02), budget_s=0.005)
    worker.work()
    clock.goes_on(0.03)
    worker.work()
    assert steps.begun == 2


def test_the_first_walk_comes_before_the_others(clock: StandingClock) -> None:
    urgent, other = Steps(1_000, clock), Steps(5, clock)
    Walker(Walk("urgent", urgent, pause_s=9), Walk("other", other, pause_s=9), budget_s=0.01).work()
    assert (urgent.begun, other.begun) == (1, 0)


def test_trouble_with_one_walk_is_told_by_its_class_and_holds_up_no_other(
    clock: StandingClock, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(walker, "AFTER_TROUBLE_S", 0.02)
    broken, other = Steps(2, clock), Steps(2, clock)
    broken.is_broken = True
    worker = Walker(Walk("broken", broken, pause_s=9), Walk("other", other, pause_s=9), budget_s=0.01)

    worker.work()
    worker.work()
    assert (broken.begun, other.done) == (1, 2)

    broken.is_broken = False
    clock.goes_on(0.03)
    worker.work()
    assert broken.done == 2
