"""
A poisoned row: something stored that no worker can digest. It is started a few times at most and set aside; what
stands beside it is not held up.

The kit damages rows behind the site's back: a delivery whose headers are no headers.
In the long form also a delivery that kills each worker that touches it: the kit holds it up by a lock, and kills.
"""

from __future__ import annotations

import asyncio
import time

from bench.chaos import checks
from bench.chaos.brand import Brand
from bench.chaos.processes import kill
from bench.chaos.report import Row, at_most, within
from bench.chaos.site import Site, chance, eventually, say
from bench.chaos.sizes import Size

BRAND = "probed"
MOST_STARTS = 3
NEIGHBOURS = 20
NEIGHBOURS_WITHIN_S = 5.0


async def run(site: Site, brand: Brand, size: Size) -> list[Row]:
    await brand.open_conversations(site, ["poisoned", *(f"beside-{number}" for number in range(NEIGHBOURS))])
    say("poison: rows that cannot be digested")
    rows = await _undigestible(site, brand)
    if size.is_long:
        rows += await _deadly(site, brand)
    return rows


async def _undigestible(site: Site, brand: Brand) -> list[Row]:
    """Paused, so that the damage is done before a worker looks."""
    site.worker_database.black_hole()
    poisoned = [brand.consumer_says("poisoned", f"poison delivery {number}") for number in range(3)]
    beside = [brand.agent_says(f"beside-{number}", f"poison beside {number}") for number in range(NEIGHBOURS)]
    draw = chance(site.seed, "poison")
    await site.sender.deliver_all([*poisoned, *beside], per_s=50, within_s=30, chance=draw)
    digests = [item.sha256 for item in poisoned]
    damaged = await site.database.damage(
        "UPDATE webhooks_deliverybody SET headers = '[[]]' WHERE delivery_id IN"
        " (SELECT id FROM webhooks_delivery WHERE encode(sha256, 'hex') = ANY(%s))",
        digests,
    )
    since = time.monotonic()
    site.worker_database.heal()
    wanted = {item.key for item in beside}

    async def all_there() -> bool:
        return wanted <= set(brand.inbox.texts())

    await eventually(all_there, "what stands beside the poison", within_s=60, every_s=0.05)
    took_s = max(arrival.at for arrival in brand.inbox.arrivals if arrival.text in wanted) - since
    await brand.until_quiet(site, within_s=60)
    found = await site.database.rows(
        "SELECT state, start_count FROM webhooks_delivery WHERE encode(sha256, 'hex') = ANY(%s)", digests
    )
    worst = max(row["start_count"] for row in found)
    alive = sum(row["state"] not in ("DEAD", "QUARANTINED") for row in found)
    return [
        Row(promise="starts of a poisoned delivery", figure=f"{worst} at most of {damaged}", target=f"<= {MOST_STARTS}",
            held=worst <= MOST_STARTS and damaged == len(poisoned)),
        at_most("… poisoned deliveries that were not set aside", count=alive, of=damaged),
        within("… those beside it arrive", figure_s=took_s, most_s=NEIGHBOURS_WITHIN_S, note=f"all {NEIGHBOURS}"),
    ]  # fmt: skip


async def _deadly(site: Site, brand: Brand) -> list[Row]:
    """Each worker that has begun to apply it dies; the others' work goes on between the deaths."""
    consumer = await site.database.value(
        "SELECT id FROM conversations_consumer WHERE brand_id = %s AND channel_consumer_id = 'poisoned'", brand.brand_id
    )
    item = brand.consumer_says("poisoned", "poison that kills")
    kills, seen = 0, set[int]()
    # Whoever applies it waits for this lock, which gives us the time to kill.
    async with site.database.locked("SELECT 1 FROM conversations_consumer WHERE id = %s FOR UPDATE", consumer):
        await site.sender.deliver(item, within_s=30, chance=chance(site.seed, "poison/deadly"))
        deadline = time.monotonic() + 240
        while time.monotonic() < deadline:
            state = await site.database.rows(
                "SELECT state FROM webhooks_delivery WHERE encode(sha256, 'hex') = %s", item.sha256
            )
            if state[0]["state"] != "STORED":
                break
            # Those of workers that are dead already wait on: the database has not noticed.
            if fresh := await checks.waiting_backends(site) - seen:
                seen |= fresh
                await asyncio.sleep(0.2)
                for pid in site.cluster():
                    kill(pid)
                kills += 1
                await asyncio.sleep(1.0)
            await asyncio.sleep(0.2)
    await brand.until_quiet(site, within_s=120)
    found = await site.database.rows(
        "SELECT state, start_count FROM webhooks_delivery WHERE encode(sha256, 'hex') = %s", item.sha256
    )
    return [
        Row(promise="workers that a deadly delivery kills", figure=f"{kills}, then {found[0]['state']}",
            target=f"<= {MOST_STARTS}", held=0 < kills <= MOST_STARTS and found[0]["state"] == "DEAD"),
    ]  # fmt: skip
