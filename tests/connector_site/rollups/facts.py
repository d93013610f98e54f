"""The same figures as the rollups', found row by row in Python; and whole counts at a moment of one's choice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from connector_site.models import Counting, RollupCount, Span
from connector_site.rollups import buckets, counting
from conversations.models import Conversation, Dispatch, Message
from core.ids import made_at
from webhooks.models import Delivery, Event

Key = tuple[Any, Any, datetime, str, str]


def count(*, now: datetime) -> None:
    """Both counts, as far as they come at that moment."""
    for _ in counting.walk(now=lambda: now):
        pass


def counted(which: Counting, span: Span = Span.HOUR) -> dict[Key, int]:
    """What stands in the rollups: by brand, source, time, figure and label."""
    rows = RollupCount.objects.filter(counting=which, span=span)
    return {(r.brand_id, r.source_id, r.at, r.figure, r.label): r.count for r in rows}


def asked_directly(span: Span = Span.HOUR, *, before: datetime | None = None) -> dict[Key, int]:
    """What a look at each row finds, of all that happened before a moment."""
    found: Counter[Key] = Counter()
    for brand_id, source_id, moment, figure, label in _facts():
        if before is None or moment < before:
            at = counting.start_of(span, moment)
            found[brand_id, source_id, at, figure, label] += 1
            found[brand_id, None, at, figure, label] += 1
    return dict(found)


def _facts() -> Iterator[tuple[Any, Any, datetime, str, str]]:
    for delivery in Delivery.objects.all():
        figure = "DELIVERIES_FROM_CHANNEL" if delivery.channel_id else "DELIVERIES_FROM_LIVEPERSON"
        yield delivery.brand_id, delivery.inbox_id, _made(delivery), figure, ""
    for message in Message.objects.all():
        figure = "PRIVATE_NOTES" if message.audience == "STAFF" else f"MESSAGES_{message.direction}"
        yield message.brand_id, message.channel_id, _made(message), figure, ""
    for conversation in Conversation.objects.all():
        yield conversation.brand_id, conversation.channel_id, _made(conversation), "CONVERSATIONS", ""
    ended = Dispatch.objects.filter(state__in=["SENT", "FAILED", "DEAD", "DROPPED"], finished_at__isnull=False)
    for dispatch in ended.select_related("message"):
        yield from _of_dispatch(dispatch)


def _of_dispatch(dispatch: Dispatch) -> Iterator[tuple[Any, Any, datetime, str, str]]:
    at, direction, message = dispatch.finished_at, dispatch.direction, dispatch.message
    assert at
    label = "" if dispatch.state == "SENT" else dispatch.error_code
    yield dispatch.brand_id, dispatch.channel_id, at, f"{dispatch.state}_{direction}", label
    if dispatch.state == "SENT" and message and dispatch.kind in ("TEXT", "FILE", "RICH"):
        event = Event.objects.filter(message_id=message.pk).order_by("id").select_related("delivery").first()
        came_at = event.delivery.received_at if event else message.created_at
        bucket = buckets.label_of((at - came_at).total_seconds() * 1000, buckets.THROUGH_MS)
        yield dispatch.brand_id, dispatch.channel_id, at, f"THROUGH_{direction}", bucket


def _made(row: Any) -> datetime:
    at = made_at(row.pk)
    assert at
    return at
