"""Pages in a real Chromium without a site: these share nothing with other tests, and run among them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.chromium import launched

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture
def browser() -> Iterator[Browser]:
    """
    For one test, and to be asked for last: while the loop of its driver runs in this thread, Django refuses to ask the
    database.
    """
    with launched() as started:
        yield started
