"""Rows of one consumer as JSON members, batch by batch, each a statement or two of its own."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from typing import Any

from django.core.files.storage import default_storage
from django.db.models import Model, Prefetch, QuerySet

from audit.models import AuditEntry
from conversations.media import storage_path
from conversations.models import Attempt, Consumer, Conversation, Dispatch, MediaFile, Message
from conversations.services.erasure import traces_of
from core.errors import BodyUnusable
from core.wire import read_json
from webhooks.dividing import part_of
from webhooks.models import Delivery, DeliveryBody, Event
from webhooks.tracing import Needles

BATCH = 100
# Digests and keys tell nobody anything; a token would be a key in somebody's hands. Who works here is not theirs.
_NEVER = frozenset({"search_hash", "sealed", "content_digest", "sha256", "held_by", "blocked_by"})


def facts_of(row: Model) -> dict[str, Any]:
    """Every column of a row but digests, keys and the names of people who work here."""
    return {one.attname: getattr(row, one.attname) for one in row._meta.concrete_fields if one.attname not in _NEVER}


def as_json(value: Any) -> str:
    return json.dumps(value, default=_plain)


def _plain(value: Any) -> Any:
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    return bytes(value).hex() if isinstance(value, (bytes, memoryview)) else str(value)


def conversations_of(consumer: Consumer) -> Iterator[str]:
    rows = Conversation.objects.filter(consumer=consumer).prefetch_related("dialogs")
    for page in _pages(rows):
        for row in page:
            yield as_json({**facts_of(row), "dialogs": [facts_of(dialog) for dialog in row.dialogs.all()]})


def messages_of(consumer: Consumer) -> Iterator[str]:
    """Each message with its words, its files, and everything that was sent for it."""
    tries = Prefetch("attempts", queryset=Attempt.objects.order_by("id"))
    sends = Prefetch("dispatches", queryset=Dispatch.objects.order_by("id").prefetch_related(tries))
    rows = Message.objects.filter(consumer=consumer).select_related("content").prefetch_related("files", sends)
    for page in _pages(rows):
        for row in page:
            content = getattr(row, "content", None)
            told = {
                **facts_of(row),
                "content": facts_of(content) if content else None,
                "files": [facts_of(file) for file in row.files.all()],
                "sends": [_send(dispatch) for dispatch in row.dispatches.all()],
            }
            yield as_json(told)


def other_sends_of(consumer: Consumer) -> Iterator[str]:
    """Openings, receipts, typing, profiles and closings."""
    tries = Prefetch("attempts", queryset=Attempt.objects.order_by("id"))
    for page in _pages(Dispatch.objects.filter(consumer=consumer, message=None).prefetch_related(tries)):
        for row in page:
            yield as_json(_send(row))


def files_of(consumer: Consumer) -> Iterator[MediaFile]:
    for page in _pages(MediaFile.objects.filter(message__consumer=consumer)):
        yield from page


def bytes_of(file: MediaFile) -> Iterator[str]:
    """A file in base64, in pieces; nothing where the storage has it no more."""
    if not default_storage.exists(storage_path(file.pk)):
        return
    with default_storage.open(storage_path(file.pk)) as opened:
        # A whole number of threes, so that the pieces join.
        while piece := opened.read(48 * 1024):
            yield base64.b64encode(piece).decode()


def deliveries_of(consumer: Consumer) -> Iterator[str]:
    """What brought the messages, or told about them: of a body that speaks of others too, this person's part alone."""
    needles = Needles(traces_of(consumer), consumer_id=consumer.pk)
    told: set[uuid.UUID] = set()
    for page in _pages(Message.objects.filter(consumer=consumer).only("pk")):
        events = list(Event.objects.filter(message_id__in=[row.pk for row in page], brand_id=consumer.brand_id))
        wanted = {event.delivery_id for event in events} - told
        told |= wanted
        bodies = DeliveryBody.objects.in_bulk(wanted)
        rows = Delivery.objects.filter(pk__in=wanted).select_related("channel", "installation").order_by("pk")
        for row in rows:
            own = [facts_of(event) for event in events if event.delivery_id == row.pk]
            yield as_json({**facts_of(row), "events": own, "body": _body(row, bodies.get(row.pk), needles)})


def trail_of(consumer: Consumer) -> Iterator[str]:
    """What was done to this consumer here, and not by whom."""
    for page in _pages(AuditEntry.objects.filter(subject_type="consumer", subject_id=str(consumer.pk))):
        for row in page:
            yield as_json({name: getattr(row, name) for name in ("id", "at", "action", "actor_kind", "reason")})


def _send(dispatch: Dispatch) -> dict[str, Any]:
    return {**facts_of(dispatch), "attempts": [facts_of(attempt) for attempt in dispatch.attempts.all()]}


def _body(delivery: Delivery, body: DeliveryBody | None, needles: Needles) -> Any:
    if body is None:
        return None
    raw = bytes(body.raw)
    part = part_of(delivery, raw, body.headers, needles)
    if part is not None and part.places is None:
        return raw.decode("utf-8", "backslashreplace")
    return {"left out": "It speaks of others too.", "this person's part": _changes(raw, part.places if part else [])}


def _changes(raw: bytes, places: Sequence[int] | None) -> list[Any]:
    try:
        notification = read_json(raw)
        changes = notification["body"]["changes"]
        return [changes[place] for place in places or ()]
    except (BodyUnusable, KeyError, TypeError, IndexError):
        return []


def _pages(rows: QuerySet[Any]) -> Iterator[list[Any]]:
    """All rows in the order of their ids, walked by key."""
    page = list(rows.order_by("pk")[:BATCH])
    while page:
        yield page
        page = list(rows.filter(pk__gt=page[-1].pk).order_by("pk")[:BATCH]) if len(page) == BATCH else []
