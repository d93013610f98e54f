"""A breaker: its steps one by one, then what holds for any course of things."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from core import errors
from core.breaker import Breaker, Go, Phase, Sign, Wait, Window, sign_of

START = datetime(2026, 11, 21, 10, 0, 0, tzinfo=UTC)


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def window(*ended: tuple[float, int, int]) -> Window:
    """(seconds after the start, good calls, failed calls)"""
    counted = Window()
    for seconds, good, failed in ended:
        counted = counted.add(calls=good + failed, failures=failed, now=after(seconds))
    return counted


def counted(*ended: tuple[float, int, int]) -> Breaker:
    """A breaker that was told of each as it ended."""
    breaker = Breaker()
    for one in ended:
        breaker = breaker.count(window(one), now=after(one[0]))
    return breaker


def opened() -> Breaker:
    """Since the start."""
    return counted((0, 0, 10))


def probing() -> Breaker:
    """The first probe has begun 30 s after the start."""
    breaker = opened().take_probe(now=after(30))
    assert breaker is not None
    return breaker


# --- what a call says -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "sign"),
    [
        (None, Sign(is_answering=True)),
        (errors.NotSent(), Sign(is_answering=False)),  # name resolution, connect, TLS
        (errors.Refused(http_status=500), Sign(is_answering=False)),  # a server error
        (errors.Unanswered(), Sign(is_answering=False)),  # a timeout, a reset, garbage
        (errors.RateLimited(http_status=503, retry_after_s=7), Sign(is_answering=False, hold_s=7)),  # a server error
        (errors.RateLimited(http_status=429, retry_after_s=7), Sign(is_answering=True, hold_s=7)),  # it is there
        (errors.RateLimited(http_status=429), Sign(is_answering=True, hold_s=1)),  # said nothing: a second
        (errors.RateLimited(http_status=429, retry_after_s=0), Sign(is_answering=True, hold_s=1)),
        (errors.RateLimited(http_status=429, retry_after_s=1e9), Sign(is_answering=True, hold_s=900)),
        (errors.TokenExpired(http_status=401), Sign(is_answering=True)),  # our token's fault
        (errors.CredentialsRejected(http_status=401), Sign(is_answering=True)),  # ours
        (errors.RequestRejected(http_status=400), Sign(is_answering=True)),  # the message's
        (errors.ContentUnsupported(), Sign(is_answering=True)),
        (errors.ConversationClosed(http_status=400), Sign(is_answering=True)),
        (errors.ConsumerGone(http_status=410), Sign(is_answering=True)),
    ],
)
def test_only_the_other_sides_trouble_counts(error: errors.ConnectorError | None, sign: Sign) -> None:
    assert sign_of(error) == sign


# --- opening ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ended", "phase"),
    [
        ([], Phase.CLOSED),
        ([(0, 0, 9)], Phase.CLOSED),  # nine are too few
        ([(0, 0, 10)], Phase.OPEN),  # ten of ten
        ([(0, 5, 5)], Phase.OPEN),  # half of ten
        ([(0, 6, 5)], Phase.CLOSED),  # less than half
        ([(0, 11, 10)], Phase.CLOSED),
        ([(0, 10, 10)], Phase.OPEN),
        ([(0, 0, 5), (30, 0, 5)], Phase.OPEN),  # few calls: the whole minute counts
        ([(0, 0, 9), (59, 0, 1)], Phase.OPEN),
        ([(0, 0, 9), (60, 0, 1)], Phase.CLOSED),  # a minute ago is forgotten
        ([(0, 1000, 0), (20, 0, 9)], Phase.CLOSED),
        ([(0, 1000, 0), (20, 0, 10)], Phase.OPEN),  # a good minute does not hide an outage of now
        ([(0, 0, 9), (10, 1000, 0), (20, 0, 1)], Phase.CLOSED),  # nor does an old one count for ever
        ([(0, 1000, 100), (20, 1000, 100)], Phase.CLOSED),  # a tenth fails: not down
        ([(n, 1, 0) for n in range(60)], Phase.CLOSED),
        ([(n * 6, 0, 1) for n in range(10)], Phase.OPEN),
    ],
)
def test_it_opens_when_at_least_half_of_ten_or_more_calls_failed(
    ended: list[tuple[float, int, int]], phase: Phase
) -> None:
    assert counted(*ended).phase is phase


def test_counts_that_come_together_do_what_they_do_one_by_one() -> None:
    together = Breaker().count(window((0, 0, 4), (12, 1, 6)), now=after(12))

    assert together == counted((0, 0, 4), (12, 1, 6))
    assert together.phase is Phase.OPEN


@pytest.mark.parametrize("per_second", [2, 10, 100])
def test_it_opens_within_ten_seconds_of_an_outage_under_steady_load(per_second: int) -> None:
    for outage_s in range(60, 75):
        breaker = Breaker()
        for second in range(outage_s):
            breaker = breaker.count(window((second, per_second, 0)), now=after(second))
        seconds = 0
        while breaker.phase is Phase.CLOSED:
            breaker = breaker.count(window((outage_s + seconds, 0, per_second)), now=after(outage_s + seconds))
            seconds += 1
        assert seconds <= 10


def test_what_ends_late_does_not_lengthen_an_outage() -> None:
    breaker = opened().count(window((29, 0, 50)), now=after(29)).count(window((29, 50, 0)), now=after(29))

    assert breaker == opened()


# --- open -------------------------------------------------------------------------------------------------------------


def test_while_it_is_closed_calls_go() -> None:
    assert Breaker().ask(now=START) == Go()
    assert Breaker().take_probe(now=START) is None


@pytest.mark.parametrize("seconds", [0, 1, 29.9])
def test_while_it_is_open_nobody_calls(seconds: float) -> None:
    assert opened().ask(now=after(seconds)) == Wait(until=after(30))
    assert opened().take_probe(now=after(seconds)) is None


def test_after_thirty_seconds_one_may_try() -> None:
    assert opened().ask(now=after(30)) == Go(probe=1)

    breaker = probing()

    assert (breaker.phase, breaker.probe) == (Phase.HALF_OPEN, 1)
    assert breaker.ask(now=after(30)) == Wait(until=after(60))
    assert breaker.take_probe(now=after(31)) is None


def test_a_probe_that_never_comes_back_gives_way_to_another() -> None:
    again = probing().take_probe(now=after(60))

    assert again is not None
    assert again.probe == 2
    assert again.end_probe(1, is_answering=True, now=after(61)) == again
    assert again.end_probe(1, is_answering=False, now=after(61)) == again


def test_a_probe_that_fails_opens_it_for_thirty_seconds_more() -> None:
    breaker = probing().end_probe(1, is_answering=False, now=after(38))

    assert (breaker.phase, breaker.bad_probes, breaker.opened_at) == (Phase.OPEN, 1, START)
    assert breaker.ask(now=after(67)) == Wait(until=after(68))
    assert breaker.ask(now=after(68)) == Go(probe=2)


# --- closing ----------------------------------------------------------------------------------------------------------


def test_after_two_good_probes_it_closes_and_starts_afresh() -> None:
    once = probing().end_probe(1, is_answering=True, now=after(31))
    assert once.phase is Phase.HALF_OPEN
    assert once.ask(now=after(31)) == Go(probe=2)  # the second at once

    second = once.take_probe(now=after(31))
    assert second is not None
    closed = second.end_probe(2, is_answering=True, now=after(32))

    assert closed == Breaker(probe=2)
    assert closed.ask(now=after(32)) == Go()
    assert closed.count(window((32, 0, 9)), now=after(32)).phase is Phase.CLOSED


def test_a_good_probe_and_a_bad_one_leave_it_open() -> None:
    second = probing().end_probe(1, is_answering=True, now=after(31)).take_probe(now=after(31))
    assert second is not None

    breaker = second.end_probe(2, is_answering=False, now=after(32))

    assert (breaker.phase, breaker.good_probes) == (Phase.OPEN, 0)
    assert breaker.ask(now=after(61)) == Wait(until=after(62))


def test_a_result_that_comes_after_it_has_closed_changes_nothing() -> None:
    closed = Breaker(probe=2)

    assert closed.end_probe(2, is_answering=False, now=START) == closed


# --- holding ----------------------------------------------------------------------------------------------------------


def test_retry_after_holds_all_calls() -> None:
    breaker = Breaker().hold(7, now=START)

    assert breaker.ask(now=after(6.9)) == Wait(until=after(7))
    assert breaker.ask(now=after(7)) == Go()


def test_a_hold_is_never_shortened_and_has_an_end() -> None:
    assert Breaker().hold(60, now=START).hold(5, now=START).held_until == after(60)
    assert Breaker().hold(1e9, now=START).held_until == after(900)


def test_a_hold_outlasts_closing_and_delays_a_probe() -> None:
    held = opened().hold(45, now=START)

    assert held.ask(now=after(30)) == Wait(until=after(45))
    assert held.take_probe(now=after(44)) is None
    second = replace(probing(), good_probes=1).hold(60, now=after(31))
    assert second.end_probe(1, is_answering=True, now=after(32)).ask(now=after(32)) == Wait(until=after(91))


# --- clocks that go wrong ---------------------------------------------------------------------------------------------


def test_a_clock_that_was_put_back_stops_nobody_for_hours() -> None:
    before = START - timedelta(hours=3)

    assert opened().ask(now=before) == Go(probe=1)
    assert Breaker().hold(900, now=START).ask(now=before) == Go()
    assert Breaker().hold(900, now=START).hold(5, now=before).held_until == before + timedelta(seconds=5)
    assert counted((0, 0, 9)).count(Window().add(calls=1, failures=1, now=before), now=before).phase is Phase.CLOSED


# --- any course of things ---------------------------------------------------------------------------------------------

_counts = st.tuples(st.integers(0, 50), st.integers(0, 50))
_steps = st.floats(0, 70)


@given(st.lists(st.tuples(_steps, _counts), max_size=30))
def test_a_window_holds_a_minute_and_no_more(ended: list[tuple[float, tuple[int, int]]]) -> None:
    counts, now, told = Window(), START, []
    for step_s, (good, failed) in ended:
        now += timedelta(seconds=step_s)
        counts = counts.add(calls=good + failed, failures=failed, now=now)
        told.append((now, good + failed, failed))

    assert len(counts.buckets) <= 6
    certainly_in = [one for one in told if now - one[0] <= timedelta(seconds=50)]
    perhaps_in = [one for one in told if now - one[0] < timedelta(seconds=60)]
    assert sum(one[2] for one in certainly_in) <= counts.failures <= sum(one[2] for one in perhaps_in)


@given(st.lists(st.tuples(st.floats(0, 9), _counts), max_size=10), st.lists(st.tuples(st.floats(0, 9), _counts)))
def test_it_does_not_matter_which_worker_tells_first(
    first: list[tuple[float, tuple[int, int]]], second: list[tuple[float, tuple[int, int]]]
) -> None:
    ours = window(*((seconds, *counts) for seconds, counts in first))
    theirs = window(*((seconds, *counts) for seconds, counts in second))

    assert ours.merge(theirs, now=after(9)) == theirs.merge(ours, now=after(9))


class Course(RuleBasedStateMachine):
    """Workers that call, probe, die and come late, in any order, over any time."""

    def __init__(self) -> None:
        super().__init__()
        self.now = START
        self.breaker = Breaker()
        self.running: set[int] = set()
        self.probes_began_at: list[datetime] = []
        self.last_failed_at: datetime | None = None

    @rule(step_s=st.floats(0, 45))
    def time_passes(self, step_s: float) -> None:
        self.now += timedelta(seconds=step_s)

    @rule(counts=_counts)
    def calls_end(self, counts: tuple[int, int]) -> None:
        before = self.breaker
        good, failed = counts
        ended = Window().add(calls=good + failed, failures=failed, now=self.now)
        self.breaker = before.count(ended, now=self.now)
        if before.phase is not Phase.CLOSED:
            assert self.breaker == before
        elif not before.window.buckets:
            assert (self.breaker.phase is Phase.OPEN) == (good + failed >= 10 and failed >= good)
        elif not before.window.failures and not failed:
            assert self.breaker.phase is Phase.CLOSED

    @rule()
    def a_probe_begins(self) -> None:
        permit = self.breaker.ask(now=self.now)
        taken = self.breaker.take_probe(now=self.now)
        assert (taken is not None) == (isinstance(permit, Go) and permit.probe > 0)
        if taken is None:
            return
        assert taken.probe == self.breaker.probe + 1
        if self.breaker.phase is Phase.OPEN and self.last_failed_at is not None:
            assert self.now - self.last_failed_at >= timedelta(seconds=30)
        self.breaker = taken
        self.running.add(taken.probe)
        self.probes_began_at.append(self.now)

    @precondition(lambda self: self.running)
    @rule(data=st.data(), is_answering=st.booleans())
    def a_probe_ends(self, data: st.DataObject, is_answering: bool) -> None:
        number = data.draw(st.sampled_from(sorted(self.running)))
        self.running.discard(number)
        before = self.breaker
        self.breaker = before.end_probe(number, is_answering=is_answering, now=self.now)
        if number != before.probe:
            assert self.breaker == before
        elif not is_answering and before.phase is Phase.HALF_OPEN:
            assert self.breaker.phase is Phase.OPEN
            self.last_failed_at = self.now

    @rule(hold_s=st.floats(0, 2000))
    def it_asks_us_to_wait(self, hold_s: float) -> None:
        self.breaker = self.breaker.hold(hold_s, now=self.now)
        assert isinstance(self.breaker.ask(now=self.now), Wait) or hold_s == 0 or self.breaker.held_until == self.now

    @invariant()
    def nobody_waits_for_ever(self) -> None:
        permit = self.breaker.ask(now=self.now)
        if isinstance(permit, Wait):
            assert self.now < permit.until <= self.now + timedelta(minutes=15)

    @invariant()
    def who_is_not_told_to_wait_calls_or_probes(self) -> None:
        permit = self.breaker.ask(now=self.now)
        if isinstance(permit, Go):
            assert (permit.probe == 0) == (self.breaker.phase is Phase.CLOSED)

    @invariant()
    def facts_fit_the_phase(self) -> None:
        is_closed = self.breaker.phase is Phase.CLOSED
        assert (self.breaker.opened_at is None) == is_closed
        assert is_closed or not self.breaker.window.buckets
        if self.breaker.phase is Phase.OPEN:
            assert self.breaker.probe_at is not None
            assert self.breaker.good_probes == 0


TestCourse = Course.TestCase


@given(st.lists(st.floats(0, 20), min_size=1, max_size=200))
def test_while_nothing_answers_there_is_at_most_one_call_in_thirty_seconds(steps: list[float]) -> None:
    """Whoever may call does, and every call fails."""
    breaker, now, began_at = opened(), START, []
    for step_s in steps:
        now += timedelta(seconds=step_s)
        taken = breaker.take_probe(now=now)
        if taken is not None:
            began_at.append(now)
            breaker = taken.end_probe(taken.probe, is_answering=False, now=now)

    assert all(later - earlier >= timedelta(seconds=30) for earlier, later in zip(began_at, began_at[1:], strict=False))


@given(st.lists(st.floats(0.1, 20), min_size=20, max_size=60), st.integers(0, 30))
def test_it_closes_within_a_minute_once_the_other_side_answers(steps: list[float], healed: int) -> None:
    """Somebody asks at least every 20 s, and a probe takes a second; the first of them fail."""
    breaker, now, healed_at = opened(), START, None
    for number, step_s in enumerate([*steps, *[20.0] * 12]):
        now += timedelta(seconds=step_s)
        if number >= healed and healed_at is None:
            healed_at = now
        while (taken := breaker.take_probe(now=now)) is not None:
            breaker = taken.end_probe(taken.probe, is_answering=healed_at is not None, now=now + timedelta(seconds=1))
            now += timedelta(seconds=1)
        if breaker.phase is Phase.CLOSED:
            break

    assert breaker.phase is Phase.CLOSED
    assert healed_at is not None
    assert now - healed_at <= timedelta(seconds=60)
