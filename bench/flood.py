"""
LivePerson recovers: all the notifications it kept for days arrive at once.

They are stored beforehand, as the acknowledgement would have, and then drained while new ones keep arriving and new
consumers write. What counts: how fast the backlog goes, that senders get their answers meanwhile, and that somebody
new is not kept waiting by it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import random
import statistics
import threading
import time
from collections.abc import Iterator
from typing import Any

import requests

from bench.brand import BenchBrand, make_brand, open_conversations
from bench.report import Figure
from bench.site import Site, as_json, say

COUNT = 20_000
LONG_COUNT = 100_000  # with LONG=1
CONVERSATIONS = 200
# Of what these say; far above the simulator's own, which knows nothing of them.
FIRST_SEQUENCE = 1_000
ARRIVALS_EVERY_S = 0.05
NEWCOMERS_EVERY_S = 5.0
TARGET_PER_S = 100_000 / 600

_START_MS = int(time.time() * 1000)
_AGENT, _CONSUMER = ("agent-77", "ASSIGNED_AGENT"), ("consumer", "CONSUMER")


def measure(site: Site) -> list[Figure]:
    count = LONG_COUNT if os.environ.get("LONG") == "1" else COUNT
    brand = make_brand(site, name="bench-flood", account="91000003")
    open_conversations(site, brand, count=CONVERSATIONS)
    site.simulator("PATCH", f"accounts/{brand.account}", {"echo": False})
    lp_ids = _lp_ids(brand)
    say(f"  storing {count} notifications")
    bodies = list(notifications(lp_ids, count=count))
    know_sends(brand, bodies)
    store(brand, bodies)
    beside = _Beside(site, brand, lp_ids)
    started = time.perf_counter()
    with beside:
        _ring()
        applied_s = _wait_until_applied(brand, started)
        sent_s = _wait_until_sent(brand, started)
    say(f"  applied in {applied_s:.0f} s, sent in {sent_s:.0f} s; {len(beside.newcomers)} newcomers")
    _expect_order(brand)
    rate, acks = count / sent_s, sorted(beside.acks_ms)
    p99 = acks[int(len(acks) * 0.99)]
    slowest = max(beside.newcomers, default=0.0)
    return [
        Figure(
            figure="flood, stored notifications drained", value=rate, unit="/s", target=f">= {TARGET_PER_S:.0f}",
            against=f"applied {count / applied_s:.0f}/s", gate=True, met=rate >= TARGET_PER_S,
        ),
        Figure(
            figure="flood, acknowledgement meanwhile, p99", value=p99, unit="ms", target="< 250",
            against=f"p50 {statistics.median(acks):.0f} ms of {len(acks)}", gate=True, met=p99 < 250,
        ),
        Figure(
            figure="flood, a new consumer's first send, slowest", value=slowest * 1000, unit="ms", target="< 5000",
            against=f"{len(beside.newcomers)} new consumers", gate=True, met=0 < slowest < 5,
        ),
    ]  # fmt: skip


# --- what arrives ----------------------------------------------------------------------------------------------------


def notifications(lp_ids: list[str], *, count: int) -> Iterator[bytes]:
    """
    Bodies as they come when the site was away: the order kept within each conversation, conversations mixed.

    Of ten, nine are of conversations of ours: an agent's words, the consumer's own coming back, receipts, typing, and
    now and then the state of the whole. One is of another connector's conversation.
    """
    chance = random.Random(7)
    sequences = dict.fromkeys(lp_ids, FIRST_SEQUENCE)
    for number in range(count):
        which, kind = chance.choice(lp_ids), chance.random()
        if kind < 0.1:
            yield _said(f"foreign-{number}", 1, _AGENT, "Not for you")
        elif kind < 0.3:
            yield _said(which, _next(sequences, which), _AGENT, f"Agent's answer {number}: it leaves today.")
        elif kind < 0.5:
            yield _said(which, _next(sequences, which), _CONSUMER, f"Where is my parcel {number}?")
        elif kind < 0.75:
            yield _receipt(which, _next(sequences, which), chance.choice(("ACCEPT", "READ")))
        elif kind < 0.95:
            yield _typed(which, chance.choice(("COMPOSING", "PAUSE")))
        else:
            yield _changed(which, _START_MS + number)


def _next(sequences: dict[str, int], which: str) -> int:
    sequences[which] += 1
    return sequences[which] - 1


def _event(lp_conversation_id: str, who: tuple[str, str], event: dict[str, Any], **more: Any) -> bytes:
    change = {
        "originatorId": who[0],
        "originatorMetadata": {"id": who[0], "role": who[1]},
        "event": event,
        "conversationId": lp_conversation_id,
        "dialogId": lp_conversation_id,
        **more,
    }
    return _notification("ms.MessagingEventNotification", change)


def _said(lp_conversation_id: str, sequence: int, who: tuple[str, str], text: str) -> bytes:
    event = {"type": "ContentEvent", "contentType": "text/plain", "message": text}
    return _event(lp_conversation_id, who, event, sequence=sequence, serverTimestamp=_START_MS + sequence)


def _receipt(lp_conversation_id: str, sequence: int, status: str) -> bytes:
    event = {"type": "AcceptStatusEvent", "status": status, "sequenceList": [max(0, sequence - 1)]}
    return _event(lp_conversation_id, _AGENT, event, sequence=sequence, serverTimestamp=_START_MS + sequence)


def _typed(lp_conversation_id: str, state: str) -> bytes:
    return _event(lp_conversation_id, _AGENT, {"type": "ChatStateEvent", "chatState": state})


def _changed(lp_conversation_id: str, at_ms: int) -> bytes:
    details = {
        "participants": [{"id": "consumer", "role": "CONSUMER"}, {"id": _AGENT[0], "role": _AGENT[1]}],
        "dialogs": [
            {"dialogId": lp_conversation_id, "dialogType": "MAIN", "channelType": "MESSAGING", "state": "OPEN"}
        ],
        "state": "OPEN",
        "stage": "OPEN",
        "startTs": _START_MS,
        "metaDataLastUpdateTs": at_ms,
        "skillId": "-1",
    }
    result = {"convId": lp_conversation_id, "conversationDetails": details}
    return _notification("cqm.ExConversationChangeNotification", {"type": "UPSERT", "result": result})


def _notification(type: str, change: dict[str, Any]) -> bytes:
    return as_json({"kind": "notification", "body": {"changes": [change]}, "type": type})


# --- rows ------------------------------------------------------------------------------------------------------------


def _lp_ids(brand: BenchBrand) -> list[str]:
    from conversations.models import Conversation

    return list(Conversation.objects.filter(channel=brand.channel).values_list("lp_conversation_id", flat=True))


def know_sends(brand: BenchBrand, bodies: list[bytes]) -> None:
    """What the consumers said was sent before LivePerson fell silent; now it comes back."""
    from django.utils import timezone

    from conversations.models import Conversation, Dispatch, Lane, Message

    known = {one.lp_conversation_id: one for one in Conversation.objects.filter(channel=brand.channel)}
    common = {"brand_id": brand.channel.brand_id}
    lanes = {one.consumer_id: one for one in Lane.objects.filter(direction="TO_LIVEPERSON", **common)}
    # Before all that these lanes have held and will hold.
    first = 1 - len(bodies)
    now, messages, sends = timezone.now(), [], []
    for number, body in enumerate(bodies):
        change = json.loads(body)["body"]["changes"][0]
        if change.get("originatorMetadata", {}).get("role") != "CONSUMER":
            continue
        conversation = known[change["conversationId"]]
        message = Message(
            consumer_id=conversation.consumer_id,
            conversation=conversation,
            channel=brand.channel,
            occurred_at=now,
            direction="TO_LIVEPERSON",
            sender_role="CONSUMER",
            status="SENT",
            channel_message_id=f"flood-{number}",
            lp_dialog_id=conversation.lp_conversation_id,
            lp_sequence=change["sequence"],
            **common,
        )
        messages.append(message)
        sends.append(
            Dispatch(
                lane=lanes[conversation.consumer_id], position=first + number, kind="TEXT", state="SENT",
                message=message, conversation=conversation, lp_dialog_id=conversation.lp_conversation_id,
                lp_sequence=change["sequence"], resolution="policy", finished_at=now, **common,
            )
        )  # fmt: skip
    Message.objects.bulk_create(messages, batch_size=2000)
    Dispatch.objects.bulk_create(sends, batch_size=2000)


def store(brand: BenchBrand, bodies: list[bytes]) -> None:
    """Deliveries as the acknowledgement leaves them, in one transaction and without a doorbell."""
    from datetime import timedelta

    from django.db import connection, transaction
    from django.utils import timezone

    from core.ids import new_id
    from webhooks.models import Inbox

    installation = brand.channel.installation
    secret_id = installation.secrets.get().pk
    Inbox.objects.get_or_create(pk=installation.pk, defaults={"brand_id": installation.brand_id})
    now = timezone.now()
    expires_on = (now + timedelta(days=90)).date()
    with transaction.atomic(), connection.cursor() as cursor:
        ids = []
        with cursor.copy(
            "COPY webhooks_delivery (id, brand_id, inbox_id, installation_id, state, received_at, secret_id, sha256,"
            " size, request_identity, start_count, detail) FROM STDIN"
        ) as copy:
            for body in bodies:
                ids.append(new_id())
                copy.write_row(
                    (ids[-1], installation.brand_id, installation.pk, installation.pk, "STORED", now, secret_id,
                     hashlib.sha256(body).digest(), len(body), "", 0, "")
                )  # fmt: skip
        with cursor.copy("COPY webhooks_deliverybody (delivery_id, raw, headers, expires_on) FROM STDIN") as copy:
            for delivery_id, body in zip(ids, bodies, strict=True):
                copy.write_row((delivery_id, body, "{}", expires_on))
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE webhooks_delivery; ANALYZE webhooks_deliverybody")


def _ring() -> None:
    from django.db import transaction

    from core import queue

    with transaction.atomic():
        queue.ring()


def _wait_until_applied(brand: BenchBrand, started: float) -> float:
    from webhooks.models import Delivery

    last = Delivery.objects.filter(inbox_id=brand.channel.installation_id).latest("id").pk
    mine = Delivery.objects.filter(inbox_id=brand.channel.installation_id, pk__lte=last)
    told_at = time.perf_counter()
    while left := mine.filter(state="STORED").count():
        if time.perf_counter() - told_at > 10:
            told_at = time.perf_counter()
            say(f"    {left} wait")
        time.sleep(0.5)
    unapplied = mine.exclude(state="PROCESSED").count()
    if unapplied:
        raise SystemExit(f"{unapplied} notifications were not applied.")
    return time.perf_counter() - started


def _wait_until_sent(brand: BenchBrand, started: float) -> float:
    from conversations.models import Dispatch

    mine = Dispatch.objects.filter(brand=brand.channel.brand)
    while mine.filter(state__in=("QUEUED", "SENDING", "UNKNOWN")).exists():
        time.sleep(0.5)
    bad = mine.exclude(state__in=("SENT", "DROPPED")).count()
    if bad:
        raise SystemExit(f"{bad} of what the notifications brought was not sent.")
    return time.perf_counter() - started


def _expect_order(brand: BenchBrand) -> None:
    """Every answer of an agent made one message, and each conversation's were sent in their order."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT count(*) FROM (
                SELECT message.lp_sequence,
                       lag(message.lp_sequence) OVER (PARTITION BY lane_id ORDER BY dispatch.position) AS before
                FROM conversations_dispatch dispatch JOIN conversations_message message ON message.id = message_id
                WHERE dispatch.brand_id = %s AND message.direction = 'TO_CHANNEL'
            ) sent WHERE before >= lp_sequence
            """,
            [brand.channel.brand_id],
        )
        (turned,) = cursor.fetchone()
    if turned:
        raise SystemExit(f"{turned} messages were sent out of order.")


# --- meanwhile -------------------------------------------------------------------------------------------------------


class _Beside:
    """What goes on while the backlog is drained: more notifications, and consumers who write for the first time."""

    def __init__(self, site: Site, brand: BenchBrand, lp_ids: list[str]) -> None:
        self._site, self._brand, self._lp_ids = site, brand, lp_ids
        self._over = threading.Event()
        self._threads = [threading.Thread(target=act) for act in (self._notify, self._arrive)]
        self.acks_ms: list[float] = []
        self.newcomers: list[float] = []

    def __enter__(self) -> None:
        for thread in self._threads:
            thread.start()

    def __exit__(self, *_: Any) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _notify(self) -> None:
        installation = self._brand.channel.installation
        secret = installation.secrets.get().reveal()
        url = f"{self._site.url}/webhooks/liveperson/{installation.pk}/"
        session, number, due = requests.Session(), 0, time.perf_counter()
        while not self._over.is_set():
            number, due = number + 1, due + ARRIVALS_EVERY_S
            body = _typed(self._lp_ids[number % len(self._lp_ids)], "COMPOSING")
            signature = base64.b64encode(hmac.new(secret, body, hashlib.sha1).digest()).decode()
            answer = session.post(url, body, headers={"x-liveperson-signature": f"sha1={signature}"}, timeout=10)
            if answer.status_code != 200:
                raise SystemExit(f"A notification was answered {answer.status_code}.")
            # From when it was due: a slow answer must not hide that the next one came late.
            self.acks_ms.append((time.perf_counter() - due) * 1000)
            time.sleep(max(0.0, due + ARRIVALS_EVERY_S - time.perf_counter()))

    def _arrive(self) -> None:
        from django.db import connection

        from conversations.models import Dispatch

        number = 0
        while not self._over.wait(NEWCOMERS_EVERY_S):
            number += 1
            who = {"id": f"new-{number}", "name": "New"}
            self._site.simulator("POST", f"phones/{self._brand.phone}/say", {"consumer": who, "text": "anybody there?"})
            started = time.perf_counter()
            mine = Dispatch.objects.filter(
                consumer__channel_consumer_id=who["id"], kind="TEXT", brand=self._brand.channel.brand
            )
            while not mine.filter(state="SENT").exists() and time.perf_counter() - started < 30:
                time.sleep(0.05)
            self.newcomers.append(time.perf_counter() - started)
        connection.close()
