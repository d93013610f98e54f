"""
The acknowledgement while one thing is broken: quick, or a quick refusal when nothing can be stored, never silence.

A connection that ends because the process at its other end was killed is no answer, and no slow one either: LivePerson
sees it at once and tries again.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from bench.chaos import checks
from bench.chaos.brand import Brand
from bench.chaos.ledger import ASKED_FOR_S, Sent
from bench.chaos.nemesis import BACKEND, CLUSTER, POSTMASTER, WEB_WORKER, Nemesis
from bench.chaos.processes import kill
from bench.chaos.proxy import Faults
from bench.chaos.report import Row, at_most, load_note, within
from bench.chaos.site import Site, chance, say
from bench.chaos.sizes import Size

BRAND = "probed"
PER_S = 25
FAULT_S = 2.3
ACK_WITHIN_S = 2.0
REFUSED_WITHIN_S = 1.0
WEB_KILLED = "a web worker killed"
REFUSED, FROZEN = "the database refuses connections", "the database stands still"
CUT_OFF, LOCKED = "the network to the database is gone", "a table is locked"
# While these last, nothing can be stored.
NOTHING_STORED = (REFUSED, FROZEN, CUT_OFF, LOCKED)


@dataclass(frozen=True, kw_only=True)
class Seen:
    """Of one fault: its slowest answer, slowest refusal, and how many got none although nobody was killed."""

    fault: str
    answered: int
    slowest_s: float
    slowest_503_s: float
    refused: int
    silent: int
    odd: int


async def run(site: Site, brand: Brand, size: Size) -> list[Row]:
    await brand.open_conversations(site, ["acks"])
    nemesis = Nemesis(site=site, chance=chance(site.seed, "acks/kills"))
    seen, items = [], []
    for name, fault in _faults(site, nemesis).items():
        said = [brand.agent_reads("acks", key=f"acks {name} {n}") for n in range(int(PER_S * (FAULT_S + 1)))]
        seen.append(await _under(site, name, fault, said))
        items += said
        await site.until_ready()
    await brand.until_quiet(site, within_s=240)
    lost = await checks.not_stored(site, brand, [item for item in items if item.is_acked])
    slowest = max(seen, key=lambda one: one.slowest_s)
    refusal = max(seen, key=lambda one: one.slowest_503_s)
    silent = [one for one in seen if one.silent]
    note = f"{load_note()}, our own loop {site.sender.lag_s:.2f} s late at worst"
    return [
        within("ack during a single fault", figure_s=slowest.slowest_s, most_s=ACK_WITHIN_S,
               note=f"at worst ({slowest.fault}) {note}", measured=min(one.answered for one in seen)),
        within("503 when it cannot store", figure_s=refusal.slowest_503_s, most_s=REFUSED_WITHIN_S,
               note=f"at worst ({refusal.fault}), {sum(one.refused for one in seen)} refused",
               measured=min(one.refused for one in seen if one.fault in NOTHING_STORED)),
        at_most(f"… no answer, or none for {ASKED_FOR_S:.0f} s", count=sum(one.silent for one in seen), of=len(items),
                what=", ".join(one.fault for one in silent)),
        at_most("… answers but 200 and 503", count=sum(one.odd for one in seen), of=len(items)),
        at_most("… lost after a 200 meanwhile", count=len(lost), of=len(items)),
    ]  # fmt: skip


Fault = Callable[[], contextlib.AbstractAsyncContextManager[None]]


async def _under(site: Site, name: str, fault: Fault, items: list[Sent]) -> Seen:
    """Post at a steady pace, each once; the fault strikes after half a second."""
    posts: list[asyncio.Task[object]] = []

    async def pace() -> None:
        for item in items:
            posts.append(asyncio.create_task(site.sender.post(item)))
            await asyncio.sleep(1 / PER_S)

    pacing = asyncio.create_task(pace())
    await asyncio.sleep(0.5)
    async with fault():
        await asyncio.sleep(FAULT_S)
    await pacing
    await asyncio.gather(*posts)
    answers = [item.answers[0] for item in items]
    answered = [answer for answer in answers if answer.status is not None]
    refusals = [answer for answer in answered if answer.status == 503]
    found = Seen(
        fault=name,
        answered=len(answered),
        slowest_s=max((answer.elapsed_s for answer in answered), default=0.0),
        slowest_503_s=max((answer.elapsed_s for answer in refusals), default=0.0),
        refused=len(refusals),
        silent=sum(
            answer.status is None and (name != WEB_KILLED or answer.trouble == "no answer in time")
            for answer in answers
        ),
        odd=sum(answer.status not in (200, 503) for answer in answered),
    )
    say(f"  acks, {name}: slowest {found.slowest_s:.2f} s, {found.refused} refused, {found.silent} without an answer")
    return found


def _faults(site: Site, nemesis: Nemesis) -> dict[str, Fault]:
    def killed(target: str) -> Fault:
        @asynccontextmanager
        async def fault() -> AsyncIterator[None]:
            await nemesis.strike_soon(target)
            yield

        return fault

    return {
        WEB_KILLED: killed(WEB_WORKER),
        "a process of the cluster killed": killed(CLUSTER),
        "a database backend killed": killed(BACKEND),
        "the database killed": killed(POSTMASTER),
        REFUSED: _proxy_fault(site, site.web_database.refuse),
        "the database is slow": _proxy_fault(site, lambda: _slow(site)),
        FROZEN: lambda: _frozen(site),
        CUT_OFF: _proxy_fault(site, site.web_database.black_hole),
        LOCKED: lambda: _locked(site),
        "LivePerson stands still": lambda: _stopped(site.simulator.pid),
    }


def _slow(site: Site) -> None:
    site.web_database.faults = Faults(delay_s=0.01)


def _proxy_fault(site: Site, begin: Callable[[], None]) -> Fault:
    @asynccontextmanager
    async def fault() -> AsyncIterator[None]:
        begin()
        try:
            yield
        finally:
            site.web_database.heal()

    return fault


@asynccontextmanager
async def _frozen(site: Site) -> AsyncIterator[None]:
    """Every process of the database is stopped: connections stay, and nothing answers."""
    pids = [site.postmaster_pid, *site.database_processes()]
    for pid in pids:
        kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            kill(pid, signal.SIGCONT)


@asynccontextmanager
async def _stopped(pid: int) -> AsyncIterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        kill(pid, signal.SIGCONT)


@asynccontextmanager
async def _locked(site: Site) -> AsyncIterator[None]:
    """As a careless migration does."""
    async with site.database.locked("LOCK TABLE webhooks_delivery IN ACCESS EXCLUSIVE MODE"):
        yield
