"""A conversation as people follow it: what is said comes by itself, and what goes wrong is understood and decided."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.browser.test_admin import message, section
from tests.stack import Stack
from tests.waiting import wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Page

ACCOUNT, PHONE, CONSUMER = "90000002", "phones/demo-air", "Grace"


@pytest.fixture
def talk(admin: Page, stack: Stack) -> Iterator[Page]:
    """The open conversation of a demo brand, whose LivePerson behaves until a test says otherwise."""
    section(admin, "Conversations")
    admin.get_by_role("link", name=CONSUMER).first.click()
    admin.get_by_text("New messages show by themselves.").wait_for()
    yield admin
    stack.simulator("DELETE", "faults")


def say(stack: Stack, text: str) -> None:
    """The consumer writes on their phone."""
    stack.simulator("POST", f"{PHONE}/say", {"text": text})


def answer(stack: Stack, do: str, **what: str) -> None:
    """The agent does something in the newest conversation."""
    newest = stack.simulator("GET", f"accounts/{ACCOUNT}/conversations")["conversations"][-1]["id"]
    stack.simulator("POST", f"accounts/{ACCOUNT}/conversations/{newest}/agent", {"do": do, **what})


def test_what_is_said_comes_into_the_open_page_by_itself(talk: Page, stack: Stack) -> None:
    # One after the other without waiting: neither asks in vain because the other does.
    message(talk, "Yes. I have added it").locator("summary").first.click()
    message(talk, "May I bring my bicycle?").locator("summary").first.click()
    message(talk, "Yes. I have added it").get_by_text("Send to the channel").first.wait_for()
    message(talk, "May I bring my bicycle?").get_by_text("Publish to LivePerson").first.wait_for()
    say(stack, "And my tandem?")
    message(talk, "And my tandem?").wait_for()
    answer(stack, "typing")
    talk.get_by_text("The agent is typing").wait_for()
    answer(stack, "say", text="A tandem is two bicycles.")
    message(talk, "A tandem is two bicycles.").get_by_text("Delivered").wait_for()
    # What the reader has opened stays open while the rest is put in place anew.
    assert message(talk, "Yes. I have added it").get_by_text("Send to the channel").first.is_visible()
    # Where nothing is new the page asks, and is told so in no words; where nobody looks it does not ask.
    told: list[int] = []
    talk.on("response", lambda got: told.append(got.status) if "/live/" in got.url else None)
    wait_until(lambda: told[-2:] == [204, 204], by=lambda: talk.wait_for_timeout(200))
    talk.evaluate("Object.defineProperty(document, 'hidden', {value: true})")
    talk.wait_for_timeout(500)
    asked: list[str] = []
    talk.on("request", lambda request: asked.append(request.url) if "/live/" in request.url else None)
    talk.wait_for_timeout(3_000)
    assert asked == []


def test_a_failure_is_seen_and_understood(talk: Page, stack: Stack) -> None:
    stack.simulator("PUT", "faults", [{"on": "send", "account": ACCOUNT, "do": "status", "status": 400, "times": 1}])
    say(stack, "This one is refused.")
    troubled = message(talk, "This one is refused.")
    troubled.get_by_text("it was not taken").wait_for()
    troubled.locator("summary").first.click()
    troubled.get_by_text("HTTP 400").first.wait_for()
    troubled.get_by_text("Request, without tokens and words").first.click()
    assert "ms.PublishEvent" in troubled.locator("pre").first.inner_text()


def test_a_send_that_nobody_knows_of_is_decided_with_its_evidence_in_view(talk: Page, stack: Stack) -> None:
    stack.simulator(
        "PUT", "faults",
        [{"on": "send", "account": ACCOUNT, "do": "lose_answer", "times": 1},
         {"on": "webhook", "account": ACCOUNT, "do": "hold"}],
    )  # fmt: skip
    say(stack, "Did this arrive?")
    doubtful = message(talk, "Did this arrive?")
    doubtful.get_by_text("is not known yet").wait_for()
    doubtful.locator("summary").first.click()
    doubtful.get_by_text("Nobody knows whether it arrived").wait_for()
    doubtful.get_by_role("link", name="Decide it").click()
    talk.get_by_text("Its echo has not come.").wait_for()
    talk.get_by_role("link", name="Mark as sent").click()
    talk.get_by_text("Its echo has not come.").wait_for()
    talk.get_by_label("Why").fill("It stands in the agent's workspace.")
    talk.get_by_role("button", name="Mark as sent").click()
    talk.get_by_text("Marked as sent.").wait_for()
    talk.get_by_text("Sent", exact=True).first.wait_for()
