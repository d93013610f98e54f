"""Which scenario runs when, on one site: side by side where their faults do not spoil each other's figures."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, replace

from bench.chaos.brand import Brand, make_brands
from bench.chaos.report import Row
from bench.chaos.scenarios import (
    acks,
    discipline,
    doubt,
    input,
    lost,
    neighbours,
    order,
    outage,
    poison,
    repeats,
    restore,
    resume,
)
from bench.chaos.site import Site, running_site, say
from bench.chaos.sizes import Size
from bench.chaos.turns import ALONE, AT_ANY_TIME, BESIDE_ITS_LIKE, turn

Scenario = Callable[[Site, Brand, Size], Awaitable[list[Row]]]


@dataclass(frozen=True)
class Phase:
    """Scenarios that run side by side. turn: when they may, where several runs share a machine."""

    turn: int
    scenarios: dict[str, tuple[str, Scenario]]


def _phases(*, is_long: bool) -> list[Phase]:
    """One after the other, so that each has no other trouble than its own."""
    kills: dict[str, tuple[str, Scenario]] = {"lost": (lost.BRAND, lost.run), "repeats": (repeats.BRAND, repeats.run)}
    in_doubt: dict[str, tuple[str, Scenario]] = {"doubt": (doubt.BRAND, doubt.run)}
    return [
        Phase(
            BESIDE_ITS_LIKE,
            {
                "outage": (outage.BRAND, outage.run),
                "order": (order.BRAND, order.run),
                "input": (input.BRAND, input.run),
                "discipline": (discipline.BRAND, discipline.run),
            },
        ),
        # Beside many kills nothing would ever be settled; beside few, minutes are saved.
        *([Phase(BESIDE_ITS_LIKE, in_doubt)] if is_long else []),
        Phase(ALONE, {"poison": (poison.BRAND, poison.run)}),
        Phase(ALONE, {"neighbours": (neighbours.BRAND, neighbours.run)}),
        Phase(ALONE, kills if is_long else kills | in_doubt),
        Phase(ALONE, {"acks": (acks.BRAND, acks.run)}),
        Phase(ALONE, {"resume": (resume.BRAND, resume.run)}),
        Phase(AT_ANY_TIME, {"restore": (restore.BRAND, restore.run)}),
    ]


# What needs minutes and a machine of its own.
LONG_ONLY = frozenset({"neighbours"})
NAMES = [name for phase in _phases(is_long=True) for name in phase.scenarios]


async def run(*, seed: str, size: Size, only: Collection[str] = ()) -> list[Row]:
    wanted = set(only or NAMES) - (LONG_ONLY if not size.is_long else set())
    phases = [
        replace(phase, scenarios={name: it for name, it in phase.scenarios.items() if name in wanted})
        for phase in _phases(is_long=size.is_long)
    ]
    rows: list[Row] = []
    async with running_site(seed=seed) as site:
        say("the site is up")
        brands = await make_brands(site, sorted({brand for phase in phases for brand, _ in phase.scenarios.values()}))
        for phase in phases:
            if phase.scenarios:
                async with turn(phase.turn):
                    rows += await _side_by_side(phase.scenarios, site, brands, size)
        rows += await _ended("invariants", _invariants(site))
    return rows


async def _side_by_side(
    some: dict[str, tuple[str, Scenario]], site: Site, brands: dict[str, Brand], size: Size
) -> list[Row]:
    found = await asyncio.gather(
        *(_guarded(name, scenario, site, brands[brand], size) for name, (brand, scenario) in some.items())
    )
    return [row for rows in found for row in rows]


async def _guarded(name: str, scenario: Scenario, site: Site, brand: Brand, size: Size) -> list[Row]:
    rows = await _ended(name, scenario(site, brand, size))
    for row in rows:
        say(f"  {row.promise}: {row.figure}")
    return rows


async def _ended(name: str, rows: Awaitable[list[Row]]) -> list[Row]:
    """What cannot come to its end has shown that something is broken; the others go on."""
    try:
        found = await rows
    except Exception as error:
        say(f"{name}: {type(error).__name__}: {error}")
        return [
            Row(promise=f"{name} comes to its end", figure=f"{type(error).__name__}: {error}", target="", held=False)
        ]
    say(f"{name}: done")
    return found


async def _invariants(site: Site) -> list[Row]:
    """The promises that the site can ask its own database for, after all that was done to it."""
    told = json.loads(await site.manage("check_invariants", may_fail=True))
    broken = [breach["name"] for breach in told["broken"]]
    figure = f"{len(broken)} of {told['checked']} {' '.join(broken)}".strip()
    return [Row(promise="promises that the database breaks afterwards", figure=figure, target="0", held=not broken)]
