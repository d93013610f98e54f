"""
How long the work at hand waits for PostgreSQL to say anything.

A server that is frozen, or behind a path that swallows packets, refuses nothing: it is silent. Its own timeouts do not
run then, and TCP notices after tens of seconds. So the waiting is bounded here, and what one thread has waited for in
vain, the others of its process need not: until a probe is answered, they are told at once.

Nothing is bounded unless somebody says so by limited(): workers, commands and long pages wait as before.
"""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections.abc import Generator, Iterator
from typing import TypeVar

import psycopg
import structlog

QUICK_S = 0.7
# How often a wait is looked at; a limit that is used up still leaves a wait this long, which a live server needs not.
TICK_S = 0.05
# Silence, rather than a lock or a slow statement: a statement of quick work is ended by the server before this.
_EVIDENCE_S = 0.6
_PROBE_EVERY_S = 0.5
# Work without a limit of its own is given up when probes have been in vain for so long.
_GIVEN_UP_AFTER_S = 5.0

logger = structlog.get_logger(__name__)
Sent = TypeVar("Sent")
Yielded = TypeVar("Yielded")
Returned = TypeVar("Returned")


class Silent(psycopg.OperationalError):
    """PostgreSQL does not answer."""


class Silence:
    """What the threads of a process know of the server's silence."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._since_s: float | None = None
        self._noted_s = -math.inf
        self._next_probe_s = 0.0

    def may_ask(self) -> bool:
        """Whether asking makes sense now. While there is silence, one caller at a time may try."""
        if self._since_s is None:
            return True
        with self._lock:
            now_s = time.monotonic()
            if now_s < self._next_probe_s:
                return False
            self._next_probe_s = now_s + QUICK_S + _PROBE_EVERY_S  # its own outcome comes sooner
            return True

    def was_noted_after(self, moment_s: float) -> bool:
        """Whether somebody else's wait has ended in vain since."""
        return self._noted_s > moment_s

    def has_lasted(self) -> bool:
        """Whether it is hopeless to wait on."""
        since_s = self._since_s
        return since_s is not None and time.monotonic() - since_s > _GIVEN_UP_AFTER_S

    def note(self) -> None:
        """Somebody waited in vain."""
        with self._lock:
            now_s = self._noted_s = time.monotonic()
            self._next_probe_s = now_s + _PROBE_EVERY_S
            if self._since_s is not None:
                return
            self._since_s = now_s
        logger.error("database.silent")

    def end(self) -> None:
        """The server has answered somebody."""
        if self._since_s is None:
            return
        with self._lock:
            self._since_s = None
        logger.info("database.answers_again")


class _Limit:
    """The patience of one piece of work; its time starts with its first wait."""

    def __init__(self, total_s: float | None, *, outer: _Limit | None) -> None:
        self._total_s = total_s
        self._outer = outer
        self._ends_s = math.inf
        self._is_started = False

    def start(self) -> float:
        """When it ends, by the monotonic clock."""
        if not self._is_started:
            self._is_started = True
            outer_ends_s = self._outer.start() if self._outer else math.inf
            own_ends_s = math.inf if self._total_s is None else time.monotonic() + self._total_s
            self._ends_s = min(own_ends_s, outer_ends_s)
        return self._ends_s


class _Work(threading.local):
    limit: _Limit | None = None


silence = Silence()
_work = _Work()


@contextlib.contextmanager
def limited(total_s: float | None) -> Iterator[None]:
    """
    Wait no longer than this, all in all, for PostgreSQL; and not at all while it is known to be silent.

    total_s: None for work that may take long as long as the server lives. Raises Silent, which Django turns into an
    OperationalError; the connection is closed then, and a commit that was under way may have taken place.
    """
    outer = _work.limit
    _work.limit = _Limit(total_s, outer=outer)
    try:
        yield
    finally:
        _work.limit = outer


def is_limited() -> bool:
    """Whether the work at hand is bounded."""
    return _work.limit is not None


def watched(waiting: Generator[Yielded, Sent, Returned]) -> Generator[Yielded, Sent, Returned]:
    """
    A generator of psycopg's, which now raises Silent when the limit of the work at hand is used up.

    psycopg sends nothing into it when TICK_S went by without a byte.
    """
    limit = _work.limit
    if limit is None:
        answer = yield from waiting
    else:
        if not silence.may_ask():
            raise Silent("PostgreSQL does not answer; another request has waited for it in vain.")
        answer = yield from _until(limit.start(), waiting)
    silence.end()
    return answer


def _until(ends_s: float, waiting: Generator[Yielded, Sent, Returned]) -> Generator[Yielded, Sent, Returned]:
    began_s = time.monotonic()
    try:
        wanted = next(waiting)
        while True:
            ready = yield wanted
            if not ready:
                _look_at_clock(began_s=began_s, ends_s=ends_s)
            wanted = waiting.send(ready)
    except StopIteration as end:
        returned: Returned = end.value
        return returned


def _look_at_clock(*, began_s: float, ends_s: float) -> None:
    now_s = time.monotonic()
    if now_s >= ends_s:
        if now_s - began_s >= _EVIDENCE_S:
            silence.note()
        raise Silent("PostgreSQL did not answer in time.")
    # Who began to wait before another gave up would wait for the same: those who queue behind have no time for it.
    is_quick = ends_s < math.inf
    if silence.has_lasted() or (is_quick and silence.was_noted_after(began_s)):
        raise Silent("PostgreSQL does not answer.")
