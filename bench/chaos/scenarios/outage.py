"""
Promises 4 and 5: LivePerson answers 500 for a while and recovers; then every message is delivered, in order, and
nobody had to do anything.
"""

from __future__ import annotations

import asyncio
import time

from bench.chaos import checks
from bench.chaos.brand import Brand
from bench.chaos.report import Row, at_most
from bench.chaos.site import Site, chance, say
from bench.chaos.sizes import Size

BRAND = "outage"
CONSUMERS = 8
MESSAGES = 4


async def run(site: Site, brand: Brand, size: Size) -> list[Row]:
    consumers = [f"outage-{number}" for number in range(CONSUMERS)]
    await brand.open_conversations(site, consumers)
    for place in ("send", "conversation"):
        await site.break_liveperson(on=place, do="status", status=500, account=brand.account)
    say(f"outage: LivePerson answers 500 for {size.outage_s:.0f} s")
    ends_at = time.monotonic() + size.outage_s
    items = [brand.consumer_says(c, f"outage {c} {n}") for n in range(MESSAGES) for c in consumers]
    await site.sender.deliver_all(
        items, per_s=len(items) / (size.outage_s * 0.8), within_s=60, chance=chance(site.seed, "outage")
    )
    await asyncio.sleep(max(0.0, ends_at - time.monotonic()))
    await site.mend_liveperson(brand.account)
    requests = (await site.simulate("GET", "requests?since=0"))["requests"]
    refused = sum(entry["account"] == brand.account and entry["status"] == 500 for entry in requests)
    healed_at = time.monotonic()
    say(f"outage: over, after {refused} refusals")
    await brand.until_quiet(site, within_s=size.outage_s * 2 + 300)
    took_s = time.monotonic() - healed_at
    arrived = {one["consumer"]: one["texts"] for one in await brand.at_liveperson(site)}
    wanted = {c: [item.key for item in items if item.consumer == c] for c in consumers}
    listed = await checks.listed_texts(site, brand)
    left = [text for c in consumers for text in wanted[c] if text not in arrived.get(c, []) or text in listed]
    overtaken = sum(checks.inversions(arrived.get(c, []), wanted[c]) for c in consumers)
    promise = f"LivePerson answers 500 for {size.outage_s:.0f} s: messages that a person has to look after"
    return [
        at_most(promise, count=len(left), of=len(items) if refused else 0,
                what=f"({refused} refusals, all settled {took_s:.0f} s after its recovery)"),
        at_most("… inversions afterwards", count=overtaken, of=len(items)),
    ]  # fmt: skip
