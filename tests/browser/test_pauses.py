"""A channel paused and resumed by forms: nothing leaves meanwhile, and the pages say who, why and until when."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from tests.browser.test_connectors import connect
from tests.stack import Stack
from tests.waiting import wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Page


INDIA = timezone(timedelta(hours=5, minutes=30))


def test_a_channel_is_paused_and_resumed_and_what_the_agent_said_leaves_after_it(
    admin: Page, stack: Stack, tmp_path: Path
) -> None:
    connector = connect(stack, tmp_path, account="90000131")
    connector.say("Hello")
    wait_until(lambda: bool(connector.conversations()))
    path = f"accounts/90000131/conversations/{connector.conversations()[0]['id']}/agent"
    stack.simulator("POST", path, {"do": "join"})

    until = datetime.now(INDIA) + timedelta(days=1)
    zone = admin.context.new_cdp_session(admin)
    zone.send("Emulation.setTimezoneOverride", {"timezoneId": "Asia/Kolkata"})
    admin.goto(f"/admin/installations/channel/{connector.told['channel']}/change/")
    admin.get_by_role("link", name="Pause", exact=True).click()
    admin.get_by_label("What is to wait").select_option(label="Towards the channel")
    admin.get_by_label("Why").fill("The gateway is moved")
    admin.get_by_text("In the time zone Asia/").wait_for()
    admin.get_by_label("Until").fill(f"{until:%Y-%m-%dT%H:%M}")
    with admin.expect_navigation():
        admin.get_by_role("button", name="Pause").click()
    admin.get_by_text("nothing is sent to the channel").wait_for()
    # As it was entered, in the zone of who reads it.
    admin.get_by_text(f"by admin, until {until:%Y-%m-%d %H:%M}:00. Because: The gateway is moved").wait_for()

    connector.agent_says("It leaves today.")
    admin.goto("/admin/conversations/consumer/")
    admin.get_by_role("link", name="Hedy").first.click()
    lane = admin.get_by_text("To the channel: waits for a pause to end")
    wait_until(lambda: lane.count() == 1, by=admin.reload)
    assert arrived(stack) == []

    with admin.expect_navigation():
        admin.get_by_role("link", name="Resume").first.click()
    with admin.expect_navigation():
        admin.get_by_role("button", name="Resume").click()
    wait_until(lambda: arrived(stack) == ["It leaves today."])
    admin.get_by_text("The gateway is moved").wait_for()
    admin.get_by_text("Ended").wait_for()


def arrived(stack: Stack) -> list[str]:
    posts = stack.simulator("GET", "phones/90000131/messages")["messages"]
    return [post["data"]["text"] for post in posts if post["type"] == "message.created"]
