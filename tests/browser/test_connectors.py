"""A connector in the hands of an operator: a credential that LivePerson refuses, and a secret that is rotated."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.stack import Stack
from tests.waiting import wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Page


@dataclass
class Connector:
    """One that works, with a consumer's phone at its other end."""

    stack: Stack
    account: str
    client_id: str
    told: dict[str, Any]

    @property
    def url(self) -> str:
        return f"/admin/installations/appinstallation/{self.told['installation']}/change/"

    def rotated_at_liveperson(self) -> str:
        """The new client secret; LivePerson knows no other from now on."""
        path = f"accounts/{self.account}/installs/{self.client_id}"
        return str(self.stack.simulator("PATCH", path, {"rotate_secret": True})["client_secret"])

    def say(self, text: str) -> None:
        self.stack.simulator("POST", f"phones/{self.account}/say", {"text": text})

    def conversations(self) -> list[Any]:
        found: list[Any] = self.stack.simulator("GET", f"accounts/{self.account}/conversations")["conversations"]
        return found

    def agent_says(self, text: str) -> None:
        path = f"accounts/{self.account}/conversations/{self.conversations()[0]['id']}/agent"
        self.stack.simulator("POST", path, {"do": "say", "text": text})


def connect(stack: Stack, tmp_path: Path, *, account: str) -> Connector:
    install = stack.simulator("POST", f"accounts/{account}/installs", {})
    secret_file = tmp_path / "secret"
    secret_file.write_text(install["client_secret"])
    done = stack.manage(
        "onboard", "--brand", f"brand-{account}", "--account", account, "--client-id", install["client_id"],
        "--secret-file", str(secret_file), "--name", f"Shop {account}", "--domain-api", stack.simulator_url,
        "--channel", "custom", "--channel-url", f"{stack.simulator_url}/phones/{account}/inbox",
    )  # fmt: skip
    told = json.loads(done.stdout)
    stack.simulator("PATCH", f"accounts/{account}/installs/{install['client_id']}", told["manifest"])
    phone = {"name": account, "brand": account, "account": account, "webhook_url": told["channel_webhook_url"],
             "secret": told["channel_secret"], "consumer": {"id": "+15550188", "name": "Hedy"}}  # fmt: skip
    stack.simulator("PUT", f"phones/{account}", phone)
    return Connector(stack, account, install["client_id"], told)


def headline(page: Page) -> str:
    return page.locator(".cs-verdict-headline").first.inner_text()


def add_secret(page: Page, secret: str) -> None:
    page.get_by_label("Client secret").fill(secret)
    with page.expect_navigation():
        page.get_by_role("button", name="Add client secret").click()


def test_a_credential_that_liveperson_refuses_is_put_right(admin: Page, stack: Stack, tmp_path: Path) -> None:
    connector = connect(stack, tmp_path, account="90000101")
    secret = connector.rotated_at_liveperson()
    connector.say("Is anybody there?")

    admin.goto(connector.url)
    rejected = admin.get_by_text("LivePerson rejected the credentials, so it is paused")
    wait_until(lambda: rejected.count() == 1, by=admin.reload)
    assert headline(admin) == "Messages do not go through"
    admin.locator(".cs-next").first.get_by_role("link", name="Add client secret").click()
    add_secret(admin, "mistyped")
    admin.get_by_text("LivePerson does not accept this secret").wait_for()
    add_secret(admin, secret)
    admin.get_by_text("Added: LivePerson takes it.").wait_for()

    wait_until(lambda: bool(connector.conversations()))
    admin.goto(connector.url)
    wait_until(lambda: headline(admin).startswith("Messages go through"), by=admin.reload)
    assert secret not in admin.content()


def test_a_secret_is_rotated_while_messages_go_on(admin: Page, stack: Stack, tmp_path: Path) -> None:
    connector = connect(stack, tmp_path, account="90000102")
    connector.say("Hello")
    wait_until(lambda: bool(connector.conversations()))
    secret = connector.rotated_at_liveperson()

    admin.goto(connector.url)
    admin.get_by_role("link", name="Rotate…").click()
    admin.get_by_role("link", name="Add client secret").click()
    add_secret(admin, secret)
    admin.get_by_text("Added: LivePerson takes it.").wait_for()
    assert headline(admin) == "The new secret has verified nothing yet"

    stack.simulator(
        "POST", f"accounts/90000102/conversations/{connector.conversations()[0]['id']}/agent", {"do": "join"}
    )
    connector.agent_says("Here I am.")
    # By itself: the page is not loaded again.
    wait_until(lambda: headline(admin) == "The new secret is used; the old one was, too, a short while ago")

    admin.get_by_role("link", name="Retire the old secret").click()
    retire = admin.get_by_role("button", name="Retire a client secret")
    retire.click()
    admin.get_by_text("less than ten minutes ago").wait_for()
    admin.get_by_label("Retire it even if it is in use").check()
    retire.click()
    admin.get_by_text("Retired: webhooks that it signs are refused").wait_for()
    assert headline(admin) == "One secret is valid; no rotation is under way"
    connector.agent_says("Still here.")
    admin.goto(connector.url)
    # What came signed with the new secret before it was here was refused: for some minutes that is told, too.
    going_on = ("Messages go through", "Nothing is known to stop messages")
    assert headline(admin).startswith(going_on), admin.locator(".cs-verdict").first.inner_text()
