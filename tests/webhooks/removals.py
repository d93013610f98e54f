"""What tests of retention share: people who have talked, a disk of their own, and a walk at a later time."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.utils import timezone

from conversations.models import Attempt, Dispatch, MediaFile, Message
from conversations.services import retention
from core.actor import Actor
from tests.conversations.servers import Play
from tests.conversations.stand import ADA, Stand
from webhooks.models import Delivery, Event, EventOutcome
from webhooks.retention import walk

EVE = Actor(kind="PERSON", id="7", name="eve")
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 4
BEN = "+15550111"


@pytest.fixture(autouse=True)
def disk_of_its_own(settings: Any, tmp_path: Path) -> None:
    """Files without a row are removed here; those of tests that run beside this one have theirs in another database."""
    files = {**settings.STORAGES["default"], "OPTIONS": {"location": tmp_path}}
    settings.STORAGES = {**settings.STORAGES, "default": files}


def prune(*, days: float) -> dict[str, int]:
    """What a whole walk removes, that many days from now."""
    removed: Counter[str] = Counter()
    for batch in walk(now=lambda: timezone.now() + timedelta(days=days)):
        removed[batch.kind] += batch.count
    return dict(+removed)


def on_disk() -> set[str]:
    found = set()
    for folder in retention.file_folders():
        if default_storage.exists(folder):
            found |= set(default_storage.listdir(folder)[1])
    return found


@pytest.fixture
def talked(stand: Stand) -> Stand:
    """A conversation both ways, with a file each way."""
    stand.phone.files["/photo.png"] = Play(body=PNG, headers={"Content-Type": "image/png"})
    photo = {"url": f"{stand.phone.url}/photo.png", "mime": "image/png", "name": "photo.png"}
    stand.says("My parcel?", id="m-1", name="Ada", profile={"ctype": "gold"}, attachments=[photo])
    stand.settle()
    stand.agent("join")
    stand.agent("say", text="It leaves today.")
    stand.agent("file")
    stand.settle()
    assert MediaFile.objects.count() == 2
    return stand


def facts() -> list[Any]:
    """What has to stay as it is, whatever is removed."""
    messages = Message.objects.values_list("id", "status", "direction", "lp_sequence", "occurred_at", "kind")
    deliveries = Delivery.objects.values_list("id", "state", "received_at", "size", "request_identity")
    attempts = Attempt.objects.values_list("id", "outcome", "http_status", "started_at")
    events = Event.objects.values_list("id", "type", "outcome", "identity", "message_id")
    dispatches = Dispatch.objects.values_list("id", "state", "lp_sequence", "resolution")
    digests = [bytes(one) for one in Delivery.objects.order_by("id").values_list("sha256", flat=True)]
    return [*(list(rows.order_by("id")) for rows in (messages, deliveries, attempts, events, dispatches)), digests]


@pytest.fixture
def two_people(talked: Stand) -> Stand:
    """Ben writes too; of Ada something came twice, once with other words."""
    talked.says("I am Ben", consumer=BEN, id="m-b")
    talked.tell("message.received", {"id": "m-1", "consumer": {"id": ADA}, "text": "changed words"})
    talked.settle()
    assert Event.objects.filter(outcome=EventOutcome.CONFLICT).exists()
    Attempt.objects.update(answer_head="an answer")
    return talked
