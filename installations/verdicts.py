"""
Is a connector well? What is wrong with it, and what somebody can do about it, worst first.

This package knows states, secrets and tokens; those above it are asked by a signal: the inbox whether notifications
come, the outbox whether echoes do.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from adapters.registry import get_adapter
from core.breaker import Phase
from core.encryption import SealBroken
from installations import breakers
from installations.models import AppInstallation, AppToken, Channel, PausedFor, SealedSecret, State, Upstream
from installations.signals import health_asked, waiting_asked


class Tone(enum.IntEnum):
    """How bad a finding is. Stops: nothing goes through. Worries: something may soon not. Fine: said for comfort."""

    FINE = 0
    WORRIES = 1
    STOPS = 2

    @property
    def word(self) -> str:
        return {Tone.FINE: "good", Tone.WORRIES: "wait", Tone.STOPS: "bad"}[self]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """what: is the case. do: what somebody can do about it; may be empty."""

    tone: Tone
    what: str
    do: str = ""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Findings, worst first."""

    findings: tuple[Finding, ...]

    @property
    def tone(self) -> Tone:
        return max((finding.tone for finding in self.findings), default=Tone.FINE)

    @property
    def headline(self) -> str:
        return {
            Tone.FINE: "Messages go through",
            Tone.WORRIES: "Messages go through, with something to look at",
            Tone.STOPS: "Messages do not go through",
        }[self.tone]


def verdict_of(installation: AppInstallation, *, now: datetime) -> Verdict:
    """What is to be said about an installation now."""
    findings = [
        *_of_state(installation),
        *_of_secrets(installation),
        *_of_token(installation, now),
        *_of_upstreams(installation, now),
        *_of_test(installation),
        *_of_channels(installation),
    ]
    for _, told in health_asked.send(sender=AppInstallation, installation=installation, now=now):
        assert isinstance(told, list)
        findings += told
    return Verdict(findings=tuple(sorted(findings, key=lambda finding: -finding.tone)))


def _of_state(installation: AppInstallation) -> list[Finding]:
    reason, since = installation.state_reason, _since(installation)
    if installation.state == State.DISABLED:
        what = f"It is disabled{since}: nothing is sent, and its webhooks are refused. {_quoted(reason)}"
        return [Finding(tone=Tone.STOPS, what=what.strip(), do="Enable it when it is to be used again.")]
    if installation.state == State.PAUSED and installation.paused_for == PausedFor.CREDENTIALS_REJECTED:
        return [
            Finding(
                tone=Tone.STOPS,
                what=f"LivePerson rejected the credentials, so it is paused{since}. {reason}".strip(),
                do="Check the client id, add the current client secret below, test the connection, then resume.",
            )
        ]
    if installation.state == State.PAUSED:
        what = f"It is paused{since}: webhooks are stored, nothing is sent. {_quoted(reason)}"
        return [Finding(tone=Tone.STOPS, what=what.strip(), do="Resume it: what has waited goes out in its order.")]
    return []


def _since(installation: AppInstallation) -> str:
    at = installation.state_changed_at
    return f" since {at.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if at else ""


def _of_secrets(installation: AppInstallation) -> list[Finding]:
    secrets = list(installation.secrets.filter(retired_at=None))
    if not secrets:
        return [
            Finding(tone=Tone.STOPS, what="It has no valid client secret.", do="Add the one that LivePerson shows.")
        ]
    return _of_seals(secrets, "A client secret")


def _of_seals(secrets: Iterable[SealedSecret], whose: str) -> list[Finding]:
    """One that cannot be opened stops them all: a webhook might have been signed with it, so none may be refused."""
    try:
        for secret in secrets:
            secret.reveal()
    except SealBroken as broken:
        what = f"{whose} cannot be opened, so webhooks are answered 503 and nothing is sent. {broken}"
        do = "Where that key is lost: retire the secrets of before and add the current one."
        return [Finding(tone=Tone.STOPS, what=what, do=do)]
    return []


