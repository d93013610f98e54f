"""
Statements and buffer pages per page of the API's lists, with 100,000 and with 1,000,000 messages in the database.

The requests are made in this process, with real keys; each statement that one made is explained as it runs. First pages
and pages near the end of the history are asked for. BENCH_ROWS=2000,20000 is a rehearsal.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from bench.lists import database
from bench.lists.compare import figures_of, table_of
from bench.lists.counting import Cost, cost_of_page, cost_of_pages
from bench.report import Figure
from bench.site import say

SIZES = (100_000, 1_000_000)
PAGE_SIZE = 100
# Of a list without a filter: the first ten, and ten that begin in the depth.
PAGES = 20


def measure() -> list[Figure]:
    return compared(_ask_all, kept_as="bench-lists.txt")


def compared(ask_all: Callable[[int], Iterator[tuple[str, Cost]]], *, kept_as: str) -> list[Figure]:
    """
    The same requests at both sizes.

    ask_all: makes them in the database that is in use, given how many messages there are in the smaller one.
    """
    given = os.environ.get("BENCH_ROWS", "")
    small, large = (int(part) for part in given.split(",")) if given else SIZES
    kept = Path(os.environ.get("DATA_DIR", "var")).resolve() / kept_as
    with database.server() as url:
        costs = [_costs_at(size, url, lambda: ask_all(small)) for size in (small, large)]
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text(table_of(*costs, sizes=(small, large)))
    say(f"  every request: {kept}")
    return figures_of(*costs, sizes=(small, large))


def _costs_at(messages: int, url: str, ask_all: Callable[[], Iterator[tuple[str, Cost]]]) -> dict[str, Cost]:
    from django.conf import settings

    from bench.lists.load import fill
    from conversations.models import Message

    database.use(f"site_{messages}", on=url)
    say(f"  {messages:,} messages:")
    if not Message.objects.exists():
        fill(messages)
    # What a key may ask in a minute is not what is measured here.
    settings.API_REQUESTS_PER_MINUTE = 1_000_000
    started = time.monotonic()
    found = dict(ask_all())
    say(f"    {len(found)} requests explained in {time.monotonic() - started:.0f} s")
    return found


def _ask_all(fewest_messages: int) -> Iterator[tuple[str, Cost]]:
    from bench.lists import pieces
    from bench.lists.questions import deep_moment, questions
    from bench.lists.readers import clients

    begins, ends = pieces.span_of_history()
    deep = deep_moment(begins, fewest_messages=fewest_messages)
    for reader, client in clients().items():
        for question in questions(middle=begins + (ends - begins) / 2):
            query = {**question.filters, "page_size": str(PAGE_SIZE)}
            count, ask = 1 if question.filters else PAGES, partial(cost_of_page, client)
            first = cost_of_pages(ask, f"{question.path}?{urlencode(query)}", count)
            yield f"{question.name} | {reader} | first", first
            query["cursor"] = pieces.cursor_at(deep, path=question.path, filters=question.filters, user=client.owner)
            yield (
                f"{question.name} | {reader} | deep",
                cost_of_pages(ask, f"{question.path}?{urlencode(query)}", count),
            )
        yield from _walk_from(deep, reader, client)
        yield from pieces.costs_of_others(reader, client, deep=deep)


def _walk_from(deep: datetime, reader: str, client: Any) -> Iterator[tuple[str, Cost]]:
    """Messages from a time on, and then on by the cursor that the page gave."""
    before = deep.isoformat().replace("+00:00", "Z")
    address = f"/api/v1/messages/?{urlencode({'created_before': before, 'page_size': PAGE_SIZE})}"
    for number in range(1, 4):
        cost, address = cost_of_page(client, address)
        yield f"messages created_before=deep, page {number} | {reader} | deep", cost
        if not address:
            return
