"""Fixtures. What needs Django is imported inside of them: pytest reads this file before Django is set up."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conversations.conftest import transactional_db
from tests.webhooks.conftest import web

__all__ = ["transactional_db", "web"]


@pytest.fixture
def served_site(transactional_db: None) -> Iterator[str]:
    """The address of the site, served to other processes on this machine; its rows are committed, and go afterwards."""
    from knox.models import AuthToken
    from pytest_django.live_server_helper import LiveServer

    server = LiveServer("localhost")
    yield server.url
    server.stop()
    AuthToken.objects.all().delete()
