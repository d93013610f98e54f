"""
A breaker: stops calling what does not answer, and finds out when it does again. Pure: all times are passed in.

    CLOSED ──of ten or more calls in a minute at least half failed──> OPEN
    OPEN ──after 30 s one call may try: the probe──> HALF_OPEN
    HALF_OPEN ──the probe failed──> OPEN      ──it went well, and so did a second one──> CLOSED

One probe is under way at a time. One that never comes back (its worker died) has the line to itself for 30 s, then
another may try; its late result is known by its number, and ignored.

Apart from that, a Retry-After holds all calls until its time, whatever the phase.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from core.errors import ConnectorError, NotSent, OutcomeUnknown, RateLimited
from core.retry import RETRY_AFTER_CAP_S, retry_after_floor_s

WINDOW = timedelta(seconds=60)
MIN_CALLS = 10
FAILED_SHARE = 0.5
PROBE_EVERY = timedelta(seconds=30)
GOOD_PROBES_TO_CLOSE = 2

_BUCKET_S = 10
_BUCKETS = int(WINDOW.total_seconds()) // _BUCKET_S
_LONGEST_HOLD = timedelta(seconds=RETRY_AFTER_CAP_S)


class Phase(enum.StrEnum):
    CLOSED = "CLOSED"
    OPEN = "OPEN"
    HALF_OPEN = "HALF_OPEN"


# --- what a call says about the other side ----------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Sign:
    """is_answering: whether the other side is there and does its work. hold_s: how long it asks not to be called."""

    is_answering: bool
    hold_s: float = 0.0


def sign_of(error: ConnectorError | None) -> Sign:
    """
    What a call's end says about the other side; None: it went well.

    Only what is the other side's trouble counts as a failure: it cannot be reached, does not answer, or answers with a
    server error. A refused request is the request's fault, refused credentials are ours, and who says "too many
    requests" is there.
    """
    if isinstance(error, RateLimited):
        return Sign(is_answering=error.http_status != 503, hold_s=retry_after_floor_s(error.retry_after_s))
    return Sign(is_answering=not isinstance(error, (NotSent, OutcomeUnknown)))


# --- counts of the last minute ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Window:
    """
    Calls and failures of the last minute, ten seconds a bucket.

    buckets: (number of the ten seconds since 1970, calls, failures), oldest first.
    """

    buckets: tuple[tuple[int, int, int], ...] = ()

    def add(self, *, calls: int, failures: int, now: datetime) -> Window:
        return self.merge(Window(((_bucket_at(now), calls, failures),)), now=now)

    def merge(self, other: Window, *, now: datetime) -> Window:
        """Both together, without what is older than the window, or of a future that a corrected clock took back."""
        newest = _bucket_at(now)
        sums: dict[int, tuple[int, int]] = {}
        for bucket, calls, failures in (*self.buckets, *other.buckets):
            if newest - _BUCKETS < bucket <= newest:
                known = sums.get(bucket, (0, 0))
                sums[bucket] = (known[0] + calls, known[1] + failures)
        return Window(tuple((bucket, *sums[bucket]) for bucket in sorted(sums)))

    def is_bad(self, *, now: datetime) -> bool:
        """
        Whether at least half of ten or more calls failed, in the window or in any younger part of it.

        The younger parts tell an outage within seconds although the minute before it was good; the whole window tells
        it where calls are few.
        """
        calls = failures = 0
        for _, some_calls, some_failures in reversed(self.merge(Window(), now=now).buckets):
            calls, failures = calls + some_calls, failures + some_failures
            if calls >= MIN_CALLS and failures >= FAILED_SHARE * calls:
                return True
        return False

    @property
    def failures(self) -> int:
        return sum(failures for _, _, failures in self.buckets)


def _bucket_at(now: datetime) -> int:
    return int(now.timestamp() // _BUCKET_S)


# --- the breaker ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Go:
    """The call may be made. probe: its number, where it is one; 0 for an ordinary call."""

    probe: int = 0


@dataclass(frozen=True, kw_only=True)
class Wait:
    """No call before that time."""

    until: datetime


@dataclass(frozen=True, kw_only=True)
class Breaker:
    """
    What is known of one upstream.

    probe_at: in OPEN, when the next probe may begin; in HALF_OPEN, until when the running one has the line to itself,
    None where none is running. probe: number of the last one. bad_probes: since it opened, in a row.
    """

    phase: Phase = Phase.CLOSED
    window: Window = Window()
    opened_at: datetime | None = None
    probe_at: datetime | None = None
    probe: int = 0
    good_probes: int = 0
    bad_probes: int = 0
    held_until: datetime | None = None

    # Queries

    def ask(self, *, now: datetime) -> Go | Wait:
        """
        Whether a call may be made now. Go with a probe's number: it may be that probe, if `take_probe` gives it out.
        """
        if _is_ahead(self.held_until, now, _LONGEST_HOLD):
            assert self.held_until is not None
            return Wait(until=self.held_until)
        if self.phase is Phase.CLOSED:
            return Go()
        if _is_ahead(self.probe_at, now, PROBE_EVERY):
            assert self.probe_at is not None
            return Wait(until=self.probe_at)
        return Go(probe=self.probe + 1)

    # Mutators: each returns what follows

    def take_probe(self, *, now: datetime) -> Breaker | None:
        """Give out the next probe, whose number `probe` then is; None where none is due."""
        permit = self.ask(now=now)
        if isinstance(permit, Wait) or not permit.probe:
            return None
        return replace(self, phase=Phase.HALF_OPEN, probe=permit.probe, probe_at=now + PROBE_EVERY)

    def count(self, window: Window, *, now: datetime) -> Breaker:
        """
        Take in ordinary calls that have ended.

        Those that end while it is not closed had begun before it opened: they say nothing about how things are now.
        """
        if self.phase is not Phase.CLOSED:
            return self
        counted = self.window.merge(window, now=now)
        if not counted.is_bad(now=now):
            return replace(self, window=counted)
        return replace(
            self,
            phase=Phase.OPEN,
            window=Window(),
            opened_at=now,
            probe_at=now + PROBE_EVERY,
            good_probes=0,
            bad_probes=0,
        )

    def end_probe(self, number: int, *, is_answering: bool, now: datetime) -> Breaker:
        """Take in the result of a probe; that of one whose time was over is ignored."""
        if self.phase is not Phase.HALF_OPEN or number != self.probe or self.probe_at is None:
            return self
        if not is_answering:
            return replace(
                self,
                phase=Phase.OPEN,
                probe_at=now + PROBE_EVERY,
                good_probes=0,
                bad_probes=self.bad_probes + 1,
            )
        if self.good_probes + 1 < GOOD_PROBES_TO_CLOSE:
            return replace(self, probe_at=None, good_probes=self.good_probes + 1)
        # The number goes on, so that no late result is taken for that of a later probe.
        return Breaker(probe=self.probe, held_until=self.held_until)

    def hold(self, hold_s: float, *, now: datetime) -> Breaker:
        """Let nobody call for so long; a hold is never shortened."""
        until = now + min(timedelta(seconds=hold_s), _LONGEST_HOLD)
        if _is_ahead(self.held_until, now, _LONGEST_HOLD):
            assert self.held_until is not None
            until = max(until, self.held_until)
        return replace(self, held_until=until)


def _is_ahead(at: datetime | None, now: datetime, at_most: timedelta) -> bool:
    """Whether a time is still to come. One further away than it was ever set was set by a clock that went wrong."""
    return at is not None and now < at <= now + at_most
