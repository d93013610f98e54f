"""
Bad input: the listed cases and generated mutations, signed and unsigned, on both doors.

Nothing but "not stored" may be answered with a 5xx, no process may die of it, and the next good request is taken.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Iterator

from bench.chaos.brand import Brand
from bench.chaos.ledger import Sent
from bench.chaos.mutations import mutated_body, mutated_headers, raw_requests
from bench.chaos.report import Row, at_most
from bench.chaos.site import Site, chance, say
from bench.chaos.sizes import Size
from tests.fixtures.hostile import HOSTILE

BRAND = "probed"
_AT_ONCE = 8
_GOOD_EVERY = 10


async def run(site: Site, brand: Brand, size: Size) -> list[Row]:
    await brand.open_conversations(site, ["input"])
    draw = chance(site.seed, "input")
    web_workers, deaths = set(site.web_workers()), _deaths(site)
    say(f"input: {len(HOSTILE)} listed bodies, {size.mutations} mutations")
    bad = [*_listed(brand), *_mutations(brand, size.mutations, draw)]
    good: list[Sent] = []
    forged: list[Sent] = []
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(number: int, item: Sent) -> None:
        async with gate:
            await site.sender.post(item)
            if number % _GOOD_EVERY == 0:
                good.append(brand.agent_says("input", f"input good {number}"))
                await site.sender.deliver(good[-1], within_s=60, chance=draw)
                forged.append(_forged(brand, number))
                await site.sender.post(forged[-1])

    await asyncio.gather(*(one(number, item) for number, item in enumerate(bad)))
    raw_wrong, raw_count = await _raw(site, brand)
    await brand.until_quiet(site, within_s=200 + size.mutations / 10)
    in_app = set(brand.inbox.texts())
    answers = [answer for item in bad for answer in item.answers]
    wrong = [a for a in answers if a.status is not None and a.status >= 500 and not _is_not_stored(a.status, a.body)]
    silent = [a for a in answers if a.status is None]
    not_stored = sum(answer.status == 503 for answer in answers)
    refused_good = [item for item in good if not item.is_acked or item.answers[0].status not in (200, 503)]
    put_off = sum(item.answers[0].status == 503 for item in good)
    taken = [item for item in forged if item.is_acked or item.key in in_app]
    lost_good = [item for item in good if item.key not in in_app]
    dead = len(web_workers - set(site.web_workers())) + _deaths(site) - deaths
    total = len(bad) + raw_count
    return [
        at_most("5xx but 'not stored' over bad input", count=len(wrong) + raw_wrong, of=total,
                what=f"({not_stored} not stored)"),
        at_most("… forged requests that were taken", count=len(taken), of=len(forged)),
        at_most("… bad requests that got no answer at all", count=len(silent), of=len(bad)),
        at_most("… dead processes", count=dead, of=total),
        at_most("… a good request beside them refused, or lost afterwards", count=len(refused_good) + len(lost_good),
                of=len(good), what=f"({put_off} not stored at first)"),
    ]  # fmt: skip


def _deaths(site: Site) -> int:
    """What ended in the cluster, as its guard tells it. One that has done its 500 tasks is replaced and not told."""
    log = (site.data_dir / "worker.log").read_bytes()
    return sum(log.count(word) for word in (b"cluster.process_killed", b"worker.cluster_ended", b"reincarnated"))


def _is_not_stored(status: int, body: bytes) -> bool:
    try:
        return status == 503 and json.loads(body).get("code") == "not_stored"
    except (ValueError, AttributeError):
        return False


def _listed(brand: Brand) -> Iterator[Sent]:
    for name, body in HOSTILE.items():
        yield brand.notification([], key=f"listed {name}", body=body)
        yield brand.channel_event(None, key=f"listed {name}", body=body)


def _mutations(brand: Brand, count: int, draw: random.Random) -> Iterator[Sent]:
    """Half of them are signed after the mutation, so that they get past the door; of the others a header is bent."""
    for number in range(count):
        key = f"mutation {number}"
        is_liveperson = draw.random() < 0.6
        good = brand.agent_says("input", key) if is_liveperson else brand.consumer_says(f"input-{number % 7}", key)
        body = mutated_body(good.body, draw)
        if is_liveperson:
            item = brand.notification([], key=key, body=body)
        else:
            item = brand.channel_event(None, key=key, body=body)
        if draw.random() < 0.3:
            headers = mutated_headers(item.headers(), draw)
            item.headers = lambda headers=headers: headers
        yield item


def _forged(brand: Brand, number: int) -> Sent:
    """In every way like a good one, but signed for another body; by turns of each door."""
    key = f"input forged {number}"
    if number % (2 * _GOOD_EVERY):
        # Sequences of its own: one that is missing would keep the good ones waiting.
        item, other = (brand.agent_says("input", text, sequence=10**6 + number) for text in (key, f"{key} other"))
    else:
        item, other = (brand.consumer_says("input", text) for text in (key, f"{key} other"))
    item.headers = other.headers
    return item


async def _raw(site: Site, brand: Brand) -> tuple[int, int]:
    """Requests that no HTTP library would send; how many were answered 5xx, of how many."""
    path = brand.liveperson_url.removeprefix(site.url)
    wrong = count = 0
    for raw in raw_requests(path):
        reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
        try:
            writer.write(raw)
            await writer.drain()
            answer = await asyncio.wait_for(reader.read(4096), timeout=5)
        except (OSError, TimeoutError):
            answer = b""
        finally:
            writer.transport.abort()
        count += 1
        # Gunicorn itself says 501 to a transfer coding that it does not know.
        wrong += answer.startswith((b"HTTP/1.1 5", b"HTTP/1.0 5")) and answer[9:12] != b"501"
    return wrong, count
