"""Waiting for PostgreSQL with and without a limit, on a connection of the site's own kind."""

from __future__ import annotations

import time
from collections.abc import Iterator

import psycopg
import pytest
from django.db import OperationalError, connections

from core.postgres import patience
from core.postgres.base import Connection
from core.postgres.patience import Silence, Silent, limited
from core.postgres.reach import is_unreachable
from tests.clocks import StandingClock, stop_clock
from tests.conversations.conftest import transactional_db

__all__ = ["transactional_db"]


@pytest.fixture(autouse=True)
def silence(monkeypatch: pytest.MonkeyPatch) -> Silence:
    one = Silence()
    monkeypatch.setattr(patience, "silence", one)
    return one


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> StandingClock:
    return stop_clock(monkeypatch, patience)


@pytest.fixture
def wire(transactional_db: None) -> Iterator[Connection]:
    known = connections["default"].get_connection_params()
    with Connection.connect(**known) as one:
        one.autocommit = True
        server_pid = one.info.backend_pid
        yield one
    with psycopg.connect(**known) as other:
        other.execute("SELECT pg_terminate_backend(%s)", [server_pid])  # who hung up may still be asleep there


def test_work_without_a_limit_waits_for_as_long_as_it_takes(wire: Connection, silence: Silence) -> None:
    with limited(None):
        wire.execute("SELECT pg_sleep(1.2)")
    wire.execute("SELECT pg_sleep(0.1)")
    assert silence.may_ask()


def test_a_limit_ends_the_wait_and_hangs_up(wire: Connection) -> None:
    began_s = time.monotonic()
    with pytest.raises(Silent), limited(0.3):
        wire.execute("SELECT pg_sleep(30)")
    assert 0.25 < time.monotonic() - began_s < 20
    assert wire.closed


def test_the_limit_is_for_all_waits_together(wire: Connection) -> None:
    with pytest.raises(Silent), limited(0.5):
        for _ in range(4):
            wire.execute("SELECT pg_sleep(0.2)")


def test_the_time_of_our_own_work_before_the_first_wait_does_not_count(wire: Connection, clock: StandingClock) -> None:
    with limited(30):
        clock.goes_on(60)
        wire.execute("SELECT pg_sleep(0.2)")


def test_a_limit_within_another_ends_with_it(wire: Connection) -> None:
    began_s = time.monotonic()
    with pytest.raises(Silent), limited(0.3), limited(25):
        wire.execute("SELECT pg_sleep(30)")
    assert time.monotonic() - began_s < 20


def test_a_wait_that_was_in_vain_is_noted(wire: Connection, silence: Silence) -> None:
    before_s = time.monotonic()
    with pytest.raises(Silent), limited(0.8):
        wire.execute("SELECT pg_sleep(30)")
    assert silence.was_noted_after(before_s)


def test_what_one_waited_for_in_vain_others_are_told_at_once_until_one_is_answered(
    silence: Silence, clock: StandingClock, transactional_db: None
) -> None:
    silence.note()
    with pytest.raises(Silent), limited(None):
        Connection.connect(**connections["default"].get_connection_params())
    clock.goes_on(0.55)
    with limited(None), Connection.connect(**connections["default"].get_connection_params()) as another:
        another.execute("SELECT 1")
    assert silence.may_ask()


def test_one_at_a_time_probes(silence: Silence, clock: StandingClock) -> None:
    silence.note()
    assert not silence.may_ask()
    clock.goes_on(0.55)
    assert [silence.may_ask() for _ in range(3)] == [True, False, False]


def test_a_connection_is_asked_for_no_longer_than_quick_work(monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as mute:  # takes the call and says nothing
        began_s = time.monotonic()
        with pytest.raises(psycopg.OperationalError), limited(0.5):
            Connection.connect(f"postgresql://site@127.0.0.1:{mute.getsockname()[1]}/site?sslmode=disable")
    assert time.monotonic() - began_s < 20


def test_django_sees_an_error_that_says_the_database_cannot_be_reached(transactional_db: None) -> None:
    connection = connections["default"]
    with pytest.raises(OperationalError) as raised, limited(0.2), connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(5)")
    assert is_unreachable(raised.value)
    connection.close()
    with pytest.raises(OperationalError) as refused, connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 100; SELECT pg_sleep(5)")
    assert not is_unreachable(refused.value)
    connection.close()
