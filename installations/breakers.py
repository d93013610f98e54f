"""
Which upstreams may be called: the breakers of core.breaker, one row in the database for each that gave trouble.

All workers share the rows. What goes well costs nothing: it is counted in the worker alone, and told to the row only
while that saw a failure in the last minute. Nobody waits for a row that another worker holds: what there was to write
is written the next time. What is lost with a rolled back transaction is a few counts, and the next calls tell again.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import reduce
from operator import or_

import structlog
from django.db.models import Count, Q, QuerySet

from adapters.base import ChannelAdapter
from core.breaker import WINDOW, Breaker, Go, Phase, Wait, Window, sign_of
from core.errors import ConnectorError
from installations.models import AppInstallation, Channel, Upstream

logger = structlog.get_logger(__name__)

# What blocks a lane whose upstream may not be called.
WAITING = "waiting_for_upstream"

_LIVEPERSON = "liveperson:"
_LOOK_EVERY = timedelta(milliseconds=500)
_TELL_EVERY = timedelta(seconds=1)
_BUSY = timedelta(milliseconds=200)
# Those that wait are looked at one by one: a thousand that all came back at the same moment would keep others waiting.
_APART_WHILE_OPEN = timedelta(milliseconds=50)
_APART_AFTER_HOLD = timedelta(milliseconds=5)


@dataclass(frozen=True, order=True)
class UpstreamKey:
    """Names an upstream: a host, and the installation on whose behalf it is called."""

    installation_id: uuid.UUID
    name: str
    brand_id: uuid.UUID


def liveperson(installation: AppInstallation, service: str) -> UpstreamKey:
    """The host of one of LivePerson's services, such as liveperson.domains.SEND_API; each account has one for it."""
    return UpstreamKey(installation.pk, f"{_LIVEPERSON}{service}", installation.brand_id)


def channel(row: Channel, adapter: ChannelAdapter) -> UpstreamKey:
    """The host that a channel's messages are sent to."""
    return UpstreamKey(row.installation_id, adapter.upstream(row.config)[:255], row.brand_id)


def label_of(name: str) -> str:
    """An upstream as people read it."""
    if name.startswith(_LIVEPERSON):
        return f"LivePerson ({name.removeprefix(_LIVEPERSON)})"
    return f"The channel's server {name}"


@dataclass(frozen=True, kw_only=True)
class Answered:
    """A probe was answered: what waits may be woken, all of it when the breaker has closed, else a few."""

    key: UpstreamKey
    is_closed: bool


@dataclass(kw_only=True)
class _Untold:
    """What a worker has seen of an upstream and not told its row. told_at: when it last did."""

    window: Window = Window()
    probes: list[tuple[int, bool]] = field(default_factory=list)
    hold_s: float = 0.0
    told_at: datetime


