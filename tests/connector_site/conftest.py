"""Fixtures. What needs Django is imported inside of them: pytest reads this file before Django is set up."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.conversations.conftest import transactional_db
from tests.webhooks.conftest import web

if TYPE_CHECKING:
    from tests.access.keys import Program
    from tests.factories import World

__all__ = ["transactional_db", "web"]


@pytest.fixture
def amber(db: None) -> World:
    """A brand with a row of everything."""
    from tests.factories import make_world

    return make_world(slug="amber", mark="AMBERXQJ7")


@pytest.fixture
def program(amber: World) -> Program:
    """A program of somebody who sees that brand, by a key without limits."""
    from tests.access.keys import Program

    return Program(amber.auditor)


@pytest.fixture
def served_site(transactional_db: None) -> Iterator[str]:
    """The address of the site, served to other processes on this machine; its rows are committed, and go afterwards."""
    from knox.models import AuthToken
    from pytest_django.live_server_helper import LiveServer

    server = LiveServer("localhost")
    yield server.url
    server.stop()
    AuthToken.objects.all().delete()
