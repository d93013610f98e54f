"""
Promise 9, an aim: one brand's dead upstream or flood does not slow the others down.

In the long form only, on a machine that does nothing else. A healthy brand's agents speak at a steady pace; what counts
is the time until its app has each word, by the kit's clock, first alone, then beside a brand both of whose upstreams
take requests and never answer, then beside one whose agents speak three times as much. The rounds are interleaved, and
the medians of the rounds are compared.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bench.chaos import proxy
from bench.chaos.brand import Brand, make_brand
from bench.chaos.proxy import Faults
from bench.chaos.report import Row, load_note
from bench.chaos.site import Site, chance, say
from bench.chaos.sizes import Size

BRAND = "healthy"
ROUNDS = 5
PROBES, PROBES_PER_S = 60, 5
DEAD_MESSAGES = 60
MOST_MORE, MOST_MORE_S, MOST_TIMES = 0.2, 0.1, 2.0


async def run(site: Site, brand: Brand, size: Size) -> list[Row]:
    other = await make_brand(site, name="neighbour", account="92000090")
    consumers = [f"healthy-{number}" for number in range(10)]
    await brand.open_conversations(site, consumers)
    talkers = [f"talker-{number}" for number in range(20)]
    await other.open_conversations(site, talkers)
    say(f"neighbours: {ROUNDS} rounds of three")
    alone, dead, flooded = [], [], []
    for number in range(ROUNDS):
        alone.append(await _p95_s(site, brand, consumers, f"alone {number}"))
        async with _dead(site, other, number):
            dead.append(await _p95_s(site, brand, consumers, f"beside the dead {number}"))
        await other.until_quiet(site, within_s=600)
        async with _flood(site, other, talkers, number):
            flooded.append(await _p95_s(site, brand, consumers, f"beside a flood {number}"))
        await other.until_quiet(site, within_s=600)
        say(f"  round {number + 1}: p95 {alone[-1]:.3f} s alone, {dead[-1]:.3f} dead, {flooded[-1]:.3f} flood")
    base_s, dead_s, flood_s = (statistics.median(rounds) for rounds in (alone, dead, flooded))
    return [
        Row(
            promise="aim: beside a dead brand a healthy one's p95 end to end moves",
            figure=f"{(dead_s - base_s) * 1000:+.0f} ms of {base_s * 1000:.0f} ms {load_note()}",
            target=f"<= max({MOST_MORE:.0%}, {MOST_MORE_S * 1000:.0f} ms)"
            + (" met" if dead_s - base_s <= max(MOST_MORE * base_s, MOST_MORE_S) else " missed"),
            held=None,
        ),
        Row(
            promise="aim: beside one that floods at three times its share",
            figure=f"{flood_s / base_s:.2f} times {base_s * 1000:.0f} ms {load_note()}",
            target=f"<= {MOST_TIMES:g} times" + (" met" if flood_s <= MOST_TIMES * base_s else " missed"),
            held=None,
        ),
    ]


async def _p95_s(site: Site, brand: Brand, consumers: list[str], purpose: str) -> float:
    """From the begin of the POST of a notification until the app has the word."""
    items = [brand.agent_says(consumers[n % len(consumers)], f"{purpose} {n}") for n in range(PROBES)]
    await site.sender.deliver_all(items, per_s=PROBES_PER_S, within_s=60, chance=chance(site.seed, purpose))
    await brand.until_quiet(site, within_s=120)
    arrived = {arrival.text: arrival.at for arrival in reversed(brand.inbox.arrivals)}
    times_s = [arrived[item.key] - item.answers[0].at for item in items]
    return statistics.quantiles(times_s, n=20)[-1]


@asynccontextmanager
async def _dead(site: Site, other: Brand, number: int) -> AsyncIterator[None]:
    """Much waits to be sent, and nothing that is sent is ever answered."""
    draw = chance(site.seed, f"neighbours/dead/{number}")
    for side in (other.to_liveperson, other.to_app):
        side.faults = Faults(kinds=[proxy.SWALLOW], rate=1.0)
    words = [other.consumer_says(f"writer-{n % 20}", f"dead {number} {n}") for n in range(DEAD_MESSAGES)]
    spoken = [other.agent_says(f"talker-{n % 20}", f"dead agent {number} {n}") for n in range(DEAD_MESSAGES)]
    await site.sender.deliver_all([*words, *spoken], per_s=40, within_s=60, chance=draw)
    try:
        yield
    finally:
        other.to_liveperson.heal()
        other.to_app.heal()


@asynccontextmanager
async def _flood(site: Site, other: Brand, talkers: list[str], number: int) -> AsyncIterator[None]:
    """Begun a little before, so that the probes meet it at its full pace."""
    count = int((PROBES / PROBES_PER_S + 2) * 3 * PROBES_PER_S)
    items = [other.agent_says(talkers[n % len(talkers)], f"flood {number} {n}") for n in range(count)]
    began_at = time.monotonic()
    flood = asyncio.create_task(
        site.sender.deliver_all(
            items, per_s=3 * PROBES_PER_S, within_s=60, chance=chance(site.seed, f"neighbours/flood/{number}")
        )
    )
    await asyncio.sleep(max(0.0, began_at + 1.0 - time.monotonic()))
    try:
        yield
    finally:
        await flood
