"""The admin as people use it: sign in, read a conversation, set up a connector by forms."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from tests.browser.conftest import sign_in
from tests.stack import Stack
from tests.waiting import wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

ACCOUNT = "90000077"
BRAND = "Forms Limited"


def section(page: Page, name: str) -> None:
    """Go somewhere by the sidebar."""
    with page.expect_navigation():
        page.locator("#nav-sidebar").get_by_text(name, exact=True).last.click()


def message(page: Page, text: str) -> Locator:
    """The bubble of a transcript that holds a text."""
    return page.locator("article.cs-said").filter(has_text=text)


def test_signing_in_and_reading_what_was_said(page: Page, stack: Stack) -> None:
    sign_in(page, password="not the password")
    page.get_by_text("User name and password do not fit").wait_for()
    sign_in(page, password=stack.admin_password)
    page.get_by_text("Workers are alive").wait_for()
    page.get_by_role("link", name="Demo Parcels").wait_for()

    section(page, "Conversations")
    page.get_by_role("link", name="Ada").click()
    question, answer = message(page, "Where is my parcel?"), message(page, "It leaves today")
    assert "cs-said-consumer" in (question.get_attribute("class") or "")
    assert "cs-said-agent" in (answer.get_attribute("class") or "")
    boxes = question.locator(".cs-bubble").bounding_box(), answer.locator(".cs-bubble").bounding_box()
    assert boxes[0]
    assert boxes[1]
    assert boxes[0]["x"] < boxes[1]["x"]
    assert boxes[0]["y"] < boxes[1]["y"]

    question.locator("summary").first.click()
    question.get_by_text("Publish to LivePerson").first.wait_for()
    question.get_by_role("link", name="the delivery that brought it").click()
    page.locator("pre").filter(has_text="Where is my parcel?").wait_for()


def test_a_connector_is_set_up_by_forms_and_carries_a_message(admin: Page, stack: Stack) -> None:
    install = stack.simulator("POST", f"accounts/{ACCOUNT}/installs", {})
    _add_brand_and_account(admin, stack)
    _add_installation(admin, install)
    channel_secret = _add_channel(admin, stack)
    admin.get_by_role("link", name="I have copied it").click()

    webhook_url = admin.locator("#webhook-url").inner_text()
    admin.get_by_role("link", name="Web shop").first.click()
    _compare_manifest(admin, "It names no webhooks: no notification arrives.")
    manifest = json.loads(admin.locator("#manifest").text_content() or "")
    stack.simulator("PATCH", f"accounts/{ACCOUNT}/installs/{install['client_id']}", manifest)
    _compare_manifest(admin, "The manifest that LivePerson has is as it should be.")
    phone = {"name": "Forms", "brand": BRAND, "account": ACCOUNT, "webhook_url": webhook_url,
             "secret": channel_secret, "consumer": {"id": "+15550555", "name": "Dorothy"}}  # fmt: skip
    stack.simulator("PUT", "phones/forms", phone)
    stack.simulator("POST", "phones/forms/say", {"text": "Does it work?\nBy forms alone?"})
    conversation = _wait_for_conversation(stack)
    stack.simulator("POST", f"accounts/{ACCOUNT}/conversations/{conversation}/agent", {"do": "join"})
    stack.simulator("POST", f"accounts/{ACCOUNT}/conversations/{conversation}/agent", {"do": "say", "text": "It does."})

    section(admin, "Conversations")
    # LivePerson knows of the conversation before its answer is stored here.
    wait_until(lambda: admin.get_by_role("link", name="Dorothy").count() == 1, by=admin.reload)
    admin.get_by_role("link", name="Dorothy").click()
    wait_until(lambda: message(admin, "It does.").count() == 1, by=admin.reload)
    section(admin, "App installations")
    admin.get_by_role("link", name="Web shop").click()
    with admin.expect_navigation():
        admin.get_by_role("button", name="Test connection").click()
    assert admin.locator(".cs-verdict-headline").inner_text() == "Messages go through"
    _assert_nowhere(admin, install["client_secret"], channel_secret)


def _compare_manifest(page: Page, sentence: str) -> None:
    """With what LivePerson has, as an administrator's session there is shown it."""
    page.get_by_role("link", name="Compare with what LivePerson has").click()
    page.get_by_label("token of an administrator").fill("a-session")
    page.get_by_role("button", name="Compare the manifest").click()
    page.get_by_text(sentence).first.wait_for()