def _of_token(installation: AppInstallation, now: datetime) -> list[Finding]:
    token = AppToken.objects.filter(pk=installation.pk).first()
    if token is None or not token.failures or (token.sealed and token.expires_at and token.expires_at > now):
        return []
    return [
        Finding(
            tone=Tone.STOPS,
            what=f"LivePerson has not issued a token at {token.failures} attempts in a row ({token.error_code}).",
            do="Test the connection to see what LivePerson answers; sending goes on by itself once it does.",
        )
    ]


def _of_upstreams(installation: AppInstallation, now: datetime) -> list[Finding]:
    upstreams = list(breakers.troubled(now=now).filter(installation=installation).order_by("name"))
    if not upstreams:
        return []
    waiting = 0
    for _, number in waiting_asked.send(sender=AppInstallation, installation=installation):
        assert isinstance(number, int)
        waiting += number
    return [finding for row in upstreams for finding in _of_upstream(row, waiting, now)]


def _of_upstream(row: Upstream, waiting: int, now: datetime) -> list[Finding]:
    who = breakers.label_of(row.name)
    amount = f"{waiting} waiting" if waiting else "nothing waiting"
    if row.phase != Phase.CLOSED.value:
        assert row.opened_at is not None
        next_at = max([now, *(at for at in (row.probe_at, row.held_until) if at)])
        what = (
            f"{who} is not answering since {_time_of(row.opened_at)}; {amount}; next try at {_time_of(next_at)}. "
            "Until it answers no attempt is used up."
        )
        do = "See whether it is down or its address has changed. What waits goes out by itself once it answers."
        return [Finding(tone=Tone.STOPS, what=what, do=do)]
    if row.held_until and row.held_until > now:
        what = f"{who} asked us to slow down; {amount}; nothing is sent to it before {_time_of(row.held_until)}."
        return [Finding(tone=Tone.WORRIES, what=what, do="Nothing to do; if it comes often, ask for a higher limit.")]
    return []


def _time_of(at: datetime) -> str:
    return f"{at.astimezone(UTC):%H:%M:%S} UTC"


def _of_test(installation: AppInstallation) -> list[Finding]:
    if installation.test_passed is None:
        return [Finding(tone=Tone.WORRIES, what="The connection was never tested.", do="Test it.")]
    if not installation.test_passed:
        what = f"The last connection test failed. {installation.test_detail}"
        return [Finding(tone=Tone.STOPS, what=what, do="Put right what it says, then test again.")]
    return []


def _of_channels(installation: AppInstallation) -> list[Finding]:
    channels = list(installation.channels.all())
    if not channels:
        return [Finding(tone=Tone.STOPS, what="It has no channel, so no consumer can write.", do="Add a channel.")]
    return [finding for channel in channels for finding in _of_channel(channel)]


def _of_channel(channel: Channel) -> list[Finding]:
    return [*_of_channel_state(channel), *_of_channel_settings(channel)]


def _of_channel_settings(channel: Channel) -> list[Finding]:
    found = _of_seals(channel.secrets.filter(retired_at=None), f"A secret of the channel {channel.name}")
    for label in lacking_addresses(channel):
        what = f"The channel {channel.name} has no {label}: what agents write to its consumers fails."
        found.append(Finding(tone=Tone.WORRIES, what=what, do="Open the channel and enter it."))
    return found


def lacking_addresses(channel: Channel) -> list[str]:
    """What of its addresses is not entered, by their labels. A channel may be made before its other side is there."""
    fields = get_adapter(channel.type).config_fields
    return [one.label for one in fields if one.kind == "url" and not channel.config.get(one.name)]


def _of_channel_state(channel: Channel) -> list[Finding]:
    if channel.state == State.ACTIVE:
        return []
    if channel.state == State.PAUSED and channel.paused_for == PausedFor.CREDENTIALS_REJECTED:
        what = f"The channel {channel.name} rejected our credentials, so it was paused. {channel.state_reason}"
        return [Finding(tone=Tone.WORRIES, what=what.strip(), do="Open the channel, add the right secret, resume it.")]
    word = "disabled" if channel.state == State.DISABLED else "paused"
    what = f"The channel {channel.name} is {word}. {_quoted(channel.state_reason)}"
    return [Finding(tone=Tone.WORRIES, what=what.strip(), do="Open the channel to resume it.")]


def _quoted(reason: str) -> str:
    return f"Reason: {reason}" if reason else ""
