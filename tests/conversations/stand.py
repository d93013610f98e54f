"""
A test stand: one brand's connector with real parts on both sides.

LivePerson is the simulator, in a process of its own. Its signed notifications arrive at a small server here and wait
until the test delivers them to the site's door, so that a test decides what outruns what. The channel is another small
server. Sending is the real drain, called in the test.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db import connection
from django.test import Client
from django.utils import timezone
from standardwebhooks import Webhook

from conversations.models import Consumer, Conversation, Dispatch, Message
from core.actor import COMMAND
from core.ids import new_id
from installations.connectors import forget_connectors
from installations.models import AppInstallation, Channel
from installations.onboarding import Onboarded, Wanted, onboard
from tests.conversations import notifications
from tests.conversations.servers import Got, Server
from tests.simulator.client import Simulator, manifest
from webhooks import services
from webhooks.sources import forget_sources

ADA = "+15550100"
# One for all: each of them would look through all static files before its first request.
CLIENT = Client()


@dataclass
class Door:
    """A connector as its two senders know it: the URLs, the secrets, and how each of them signs."""

    onboarded: Onboarded
    client_secret: str
    channel_secret: str
    client: Client = CLIENT

    @property
    def liveperson_path(self) -> str:
        return f"/webhooks/liveperson/{self.onboarded.installation.pk}/"

    @property
    def channel_path(self) -> str:
        return f"/webhooks/channels/{self.onboarded.channel.pk}/"

    def notify(self, *changes: dict[str, Any], type: str = notifications.MESSAGING) -> Any:
        """Post a notification with these changes, signed."""
        return self.notify_raw(notifications.notification(*changes, type=type))

    def notify_state(self, *changes: dict[str, Any]) -> Any:
        return self.notify(*changes, type=notifications.CONVERSATION)

    def notify_raw(self, body: bytes, **headers: str) -> Any:
        signature = notifications.sign(body, self.client_secret)
        headers = {"x-liveperson-signature": signature, **headers}
        return self._post(self.liveperson_path, body, headers)

    def signed(
        self, body: bytes, *, webhook_id: str = "", at: datetime | None = None, secret: str = ""
    ) -> dict[str, str]:
        webhook_id = webhook_id or f"msg_{uuid.uuid4().hex}"
        at = at or timezone.now()
        signature = Webhook(secret or self.channel_secret).sign(msg_id=webhook_id, timestamp=at, data=body.decode())
        return {
            "webhook-id": webhook_id,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": signature,
        }

    def tell(self, type: str, data: dict[str, Any], *, webhook_id: str = "") -> Any:
        """Post an event of the channel, signed."""
        at = datetime.now(UTC).isoformat()
        return self.tell_raw(json.dumps({"type": type, "timestamp": at, "data": data}).encode(), webhook_id=webhook_id)

    def tell_raw(self, body: bytes, *, webhook_id: str = "", **headers: str) -> Any:
        return self._post(self.channel_path, body, {**self.signed(body, webhook_id=webhook_id), **headers})

    def _post(self, path: str, body: bytes, headers: dict[str, str]) -> Any:
        answer = self.client.post(path, body, content_type="application/json", headers=headers)
        if connection.in_atomic_block:
            # In a test that is one transaction the acknowledgement's short patience would outlive it.
            with connection.cursor() as cursor:
                cursor.execute("SET LOCAL statement_timeout TO DEFAULT")
        return answer

    def says(
        self, text: str, *, consumer: str = ADA, id: str = "", attachments: list[Any] | None = None, **who: Any
    ) -> Any:
        """A consumer writes on the channel."""
        data: dict[str, Any] = {"id": id or uuid.uuid4().hex, "consumer": {"id": consumer, **who}, "text": text}
        if attachments:
            data["attachments"] = attachments
        answer = self.tell("message.received", data)
        assert answer.status_code == 200, answer.content
        return answer

    @property
    def installation(self) -> AppInstallation:
        return AppInstallation.objects.get(pk=self.onboarded.installation.pk)

    @property
    def channel(self) -> Channel:
        return Channel.objects.get(pk=self.onboarded.channel.pk)


def make_door(
    *,
    brand: str = "acme",
    account: str = "12345678",
    client_id: str = "",
    client_secret: str = "",
    domain_api: str = "http://127.0.0.1:9",
    channel_url: str = "http://127.0.0.1:9/agent",
    channel_name: str = "",
) -> Door:
    """Onboard a connector. By default nobody listens at either of its other ends."""
    client_secret = client_secret or f"client-secret-{uuid.uuid4().hex}"
    done = onboard(
        Wanted(
            brand=brand,
            lp_account_id=account,
            client_id=client_id or str(uuid.uuid4()),
            client_secret=client_secret,
            domain_api=domain_api,
            channel_url=channel_url,
            channel_name=channel_name,
        ),
        actor=COMMAND,
    )
    forget_caches()
    return Door(done, client_secret, done.new_channel_secret)


def forget_caches() -> None:
    """What the process remembers for a few seconds, so that a change shows at once."""
    forget_sources()
    forget_connectors()


class Stand(Door):
    """A door with LivePerson's simulator and a channel's server behind it."""

    def __init__(
        self, simulator: Simulator, *, account: str, phone: Server, liveperson_calls: Server, brand: str = "acme"
    ) -> None:
        """phone: the channel's server. liveperson_calls: where LivePerson's notifications wait to be delivered."""
        self.simulator = simulator
        self.account = account
        self.phone = phone
        self.liveperson_calls = liveperson_calls
        self._delivered = 0
        credentials = simulator.install(account, manifest(self.liveperson_calls.url + "/hook"))
        door = make_door(
            brand=brand,
            account=account,
            client_id=credentials["client_id"],
            client_secret=credentials["client_secret"],
            domain_api=simulator.url,
            channel_url=self.phone.url + "/agent",
        )
        super().__init__(door.onboarded, door.client_secret, door.channel_secret)

    # --- the site works

    def work(self, *, deadline_s: float = 20.0) -> None:
        """What a worker does when a doorbell rings; it ends as soon as nothing is left."""
        services.work(deadline_s=deadline_s)

    def settle(self, *, rounds: int = 8) -> None:
        """Work and deliver notifications until neither side has anything left to say."""
        for _ in range(rounds):
            self.work()
            if not self.deliver():
                return
        self.work()

    def pending(self) -> list[Got]:
        """Notifications that have arrived and were not delivered yet. Waits until LivePerson has sent what it will."""
        self.simulator.settled()
        return self.liveperson_calls.got[self._delivered :]

    def deliver(self, chosen: Callable[[Got], bool] = lambda _: True) -> int:
        """Hand the notifications that wait to the door, byte for byte; what is not chosen is lost."""
        waiting = self.pending()
        self._delivered += len(waiting)
        for got in waiting:
            if chosen(got):
                assert self.hand_over(got).status_code == 200
        return len(waiting)

    def hand_over(self, got: Got) -> Any:
        """One notification as it came, with its own signature."""
        headers = {name: value for name, value in got.headers.items() if name.startswith("x-liveperson")}
        return self.client.post(self.liveperson_path, got.body, content_type="application/json", headers=headers)

    def deliver_at_once(self) -> None:
        """From now on each notification is handed over while LivePerson waits for the answer."""

        def hand_over() -> None:
            got = self.liveperson_calls.got[-1]
            self._delivered += 1
            try:
                self.hand_over(got)
            finally:
                connection.close()  # this is a thread of its own

        self.liveperson_calls.default.before = hand_over

    def pass_time(self, seconds: float) -> None:
        """Everything that waits for a time has waited that much longer."""
        with connection.cursor() as cursor:
            for table, columns in _CLOCKS.items():
                moved = ", ".join(f"{column} = {column} - make_interval(secs => %s)" for column in columns)
                cursor.execute(f"UPDATE {table} SET {moved}", [seconds] * len(columns))

    # --- the other ends

    def agent(self, do: str, *, conversation: str = "", **members: Any) -> Any:
        path = f"accounts/{self.account}/conversations/{conversation or self.lp_conversation_id}/agent"
        return self.simulator.control("POST", path, {"do": do, **members})

    def faults(self, *rules: dict[str, Any]) -> None:
        self.simulator.control("PUT", "faults", [{"account": self.account, **rule} for rule in rules])

    @contextlib.contextmanager
    def answers_held(self, on: str) -> Iterator[None]:
        """One of LivePerson's services hears everything and answers nothing: how fast anybody is decides nothing."""
        self.faults({"on": on, "do": "hold"})
        try:
            yield
        finally:
            self.faults()

    def at_liveperson(self) -> list[dict[str, Any]]:
        """The account's conversations, oldest first."""
        return self.simulator.control("GET", f"accounts/{self.account}/conversations")["conversations"]

    @property
    def lp_conversation_id(self) -> str:
        return self.at_liveperson()[-1]["id"]

    def conversation_of(self, consumer: str) -> dict[str, Any]:
        """The newest conversation of a consumer, as LivePerson has it."""
        ext_id = f"custom:{consumer}"
        return [one for one in self.at_liveperson() if one["consumer"]["ext_consumer_id"] == ext_id][-1]

    def heard(self, conversation: int = -1, *, consumer: str = "") -> list[str]:
        """What the consumer has said in a conversation, as LivePerson has it."""
        found = self.conversation_of(consumer) if consumer else self.at_liveperson()[conversation]
        events = found["events"]
        return [one["text"] for one in events if one["role"] == "CONSUMER" and one["type"] == "ContentEvent"]

    def requests(self, on: str) -> list[dict[str, Any]]:
        """What reached one of LivePerson's services for this account."""
        found = self.simulator.control("GET", "requests")["requests"]
        return [one for one in found if one["on"] == on and one["account"] == self.account]

    def simulator_waits_for(self, on: str, *, count: int = 1) -> None:
        """Wait until that many requests have reached one of LivePerson's services, answered or not."""
        deadline = time.monotonic() + 30
        while len(self.requests(on)) < count:
            assert time.monotonic() < deadline, f"no request reached {on}"
            time.sleep(0.02)

    def received(self, type: str = "message.created") -> list[dict[str, Any]]:
        """The data of what the channel was sent, of one type."""
        return [one.json["data"] for one in self.phone.got if one.json["type"] == type]


