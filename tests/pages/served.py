"""
Pages that were made without a server, in a real browser: what a test client was answered, and static files.

Quick enough to look at every page there is, with rows that no demo has.
"""

from __future__ import annotations

import mimetypes
from collections.abc import Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.staticfiles import finders
from django.http import HttpResponse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page, Route

HOST = "http://admin.test"
_KEPT_HEADERS = {"Content-Type", "Content-Security-Policy", "X-Frame-Options", "X-Content-Type-Options"}


@contextmanager
def visiting(browser: Browser, answers: Mapping[str, HttpResponse], complaints: list[str]) -> Iterator[Page]:
    """A visitor of these answers, by their path. complaints: what the browser says, and which other hosts it asked."""
    context = browser.new_context(base_url=HOST, viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    page = context.new_page()
    page.set_default_timeout(30_000)
    page.on("console", lambda said: _note(said.text, complaints) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: _note(str(error), complaints))
    context.route("**/*", lambda route: _answer(route, answers, complaints))
    try:
        yield page
    finally:
        context.close()


def _note(text: str, complaints: list[str]) -> None:
    complaints.append(text)


def _answer(route: Route, answers: Mapping[str, HttpResponse], complaints: list[str]) -> None:
    parts = urlsplit(route.request.url)
    if f"{parts.scheme}://{parts.netloc}" != HOST:
        complaints.append(f"The page asked {parts.hostname} for something.")
        route.abort()
    elif parts.path.startswith(settings.STATIC_URL):
        route.fulfill(**_static(parts.path.removeprefix(settings.STATIC_URL)))
    elif (answer := answers.get(f"{parts.path}?{parts.query}", answers.get(parts.path))) is not None:
        headers = {name: value for name, value in answer.items() if name in _KEPT_HEADERS}
        # A status of its own would be a complaint of the browser.
        route.fulfill(headers=headers, body=answer.content)
    else:
        route.fulfill(status=204)


def _static(name: str) -> dict[str, Any]:
    found = finders.find(name)
    if not isinstance(found, str):
        return {"status": 404}
    return {"body": Path(found).read_bytes(), "content_type": mimetypes.guess_type(name)[0] or "text/plain"}
