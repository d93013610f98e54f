"""Which upstreams may be called: what workers tell each other, what it costs, and who gets the probe."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from adapters.registry import get_adapter
from core import errors
from core.breaker import Go, Phase, Wait
from installations import breakers
from installations.breakers import Answered, BreakerDesk, UpstreamKey
from installations.models import Upstream
from liveperson.domains import IDENTITY, SEND_API
from tests.conversations.stand import Door, make_door

START = datetime(2026, 11, 21, 10, 0, 0, tzinfo=UTC)
DOWN = errors.Unanswered()


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def send_api(door: Door) -> UpstreamKey:
    return breakers.liveperson(door.installation, SEND_API)


def end_calls(
    desk: BreakerDesk, key: UpstreamKey, *, good: int = 0, failed: int = 0, at: datetime = START
) -> list[Answered]:
    """Calls that a worker made, told in one turn."""
    for error in [None] * good + [DOWN] * failed:
        desk.note(key, Go(), error, now=at)
    return desk.flush(now=at)


def opened(door: Door) -> tuple[BreakerDesk, UpstreamKey]:
    """Since the start."""
    desk, key = BreakerDesk(), send_api(door)
    end_calls(desk, key, failed=10)
    return desk, key


def probe(desk: BreakerDesk, key: UpstreamKey, error: errors.ConnectorError | None, *, at: datetime) -> list[Answered]:
    permit = desk.may_call(key, now=at)
    assert isinstance(permit, Go)
    assert permit.probe
    desk.note(key, permit, error, now=at)
    return desk.flush(now=at)


def statements(act: Callable[[], Any]) -> list[str]:
    with CaptureQueriesContext(connection) as queries:
        act()
    return [query["sql"] for query in queries]


# --- opening, and what it costs ---------------------------------------------------------------------------------------


def test_what_goes_well_is_never_written(door: Door) -> None:
    desk, key = BreakerDesk(), send_api(door)

    assert statements(lambda: end_calls(desk, key, good=500)) == []
    assert desk.may_call(key, now=START) == Go()
    assert not Upstream.objects.exists()


def test_asking_costs_one_statement_in_half_a_second(door: Door) -> None:
    desk, key = opened(door)

    assert len(statements(lambda: [desk.may_call(key, now=after(n / 100)) for n in range(50)])) == 1


def test_ten_failures_stop_every_worker(door: Door) -> None:
    _, key = opened(door)

    row = Upstream.objects.get()
    assert (row.phase, row.brand, row.installation) == (Phase.OPEN, door.installation.brand, door.installation)
    permit = BreakerDesk().may_call(key, now=after(1))
    assert isinstance(permit, Wait)
    assert after(30) <= permit.until <= after(31)


def test_failures_of_several_workers_count_together(door: Door) -> None:
    key = send_api(door)
    for number in range(5):
        end_calls(BreakerDesk(), key, failed=2, at=after(number))

    assert Upstream.objects.get().phase == Phase.OPEN


def test_what_went_well_before_the_first_failure_counts_too(door: Door) -> None:
    desk, key = BreakerDesk(), send_api(door)
    end_calls(desk, key, good=11)
    end_calls(desk, key, failed=10, at=after(1))

    assert Upstream.objects.get().phase == Phase.CLOSED


def test_what_goes_well_at_one_worker_counts_once_another_has_failed(door: Door) -> None:
    key, failing, fine = send_api(door), BreakerDesk(), BreakerDesk()
    end_calls(failing, key, failed=9)
    fine.may_call(key, now=after(1))
    end_calls(fine, key, good=1, at=after(1))
    end_calls(fine, key, good=20, at=after(2.5))
    end_calls(failing, key, failed=1, at=after(3))

    assert Upstream.objects.get().phase == Phase.CLOSED


def test_a_row_that_another_worker_holds_keeps_nobody_waiting(transactional_db: None) -> None:
    door = make_door()
    key = send_api(door)
    with transaction.atomic():
        end_calls(BreakerDesk(), key, failed=1)
    desk, is_held, is_done = BreakerDesk(), threading.Event(), threading.Event()

    def hold() -> None:
        try:
            with transaction.atomic():
                Upstream.objects.select_for_update().get()
                is_held.set()
                is_done.wait(30)
        finally:
            connection.close()

    holder = threading.Thread(target=hold)
    holder.start()
    try:
        assert is_held.wait(30)
        with transaction.atomic():
            end_calls(desk, key, failed=9, at=after(1))
        assert Upstream.objects.get().phase == Phase.CLOSED
    finally:
        is_done.set()
        holder.join()

    with transaction.atomic():
        desk.flush(now=after(2))
    assert Upstream.objects.get().phase == Phase.OPEN


# --- apart ------------------------------------------------------------------------------------------------------------


def test_each_installation_and_each_host_has_a_breaker_of_its_own(door: Door) -> None:
    opened(door)
    other = make_door(brand="other", account="87654321")
    desk = BreakerDesk()

    assert isinstance(desk.may_call(send_api(door), now=after(1)), Wait)
    assert desk.may_call(send_api(other), now=after(1)) == Go()
    assert desk.may_call(breakers.liveperson(door.installation, IDENTITY), now=after(1)) == Go()
    assert desk.may_call(breakers.channel(door.channel, get_adapter("custom")), now=after(1)) == Go()


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://Gateway.Example.com/liveperson?key=s3cret", "gateway.example.com"),
        ("http://127.0.0.1:9000/in", "127.0.0.1:9000"),
        ("https://user:s3cret@gateway.example.com/", "gateway.example.com"),
        ("", "custom"),
        (None, "custom"),
    ],
)
def test_a_channel_is_known_by_its_host_alone(door: Door, url: str | None, name: str) -> None:
    channel = door.channel
    channel.config = {"url": url}

    assert breakers.channel(channel, get_adapter("custom")).name == name


# --- probes and closing -----------------------------------------------------------------------------------------------


def test_one_worker_gets_the_probe_and_the_others_wait(door: Door) -> None:
    first, key = opened(door)
    second = BreakerDesk()
    second.may_call(key, now=after(29.9))  # what it knows of it is not fresh

    assert first.may_call(key, now=after(30)) == Go(probe=1)
    for desk in (first, second, BreakerDesk()):
        permit = desk.may_call(key, now=after(30.1))
        assert isinstance(permit, Wait)
        assert after(60) <= permit.until <= after(61)


def test_a_probe_that_fails_keeps_it_open(door: Door) -> None:
    desk, key = opened(door)

    assert probe(desk, key, DOWN, at=after(30)) == []

    row = Upstream.objects.get()
    assert (row.phase, row.bad_probes, row.probe_at) == (Phase.OPEN, 1, after(60))
    assert isinstance(desk.may_call(key, now=after(59)), Wait)


def test_two_good_probes_close_it_for_everybody(door: Door) -> None:
    desk, key = opened(door)

    assert probe(desk, key, None, at=after(30)) == [Answered(key=key, is_closed=False)]
    assert probe(desk, key, None, at=after(30.2)) == [Answered(key=key, is_closed=True)]

    assert Upstream.objects.get().phase == Phase.CLOSED
    assert BreakerDesk().may_call(key, now=after(31)) == Go()


def test_an_answer_of_any_kind_shows_that_it_is_there(door: Door) -> None:
    desk, key = opened(door)

    assert probe(desk, key, errors.RequestRejected(http_status=400), at=after(30))
    assert probe(desk, key, errors.CredentialsRejected(http_status=401), at=after(31))

    assert Upstream.objects.get().phase == Phase.CLOSED


def test_a_worker_that_dies_with_the_probe_holds_up_nobody_for_long(door: Door) -> None:
    dead, key = opened(door)
    assert dead.may_call(key, now=after(30)) == Go(probe=1)

    assert BreakerDesk().may_call(key, now=after(60)) == Go(probe=2)


def test_calls_that_were_under_way_when_it_opened_are_not_written(door: Door) -> None:
    desk, key = opened(door)

    assert statements(lambda: end_calls(desk, key, good=3, failed=20, at=after(5))) == []


def test_calls_that_were_under_way_when_it_opened_do_not_open_it_again(door: Door) -> None:
    desk, key = opened(door)
    end_calls(desk, key, failed=9, at=after(29))
    other = BreakerDesk()
    probe(other, key, None, at=after(30))
    probe(other, key, None, at=after(31))

    assert desk.may_call(key, now=after(32)) == Go()
    end_calls(desk, key, failed=1, at=after(32))

    assert Upstream.objects.get().phase == Phase.CLOSED


def test_those_that_wait_come_back_one_by_one(door: Door) -> None:
    desk, key = opened(door)
    permits = [desk.may_call(key, now=after(1 + n / 1000)) for n in range(100)]

    untils = [permit.until for permit in permits if isinstance(permit, Wait)]
    assert len(set(untils)) == 100
    assert max(untils) <= after(36)


# --- holding ----------------------------------------------------------------------------------------------------------


def test_who_asks_for_a_pause_is_left_alone_by_every_worker(door: Door) -> None:
    desk, key = BreakerDesk(), send_api(door)
    desk.note(key, Go(), errors.RateLimited(http_status=429, retry_after_s=7), now=START)
    desk.flush(now=START)

    assert Upstream.objects.get().phase == Phase.CLOSED
    for asking in (desk, BreakerDesk()):
        permit = asking.may_call(key, now=after(6.9))
        assert isinstance(permit, Wait)
        assert after(7) <= permit.until <= after(7.1)
    assert BreakerDesk().may_call(key, now=after(7.1)) == Go()


# --- looking ----------------------------------------------------------------------------------------------------------


def test_what_was_troubled_long_ago_is_not_looked_at(door: Door) -> None:
    desk, key = BreakerDesk(), send_api(door)
    end_calls(desk, key, failed=3)

    assert breakers.troubled(now=after(59)).exists()
    assert not breakers.troubled(now=after(60)).exists()


def test_phases_are_counted(door: Door) -> None:
    assert breakers.count_by_phase() == {"CLOSED": 0, "OPEN": 0, "HALF_OPEN": 0}
    opened(door)

    assert breakers.count_by_phase() == {"CLOSED": 0, "OPEN": 1, "HALF_OPEN": 0}
