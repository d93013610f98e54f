"""
Promise 3: within a lane nothing overtakes.

Consumers' messages are posted one after the other and must be at LivePerson in that order. Agents' words are posted as
LivePerson sends them when it retries: shuffled in windows of 20, one of them held back; they must be in the app in the
order of LivePerson's sequences.
"""

from __future__ import annotations

import asyncio
import random

from bench.chaos import checks
from bench.chaos.brand import Brand
from bench.chaos.ledger import Sent
from bench.chaos.report import Row, at_most
from bench.chaos.site import Site, chance, say
from bench.chaos.sizes import Size

BRAND = "order"
WINDOW = 20


async def run(site: Site, brand: Brand, size: Size) -> list[Row]:
    lanes = [f"lane-{number}" for number in range(size.lanes)]
    await brand.open_conversations(site, lanes)
    draw = chance(site.seed, "order")
    # The app stumbles now and then, so that the heads of lanes have to be tried again while others wait behind them.
    brand.inbox.answer = lambda webhook_id, text: (503, {}) if draw.random() < 0.05 else (200, {})
    say(f"order: {size.lanes} lanes of {size.lane_length} each way, shuffled")
    spoken = {lane: [brand.agent_says(lane, f"{lane} agent {n}") for n in range(size.lane_length)] for lane in lanes}
    written = {lane: [brand.consumer_says(lane, f"{lane} word {n}") for n in range(size.lane_length)] for lane in lanes}
    await asyncio.gather(
        *(_post(site, _shuffled(spoken[lane], draw), size.held_back_s, draw) for lane in lanes),
        *(_post(site, written[lane], 0, draw) for lane in lanes),
    )
    await brand.until_quiet(site, within_s=400)
    brand.inbox.answer = lambda webhook_id, text: (200, {})
    in_app = brand.inbox.effects()
    at_liveperson = {one["consumer"]: one["texts"] for one in await brand.at_liveperson(site)}
    # In the order in which each was first answered 200.
    accepted = {lane: sorted(spoken[lane], key=_acked_at) for lane in lanes}
    total = size.lanes * size.lane_length

    def keys(items: list[Sent]) -> list[str]:
        return [item.key for item in items]

    overtaken = sum(
        checks.inversions(in_app.get(lane, []), keys(accepted[lane]))
        + checks.inversions(at_liveperson.get(lane, []), keys(written[lane]))
        for lane in lanes
    )
    out_of_sequence = sum(checks.inversions(in_app.get(lane, []), keys(spoken[lane])) for lane in lanes)
    missing = sum(set(keys(spoken[lane])) != set(in_app.get(lane, [])) for lane in lanes)
    return [
        at_most("inversions in a lane, by what was accepted first", count=overtaken, of=2 * total),
        at_most("inversions in a lane, by LivePerson's sequence, deliveries shuffled", count=out_of_sequence, of=total),
        at_most("… lanes of which something is missing in the app", count=missing, of=len(lanes)),
    ]


def _shuffled(items: list[Sent], draw: random.Random) -> list[Sent]:
    """Shuffled in windows; of the whole one is held back to the end."""
    held = items[len(items) // 3]
    rest = [item for item in items if item is not held]
    mixed: list[Sent] = []
    for start in range(0, len(rest), WINDOW):
        window = rest[start : start + WINDOW]
        draw.shuffle(window)
        mixed += window
    return [*mixed, held]


async def _post(site: Site, items: list[Sent], last_waits_s: float, draw: random.Random) -> None:
    for number, item in enumerate(items):
        if number == len(items) - 1:
            await asyncio.sleep(last_waits_s)
        await site.sender.deliver(item, within_s=60, chance=draw)


def _acked_at(item: Sent) -> float:
    return min((answer.at for answer in item.answers if answer.status == 200), default=float("inf"))
