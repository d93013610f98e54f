"""Many rows repaired at once as people do it: preview, start, stop, go on, and what became of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.stack import Stack
from tests.waiting import wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

ACCOUNT, PHONE = "90000002", "demo-air"
TEXTS = [f"Seat number {number}" for number in range(1, 11)]


def failed_ids(page: Page) -> list[str]:
    page.goto("/admin/conversations/dispatch/?state=FAILED")
    return [link.get_attribute("href") or "" for link in page.locator("#result_list tbody th a").all()]


@pytest.fixture
def failed(admin: Page, stack: Stack) -> Page:
    """LivePerson has rejected what a consumer said, and would take it now."""
    rule = {"on": "send", "account": ACCOUNT, "do": "status", "status": 400, "times": len(TEXTS)}
    stack.simulator("PUT", "faults", [rule])
    for text in TEXTS:
        stack.simulator("POST", f"phones/{PHONE}/say", {"text": text})
    wait_until(lambda: len(failed_ids(admin)) >= len(TEXTS))
    stack.simulator("DELETE", "faults")
    return admin


def test_failed_messages_are_sent_again_with_a_preview_stopped_and_resumed(failed: Page, stack: Stack) -> None:
    page = failed
    page.get_by_role("form", name="Everything that matches").get_by_role("button", name="Send again…").click()
    page.get_by_text("Nothing has been done yet").wait_for()
    page.get_by_text("10 dispatches").wait_for()
    page.get_by_label("Why").fill("LivePerson takes them again")
    page.get_by_label("Rows a second").fill("1")
    page.get_by_role("button", name="Send again: 10").click()

    how = page.get_by_role("region", name="How it stands")
    wait_until(lambda: settled(how) > 0)  # by itself: the page is not loaded again
    how.get_by_role("button", name="Stop").click()
    how.get_by_text("Stopped", exact=True).wait_for()
    stopped_at = settled(how)
    assert stopped_at < len(TEXTS)
    page.reload()
    assert settled(how) == stopped_at

    how.get_by_role("button", name="Go on").click()
    how.get_by_text("Done", exact=True).wait_for(timeout=60_000)
    page.get_by_text("None: it was done for every row.").wait_for()
    wait_until(lambda: said(stack) == TEXTS)
    assert failed_ids(page) == []


def settled(how: Locator) -> int:
    """How many rows the page says have come to their end."""
    return int(how.get_by_role("status").inner_text().split(" of ")[0])


def said(stack: Stack) -> list[str]:
    """What LivePerson has of these, in its order."""
    known: list[Any] = stack.simulator("GET", f"accounts/{ACCOUNT}/conversations")["conversations"]
    return [event["text"] for one in known for event in one["events"] if event.get("text") in TEXTS]


_A_DEAD_LETTER = """
import hashlib, json
from core.ids import new_id
from django.utils import timezone
from webhooks.models import Delivery, DeliveryBody
like = Delivery.objects.filter(channel__name__isnull=False, brand__slug="demo-air").select_related("body").first()
event = {"type": "message.received", "timestamp": timezone.now().isoformat(),
         "data": {"id": "dead-1", "consumer": {"id": "+15550200", "name": "Grace"}, "text": "Nobody heard this"}}
raw = json.dumps(event).encode()
body = like.body
like.pk, like._state.adding = new_id(), True
like.state, like.start_count, like.detail, like.request_identity = "DEAD", 3, "Broke.", "dead-1"
like.size, like.sha256, like.received_at = len(raw), hashlib.sha256(raw).digest(), timezone.now()
like.save(force_insert=True)
DeliveryBody.objects.create(delivery=like, raw=raw, headers=body.headers, expires_on=body.expires_on)
"""


def test_one_dead_delivery_is_applied_again(admin: Page, stack: Stack) -> None:
    made = stack.manage("shell", "-c", _A_DEAD_LETTER)
    assert made.returncode == 0, made.stderr
    admin.goto("/admin/webhooks/delivery/?state=DEAD")
    admin.locator("#result_list tbody th a").first.click()
    admin.get_by_text("Broke.").wait_for()
    admin.get_by_role("link", name="Apply again").click()
    admin.get_by_label("Why").fill("It was our mistake")
    admin.get_by_role("button", name="Apply again").click()
    admin.get_by_text("It waits for a worker now").wait_for()
    wait_until(lambda: is_processed(admin))
    admin.get_by_role("link", name="message", exact=True).click()
    admin.get_by_text("Nobody heard this").first.wait_for()


def is_processed(page: Page) -> bool:
    page.reload()
    return page.get_by_text("Processed", exact=True).first.is_visible()
