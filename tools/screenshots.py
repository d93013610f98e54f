"""
Pictures of every page of a running site's admin: light, dark, and on a phone. For people to look at; no test.

    .venv/bin/python -m tools.screenshots --url http://127.0.0.1:8000 --password … --to /tmp/pictures

Follows the links of the admin from the overview, one page of each kind: new pages are found by themselves.
"""

from __future__ import annotations

import argparse
import re
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from tools.run_tests import chromium

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

_LOOKS = {"light": (1280, 900, "light"), "dark": (1280, 900, "dark"), "phone": (390, 844, "light")}
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}")
_NOT_FOLLOWED = ("/admin/logout/", "/admin/jsi18n/")
_MOST_PAGES = 150


def main() -> None:
    """Sign in, find the pages, take the pictures."""
    from playwright.sync_api import sync_playwright

    asked = _asked()
    asked.to.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        state = _signed_in(browser, asked)
        with browser.new_context(base_url=asked.url, storage_state=state) as context:
            addresses = _addresses(context)
        for look, (width, height, scheme) in _LOOKS.items():
            size = {"width": width, "height": height}
            with browser.new_context(
                base_url=asked.url, storage_state=state, viewport=size, color_scheme=scheme, reduced_motion="reduce"
            ) as context:
                _take(context.new_page(), addresses, look, asked.to)
        browser.close()
    print(f"{len(addresses)} pages in {asked.to}")


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--user", default="admin")
    parser.add_argument("--password", required=True)
    parser.add_argument("--to", type=Path, required=True)
    return parser.parse_args()


def _signed_in(browser: Browser, asked: argparse.Namespace) -> dict[str, object]:
    with browser.new_context(base_url=asked.url) as context:
        page = context.new_page()
        page.goto("/admin/")
        page.get_by_label("Username").fill(asked.user)
        page.get_by_label("Password").fill(asked.password)
        page.get_by_role("button", name="Log in").click()
        page.wait_for_url("**/admin/")
        return dict(context.storage_state())


def _addresses(context: BrowserContext) -> dict[str, str]:
    """One address of each kind of page: kind → address."""
    page, found = context.new_page(), {"error": "/nothing"}
    waiting = deque(["/admin/"])
    while waiting and len(found) < _MOST_PAGES:
        address = waiting.popleft()
        kind = _kind_of(address)
        if kind in found:
            continue
        page.goto(address)
        found[kind] = address
        links = page.eval_on_selector_all("a[href]:not([download])", "all => all.map(one => one.href)")
        waiting += [link for link in links if _is_followed(link, page.url)]
    return found


def _is_followed(link: str, here: str) -> bool:
    parts = urlsplit(urljoin(here, link))
    return (
        parts.netloc == urlsplit(here).netloc and parts.path.startswith("/admin/") and parts.path not in _NOT_FOLLOWED
    )


def _kind_of(address: str) -> str:
    return re.sub(r"\W+", "-", _ID.sub("ID", urlsplit(address).path)).strip("-")


def _take(page: Page, addresses: dict[str, str], look: str, folder: Path) -> None:
    for kind, address in addresses.items():
        page.goto(address)
        page.screenshot(path=folder / f"{kind}.{look}.png", full_page=True)


if __name__ == "__main__":
    main()