class BreakerDesk:
    """
    What one worker knows of the breakers. Belongs to its main thread; every method runs inside a turn's transaction,
    except `note`, which touches no database.

    now: the database's clock.
    """

    def __init__(self) -> None:
        self._known: dict[UpstreamKey, Breaker] = {}
        self._looked_at: datetime | None = None
        self._untold: dict[UpstreamKey, _Untold] = {}
        self._waiting: dict[UpstreamKey, tuple[datetime, int]] = {}

    def may_call(self, key: UpstreamKey, *, now: datetime) -> Go | Wait:
        """
        Whether a call may be made now. Go belongs to this one call, and goes to `note` with its end.

        Wait: give the lane back until then, blocked by WAITING. Until an upstream is heard of nobody has to wait.
        """
        self._look(now)
        breaker = self._known.get(key)
        permit = breaker.ask(now=now) if breaker else Go()
        if isinstance(permit, Go) and permit.probe:
            permit = self._take_probe(key, now)
        return self._in_turn(key, permit) if isinstance(permit, Wait) else permit

    def is_open(self, key: UpstreamKey | None) -> bool:
        """Whether an upstream is known to be in trouble."""
        breaker = self._known.get(key) if key else None
        return breaker is not None and breaker.phase is not Phase.CLOSED

    def note(self, key: UpstreamKey, permit: Go, error: ConnectorError | None, *, now: datetime) -> None:
        """Remember how a call ended; once for each."""
        sign = sign_of(error)
        untold = self._untold.setdefault(key, _Untold(told_at=now))
        untold.hold_s = max(untold.hold_s, sign.hold_s)
        if permit.probe:
            untold.probes.append((permit.probe, sign.is_answering))
        else:
            untold.window = untold.window.add(calls=1, failures=0 if sign.is_answering else 1, now=now)

    def flush(self, *, now: datetime) -> list[Answered]:
        """Tell the rows what was noted; most often there is nothing to tell. Returns what has been heard of again."""
        due = sorted(key for key, untold in self._untold.items() if self._has_to_tell(key, untold, now))
        if not due:
            return []
        unheard = [key for key in due if key not in self._known]
        if unheard:
            Upstream.objects.bulk_create([_new_row(key) for key in unheard], ignore_conflicts=True)
        answered = []
        for key, row in _locked(due).items():
            before = row.breaker
            self._tell(row, self._untold.pop(key), now)
            self._known[key] = after = row.breaker
            _log(key, before, after)
            has_closed = after.phase is Phase.CLOSED and before.phase is not Phase.CLOSED
            if has_closed or after.good_probes > before.good_probes:
                answered.append(Answered(key=key, is_closed=has_closed))
        return answered

    def _has_to_tell(self, key: UpstreamKey, untold: _Untold, now: datetime) -> bool:
        if untold.probes or untold.hold_s:
            return True
        known = self._known.get(key)
        if known is not None and known.phase is not Phase.CLOSED:
            untold.window = Window()  # had begun before it opened
            return False
        return untold.window.failures > 0 or (known is not None and now - untold.told_at >= _TELL_EVERY)

    def _tell(self, row: Upstream, untold: _Untold, now: datetime) -> None:
        breaker = row.breaker.count(untold.window, now=now)
        for number, is_answering in untold.probes:
            breaker = breaker.end_probe(number, is_answering=is_answering, now=now)
        if untold.hold_s:
            breaker = breaker.hold(untold.hold_s, now=now)
        row.keep(breaker)
        if untold.window.failures or any(not is_answering for _, is_answering in untold.probes):
            row.failed_at = now
        row.save()

    def _take_probe(self, key: UpstreamKey, now: datetime) -> Go | Wait:
        row = _locked([key]).get(key)
        if row is None:
            return Wait(until=now + _BUSY)
        taken = row.breaker.take_probe(now=now)
        if taken is not None:
            row.keep(taken)
            row.save()
        self._known[key] = row.breaker
        if taken is not None:
            logger.info("upstream.probed", installation_id=str(key.installation_id), upstream=key.name)
            return Go(probe=taken.probe)
        return row.breaker.ask(now=now)

    def _in_turn(self, key: UpstreamKey, permit: Wait) -> Wait:
        until, before = self._waiting.get(key, (permit.until, 0))
        number = before + 1 if until == permit.until else 1
        self._waiting[key] = (permit.until, number)
        is_open = self._known[key].phase is not Phase.CLOSED
        return Wait(until=permit.until + number * (_APART_WHILE_OPEN if is_open else _APART_AFTER_HOLD))

    def _look(self, now: datetime) -> None:
        if self._looked_at is not None and now - self._looked_at < _LOOK_EVERY:
            return
        self._looked_at = now
        self._known = {key_of(row): row.breaker for row in troubled(now=now)}


def troubled(*, now: datetime) -> QuerySet[Upstream]:
    """Upstreams that are not called, or asked us to wait, or have failed within the last minute."""
    is_open = ~Q(phase=Phase.CLOSED.value)
    return Upstream.objects.filter(is_open | Q(held_until__gt=now) | Q(failed_at__gt=now - WINDOW))


def count_by_phase() -> dict[str, int]:
    """How many upstreams that ever gave trouble are in which phase."""
    counts = dict.fromkeys((phase.value for phase in Phase), 0)
    return counts | dict(Upstream.objects.values_list("phase").annotate(Count("pk")).order_by())


def key_of(row: Upstream) -> UpstreamKey:
    return UpstreamKey(row.installation_id, row.name, row.brand_id)


def _new_row(key: UpstreamKey) -> Upstream:
    return Upstream(brand_id=key.brand_id, installation_id=key.installation_id, name=key.name)


def _locked(keys: Iterable[UpstreamKey]) -> dict[UpstreamKey, Upstream]:
    """The rows of those that nobody else holds at this moment."""
    wanted = reduce(or_, (Q(installation_id=key.installation_id, name=key.name) for key in keys))
    rows = Upstream.objects.select_for_update(skip_locked=True, no_key=True).filter(wanted)
    return {key_of(row): row for row in rows}


def _log(key: UpstreamKey, before: Breaker, after: Breaker) -> None:
    facts = {"installation_id": str(key.installation_id), "upstream": key.name}
    if before.phase is Phase.CLOSED and after.phase is Phase.OPEN:
        logger.warning("upstream.breaker_opened", **facts)
    elif before.phase is not Phase.CLOSED and after.phase is Phase.CLOSED:
        logger.info("upstream.breaker_closed", **facts, bad_probes=before.bad_probes)
