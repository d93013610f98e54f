"""Are the connectors of an account well? In short, a line for each; what to do stands on the page of each."""

from __future__ import annotations

from datetime import datetime

from django.db.models import Prefetch

from core.breaker import Phase
from installations import breakers
from installations.arrivals import last_arrivals
from installations.common_checks import of_pauses
from installations.connectors import domain_api_trouble
from installations.findings import Check, Finding, Step, Verdict, quoted
from installations.models import Account, AppInstallation, AppToken, State, Upstream

_MOST = 50


def verdict_of_account(account: Account, *, now: datetime) -> Verdict:
    """What is to be said about an account now. The statements are as many however many connectors it has."""
    troubled = Prefetch("upstreams", queryset=breakers.troubled(now=now), to_attr="troubled_upstreams")
    rows = list(account.installations.prefetch_related("channels", troubled).order_by("name", "client_id")[:_MOST])
    tokens = {token.pk: token for token in AppToken.objects.filter(installation__account=account)}
    arrivals = last_arrivals(rows)
    findings = [_of_connector(row, tokens.get(row.pk), arrivals.get(row.pk), now) for row in rows]
    return Verdict(
        findings=(_of_domain_api(account), *of_pauses(account), *(findings or [_of_none()])),
        fine="Messages go through",
        worrying="Nothing is known to stop messages, but there is something to look at",
        stopping="Messages do not go through" if len(rows) < 2 else "Messages do not go through everywhere",
    )


def _of_none() -> Finding:
    check = Check(name="App installations", means="Each is a connector: credentials, and the channels under them.")
    do = "Add the one that LivePerson made for you."
    return check.stops("It has no app installation, so nothing is connected.", do=do, step=Step.ADD_INSTALLATION)


def _of_domain_api(account: Account) -> Finding:
    check = Check(name="Domain API", means="Tells which of LivePerson's hosts serve this account.")
    if not account.domain_api:
        return check.fine("LivePerson's own is asked.")
    if trouble := domain_api_trouble(account.domain_api):
        return check.stops(trouble, do="Enter another address below, or none.", step=Step.SETTINGS)
    return check.fine(f"{account.domain_api} is asked.")


def _of_connector(row: AppInstallation, token: AppToken | None, seen_at: datetime | None, now: datetime) -> Finding:
    means = "When it was last seen is when LivePerson last told it something."
    check = Check(name=str(row), means=means, seen_at=seen_at, about=row.pk)
    step, do = Step.SHOW_INSTALLATION, "Open it: it says what to do."
    if row.state != State.ACTIVE:
        what = f"{row} is {row.get_state_display().lower()}. {quoted(row.state_reason)}".strip()
        return check.stops(what, do=do, step=step)
    if row.test_passed is False:
        return check.stops(f"The last connection test of {row} failed. {row.test_detail}", do=do, step=step)
    if token and token.failures and not (token.sealed and token.expires_at and token.expires_at > now):
        return check.stops(f"LivePerson issues no token for {row} ({token.error_code}).", do=do, step=step)
    upstreams: list[Upstream] = row.troubled_upstreams  # type: ignore[attr-defined]  # by the prefetch above
    closed = [one for one in upstreams if one.phase != Phase.CLOSED.value]
    if closed:
        return check.stops(f"Calls of {row} to {breakers.label_of(closed[0].name)} fail.", do=do, step=step)
    return _of_channels(row, check)


def _of_channels(row: AppInstallation, check: Check) -> Finding:
    step, do = Step.SHOW_INSTALLATION, "Open it: it says what to do."
    channels = list(row.channels.all())
    if not channels:
        return check.stops(f"{row} has no channel, so no consumer can write.", do=do, step=step)
    asleep = [channel.name for channel in channels if channel.state != State.ACTIVE]
    if asleep:
        return check.worries(f"Of {row} these channels are not active: {', '.join(asleep)}.", do=do, step=step)
    if row.test_passed is None:
        return check.worries(f"The connection of {row} was never tested.", do=do, step=step)
    amount = "one channel" if len(channels) == 1 else f"{len(channels)} channels"
    return check.fine(f"Active, with {amount}.", step=step)
