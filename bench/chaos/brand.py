"""A brand on the site, onboarded by the command; LivePerson is played by simulator and kit, its app by the kit."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

from bench.chaos.app import Inbox, Relayed
from bench.chaos.ledger import Sent
from bench.chaos.proxy import Proxy
from bench.chaos.signing import channel_headers, liveperson_headers
from bench.chaos.site import Site, as_json, eventually

# What the kit says in LivePerson's name is numbered as if it followed the consumer's first message.
FIRST_SEQUENCE = 1
CONTENT = "ms.MessagingEventNotification.ContentEvent"


@dataclass(kw_only=True)
class Brand:
    """One brand with one custom channel; proxies towards LivePerson and towards its app are its own."""

    name: str
    account: str
    client_id: str
    client_secret: str
    channel_secret: str
    brand_id: str
    installation_id: str
    channel_id: str
    liveperson_url: str
    channel_url: str
    inbox: Inbox
    to_liveperson: Proxy
    to_app: Proxy
    manifest: dict[str, Any]
    conversations: dict[str, str] = field(default_factory=dict)
    """Consumer -> LivePerson's id of the conversation."""
    _sequences: dict[str, int] = field(default_factory=dict)

    def agent_says(self, consumer: str, text: str, *, sequence: int | None = None) -> Sent:
        """A notification of LivePerson as the kit makes it: an agent's text in the consumer's conversation."""
        if sequence is None:
            sequence = self.next_sequence(consumer)
        event = {"type": "ContentEvent", "message": text, "contentType": "text/plain"}
        return self.notification(
            [self.change(consumer, event, sequence=sequence)], key=text, consumer=consumer, sequence=sequence
        )

    def agent_reads(self, consumer: str, *, key: str) -> Sent:
        """A receipt of an agent, for a message that is none of ours."""
        sequence = self.next_sequence(consumer)
        event = {"type": "AcceptStatusEvent", "status": "READ", "sequenceList": [sequence - 1]}
        return self.notification([self.change(consumer, event, sequence=sequence)], key=key, consumer=consumer)

    def change(self, consumer: str, event: dict[str, Any], *, sequence: int) -> dict[str, Any]:
        conversation = self.conversations[consumer]
        return {
            "sequence": sequence,
            "originatorId": "agent-chaos",
            "originatorMetadata": {"id": "agent-chaos", "role": "ASSIGNED_AGENT"},
            "serverTimestamp": int(time.time() * 1000),
            "event": event,
            "conversationId": conversation,
            "dialogId": conversation,
            "messageAudience": "ALL",
        }

    def next_sequence(self, consumer: str) -> int:
        sequence = self._sequences.get(consumer, FIRST_SEQUENCE)
        self._sequences[consumer] = sequence + 1
        return sequence

    def notification(
        self,
        changes: list[Any],
        *,
        key: str,
        consumer: str = "",
        sequence: int | None = None,
        body: bytes | None = None,
    ) -> Sent:
        """Any notification, signed; body: the bytes instead of the changes."""
        if body is None:
            envelope = {"sentTs": int(time.time() * 1000), "changes": changes}
            body = as_json({"kind": "notification", "body": envelope, "type": "ms.MessagingEventNotification"})
        raw = body
        return Sent(
            key=key,
            source="liveperson",
            consumer=consumer,
            url=self.liveperson_url,
            body=raw,
            headers=lambda: liveperson_headers(
                raw, secret=self.client_secret, account=self.account, client_id=self.client_id
            ),
            sequence=sequence,
        )

    def consumer_says(self, consumer: str, text: str) -> Sent:
        """A message of a consumer, as the brand's app sends it."""
        data = {
            "id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self.name}/{text}")),
            "consumer": {"id": consumer},
            "text": text,
        }
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        return self.channel_event(
            {"type": "message.received", "timestamp": stamp, "data": data}, key=text, consumer=consumer
        )

    def channel_event(self, event: Any, *, key: str, consumer: str = "", body: bytes | None = None) -> Sent:
        raw = as_json(event) if body is None else body
        webhook_id = f"chaos-{uuid.uuid5(uuid.NAMESPACE_URL, self.name + key)}"
        return Sent(
            key=key,
            source="channel",
            consumer=consumer,
            url=self.channel_url,
            body=raw,
            headers=lambda: channel_headers(raw, secret=self.channel_secret, webhook_id=webhook_id),
        )

    async def relay_notifications(self, site: Site, event: str) -> None:
        """From now on what the simulator has to tell of this kind comes to the kit, which hands it on as it likes."""
        capabilities = json.loads(json.dumps(self.manifest["capabilities"]))
        capabilities["webhooks"][event]["endpoint"] = f"http://127.0.0.1:{site.apps.port}/relay/{self.name}"
        await site.simulate(
            "PATCH", f"accounts/{self.account}/installs/{self.client_id}", {"capabilities": capabilities}
        )

    def handed_on(self, relayed: Relayed) -> Sent:
        """A notification of the simulator, byte for byte and with its own signature."""
        return Sent(
            key=hashlib.sha256(relayed.body).hexdigest(),
            source="liveperson",
            consumer="",
            url=self.liveperson_url,
            body=relayed.body,
            headers=lambda: relayed.headers,
        )

    async def open_conversations(self, site: Site, consumers: list[str]) -> None:
        """Have each consumer write once, and wait until LivePerson has a conversation with each."""
        items = [self.consumer_says(consumer, f"hello from {consumer}") for consumer in consumers]
        for item in items:
            answer = await site.sender.post(item)
            if answer.status != 200:
                raise RuntimeError(
                    f"The first message of {item.consumer} was answered {answer.status} {answer.body!r}."
                )

        async def all_open() -> bool:
            found = await self.at_liveperson(site)
            self.conversations = {c["consumer"]: c["id"] for c in found if c["texts"]}
            return all(consumer in self.conversations for consumer in consumers)

        # Beside kills of everything an opening may come to its end at the third try only.
        await eventually(all_open, f"the conversations of {self.name}", within_s=180)
        await self.until_quiet(site, within_s=60)

    async def at_liveperson(self, site: Site) -> list[dict[str, Any]]:
        """What LivePerson has: per conversation the consumer and the consumer's texts in LivePerson's order."""
        told = await site.simulate("GET", f"accounts/{self.account}/conversations")
        return [
            {
                "id": one["id"],
                "consumer": one["consumer"]["ext_consumer_id"].partition(":")[2],
                "texts": [
                    event["text"]
                    for event in one["events"]
                    if event["type"] == "ContentEvent" and event["role"] == "CONSUMER"
                ],
            }
            for one in told["conversations"]
        ]

    async def unsettled(self, site: Site) -> str:
        """What the site has still to do for this brand, in words; empty when nothing."""
        found = await site.database.rows(_UNSETTLED, self.brand_id, self.brand_id)
        return ", ".join(f"{row['count']} {row['what']}" for row in found)

    async def until_quiet(self, site: Site, *, within_s: float) -> None:
        deadline = time.monotonic() + within_s
        while left := await self.unsettled(site):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.name} was not quiet within {within_s:.0f} s: {left}.")
            await asyncio.sleep(0.5)


