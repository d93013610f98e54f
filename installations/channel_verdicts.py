"""Is one channel well? The same questions as about an app installation, from the side of the consumers."""

from __future__ import annotations

from datetime import datetime

from adapters.registry import get_adapter
from installations import breakers
from installations.common_checks import CHANNEL_IS_SHUT, lacking_addresses, of_hosts, of_pauses, of_seals, way_back
from installations.findings import Check, Finding, Step, Verdict, quoted
from installations.models import Channel, PausedFor, State
from installations.signals import channel_health_asked


def verdict_of_channel(channel: Channel, *, now: datetime) -> Verdict:
    """What is to be said about a channel now. Its app installation's own troubles stand on that one's page."""
    findings = [
        _of_state(channel),
        *of_pauses(channel),
        _of_installation(channel),
        _of_secrets(channel),
        *_of_addresses(channel),
        *_of_upstream(channel, now),
    ]
    for _, told in channel_health_asked.send(sender=Channel, channel=channel, now=now):
        assert isinstance(told, list)
        findings += told
    is_refused = channel.state == State.DISABLED
    return Verdict(
        findings=tuple(findings),
        fine="Consumers can write and be answered",
        worrying="Consumers can write, but not be answered"
        if lacking_addresses(channel)
        else "Consumers can write and be answered, with something to look at",
        stopping="Nothing is sent, and what arrives is refused" if is_refused else "Messages do not go through",
    )


def _of_state(channel: Channel) -> Finding:
    check = Check(name="State", means="Whether anything is sent, and whether what consumers do is taken.")
    if channel.state == State.ACTIVE:
        return check.fine("It is active.")
    if channel.state == State.PAUSED and channel.paused_for == PausedFor.CREDENTIALS_REJECTED:
        what = f"The other side rejected our credentials, so it was paused. {channel.state_reason}"
        do = "Add the secret that the other side has now, then resume it."
        return check.stops(what.strip(), do=do, step=Step.ADD_SECRET)
    word, step = way_back(channel)
    is_stored = "what arrives is refused" if channel.state == State.DISABLED else "what arrives is stored"
    what = f"It is {channel.get_state_display().lower()}: nothing is sent, {is_stored}. {quoted(channel.state_reason)}"
    say = check.paused if channel.state == State.PAUSED else check.stops
    return say(what.strip(), do=f"{word.capitalize()} it: what has waited goes out in its order.", step=step)


def _of_installation(channel: Channel) -> Finding:
    row = channel.installation
    means = "The way to LivePerson: what consumers write goes through it."
    check = Check(name="App installation", means=means, seen_at=row.state_changed_at, about=row.pk)
    if row.state == State.ACTIVE:
        return check.fine(f"{row} is active.")
    state = row.get_state_display().lower()
    what = f"Its app installation {row} is {state}: nothing goes to LivePerson. {quoted(row.state_reason)}"
    return check.stops(what.strip(), do="Open it: it says what to do.", step=Step.SHOW_INSTALLATION)


def _of_secrets(channel: Channel) -> Finding:
    valid = list(channel.secrets.filter(retired_at=None).order_by("-created_at"))
    means = "They sign what goes between this site and the other side."
    check = Check(name="Secrets", means=means, seen_at=valid[0].created_at if valid else None)
    if broken := of_seals(check, valid, what=f"A secret of the channel {CHANNEL_IS_SHUT}", step=Step.ADD_SECRET):
        return broken[0]
    wanted = [one for one in get_adapter(channel.type).config_fields if one.kind == "secret" and one.required]
    if wanted and not valid:
        what = "It has no valid secret, so nothing that the other side sends can be verified."
        return check.stops(what, do="Add one.", step=Step.ADD_SECRET)
    if not valid:
        return check.fine("It needs none.")
    amount = "One is valid, and it can" if len(valid) == 1 else f"{len(valid)} are valid, and they can"
    return check.fine(f"{amount} be opened.")


def _of_addresses(channel: Channel) -> list[Finding]:
    check = Check(name="Address", means="What agents write to its consumers is sent there.")
    lacking = lacking_addresses(channel)
    if not lacking:
        return [check.fine("It is entered.")]
    return [
        check.worries(f"It has no {label}: what agents write fails.", do="Enter it below.", step=Step.SETTINGS)
        for label in lacking
    ]


def _of_upstream(channel: Channel, now: datetime) -> list[Finding]:
    name = breakers.channel(channel, get_adapter(channel.type)).name
    rows = breakers.troubled(now=now).filter(installation_id=channel.installation_id, name=name)
    return of_hosts(channel.installation, list(rows), now=now)
