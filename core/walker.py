"""Long work in short steps: a worker takes a little of it at a time, beside what it must not be late for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import structlog

AFTER_TROUBLE_S = 60.0

logger = structlog.get_logger(__name__)


class Walk:
    """Work that is done step by step, and begun anew a pause after it has ended, or after trouble."""

    def __init__(self, name: str, begin: Callable[[], Iterator[object]], *, pause_s: float) -> None:
        """name: begins what the log says of its trouble. begin: each step of the iterator is one short transaction."""
        self._name = name
        self._begin = begin
        self._pause_s = pause_s
        self._under_way: Iterator[object] | None = None
        self._goes_on_at_s = 0.0

    def go_on(self, *, until_s: float) -> None:
        """
        Take steps until that moment of time.monotonic(), or until it has to pause.

        Never raises: what is wrong with it must not look like a database that is away.
        """
        try:
            while self._goes_on_at_s <= time.monotonic() < until_s:
                self._step()
        except Exception as error:
            # The class only: the text of an error may quote a row.
            logger.exception(f"{self._name}.failed", error=type(error).__name__)
            self._rest(AFTER_TROUBLE_S)

    def _step(self) -> None:
        self._under_way = self._under_way or self._begin()
        try:
            next(self._under_way)
        except StopIteration:
            self._rest(self._pause_s)

    def _rest(self, pause_s: float) -> None:
        self._under_way, self._goes_on_at_s = None, time.monotonic() + pause_s


class Walker:
    """Takes its walks on, the first one first, for as long as its budget lasts, whenever it is called."""

    def __init__(self, *walks: Walk, budget_s: float) -> None:
        self._walks = walks
        self._budget_s = budget_s

    def work(self) -> None:
        """Never raises."""
        until_s = time.monotonic() + self._budget_s
        for walk in self._walks:
            walk.go_on(until_s=until_s)


__all__ = ["AFTER_TROUBLE_S", "Walk", "Walker"]
