"""A clock for code that measures time by time.monotonic(): it goes on only when the test says so."""

from __future__ import annotations

from types import ModuleType

import pytest


class StandingClock:
    """Stands in for the module `time` where that is used for nothing else."""

    def __init__(self) -> None:
        self._now_s = 1_000.0

    def monotonic(self) -> float:
        return self._now_s

    def goes_on(self, seconds: float) -> None:
        self._now_s += seconds


def stop_clock(monkeypatch: pytest.MonkeyPatch, module: ModuleType) -> StandingClock:
    """From now on time stands still for this module, however slow the machine is."""
    clock = StandingClock()
    monkeypatch.setattr(module, "time", clock)
    return clock
