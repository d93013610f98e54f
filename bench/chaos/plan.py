"""Which scenario runs when, on one site: side by side where their faults do not spoil each other's figures."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable

from bench.chaos.brand import Brand, make_brands
from bench.chaos.report import Row
from bench.chaos.scenarios import lost
from bench.chaos.site import Site, running_site, say
from bench.chaos.sizes import Size

Scenario = Callable[[Site, Brand, Size], Awaitable[list[Row]]]

# Each line of scenarios runs side by side, the lines one after the other.
_PHASES: list[dict[str, tuple[str, Scenario]]] = [
    {"lost": (lost.BRAND, lost.run)},
]
NAMES = [name for phase in _PHASES for name in phase]


async def run(*, seed: str, size: Size, only: str = "") -> list[Row]:
    wanted = [{name: it for name, it in phase.items() if only in ("", name)} for phase in _PHASES]
    rows: list[Row] = []
    async with running_site(seed=seed) as site:
        say("the site is up")
        brands = await make_brands(site, sorted({brand for phase in wanted for brand, _ in phase.values()}))
        for phase in wanted:
            found = await asyncio.gather(*(_guarded(name, it, site, brands, size) for name, it in phase.items()))
            rows += [row for some in found for row in some]
        rows += await _invariants(site)
    return rows


async def _guarded(name: str, it: tuple[str, Scenario], site: Site, brands: dict[str, Brand], size: Size) -> list[Row]:
    """A scenario that cannot come to its end has shown that something is broken; the others go on."""
    brand, scenario = it
    try:
        return await scenario(site, brands[brand], size)
    except Exception as error:
        say(f"{name}: {type(error).__name__}: {error}")
        return [
            Row(promise=f"{name} comes to its end", figure=f"{type(error).__name__}: {error}", target="", held=False)
        ]


async def _invariants(site: Site) -> list[Row]:
    """The promises that the site can ask its own database for, after all that was done to it."""
    told = json.loads(await site.manage("check_invariants", may_fail=True))
    broken = [breach["name"] for breach in told["broken"]]
    figure = f"{len(broken)} of {told['checked']} {' '.join(broken)}".strip()
    return [Row(promise="promises that the database breaks afterwards", figure=figure, target="0", held=not broken)]
