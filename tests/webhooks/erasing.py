"""What tests of erasure share: two people of whom there is everything, and a look into every cell and file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, transaction

from audit import api as audit
from conversations.models import (
    Attempt,
    Consumer,
    ConsumerToken,
    Conversation,
    Dispatch,
    Erasure,
    Message,
    MessageContent,
)
from conversations.services.erasure import erase_consumer
from core.actor import Actor
from core.vault import search_hash
from tests.conversations.notifications import event, said, typed
from tests.conversations.servers import Play
from tests.conversations.stand import Stand
from webhooks import erasure

EVE = Actor(kind="PERSON", id="7", name="eve")
ADA, BEN = "+15550177", "+15550188"
NAME = "Adelheid Canaryname"
WORDS = "CANARYWORDS of hers"
ANSWER = "CANARYANSWER to her"
CHOICES = {
    "type": "quickReplies",
    "itemsPerRow": 8,
    "replies": [{"type": "button", "title": "Yes", "click": {"actions": [{"type": "publishText", "text": "CANARYYES"}],
                 "metadata": [{"type": "ExternalId", "id": "canary-yes"}]}}],
}  # fmt: skip
PNG = b"\x89PNG\r\n\x1a\nCANARYPIXELS" + bytes(range(256))


@pytest.fixture(autouse=True)
def disk_of_its_own(settings: Any, tmp_path: Path) -> None:
    """Whatever stands there is this test's."""
    files = {**settings.STORAGES["default"], "OPTIONS": {"location": tmp_path}}
    settings.STORAGES = {**settings.STORAGES, "default": files}


def cells() -> Iterator[tuple[str, str]]:
    """Every cell of every table, as text: bytes as letters, JSON without escapes."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        for (table,) in cursor.fetchall():
            cursor.execute(f'SELECT * FROM "{table}"')
            names = [column.name for column in cursor.description]
            for row in cursor.fetchall():
                for name, value in zip(names, row, strict=True):
                    if isinstance(value, (bytes, memoryview)):
                        value = bytes(value).decode("utf-8", "backslashreplace")
                    yield f"{table}.{name}", str(value)


def found(*canaries: str) -> set[str]:
    """Where in the database one of them stands, whatever its case."""
    return {place for place, text in cells() for canary in canaries if canary.casefold() in text.casefold()}


def on_disk(canary: bytes, folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and canary in path.read_bytes()]


def ada() -> Consumer:
    return Consumer.objects.get(search_hash=search_hash(ADA), erased_at=None)


def erase(consumer: Consumer, *, reason: str = "asked for it by letter") -> Erasure:
    erase_consumer(consumer_id=consumer.pk, actor=EVE, reason=reason)
    erasure.finish()
    return Erasure.objects.get(pk=consumer.pk)


@pytest.fixture
def talked(stand: Stand) -> Stand:
    """Two people, both talk; of Ada there is everything that there can be, in every place that it can stand in."""
    photo = {"url": f"{stand.phone.url}/canaryphoto.png", "mime": "image/png", "name": "canaryphoto.png"}
    stand.phone.files["/canaryphoto.png"] = Play(body=PNG, headers={"Content-Type": "image/png"})
    stand.says("I am Ben", consumer=BEN, name="Ben", id="m-ben")
    stand.settle()
    stand.agent("join")
    stand.agent("say", text="Good morning, Ben")
    stand.settle()
    stand.says(WORDS, consumer=ADA, name=NAME, profile={"ctype": "canarygold"}, attachments=[photo], id=f"m-{ADA}-1")
    stand.settle()
    stand.agent("join")
    stand.agent("say", text=ANSWER, quickReplies=CHOICES)
    stand.agent("file")
    stand.settle()
    offered = next(one["quick_replies"][0] for one in stand.received() if one["quick_replies"])
    stand.tell("typing.started", {"consumer": {"id": ADA}}, webhook_id=f"msg_{ADA}_typing")
    stand.tell("quick_reply.chosen", {"id": "q-1", "consumer": {"id": ADA, "name": NAME}, "choice": offered["id"]})
    stand.tell("message.received", {"id": f"m-{ADA}-1", "consumer": {"id": ADA}, "text": "CANARYCONFLICT"})
    stand.settle()
    sent = Dispatch.objects.filter(lane__direction="TO_CHANNEL", message__content__text=ANSWER).get()
    stand.tell("message.status", {"id": str(sent.pk), "status": "read", "reason": f"{ADA} has read it"})
    stand.settle()
    return stand


@pytest.fixture
def ended(talked: Stand) -> Stand:
    """The same, closed, with what goes wrong; and a notification that speaks of both."""
    of_ada, of_ben = talked.conversation_of(ADA)["id"], talked.conversation_of(BEN)["id"]
    talked.notify(said(of_ben, 801, "Ben only"), said(of_ada, 801, "CANARYTOGETHER"), said(of_ben, 802, "Ben again"))
    talked.notify(typed(of_ada, "COMPOSING", role="CONSUMER", who=ada().lp_consumer_id))
    talked.notify(event(of_ada, 803, {"type": "ContentEvent", "message": {"canarykey": ADA}}))
    talked.notify_raw(b'{"broken": "' + ADA.encode() + b" CANARYQUARANTINE")
    talked.tell_raw(json.dumps({"type": "message.received", "data": {"consumer": {"id": ADA}, "id": 7}}).encode())
    talked.work()
    talked.phone.default.status, talked.phone.default.body = 400, f"cannot reach {ADA}".encode()
    talked.notify(said(of_ada, 804, "CANARYREJECTED"))
    talked.work()
    talked.phone.default.status = 200
    talked.agent("close", conversation=of_ada)
    talked.settle()
    Attempt.objects.filter(dispatch__message__content__text="CANARYREJECTED").update(answer_head=f"canary {ADA}")
    rejected = Dispatch.objects.get(message__content__text="CANARYREJECTED")
    with transaction.atomic():
        audit.record("dispatch.resent", actor=EVE, subject=rejected, reason=f"{NAME} ({ADA}) has called")
    return talked


def canaries(consumer: Consumer) -> tuple[str, ...]:
    return (ADA, ADA.removeprefix("+"), "canary", consumer.lp_consumer_id)


def bens_rows() -> list[Any]:
    ben = Consumer.objects.get(channel_consumer_id=BEN)
    return [
        list(Consumer.objects.filter(pk=ben.pk).values()),
        list(Message.objects.filter(consumer=ben).order_by("id").values()),
        list(MessageContent.objects.filter(message__consumer=ben).order_by("pk").values()),
        list(Conversation.objects.filter(consumer=ben).order_by("pk").values()),
        list(Dispatch.objects.filter(lane__consumer=ben).order_by("id").values()),
        list(Attempt.objects.filter(dispatch__lane__consumer=ben).order_by("id").values()),
        ConsumerToken.objects.filter(consumer=ben).count(),
    ]
