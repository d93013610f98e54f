"""Promise 1: what was answered 200 is stored, and comes to its effect, whatever is killed meanwhile."""

from __future__ import annotations

import asyncio

from bench.chaos import checks
from bench.chaos.brand import Brand
from bench.chaos.nemesis import Nemesis
from bench.chaos.report import Row, at_most
from bench.chaos.site import Site, chance, say
from bench.chaos.sizes import Size

BRAND = "kills"
CONSUMERS = 40


async def run(site: Site, brand: Brand, size: Size) -> list[Row]:
    draw = chance(site.seed, "lost")
    spoken_to = [f"spoken-to-{number}" for number in range(CONSUMERS)]
    speaking = [f"speaking-{number}" for number in range(CONSUMERS)]
    await brand.open_conversations(site, spoken_to)
    items = [
        brand.agent_says(spoken_to[number % CONSUMERS], f"kills agent {number}")
        if draw.random() < 0.7
        else brand.consumer_says(speaking[number % CONSUMERS], f"kills consumer {number}")
        for number in range(size.acked)
    ]
    over_s = size.acked / size.acked_per_s
    nemesis = Nemesis(site=site, chance=chance(site.seed, "lost/kills"))
    plan = nemesis.plan(kills=size.kills, over_s=over_s)
    say(f"lost: {size.acked} deliveries in {over_s:.0f} s, {size.kills} kills")
    await asyncio.gather(
        nemesis.follow(plan),
        site.sender.deliver_all(items, per_s=size.acked_per_s, within_s=90, chance=chance(site.seed, "lost/pace")),
    )
    say("lost: waiting for quiet")
    await brand.until_quiet(site, within_s=240)
    acked = [item for item in items if item.is_acked]
    lost = await checks.not_stored(site, brand, acked)
    return [
        at_most("lost after a 200", count=len(lost), of=len(acked), what=f"acked under {len(nemesis.struck)} SIGKILLs"),
        *await _effects(site, brand, acked),
        Row(
            promise="… every one was acked in the end",
            figure=f"{len(acked)} of {len(items)}",
            target="all",
            held=len(acked) == len(items) and len(nemesis.struck) >= size.kills,
        ),
    ]


async def _effects(site: Site, brand: Brand, acked: list) -> list[Row]:
    """Stored is not enough: the agents' words are in the app, the consumers' at LivePerson, each once."""
    at_app = brand.inbox.texts()
    at_liveperson = [text for one in await brand.at_liveperson(site) for text in one["texts"]]
    listed = await checks.listed_texts(site, brand)
    arrived = {"liveperson": set(at_app), "channel": set(at_liveperson)}
    missing = [item for item in acked if item.key not in arrived[item.source] and item.key not in listed]
    twice = set(checks.doubled(at_app)) | set(checks.doubled(at_liveperson)) - await checks.marked_texts(site, brand)
    unapplied = await checks.not_applied(site, brand)
    return [
        at_most("… stored and never applied", count=unapplied, of=len(acked)),
        at_most("… acked, and lost on the other side in silence", count=len(missing), of=len(acked)),
        at_most("… acked, and doubled on the other side in silence", count=len(twice), of=len(acked)),
    ]