_CLOCKS = {
    "conversations_dispatch": ("next_attempt_at", "expires_at", "unknown_at"),
    "conversations_attempt": ("started_at",),
    "conversations_lane": ("due_at", "leased_until"),
    "installations_upstream": ("failed_at", "opened_at", "probe_at", "held_until"),
    "installations_apptoken": ("not_before", "renewing_until", "expires_at"),
    "webhooks_event": ("at",),
    "webhooks_inbox": ("leased_until",),
}


def in_thread(act: Callable[[], Any]) -> threading.Thread:
    """Run something beside the test, with a database connection of its own."""

    def run() -> None:
        try:
            act()
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def only_message() -> Message:
    return Message.objects.get()


def only_conversation() -> Conversation:
    return Conversation.objects.get()


def only_consumer() -> Consumer:
    return Consumer.objects.get()


def dispatches(**facts: Any) -> list[Dispatch]:
    """In the order of their lanes."""
    return list(Dispatch.objects.filter(**facts).order_by("lane_id", "position"))


def known_conversation(door: Door, *, consumer: str = ADA, lp_id: str = "", lp_consumer_id: str = "") -> Conversation:
    """A conversation that is open on both sides, made without LivePerson: for what only arrives."""
    from conversations import life
    from core.vault import search_hash

    channel = door.channel
    person, _ = Consumer.objects.get_or_create(
        account_id=channel.account_id,
        ext_consumer_id=f"{channel.prefix}:{consumer}",
        defaults={
            "brand_id": channel.brand_id,
            "channel": channel,
            "channel_consumer_id": consumer,
            "search_hash": search_hash(consumer),
            "lp_consumer_id": lp_consumer_id or f"lp-{consumer}",
        },
    )
    return life.conversation_opened(
        consumer=person, channel=channel, lp_conversation_id=lp_id or str(new_id()), opened_at=timezone.now()
    )
