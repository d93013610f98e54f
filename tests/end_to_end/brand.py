"""A brand on the running site: onboarded by the command, with the brand's app played by the simulator's phone."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from tests.stack import Stack

WITHIN_S = 60.0
Found = TypeVar("Found")


def eventually(look: Callable[[], Found], what: str, *, within_s: float = WITHIN_S) -> Found:
    """What `look` finds, as soon as it is true; fails with a sentence after a while."""
    deadline = time.monotonic() + within_s
    while not (found := look()):
        assert time.monotonic() < deadline, f"{what} within {within_s:.0f} s"
        time.sleep(0.05)
    return found


@dataclass(frozen=True, kw_only=True)
class PlayedBrand:
    """One brand with one custom channel."""

    stack: Stack
    name: str
    account: str
    told: dict[str, Any]

    # The consumer's side

    def say(self, **event: Any) -> dict[str, Any]:
        """Post something from the brand's app; returns the simulator's {"status", "answer", "id", "webhook_id"}."""
        path = f"phones/{self.name}/say"
        told = self.stack.simulator("POST", path, event)
        if told["status"] == 503:  # not stored: a busy disk, at times; a channel sends the same again
            told = self.stack.simulator("POST", path, event | {"id": told["id"], "webhook_id": told["webhook_id"]})
        return told

    def posts(self, kind: str, consumer: str = "") -> list[dict[str, Any]]:
        """The data of everything of one type that reached the brand's app."""
        every = self.stack.simulator("GET", f"phones/{self.name}/messages")["messages"]
        assert all(post["verified"] for post in every)
        return [
            post["data"]
            for post in every
            if post["type"] == kind and (not consumer or post["data"]["consumer"]["id"] == consumer)
        ]

    # LivePerson's side

    def conversations(self, consumer: str = "") -> list[dict[str, Any]]:
        """The account's conversations, oldest first."""
        every = self.stack.simulator("GET", f"accounts/{self.account}/conversations")["conversations"]
        return [c for c in every if not consumer or c["consumer"]["ext_consumer_id"].endswith(f":{consumer}")]

    def events(self, conversation_id: str, kind: str) -> list[dict[str, Any]]:
        """The stored events of one type of a conversation."""
        found = self.stack.simulator("GET", f"accounts/{self.account}/conversations/{conversation_id}")
        return [event for event in found["events"] if event["type"] == kind]

    def texts(self, conversation_id: str, role: str) -> list[Any]:
        """What one role has said in a conversation, as LivePerson has it."""
        said = [e for e in self.events(conversation_id, "ContentEvent") if e["contentType"] == "text/plain"]
        return [e["text"] for e in said if e["role"] == role]

    def agent(self, conversation_id: str, do: str, **more: Any) -> Any:
        """Let the agent do something."""
        path = f"accounts/{self.account}/conversations/{conversation_id}/agent"
        return self.stack.simulator("POST", path, {"do": do, **more})

    def requests(self, on: str) -> list[dict[str, Any]]:
        """The requests of one kind that reached LivePerson for this account."""
        every = self.stack.simulator("GET", "requests?since=0")["requests"]
        return [entry for entry in every if entry["on"] == on and entry.get("account") == self.account]

    # Our own side

    def rows(self) -> list[dict[str, Any]]:
        """The brand's messages as the database has them, oldest first."""
        script = _ROWS.format(brand=self.told["brand"])
        done = self.stack.manage("shell", "-v", "0", "-c", script)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


_ROWS = """
import json
from conversations.models import Message
rows = Message.objects.filter(brand_id="{brand}").select_related("content", "conversation").order_by("id")
print(json.dumps([{{
    "direction": row.direction, "text": row.content.text, "kind": row.kind, "audience": row.audience,
    "status": row.status, "conversation": row.conversation.lp_conversation_id if row.conversation else None,
    "conversation_state": row.conversation.state if row.conversation else None,
    "files": [bytes(file.sha256).hex() for file in row.files.all()],
    "dispatches": [dispatch.state for dispatch in row.dispatches.all()],
}} for row in rows]))
"""


def onboard_brand(stack: Stack, *, name: str, account: str) -> PlayedBrand:
    """What an operator does to bring a brand onto the site."""
    install = stack.simulator("POST", f"accounts/{account}/installs", {})
    done = stack.manage(
        "onboard", "--brand", name, "--account", account, "--client-id", install["client_id"], "--secret-file", "-",
        "--domain-api", stack.simulator_url, "--channel", "custom",
        "--channel-url", f"{stack.simulator_url}/phones/{name}/inbox",
        input=install["client_secret"],
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert install["client_secret"] not in done.stdout + done.stderr
    stack.simulator("PATCH", f"accounts/{account}/installs/{install['client_id']}", told["manifest"])
    stack.simulator(
        "PUT", f"phones/{name}",
        {"name": name, "brand": name, "account": account, "webhook_url": told["channel_webhook_url"],
         "secret": told["channel_secret"], "consumer": {"id": "+15550100", "name": "Ada Nwosu"}},
    )  # fmt: skip
    return PlayedBrand(stack=stack, name=name, account=account, told=told)
