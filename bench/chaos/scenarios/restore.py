"""
A machine is lost with all that it stored, and an old backup of it is restored elsewhere.

Two brands of a busy site have words waiting, either way, when the backup is made. The one's upstreams recover soon
after: the site that is lost sends all of it, so that nothing may be sent a second time in silence. The other's do not:
nothing of it has arrived, so that nothing may be forgotten. Of the first brand half of the echoes come only after the
restore, as LivePerson repeats what nobody answered. A person then releases what is left, without looking.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from bench.chaos import checks
from bench.chaos.app import Relayed
from bench.chaos.brand import CONTENT, Brand, make_brand
from bench.chaos.ledger import Sent
from bench.chaos.report import Row, at_most
from bench.chaos.site import Site, chance, eventually, say
from bench.chaos.sizes import Size

BRAND = "restored"
PEOPLE, WORDS = 6, 3
BUSY_PER_S = 5
# What nobody released is not sent: as long as this is looked at, after the worker has started.
NOTHING_LEAVES_S = 5


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """One brand's words that wait to be sent when the backup is made."""

    brand: Brand
    written: list[Sent]
    spoken: list[Sent]

    @property
    def items(self) -> list[Sent]:
        return [*self.written, *self.spoken]


async def run(site: Site, brand: Brand, size: Size) -> list[Row]:
    stuck = await make_brand(site, name="restored-stuck", account="92000091")
    for one in (brand, stuck):
        await one.open_conversations(site, [*_names("heard"), *_names("unheard"), *_names("spoken-to")])
    async with _passing_on(site, brand) as post:
        waiting = [await _keep_waiting(site, one) for one in (brand, stuck)]
        say("restore: words wait either way, the backup is made")
        folder = site.data_dir / "old-backup"
        await site.manage("backup", str(folder))
        post.withholds = True
        busy = await _go_on(site, brand, size)
        say("restore: the machine is lost, the backup is restored")
        await site.lose()
        report = json.loads(await site.manage("restore", str(folder)))
        before = await _calls(site, waiting)
        await site.come_back()
        await asyncio.sleep(NOTHING_LEAVES_S)
        left_early = await _calls(site, waiting) - before
        await _mend(site, stuck)
        post.withholds = False
        recognised = await _until_recognised(site, brand)
        released = [await _release(site, one) for one in (brand, stuck)]
        for one in (brand, stuck):
            await one.until_quiet(site, within_s=200)
    return [
        *await _rows(site, waiting, busy, size),
        at_most("… what left before anybody released it", count=left_early, of=sum(len(one.items) for one in waiting)),
        await _listed(site, waiting, report, recognised, released),
    ]


# --- until the machine is lost ----------------------------------------------------------------------------------------


async def _keep_waiting(site: Site, brand: Brand) -> Waiting:
    """Neither LivePerson nor the app takes anything from now on."""
    for place in ("send", "conversation"):
        await site.break_liveperson(on=place, do="status", status=500, account=brand.account)
    brand.inbox.answer = lambda webhook_id, text: (503, {})
    writers = [*_names("heard"), *_names("unheard")]
    written = [brand.consumer_says(who, f"{brand.name} {who} {n}") for n in range(WORDS) for who in writers]
    spoken = [brand.agent_says(who, f"{brand.name} to {who} {n}") for n in range(WORDS) for who in _names("spoken-to")]
    draw = chance(site.seed, f"restore/{brand.name}")
    await site.sender.deliver_all([*written, *spoken], per_s=40, within_s=60, chance=draw)
    return Waiting(brand=brand, written=written, spoken=spoken)


async def _go_on(site: Site, brand: Brand, size: Size) -> list[Sent]:
    """One brand's upstreams recover, and everything is sent, as is what is said in the minutes after the backup."""
    await _mend(site, brand)
    count = int(size.backup_age_s * BUSY_PER_S)
    busy = [
        brand.consumer_says(f"busy-{n % 10}", f"busy {n}")
        if n % 2
        else brand.agent_says(_names("spoken-to")[n % PEOPLE], f"busy agent {n}")
        for n in range(count)
    ]
    await site.sender.deliver_all(busy, per_s=BUSY_PER_S, within_s=60, chance=chance(site.seed, "restore/busy"))
    await brand.until_quiet(site, within_s=300)
    return busy


async def _mend(site: Site, brand: Brand) -> None:
    await site.mend_liveperson(brand.account)
    brand.inbox.answer = lambda webhook_id, text: (200, {})


@dataclass(kw_only=True)
class _Post:
    """withholds: whether the echoes of the consumers who are heard of late stay with us."""

    withholds: bool = False


