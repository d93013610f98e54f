"""Promise 1: what was answered 200 is stored, and comes to its effect, whatever is killed meanwhile."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

from bench.chaos import checks
from bench.chaos.brand import Brand
from bench.chaos.ledger import Sent
from bench.chaos.nemesis import Nemesis
from bench.chaos.report import Row, at_most
from bench.chaos.site import Site, chance, say
from bench.chaos.sizes import Size

BRAND = "kills"
CONSUMERS = 30


async def run(site: Site, brand: Brand, size: Size) -> list[Row]:
    await brand.open_conversations(site, [f"spoken-to-{number}" for number in range(CONSUMERS)])
    items = _deliveries(brand, size.acked, chance(site.seed, "lost"))
    over_s = size.acked / size.acked_per_s
    nemesis = Nemesis(site=site, chance=chance(site.seed, "lost/kills"))
    say(f"lost: {size.acked} deliveries in {over_s:.0f} s, {size.kills} kills")
    await asyncio.gather(
        nemesis.follow(nemesis.plan(kills=size.kills, over_s=over_s)),
        site.sender.deliver_all(items, per_s=size.acked_per_s, within_s=300, chance=chance(site.seed, "lost/pace")),
    )
    say("lost: everything is sent, waiting until it is settled")
    await brand.until_quiet(site, within_s=900)
    acked = [item for item in items if item.is_acked]
    lost = await checks.not_stored(site, brand, acked)
    kills = len(nemesis.struck)
    return [
        at_most("lost after a 200", count=len(lost), of=len(acked), what=f"acked under {kills} SIGKILLs"),
        *await _effects(site, brand, acked),
        Row(
            promise="… accepted in the end, of all that was sent",
            figure=f"{len(acked)} of {len(items)}, {kills} of {size.kills} kills struck",
            target="all",
            held=len(acked) == len(items) and kills >= size.kills,
        ),
    ]


def _deliveries(brand: Brand, count: int, draw: random.Random) -> list[Sent]:
    """Words either way, some receipts; mostly what makes no further work, but is stored like all else."""
    items = []
    for number in range(count):
        kind = draw.random()
        if kind < 0.1:
            items.append(brand.agent_says(f"spoken-to-{number % CONSUMERS}", f"kills agent {number}"))
        elif kind < 0.2:
            items.append(brand.consumer_says(f"speaking-{number % CONSUMERS}", f"kills consumer {number}"))
        elif kind < 0.4:
            items.append(brand.agent_reads(f"spoken-to-{number % CONSUMERS}", key=f"kills receipt {number}"))
        else:
            news = {"event": {"type": "NewsOfTomorrow"}, "number": number}
            items.append(brand.notification([news], key=f"kills news {number}"))
    return items


async def _effects(site: Site, brand: Brand, acked: Sequence[Sent]) -> list[Row]:
    """Stored is not enough: the agents' words are in the app, the consumers' at LivePerson, each once."""
    words = [item for item in acked if "agent" in item.key or "consumer" in item.key]
    at_app = brand.inbox.texts()
    at_liveperson = [text for one in await brand.at_liveperson(site) for text in one["texts"]]
    listed = await checks.listed_texts(site, brand)
    arrived = {"liveperson": set(at_app), "channel": set(at_liveperson)}
    missing = [item for item in words if item.key not in arrived[item.source] and item.key not in listed]
    twice = set(checks.doubled(at_app)) | (set(checks.doubled(at_liveperson)) - await checks.marked_texts(site, brand))
    return [
        at_most("… stored and never applied", count=await checks.not_applied(site, brand), of=len(acked)),
        at_most("… acked words lost on the other side in silence", count=len(missing), of=len(words)),
        at_most("… acked words doubled on the other side in silence", count=len(twice), of=len(words)),
    ]
