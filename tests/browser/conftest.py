"""A real Chromium at a running site. What the browser complains of, or asks of another host, fails the test."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.chromium import launched
from tests.stack import Stack, running

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One site for all tests of this folder."""
    with running(tmp_path_factory.mktemp("site") / "data") as started:
        yield started


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One for all tests of this folder."""
    with launched() as started:
        yield started


@pytest.fixture
def page(browser: Browser, stack: Stack) -> Iterator[Page]:
    """A fresh visitor, signed in to nothing."""
    context = browser.new_context(base_url=stack.url, viewport={"width": 1280, "height": 900})
    opened = context.new_page()
    opened.set_default_timeout(30_000)
    complaints: list[str] = []
    opened.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("request", lambda asked: _note_outside(asked.url, complaints))
    yield opened
    context.close()
    assert complaints == []


@pytest.fixture
def admin(page: Page, stack: Stack) -> Page:
    """Somebody who runs the site, at the overview."""
    sign_in(page, password=stack.admin_password)
    return page


def sign_in(page: Page, *, password: str, username: str = "admin") -> None:
    page.goto("/admin/")
    page.get_by_label("Username").fill(username)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()


def _note_outside(url: str, complaints: list[str]) -> None:
    parts = urlsplit(url)
    if parts.scheme in ("http", "https", "ws", "wss") and parts.hostname != "127.0.0.1":
        complaints.append(f"The page asked {parts.hostname} for something.")
