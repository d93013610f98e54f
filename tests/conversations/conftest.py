"""Fixtures. What needs Django is imported inside of them: pytest reads this file before Django is set up."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.conversations.servers import Server
from tests.simulator.client import Simulator
from tests.simulator.conftest import Process

if TYPE_CHECKING:
    from tests.conversations.stand import Door, Stand

_accounts = itertools.count(20_000_001)


@pytest.fixture(scope="session")
def simulator_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """LivePerson, for the whole session."""
    process = Process(tmp_path_factory.mktemp("simulator"))
    process.start()
    yield process
    process.stop()


@pytest.fixture
def transactional_db(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """
    A database in which every transaction is a real one.

    Takes the place of pytest-django's fixture of this name, which cleans up ten times more slowly, and by emptying
    tables at a stroke, which the audit trail refuses.
    """
    from tests.conversations import database

    with django_db_blocker.unblock():
        yield
        database.empty()


@pytest.fixture(scope="session")
def other_ends() -> Iterator[tuple[Server, Server]]:
    """The channel's server, and the one that LivePerson calls."""
    servers = Server(), Server()
    yield servers
    for server in servers:
        server.close()


@pytest.fixture
def stand(transactional_db: None, simulator_process: Process, other_ends: tuple[Server, Server]) -> Iterator[Stand]:
    """
    One connector with LivePerson and a channel behind it, in an account of its own.

    Whatever a test did, every promise that can be asked of the database holds afterwards.
    """
    from connector_site.invariants import all_invariants, check
    from tests.conversations.stand import Stand

    simulator = Simulator(simulator_process.url)
    simulator.control("POST", "reset")  # its logs would grow from test to test, and be read in each
    for server in other_ends:
        server.forget()
    phone, liveperson_calls = other_ends
    yield Stand(simulator, account=str(next(_accounts)), phone=phone, liveperson_calls=liveperson_calls)
    simulator.control("DELETE", "faults")
    assert {breach.invariant.name: breach.rows for breach in check(all_invariants())} == {}


@pytest.fixture
def door(db: None) -> Door:
    """A connector whose other ends nobody listens at, in a transaction that is rolled back."""
    from tests.conversations.stand import make_door

    return make_door()


@pytest.fixture
def open_stand(stand: Stand) -> Stand:
    """Ada and Ben have open conversations, everything is echoed and told."""
    from tests.conversations.evidence import BEN
    from tests.conversations.stand import ADA

    stand.says("Hello", consumer=ADA)
    stand.says("Hello", consumer=BEN)
    stand.settle()
    return stand
