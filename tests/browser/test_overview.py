"""The first page as people use it: what happened, drawn and counted; what is wrong, and the rows behind each number."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from tests.stack import Stack

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page


def tile(page: Page, label: str) -> Locator:
    return page.locator(".cs-tile").filter(has=page.get_by_text(label, exact=True))


def number(page: Page, label: str) -> int:
    return int(tile(page, label).locator("b").inner_text().replace(",", "") or 0)


def test_the_overview_draws_what_happened_and_leads_to_the_rows_behind_it(admin: Page, stack: Stack) -> None:
    _wait_until_counted(admin)
    tile(admin, "webhook answered, p99").get_by_text("LivePerson's 2.5 s").wait_for()
    _assert_drawn(admin)

    admin.get_by_role("link", name="1 hour").click()
    admin.get_by_role("heading", name="The last 1 hour").wait_for()
    said = number(admin, "messages to LivePerson")
    with admin.expect_navigation():
        tile(admin, "messages to LivePerson").click()
    asked = parse_qs(urlsplit(admin.url).query)
    assert asked == {"since": ["hour"], "direction": ["TO_LIVEPERSON"]}
    assert admin.locator("#result_list tbody tr").count() >= said

    admin.goto("/admin/")
    admin.get_by_role("region", name="By brand", exact=True).get_by_role("link").first.click()
    admin.get_by_text("Only ").wait_for()
    assert admin.get_by_role("heading", name="By brand").count() == 0
    admin.get_by_role("link", name="All brands").click()
    admin.get_by_role("heading", name="By brand").wait_for()


def _wait_until_counted(page: Page) -> None:
    """The two demo brands have spoken when the site was ready; the workers count it seconds later."""
    deadline = time.monotonic() + 120
    while True:
        shown = page.locator(".cs-tile").filter(has_text="webhook answered, p99").filter(has_text="LivePerson's 2.5 s")
        if shown.count() and number(page, "messages to LivePerson") and number(page, "messages to channels"):
            return
        assert time.monotonic() < deadline, page.locator(".cs-page").inner_text()
        time.sleep(1)
        page.goto("/admin/")


def _assert_drawn(page: Page) -> None:
    """Each canvas has other colours than its ground, and its hours are the reader's own."""
    canvases = page.locator("canvas.chart")
    assert canvases.count() >= 2
    painted = canvases.evaluate_all(
        "all => all.map(one => one.getContext('2d').getImageData(0, 0, one.width, one.height).data.some(v => v))"
    )
    assert all(painted)
    labels, times = canvases.first.evaluate("one => [Chart.getChart(one).data.labels, Chart.getChart(one).data.times]")
    local = "time => new Date(time).toLocaleTimeString('en-GB', {hour: '2-digit', minute: '2-digit'})"
    assert len(labels) == 24
    assert labels[-1] == page.evaluate(local, times[-1])
    page.locator("summary", has_text="As a table").first.click()
    page.locator(".cs-chart time").first.wait_for()
