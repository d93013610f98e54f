"""Fixtures. What needs Django is imported inside of them: pytest reads this file before Django is set up."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture
def served_site(django_db_setup: None, django_db_blocker: Any) -> Iterator[str]:
    """The address of the site, served to other processes on this machine; its rows are committed, and go afterwards."""
    from knox.models import AuthToken
    from pytest_django.live_server_helper import LiveServer

    from tests.conversations.database import empty

    with django_db_blocker.unblock():
        server = LiveServer("localhost")
        yield server.url
        server.stop()
        AuthToken.objects.all().delete()
        empty()