@contextlib.asynccontextmanager
async def _passing_on(site: Site, brand: Brand) -> AsyncIterator[_Post]:
    """Hand on what LivePerson tells, but for what it is to tell again later."""
    await brand.relay_notifications(site, CONTENT)
    post, draw = _Post(), chance(site.seed, "restore/post")

    async def go_on() -> None:
        while True:
            for one in list(brand.inbox.relayed):
                if not (post.withholds and _is_of_the_heard(one)):
                    brand.inbox.relayed.remove(one)
                    await site.sender.deliver(brand.handed_on(one), within_s=60, chance=draw)
            await asyncio.sleep(0.05)

    passing = asyncio.create_task(go_on())
    try:
        yield post
    finally:
        passing.cancel()


def _is_of_the_heard(one: Relayed) -> bool:
    return b" heard-" in one.body


# --- afterwards -------------------------------------------------------------------------------------------------------


async def _until_recognised(site: Site, brand: Brand) -> set[str]:
    """What evidence settles, once LivePerson has told again: the ids of dispatches."""

    async def settled() -> set[str]:
        sql = "SELECT id FROM conversations_dispatch WHERE brand_id = %s AND resolution = 'echo'"
        return {str(row["id"]) for row in await site.database.rows(sql, brand.brand_id)}

    async def all_heard() -> bool:
        return len(await settled()) >= PEOPLE * WORDS

    with contextlib.suppress(TimeoutError):
        await eventually(all_heard, "the evidence", within_s=60)
    return await settled()


async def _release(site: Site, brand: Brand) -> dict[str, Any]:
    told = await site.manage("held", "release", "--brand", brand.name, "--reason", "Nobody can look.")
    released: dict[str, Any] = json.loads(told)
    return released


async def _arrived(site: Site, waiting: Waiting) -> Counter[tuple[str, str]]:
    """How often each waiting word stands on the other side, as somebody there counts: an app by its ids."""
    texts = [("LivePerson", text) for one in await waiting.brand.at_liveperson(site) for text in one["texts"]]
    texts += [("app", text) for text in waiting.brand.inbox.texts()]
    keys = {item.key for item in waiting.items}
    return Counter(place for place in texts if place[1] in keys)


async def _calls(site: Site, waiting: list[Waiting]) -> int:
    """How often anybody was called with something, refused or not, a first time or not."""
    entries = (await site.simulate("GET", "requests?since=0"))["requests"]
    accounts = {one.brand.account for one in waiting}
    said = sum(entry["account"] in accounts and entry["on"] in ("send", "conversation") for entry in entries)
    return said + sum(len(one.brand.inbox.arrivals) for one in waiting)


async def _rows(site: Site, waiting: list[Waiting], busy: list[Sent], size: Size) -> list[Row]:
    lost = doubled = total = 0
    for one in waiting:
        arrived = await _arrived(site, one)
        marked = await checks.marked_texts(site, one.brand) | await checks.listed_texts(site, one.brand)
        total += len(one.items)
        lost += len(one.items) - len(arrived)
        doubled += sum(count > 1 and text not in marked for (_, text), count in arrived.items())
    age = f"{size.backup_age_s:.0f} s"
    there = await waiting[0].brand.at_liveperson(site)
    known = {text for one in there for text in one["texts"]} | set(waiting[0].brand.inbox.texts())
    return [
        at_most(f"restore of a backup {age} old: waiting words lost", count=lost, of=total),
        at_most("… doubled in silence", count=doubled, of=total),
        at_most(
            "… said after the backup, and no longer on the other side",
            count=sum(item.key not in known for item in busy),
            of=len(busy),
        ),
    ]


async def _listed(
    site: Site, waiting: list[Waiting], report: dict[str, Any], recognised: set[str], released: list[dict[str, Any]]
) -> Row:
    """
    What was held was recognised, or stands in the list of what was released.

    What was recognised may bear a mark from before the backup: LivePerson had refused it, and it was to be sent again.
    """
    listed = [json.loads(await site.manage("held", "list", "--brand", one.brand.name)) for one in waiting]
    named = {dispatch for told in listed for entry in told["released"] for dispatch in entry["possible_duplicates"]}
    marked = {
        str(row["id"])
        for one in waiting
        for row in await site.database.rows(
            "SELECT id FROM conversations_dispatch WHERE brand_id = %s AND possible_duplicate", one.brand.brand_id
        )
    }
    still_held = sum(len(told["held"]) for told in listed)
    lanes = sum(len(told["released"]) for told in released)
    return at_most(
        "… held, and neither recognised nor listed",
        count=len(marked - named - recognised) + still_held,
        of=report["held"]["dispatches"],
        what=f"({report['held']['lanes']} lanes held, {len(recognised)} recognised, {lanes} lanes released)",
    )


def _names(kind: str) -> list[str]:
    return [f"{kind}-{number}" for number in range(PEOPLE)]