_UNSETTLED = """
    SELECT 'deliveries' AS what, count(*) FROM webhooks_delivery WHERE brand_id = %s AND state = 'STORED'
    HAVING count(*) > 0
    UNION ALL
    SELECT lower(concat_ws(' ', dispatch.state, dispatch.kind, lane.direction, dispatch.error_code)), count(*)
    FROM conversations_dispatch dispatch JOIN conversations_lane lane ON lane.id = dispatch.lane_id
    WHERE dispatch.brand_id = %s AND dispatch.state IN ('QUEUED', 'SENDING', 'UNKNOWN') GROUP BY 1
"""


async def make_brand(site: Site, *, name: str, account: str) -> Brand:
    """What an operator does to bring a brand onto the site."""
    to_liveperson = await site.proxy_to_simulator(f"{name}-to-liveperson")
    to_app = await site.proxy_to_apps(f"{name}-to-app")
    install = await site.simulate("POST", f"accounts/{account}/installs", {})
    told = await _onboard(site, name, account, install, to_liveperson, to_app)
    await site.simulate("PATCH", f"accounts/{account}/installs/{install['client_id']}", told["manifest"])
    inbox = site.apps.inboxes[name] = Inbox(secret=told["channel_secret"])
    return Brand(
        name=name,
        account=account,
        client_id=install["client_id"],
        client_secret=install["client_secret"],
        channel_secret=told["channel_secret"],
        brand_id=told["brand"],
        installation_id=told["installation"],
        channel_id=told["channel"],
        liveperson_url=told["liveperson_webhook_url"],
        channel_url=told["channel_webhook_url"],
        inbox=inbox,
        to_liveperson=to_liveperson,
        to_app=to_app,
        manifest=told["manifest"],
    )


async def _onboard(
    site: Site, name: str, account: str, install: dict[str, str], to_liveperson: Proxy, to_app: Proxy
) -> dict[str, Any]:
    out = await site.manage(
        "onboard", "--brand", name, "--account", account, "--client-id", install["client_id"], "--secret-file", "-",
        "--domain-api", f"http://127.0.0.1:{to_liveperson.port}", "--channel", "custom",
        "--channel-url", f"http://127.0.0.1:{to_app.port}/{name}/",
        stdin=install["client_secret"],
    )  # fmt: skip
    told: dict[str, Any] = json.loads(out)
    return told


async def make_brands(site: Site, names: list[str]) -> dict[str, Brand]:
    """Several, two at a time."""
    gate = asyncio.Semaphore(2)

    async def make(number: int, name: str) -> Brand:
        async with gate:
            return await make_brand(site, name=name, account=f"920000{number:02d}")

    made = await asyncio.gather(*(make(number, name) for number, name in enumerate(names)))
    return {brand.name: brand for brand in made}
