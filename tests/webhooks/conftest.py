"""Fixtures. What needs Django is imported inside of them: pytest reads this file before Django is set up."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.conversations.conftest import door, other_ends, simulator_process, stand, transactional_db

if TYPE_CHECKING:
    from tests.webhooks.web import Web

__all__ = ["door", "other_ends", "simulator_process", "stand", "transactional_db", "web"]


@pytest.fixture(scope="session")
def web(django_db_setup: None, django_db_blocker: Any) -> Iterator[Web]:
    """The real web server, for the whole session."""
    from tests.webhooks.web import Web

    with django_db_blocker.unblock():
        one = Web()
    yield one
    one.stop()
