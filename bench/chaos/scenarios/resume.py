"""
Recovery: what a dead worker was doing is taken over, and a killed idle process wedges nothing.

An idle worker of django-q2 that is killed holds the lock of the queue for ever; its successors never get a task.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from bench.chaos import checks
from bench.chaos.brand import Brand
from bench.chaos.nemesis import CLUSTER, SUPERVISOR, Nemesis
from bench.chaos.processes import children_of, kill
from bench.chaos.proxy import KILL_ASKED, Faults
from bench.chaos.report import Row, within
from bench.chaos.site import Site, chance, eventually, say
from bench.chaos.sizes import Size

BRAND = "probed"
WITHIN_S = 30.0
_GIVEN_UP_S = 75.0


async def run(site: Site, brand: Brand, size: Size) -> list[Row]:
    await brand.open_conversations(site, [f"resume-{number}" for number in range(5)])
    busy_s = [await _kill_in_a_send(site, brand, number) for number in range(max(1, size.idle_kills // 3))]
    idle_s = await _kill_idle(site, brand, size)
    vanished_s = await _vanish(site, brand)
    note = f"at worst, {len(busy_s)} killed in a send"
    idle_note = f"at worst, {len(idle_s)} killed while idle: " + ", ".join(f"{s:.0f}" for s in idle_s)
    return [
        within("interrupted work resumes", figure_s=max(busy_s), most_s=WITHIN_S, note=note),
        within("… of a worker whose machine vanishes in a transaction", figure_s=vanished_s, most_s=WITHIN_S),
        within("… the killed idle process wedges nothing", figure_s=max(idle_s), most_s=WITHIN_S, note=idle_note),
    ]


async def _kill_in_a_send(site: Site, brand: Brand, number: int) -> float:
    """Kill the worker whose request the app has just got; the seconds until the same message is there again."""
    text = f"resume in a send {number}"
    brand.to_app.killed_at.clear()
    brand.to_app.faults = Faults(kinds=[KILL_ASKED], rate=1.0, times=1)
    await site.sender.deliver(brand.agent_says("resume-0", text), within_s=30, chance=chance(site.seed, text))

    async def is_killed() -> bool:
        return bool(brand.to_app.killed_at)

    await eventually(is_killed, "a worker killed in a send", every_s=0.05)
    killed_at = brand.to_app.killed_at[0]
    return await _until_seen(brand, text, since=killed_at)


async def _kill_idle(site: Site, brand: Brand, size: Size) -> list[float]:
    """Kill each kind of process of the cluster while there is nothing to do, then ask for something."""
    draw = chance(site.seed, "resume/idle")
    nemesis = Nemesis(site=site, chance=draw)
    took_s = []
    for number in range(size.idle_kills):
        await brand.until_quiet(site, within_s=120)
        await asyncio.sleep(draw.uniform(0.5, 2.0))
        await eventually(_cluster_is_whole(site), "a whole cluster", within_s=60)
        if number == size.idle_kills - 1:
            await nemesis.strike_soon(SUPERVISOR)
        elif number == 0:
            # One of the workers that wait for a task holds the lock of the queue: without luck, kill all of them.
            idle = [pid for pid in site.cluster() if not children_of(pid)]
            say(f"  killed all idle workers, pusher and monitor: {[kill(pid) for pid in idle]}")
        else:
            # In turn, by age: main process, guard, then pusher, workers and monitor.
            cluster = sorted(site.cluster())
            pid = cluster[(number + 1) % len(cluster)]
            say(f"  killed an idle {CLUSTER}, {number + 1} of {size.idle_kills}: {kill(pid)}")
        since = time.monotonic()
        text = f"resume after an idle kill {number}"
        await site.sender.deliver(brand.agent_says("resume-1", text), within_s=30, chance=draw)
        took_s.append(await _until_seen(brand, text, since=since))
    return took_s


async def _vanish(site: Site, brand: Brand) -> float:
    """
    The workers' machine is gone in the middle of its transactions, and the database is not told. Another takes over.

    The kit holds the consumer's row for a moment, so that a worker is certainly inside a transaction.
    """
    text = "resume after a machine has vanished"
    proxy, draw = site.worker_database, chance(site.seed, "resume/vanish")
    await eventually(_cluster_is_whole(site), "a whole cluster", within_s=60)
    consumer = await site.database.value(
        "SELECT id FROM conversations_consumer WHERE brand_id = %s AND channel_consumer_id = 'resume-2'", brand.brand_id
    )
    try:
        async with site.database.locked("SELECT 1 FROM conversations_consumer WHERE id = %s FOR UPDATE", consumer):
            await site.sender.deliver(brand.agent_says("resume-2", text), within_s=30, chance=draw)
            await eventually(
                lambda: checks.waiting_backends(site), "a worker in a transaction", within_s=30, every_s=0.05
            )
            proxy.hides_ends = True
            since = time.monotonic()
            for pid in [*site.cluster(), site.worker.pid]:
                kill(pid)
            await asyncio.sleep(0.5)
        return await _until_seen(brand, text, since=since)
    finally:
        proxy.hides_ends = False
        proxy.reset_all()


def _cluster_is_whole(site: Site) -> Callable[[], Awaitable[bool]]:
    async def look() -> bool:
        return len(site.cluster()) >= 6

    return look


async def _until_seen(brand: Brand, text: str, *, since: float) -> float:
    """Seconds from then until the app had this text, or too many."""
    while time.monotonic() < since + _GIVEN_UP_S:
        for arrival in brand.inbox.arrivals:
            if arrival.text == text and arrival.at > since:
                return arrival.at - since
        await asyncio.sleep(0.05)
    return _GIVEN_UP_S
