"""Checks that app installations and channels have in common: can their secrets be opened, do their hosts answer."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from adapters.registry import get_adapter
from core.breaker import Phase
from core.encryption import SealBroken
from core.moments import in_utc
from installations import breakers, paused
from installations.findings import Check, Finding, Step
from installations.models import (
    Account,
    AppInstallation,
    Channel,
    Pause,
    PausedDirection,
    SealedSecret,
    State,
    Upstream,
)
from installations.signals import waiting_asked

CHANNEL_IS_SHUT = "cannot be opened, so webhooks are answered 503 and nothing is sent."


def of_seals(check: Check, secrets: Iterable[SealedSecret], *, what: str, step: Step) -> list[Finding]:
    """One that cannot be opened stops them all: a webhook might have been signed with it, so none may be refused."""
    try:
        for secret in secrets:
            secret.reveal()
    except SealBroken as broken:
        do = "Where that key is lost: add the current secret, then retire those of before."
        return [check.stops(f"{what} {broken}", do=do, step=step)]
    return []


def of_hosts(installation: AppInstallation, rows: list[Upstream], *, now: datetime) -> list[Finding]:
    """rows: those of its hosts that are in trouble."""
    waiting = 0
    if rows:
        for _, number in waiting_asked.send(sender=AppInstallation, installation=installation):
            assert isinstance(number, int)
            waiting += number
    found = [finding for row in rows for finding in _of_host(row, waiting, now)]
    return found or [_hosts().fine("None is in trouble.")]


def _hosts(failed_at: datetime | None = None) -> Check:
    means = "A host that keeps failing is left alone for a while; what is for it waits, and no attempt is used up."
    return Check(name="Hosts that are called", means=means, seen_at=failed_at)


def _of_host(row: Upstream, waiting: int, now: datetime) -> list[Finding]:
    who, check = breakers.label_of(row.name), _hosts(row.failed_at)
    amount = f"{waiting} waiting" if waiting else "nothing waiting"
    if row.phase != Phase.CLOSED.value:
        assert row.opened_at is not None
        next_at = max([now, *(at for at in (row.probe_at, row.held_until) if at)])
        # Without anything to send nobody tries: a time that is over would go on with the clock.
        next_try = f"next try at {in_utc(next_at)}" if next_at > now else "what is sent next tries it"
        what = (
            f"{who} is not called: calls to it have failed since {in_utc(row.opened_at)}; {amount}; "
            f"{next_try}. Until one goes through no attempt is used up."
        )
        do = (
            "The failures below say what it answered, if it did. See whether it is down or its address has changed. "
            "What waits goes out by itself once it works again."
        )
        return [check.stops(what, do=do, step=Step.SHOW_FAILURES)]
    if row.held_until and row.held_until > now:
        what = f"{who} asked us to slow down; {amount}; nothing is sent to it before {in_utc(row.held_until)}."
        return [check.worries(what, do="Nothing to do; if it comes often, ask for a higher limit.").as_cause()]
    return []


def of_pauses(row: Account | AppInstallation | Channel) -> list[Finding]:
    """Those in force that its state does not tell: of one direction, or of what it stands in."""
    check = Check(name="Pauses", means="While one is in force what it covers waits, and no attempt is used up.")
    over = [one for one in paused.pauses_over(row) if not _is_told_by_state(one, row)]
    if not over:
        return [check.fine("No other covers it.")]
    what = " ".join(_sentence(one, is_own=one.target_id == row.pk) for one in over)
    do = "Who did it, why and until when stands above. What waits goes out in its order when it ends."
    return [check.paused(what, do=do)]


def _is_told_by_state(pause: Pause, row: Account | AppInstallation | Channel) -> bool:
    is_whole = pause.target_id == row.pk and pause.direction == PausedDirection.BOTH
    return is_whole and not isinstance(row, Account) and row.state == State.PAUSED


def _sentence(pause: Pause, *, is_own: bool) -> str:
    who = "It" if is_own else pause.subject
    return f"{who} is paused {_WAYS[PausedDirection(pause.direction)]}."


_WAYS = {
    PausedDirection.BOTH: "in both directions",
    PausedDirection.TO_LIVEPERSON: "towards LivePerson",
    PausedDirection.TO_CHANNEL: "towards the channel",
}


def lacking_addresses(channel: Channel) -> list[str]:
    """What of its addresses is not entered, by their labels. A channel may be made before its other side is there."""
    fields = get_adapter(channel.type).config_fields
    return [one.label for one in fields if one.kind == "url" and not channel.config.get(one.name)]


def way_back(row: AppInstallation | Channel) -> tuple[str, Step]:
    """What lets a row that is paused or disabled send again: the word for it, and where."""
    return ("enable", Step.ENABLE) if row.state == State.DISABLED else ("resume", Step.RESUME)
