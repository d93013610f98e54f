"""
Every page of the admin in a real browser: readable for those who cannot see or point, in light and dark and on a phone,
with nothing that the content policy refuses and nothing from another host.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.http import HttpResponse
from django.test import Client

from tests.access.walk import Page, pages
from tests.admin_pages import signed_in
from tests.factories import make_superuser, make_world
from tests.pages.served import visiting

if TYPE_CHECKING:
    from playwright.sync_api import Browser
    from playwright.sync_api import Page as Tab

pytestmark = pytest.mark.django_db

# What is found and stays: (rule, pattern of the element), and why.
KNOWN: dict[tuple[str, str], str] = {}
ASKED = "asked by pages"
_ASKED_BY_PAGES = ("/admin/jsi18n/", "/api/v1/docs/?script=", "/api/v1/schema/")
_SEVERE = ("serious", "critical")
_LIGHT = {"resultTypes": ["violations"]}
_DARK = {"resultTypes": ["violations"], "runOnly": {"type": "rule", "values": ["color-contrast"]}}


@pytest.fixture
def every_page() -> list[Page]:
    """What is looked at, and what pages ask for by themselves."""
    world = make_world(slug="amber", mark="Amberly")
    root = signed_in(make_superuser())
    found = list(pages(root, world, at_most=1))
    for url in ("/admin/login/", "/nothing", "/api/v1/docs/"):
        found.append(Page(kind=url, url=url, answer=Client().get(url)))
    return found + [Page(kind=ASKED, url=url, answer=root.get(url)) for url in _ASKED_BY_PAGES]


def test_every_page_can_be_read_by_everybody(every_page: list[Page], browser: Browser) -> None:
    complaints: list[str] = []
    troubles: list[str] = []
    seen: set[str] = set()
    looked_at = [one for one in every_page if one.kind != ASKED]
    with visiting(browser, {one.url: one.answer for one in every_page}, complaints) as tab:
        # The fullest first: of those that hold nothing else no more is asked.
        for page in sorted(looked_at, key=lambda one: -len(one.html)):
            kinds = _kinds_of_elements(page)
            tab.goto(page.url)
            troubles += _troubles(tab, page) if kinds - seen else []
            seen |= kinds
            troubles += [f"{page.kind}: the browser says: {one[:200]}" for one in complaints]
            complaints.clear()
    assert len(looked_at) > 40
    assert troubles == [], "\n".join(troubles)


@pytest.fixture
def one_page() -> Page:
    address = "/admin/sign_out_everywhere/"
    return Page(kind="", url=address, answer=signed_in(make_superuser()).get(address))


def test_whoever_uses_the_keyboard_passes_the_menu_by_one_key(one_page: Page, browser: Browser) -> None:
    with visiting(browser, {one_page.url: one_page.answer}, []) as tab:
        tab.goto(one_page.url)
        tab.keyboard.press("Tab")
        way = tab.locator(":focus")
        assert way.inner_text() == "Skip to the content"
        assert (way.bounding_box() or {"y": -1})["y"] >= 0
        tab.keyboard.press("Enter")
        tab.keyboard.press("Tab")
        assert tab.evaluate("document.activeElement.closest('main') !== null")


def test_the_judge_is_awake(browser: Browser) -> None:
    faulty = (
        '<html lang="en"><title>x</title><body><p style="color:#bbb">faint</p><img src="/static/x.svg"></body></html>'
    )
    with visiting(browser, {"/faulty": HttpResponse(faulty)}, []) as tab:
        tab.goto("/faulty")
        found = _found(tab, _LIGHT, "it")
    assert [one.split(":")[1].split()[0] for one in found] == ["color-contrast", "image-alt"]


def _kinds_of_elements(page: Page) -> set[str]:
    return set(re.findall(r"<(?:[a-z]+)(?:[^>]*? class=\"[^\"]*\")?", page.html))


def _troubles(tab: Tab, page: Page) -> list[str]:
    found = _found(tab, _LIGHT, f"{page.kind} in light")
    tab.evaluate("document.documentElement.classList.add('dark')")
    found += _found(tab, _DARK, f"{page.kind} in dark")
    tab.set_viewport_size({"width": 390, "height": 844})
    width = tab.evaluate("document.documentElement.scrollWidth")
    tab.set_viewport_size({"width": 1280, "height": 900})
    return [*found, *([f"{page.kind} is {width} wide on a phone"] if width > 390 else [])]


def _found(tab: Tab, options: dict[str, Any], where: str) -> list[str]:
    results = Axe().run(tab, options=options).response["violations"]
    return [
        f"{where}: {one['id']} ({one['impact']}): {node['html'][:160]}"
        for one in results
        if one["impact"] in _SEVERE
        for node in one["nodes"]
        if not any(rule == one["id"] and re.search(pattern, node["html"]) for rule, pattern in KNOWN)
    ]