def _add_brand_and_account(page: Page, stack: Stack) -> None:
    section(page, "Brands")
    page.goto("/admin/access/brand/add/")
    page.get_by_label("Name").fill(BRAND)
    page.get_by_label("Slug").fill("forms")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("link", name="Add LivePerson account").click()
    page.get_by_label("Account id").fill("not a number")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("A LivePerson account id is a number").wait_for()
    page.get_by_label("Account id").fill(ACCOUNT)
    page.get_by_label("Domain API").fill(stack.simulator_url)
    page.get_by_role("button", name="Save").click()


def _add_installation(page: Page, install: dict[str, str]) -> None:
    page.get_by_role("link", name="Add app installation").click()
    page.get_by_label("Client id").fill(install["client_id"])
    page.get_by_label("Name").fill("Web shop")
    page.get_by_label("Client secret").fill(install["client_secret"])
    page.get_by_role("button", name="Save").click()
    assert page.locator(".cs-verdict-headline").inner_text() == "Messages do not go through"
    page.get_by_text("It has no channel").wait_for()


def _add_channel(page: Page, stack: Stack) -> str:
    """Returns the secret that the page shows this once."""
    page.get_by_role("link", name="Add channel").click()
    page.get_by_label("Name").fill("Gateway")
    page.get_by_label("Address for outgoing messages").fill(f"{stack.simulator_url}/phones/forms/inbox")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("This is shown once").wait_for()
    secret = page.locator("#secret-1").inner_text()
    assert secret.startswith("whsec_")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.locator("[data-copy=secret-1]").click()
    page.get_by_text("Copied", exact=True).wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == secret
    return secret


def _assert_nowhere(page: Page, *secrets: str) -> None:
    """Neither on the pages of the connector nor in anything that the browser keeps."""
    for path in ("App installations", "Channels"):
        section(page, path)
        with page.expect_navigation():
            page.get_by_role("link", name="Web shop" if path == "App installations" else "Gateway").first.click()
        page.locator(".cs-verdict").wait_for()
        shown = page.content() + page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}])")
        shown += json.dumps(page.context.cookies())
        assert not [secret for secret in secrets if secret in shown]


def _wait_for_conversation(stack: Stack) -> str:
    def known() -> list[Any]:
        return stack.simulator("GET", f"accounts/{ACCOUNT}/conversations")["conversations"]

    wait_until(lambda: bool(known()))
    return str(known()[0]["id"])


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_fit_a_phone_in_light_and_dark(admin: Page, scheme: Any) -> None:
    admin.emulate_media(color_scheme=scheme)
    admin.set_viewport_size({"width": 390, "height": 844})
    for path in (
        "/admin/", "/admin/conversations/conversation/", "/admin/conversations/dispatch/",
        "/admin/installations/appinstallation/", "/admin/webhooks/delivery/",
    ):  # fmt: skip
        admin.goto(path)
        assert admin.evaluate("document.documentElement.scrollWidth") <= 390, path
        link = admin.locator("#result_list tbody a").first
        if link.count():
            admin.goto(link.get_attribute("href") or "")
            assert admin.evaluate("document.documentElement.scrollWidth") <= 390, admin.url
        assert admin.evaluate("document.documentElement.classList.contains('dark')") is (scheme == "dark")


def test_somebody_is_found_by_a_phone_number_that_stands_in_no_address(admin: Page) -> None:
    section(admin, "Find")
    admin.get_by_text("What can be found").wait_for()
    admin.get_by_label("Id or phone number").fill("001 555 (0100)")
    admin.get_by_role("button", name="Find").click()
    admin.get_by_text("its id on the channel").first.wait_for()
    assert urlsplit(admin.url)[2:4] == ("/admin/find/", "")
    admin.get_by_role("main").get_by_role("link", name="Ada").first.click()
    admin.get_by_text("Id on the channel").wait_for()
