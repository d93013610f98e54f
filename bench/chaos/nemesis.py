"""Kills at random moments: a schedule that follows from the seed, and what was really struck."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from dataclasses import dataclass, field

from bench.chaos.processes import kill
from bench.chaos.site import Site, eventually, say

WEB_WORKER = "web worker"
WEB_MAIN = "web main process"
CLUSTER = "process of the cluster"
SUPERVISOR = "supervisor of the workers"
BACKEND = "database backend"
POSTMASTER = "database main process"
TARGETS = (WEB_WORKER, CLUSTER, POSTMASTER, CLUSTER, WEB_WORKER, BACKEND, CLUSTER, SUPERVISOR, WEB_MAIN)


@dataclass(kw_only=True)
class Nemesis:
    """struck: what was killed, with time.monotonic()."""

    site: Site
    chance: random.Random
    struck: list[tuple[float, str]] = field(default_factory=list)

    def plan(self, *, kills: int, over_s: float) -> list[tuple[float, str]]:
        """Every kind as often as the others, in any order, at moments spread over the time."""
        targets = [TARGETS[number % len(TARGETS)] for number in range(kills)]
        self.chance.shuffle(targets)
        gap_s = over_s / kills
        return [
            (number * gap_s + self.chance.uniform(0.1, 0.9) * gap_s, target) for number, target in enumerate(targets)
        ]

    async def follow(self, plan: list[tuple[float, str]]) -> None:
        """Strike as planned; struck says what was."""
        began_at = time.monotonic()
        for at_s, target in plan:
            await asyncio.sleep(max(0.0, began_at + at_s - time.monotonic()))
            with contextlib.suppress(TimeoutError):
                await self.strike_soon(target)

    async def strike_soon(self, target: str) -> None:
        """What is just coming back is struck a little later. Raises TimeoutError after a minute."""

        async def is_struck() -> bool:
            return self.strike(target)

        await eventually(is_struck, f"a {target} killed", within_s=60, every_s=0.1)

    def strike(self, target: str) -> bool:
        candidates = self._candidates(target)
        if not candidates:
            return False
        pid = self.chance.choice(sorted(candidates))
        if not kill(pid):
            return False
        self.struck.append((time.monotonic(), target))
        say(f"  killed a {target}")
        return True

    def _candidates(self, target: str) -> list[int]:
        site = self.site
        if target == WEB_WORKER:
            return site.web_workers() if site.web.is_running else []
        if target == WEB_MAIN:
            return [site.web.pid] if site.web.is_running else []
        if target == SUPERVISOR:
            return [site.worker.pid] if site.worker.is_running else []
        if target == CLUSTER:
            found = site.cluster()
            return found if len(found) >= 5 else []  # it is only coming up
        processes = site.database_processes()
        if target == BACKEND or not processes:
            return processes
        return [site.postmaster_pid]
