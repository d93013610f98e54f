"""What needs somebody now, as sentences: which connector, what is wrong, what to do. Each leads to the connector."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from django.urls import reverse

from core.breaker import Phase
from installations import breakers
from installations.models import AppInstallation, AppToken, Pause, PauseScope, State, Upstream


@dataclass(frozen=True, kw_only=True)
class Need:
    """tone: bad or wait. about: the connector, by its name."""

    tone: str
    about: str
    url: str
    sentence: str


def needs_of(
    installations: Sequence[AppInstallation],
    pauses: Iterable[Pause],
    hosts: Iterable[Upstream],
    tokens: Iterable[AppToken],
    *,
    now: datetime,
) -> list[Need]:
    """The worst first. installations: with valid_secrets, the number of theirs."""
    told = {row.pk for row in installations if row.paused_for}
    found = [
        *(_of_pause(one) for one in pauses if one.target_id not in told),
        *(need for one in installations for need in _of_connector(one)),
        *(_of_host(one, now) for one in hosts),
        *(_of_token(one, now) for one in tokens),
    ]
    return sorted(found, key=lambda need: need.tone != "bad")


def _of_connector(row: AppInstallation) -> Iterator[Need]:
    if row.paused_for:
        yield _need("bad", row, f"It is paused: webhooks are stored, nothing is sent. {row.state_reason}".strip())
    if row.state != State.ACTIVE:
        return
    valid_secrets = getattr(row, "valid_secrets", 1)
    if not valid_secrets:
        yield _need(
            "bad", row, "It has no valid client secret: its webhooks are refused. Add the one LivePerson shows."
        )
    elif valid_secrets > 1:
        yield _need("wait", row, f"{valid_secrets} client secrets are valid: retire the old one once it is not used.")
    if row.test_passed is False:
        yield _need("bad", row, f"Its last connection test failed. {row.test_detail}".strip())


_PAGES = {
    PauseScope.BRAND: "access_brand",
    PauseScope.INSTALLATION: "installations_appinstallation",
    PauseScope.CHANNEL: "installations_channel",
    PauseScope.CONSUMER: "conversations_consumer",
}


def _of_pause(row: Pause) -> Need:
    page = _PAGES.get(PauseScope(row.scope))
    listed = reverse("admin:installations_pause_changelist")
    url = reverse(f"admin:{page}_change", args=[row.target_id]) if page else f"{listed}?state=in_force"
    until = _until(row.until) or " until somebody resumes it"
    who = f"{row.by_name} paused it" if row.by_name else "It is paused"
    what = f"{who} {row.get_direction_display().lower()}{until}: {row.reason}"
    # What a person has paused is as they want it. Of a channel that rejected our credentials it is told here, too.
    tone = "bad" if row.is_by_itself else "wait"
    return Need(tone=tone, about=row.subject, url=url, sentence=what)


def _of_host(row: Upstream, now: datetime) -> Need:
    who = breakers.label_of(row.name)
    if row.phase == Phase.CLOSED.value:
        is_held = row.held_until is not None and row.held_until > now
        what = f"asked to wait{_until(row.held_until)}" if is_held else "failed within the last minute"
        return _need("wait", row.installation, f"{who} {what}. Sending goes on by itself.")
    since = f" since {row.opened_at.astimezone(UTC):%H:%M} UTC" if row.opened_at else ""
    return _need("bad", row.installation, f"{who} is not called{since}: calls to it failed. What is for it waits.")


def _of_token(row: AppToken, now: datetime) -> Need:
    why = f"LivePerson has refused or not answered {row.failures} renewals of its token ({row.error_code})."
    if row.sealed and row.expires_at and row.expires_at > now:
        return _need("wait", row.installation, f"{why} The present one ends{_until(row.expires_at, 'at')}.")
    return _need("bad", row.installation, f"{why} Nothing is sent to LivePerson. Test the connection to see why.")


def _until(at: datetime | None, word: str = "until") -> str:
    return f" {word} {at.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if at else ""


def _need(tone: str, row: AppInstallation, sentence: str) -> Need:
    url = reverse("admin:installations_appinstallation_change", args=[row.pk])
    return Need(tone=tone, about=str(row), url=url, sentence=sentence)
