"""
Promise 2: an event takes effect once, however often, however late and however concurrently it arrives.

Of all events 30 % come again, some as 16 copies at once; a sample is replayed after everything was restarted, and
once more after the bodies that had brought it were deleted, as they are when a brand's retention ends.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter

from bench.chaos import checks
from bench.chaos.brand import Brand
from bench.chaos.ledger import Sent
from bench.chaos.report import Row, at_most
from bench.chaos.site import Site, chance, say
from bench.chaos.sizes import Size

BRAND = "repeats"
CONSUMERS = 20
COPIES_AT_ONCE = 16


async def run(site: Site, brand: Brand, size: Size) -> list[Row]:
    draw = chance(site.seed, "repeats")
    await brand.open_conversations(site, [f"spoken-to-{number}" for number in range(CONSUMERS)])
    words = [
        brand.agent_says(f"spoken-to-{number % CONSUMERS}", f"repeats agent {number}")
        if draw.random() < 0.5
        else brand.consumer_says(f"speaking-{number % CONSUMERS}", f"repeats consumer {number}")
        for number in range(size.repeated_words)
    ]
    receipts = [
        brand.agent_reads(f"spoken-to-{number % CONSUMERS}", key=f"repeats receipt {number}")
        for number in range(size.events - size.repeated_words)
    ]
    items = words + receipts
    draw.shuffle(items)
    say(f"repeats: {len(items)} events, and again")
    posts = items + [draw.choice(items) for _ in range(len(items) * 3 // 10)]
    await site.sender.deliver_all(posts, per_s=size.acked_per_s, within_s=300, chance=draw)
    for item in draw.sample(words, min(20, len(words))):
        await asyncio.gather(*(site.sender.post(item) for _ in range(COPIES_AT_ONCE)))
    await brand.until_quiet(site, within_s=900)
    say("repeats: restart, and a replay")
    await asyncio.gather(site.restart(site.web), site.restart(site.worker))
    refused = await _replay(site, draw.sample(items, len(items) // 10), draw)
    await brand.until_quiet(site, within_s=120)
    left = await _prune(site, brand)
    say("repeats: all bodies pruned, and a replay")
    refused += await _replay(site, draw.sample(items, len(items) // 10), draw)
    await brand.until_quiet(site, within_s=120)
    sent = sum(len(item.answers) for item in items)
    return [
        at_most("second effects", count=await _second_effects(site, brand, words), of=sent, what="deliveries"),
        at_most("… replays that were refused", count=refused, of=len(items) // 10 * 2),
        at_most("… events that had no effect at all", count=await _without_effect(site, brand, words), of=len(words)),
        at_most("… bodies that outlived the brand's retention", count=left, of=sent),
    ]


async def _prune(site: Site, brand: Brand) -> int:
    """End the brand's retention of yesterday, and prune; returns how many bodies are left."""
    mine = "FROM webhooks_delivery WHERE brand_id = %s AND state = 'PROCESSED'"
    await site.database.damage(
        f"UPDATE webhooks_deliverybody SET expires_on = current_date - 2 WHERE delivery_id IN (SELECT id {mine})",
        brand.brand_id,
    )
    await site.manage("prune")
    sql = f"SELECT count(*) FROM webhooks_deliverybody WHERE delivery_id IN (SELECT id {mine})"
    return int(await site.database.value(sql, brand.brand_id))


async def _replay(site: Site, items: list[Sent], draw: random.Random) -> int:
    """Returns how many were not answered 200 this time."""
    await site.sender.deliver_all(items, per_s=100, within_s=60, chance=draw)
    return sum(item.answers[-1].status != 200 for item in items)


async def _second_effects(site: Site, brand: Brand, words: list[Sent]) -> int:
    """Where it shows: in the app, at LivePerson, and as rows."""
    at_liveperson = [text for one in await brand.at_liveperson(site) for text in one["texts"]]
    rows = await site.database.rows(
        "SELECT content.text FROM conversations_message message"
        " JOIN conversations_messagecontent content ON content.message_id = message.id WHERE message.brand_id = %s",
        brand.brand_id,
    )
    applied = await site.database.rows(
        "SELECT event.identity FROM webhooks_event event WHERE event.brand_id = %s AND event.outcome = 'APPLIED'"
        " AND event.identity LIKE 'c:%%'",
        brand.brand_id,
    )
    marked = await checks.marked_texts(site, brand)
    kinds = [
        brand.inbox.texts(),
        [text for text in at_liveperson if text not in marked],
        [row["text"] for row in rows],
        [row["identity"] for row in applied],
    ]
    return sum(count - 1 for texts in kinds for count in Counter(texts).values() if count > 1)


async def _without_effect(site: Site, brand: Brand, words: list[Sent]) -> int:
    at_liveperson = {text for one in await brand.at_liveperson(site) for text in one["texts"]}
    arrived = at_liveperson | set(brand.inbox.texts()) | await checks.listed_texts(site, brand)
    return sum(item.key not in arrived for item in words)
