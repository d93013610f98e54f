"""Cursors into the depth, and what is asked beside the lists: one message's trace, a search, the use of a month."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from types import SimpleNamespace
from typing import Any

from bench.lists.counting import Cost, cost_of, mean_of

# Of two messages one has a receipt, a second try or an entry of the trail beside it, and the other has none.
_TRACES = 40


def span_of_history() -> tuple[datetime, datetime]:
    """When the oldest and the newest message was stored."""
    from conversations.models import Message
    from core.ids import made_at

    oldest, newest = (Message.objects.order_by(way).values_list("pk", flat=True)[0] for way in ("pk", "-pk"))
    begins, ends = made_at(oldest), made_at(newest)
    assert begins is not None and ends is not None
    return begins, ends


def cursor_at(moment: datetime, *, path: str, filters: dict[str, str], user: Any) -> str:
    """The cursor that a page would give whose last row was stored at this moment."""
    from access.rest.paging import NewestFirst
    from core.ids import first_id_at

    asks: Any = SimpleNamespace(path=path, user=user, query_params=filters)
    return NewestFirst().seal(first_id_at(moment), asks)


def costs_of_others(reader: str, client: Any, *, deep: datetime) -> Iterator[tuple[str, Cost]]:
    """Addresses that are not there yet are passed over."""
    from bench.lists.readers import READERS
    from conversations.models import Message
    from core.ids import first_id_at

    slugs = READERS[reader] or ("big",)
    mine = Message.objects.filter(brand__slug__in=slugs, conversation__isnull=False).order_by("-pk")
    for place, rows in (("first", mine), ("deep", mine.filter(pk__lt=first_id_at(deep)))):
        message = rows.select_related("consumer", "conversation").first()
        if message is None:  # in a rehearsal: too few messages for every reader to have one so far back
            continue
        traces = [
            cost_of(client, f"/api/v1/messages/{one}/trace/") for one in rows.values_list("pk", flat=True)[:_TRACES]
        ]
        yield f"trace | {reader} | {place}", mean_of(traces)
        yield from _ask(f"message | {reader} | {place}", client, f"/api/v1/messages/{message.pk}/")
        for told, term in (
            ("phone", message.consumer.channel_consumer_id),
            ("consumer id", message.consumer.ext_consumer_id),
            ("conversation", message.conversation.lp_conversation_id),
            ("provider id", message.channel_message_id),
            ("correlation id", message.correlation_id),
        ):
            yield from _ask(f"find by {told} | {reader} | {place}", client, "/api/v1/find/", _TERM(term))
    yield from _ask(f"usage | {reader} | first", client, "/api/v1/usage/")


def _TERM(term: str) -> dict[str, str]:
    return {"term": term}


def _ask(name: str, client: Any, address: str, body: Any = None) -> Iterator[tuple[str, Cost]]:
    from django.urls import Resolver404, resolve

    try:
        resolve(address)
    except Resolver404:
        return
    yield name, cost_of(client, address, body)
