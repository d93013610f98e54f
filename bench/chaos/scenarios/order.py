"""
Promise 3: within a lane nothing overtakes.

Consumers' messages are posted one after the other while the app stumbles, and must be at LivePerson in that order.
What the simulator's agents say is taken by the kit in LivePerson's place on the wire and handed on as LivePerson does
when it retries by number: shuffled in windows of 20, one of them held back. The site learns from the first such lesson;
from then on the app must see LivePerson's order, and what comes too late to be put right has to be marked.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from dataclasses import dataclass

from bench.chaos import checks
from bench.chaos.app import Relayed
from bench.chaos.brand import CONTENT, Brand
from bench.chaos.ledger import Sent
from bench.chaos.report import Row, at_most
from bench.chaos.site import Site, chance, eventually, say
from bench.chaos.sizes import Size

BRAND = "order"
WINDOW = 20


@dataclass(frozen=True, kw_only=True)
class Spoken:
    """What was said in one lane: the texts in LivePerson's order, and the notifications to be handed on."""

    texts: list[str]
    handed_on: list[Sent]


async def run(site: Site, brand: Brand, size: Size) -> list[Row]:
    lanes = [f"lane-{number}" for number in range(size.lanes)]
    await brand.open_conversations(site, [*lanes, "lesson"])
    await brand.relay_notifications(site, CONTENT)
    draw = chance(site.seed, "order")
    # The app stumbles now and then, so that the heads of lanes have to be tried again while others wait behind them.
    brand.inbox.answer = lambda webhook_id, text: (503, {}) if draw.random() < 0.05 else (200, {})
    say(f"order: {size.lanes} lanes of {size.lane_length} each way, shuffled")
    await _teach(site, brand, size)
    written = {
        f"{lane} alone": [brand.consumer_says(f"{lane} alone", f"{lane} word {n}") for n in range(size.lane_length)]
        for lane in lanes
    }
    spoken = {lane: await _speak(site, brand, lane, size.lane_length) for lane in lanes}
    await asyncio.gather(
        *(_hand_on_shuffled(site, spoken[lane].handed_on, size.held_back_s, draw) for lane in lanes),
        *(_hand_on(site, items, draw) for items in written.values()),
        _pass_on_the_rest(site, brand, draw, for_s=size.held_back_s + 5),
    )
    await _pass_on_until_quiet(site, brand, draw)
    brand.inbox.answer = lambda webhook_id, text: (200, {})
    return await _rows(site, brand, spoken, written)


async def _rows(site: Site, brand: Brand, spoken: dict[str, Spoken], written: dict[str, list[Sent]]) -> list[Row]:
    in_app = brand.inbox.effects()
    at_liveperson = {one["consumer"]: one["texts"] for one in await brand.at_liveperson(site)}
    late = await site.database.rows(
        "SELECT content.text FROM conversations_message message"
        " JOIN conversations_messagecontent content ON content.message_id = message.id"
        " WHERE message.brand_id = %s AND message.order_mark <> ''",
        brand.brand_id,
    )
    marked = {row["text"] for row in late}
    words = sum(len(items) for items in written.values())
    total = sum(len(one.texts) for one in spoken.values())
    overtaken = sum(
        checks.inversions(at_liveperson.get(lane, []), [item.key for item in items]) for lane, items in written.items()
    )
    unheard = sum(item.key not in at_liveperson.get(lane, []) for lane, items in written.items() for item in items)
    turned = sum(checks.inversions(in_app.get(lane, []), one.texts) for lane, one in spoken.items())
    unmarked = sum(
        checks.inversions([text for text in in_app.get(lane, []) if text not in marked], one.texts)
        for lane, one in spoken.items()
    )
    missing = sum(set(one.texts) != set(in_app.get(lane, [])) for lane, one in spoken.items())
    return [
        at_most("inversions in a lane, towards LivePerson", count=overtaken, of=words),
        at_most("… words missing at LivePerson", count=unheard, of=words),
        at_most("inversions in a lane, towards the channel, deliveries shuffled", count=turned, of=total),
        at_most("… of them without a mark", count=unmarked, of=total),
        at_most("… lanes of which something is missing in the app", count=missing, of=len(spoken)),
    ]


async def _teach(site: Site, brand: Brand, size: Size) -> None:
    """The first thing that comes after what was said later: it cannot be foreseen, and is what the site learns from."""
    lesson = await _speak(site, brand, "lesson", 2)
    draw = chance(site.seed, "order/lesson")
    for number, item in enumerate(reversed(lesson.handed_on)):
        if number:
            # Twice as long is waited from then on, which has to be enough for what is held back.
            await asyncio.sleep(size.lesson_s)
        await site.sender.deliver(item, within_s=60, chance=draw)
    await brand.until_quiet(site, within_s=60)


async def _speak(site: Site, brand: Brand, consumer: str, count: int) -> Spoken:
    """Let the simulator's agent speak, and take what LivePerson would send for it."""
    texts = [f"{consumer} agent {number}" for number in range(count)]
    place = f"accounts/{brand.account}/conversations/{brand.conversations[consumer]}/agent"
    for text in texts:
        await site.simulate("POST", place, {"do": "say", "text": text})
    wanted = set(texts)

    async def all_there() -> bool:
        return wanted <= {text for one in brand.inbox.relayed for text in _texts_of(one)}

    await eventually(all_there, f"the notifications of {consumer}", within_s=60)
    mine = [one for one in brand.inbox.relayed if wanted & set(_texts_of(one))]
    brand.inbox.relayed = [one for one in brand.inbox.relayed if one not in mine]
    return Spoken(texts=texts, handed_on=[brand.handed_on(one) for one in mine])


def _texts_of(one: Relayed) -> list[str]:
    return [str(change.get("event", {}).get("message")) for change in json.loads(one.body)["body"]["changes"]]


async def _hand_on_shuffled(site: Site, items: list[Sent], held_back_s: float, draw: random.Random) -> None:
    """Shuffled in windows; one of the whole comes so much later than its place, beside the others."""
    place = len(items) // 3
    rest = [*items[:place], *items[place + 1 :]]
    mixed: list[Sent] = []
    for start in range(0, len(rest), WINDOW):
        window = rest[start : start + WINDOW]
        draw.shuffle(window)
        mixed += window

    async def later() -> None:
        await asyncio.sleep(held_back_s)
        await _hand_on(site, [items[place]], draw)

    await _hand_on(site, mixed[:place], draw)
    await asyncio.gather(later(), _hand_on(site, mixed[place:], draw))


async def _hand_on(site: Site, items: list[Sent], draw: random.Random) -> None:
    for item in items:
        await site.sender.deliver(item, within_s=60, chance=draw)


async def _pass_on_the_rest(site: Site, brand: Brand, draw: random.Random, *, for_s: float) -> None:
    """What else LivePerson has to say meanwhile, the consumers' own echoes above all."""
    ends_at = time.monotonic() + for_s
    while time.monotonic() < ends_at or brand.inbox.relayed:
        waiting, brand.inbox.relayed = brand.inbox.relayed, []
        for one in waiting:
            await site.sender.deliver(brand.handed_on(one), within_s=60, chance=draw)
        await asyncio.sleep(0.05)


async def _pass_on_until_quiet(site: Site, brand: Brand, draw: random.Random) -> None:
    passing = asyncio.create_task(_pass_on_the_rest(site, brand, draw, for_s=100_000))
    try:
        await brand.until_quiet(site, within_s=1500)
    finally:
        passing.cancel()
