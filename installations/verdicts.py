"""
Is a connector well? What is wrong with it, what somebody can do about it, and every check behind that.

This package knows states, secrets and tokens; those above it are asked by a signal: the inbox whether notifications
come, the outbox whether sends arrive and echoes come back. However many rows there are, the statements are as many.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db.models import Prefetch

from core.moments import in_utc
from installations import breakers
from installations.common_checks import CHANNEL_IS_SHUT, lacking_addresses, of_hosts, of_pauses, of_seals, way_back
from installations.findings import Check, Finding, Step, Verdict, quoted, since
from installations.models import AppInstallation, AppToken, Channel, ChannelSecret, PausedFor, State
from installations.signals import health_asked


def verdict_of(installation: AppInstallation, *, now: datetime) -> Verdict:
    """What is to be said about an installation now."""
    heard: list[Finding] = []
    for _, told in health_asked.send(sender=AppInstallation, installation=installation, now=now):
        assert isinstance(told, list)
        heard += told
    findings = [
        *_of_state(installation),
        *of_pauses(installation),
        *_of_secrets(installation),
        _of_test(installation, taken_at=max((one.taken_at for one in heard if one.taken_at), default=None)),
        _of_token(installation, now),
        *_of_upstreams(installation, now),
        _of_manifest(installation),
    ]
    return Verdict(
        findings=(*findings, *heard, *_of_channels(installation)),
        fine="Messages go through",
        worrying="Nothing is known to stop messages, but there is something to look at",
        stopping="Messages do not go through",
    )


def _of_state(installation: AppInstallation) -> list[Finding]:
    at, reason = installation.state_changed_at, installation.state_reason
    check = Check(name="State", means="Whether anything is sent, and whether webhooks are taken.", seen_at=at)
    if installation.state == State.ACTIVE:
        return [check.fine(f"It is active{since(at)}.")]
    word, step = way_back(installation)
    if installation.state == State.DISABLED:
        what = f"It is disabled{since(at)}: nothing is sent, and its webhooks are refused. {quoted(reason)}"
        return [check.stops(what.strip(), do="Enable it when it is to be used again.", step=step)]
    if installation.paused_for == PausedFor.CREDENTIALS_REJECTED:
        what = f"LivePerson rejected the credentials, so it is paused{since(at)}. {reason}".strip()
        do = "Check the client id, and add the client secret that LivePerson shows now: that resumes it. Then test."
        return [check.stops(what, do=do, step=Step.ADD_SECRET)]
    what = f"It is paused{since(at)}: webhooks are stored, nothing is sent. {quoted(reason)}"
    return [check.paused(what.strip(), do=f"{word.capitalize()} it: what has waited goes out in its order.", step=step)]


def _of_secrets(installation: AppInstallation) -> list[Finding]:
    valid = list(installation.secrets.filter(retired_at=None).order_by("-created_at"))
    newest_at = valid[0].created_at if valid else None
    means = "One of them signs LivePerson's notifications, and fetches the token."
    check = Check(name="Client secrets", means=means, seen_at=newest_at)
    if not valid:
        do = "Add the one that LivePerson shows."
        return [check.stops("It has no valid client secret.", do=do, step=Step.ADD_SECRET)]
    what = "A client secret cannot be opened, so webhooks are answered 503 and no token can be asked for."
    if broken := of_seals(check, valid, what=what, step=Step.ADD_SECRET):
        return broken
    if len(valid) == 1:
        return [check.fine("One is valid, and it can be opened.")]
    what = f"{len(valid)} are valid, and they can be opened: a rotation is under way."
    return [check.fine(what, do="Retire the old one once LivePerson does not sign with it any more.", step=Step.ROTATE)]


def _of_test(installation: AppInstallation, *, taken_at: datetime | None) -> Finding:
    """taken_at: when LivePerson last took something; a test that failed before then tells nothing of now."""
    means = "Account, client id and secret belong together, and LivePerson can be reached from here."
    check = Check(name="Connection test", means=means, seen_at=installation.tested_at)
    if installation.test_passed is None:
        return check.worries("The connection was never tested.", do="Test it.", step=Step.TEST)
    if not installation.test_passed and taken_at and installation.tested_at and taken_at > installation.tested_at:
        what = "The last connection test failed, but LivePerson has taken messages since."
        return check.worries(what, do="Test again, to be sure.", step=Step.TEST)
    if not installation.test_passed:
        what = f"The last connection test failed. {installation.test_detail}"
        return check.stops(what, do="Put right what it says, then test again.", step=Step.TEST)
    return check.fine(f"The last test passed. {installation.test_detail}".strip())


def _of_manifest(installation: AppInstallation) -> Finding:
    at, found = installation.manifest_compared_at, installation.manifest_differences
    means = "It tells LivePerson what to send where, and how long to keep what cannot be delivered."
    check = Check(name="Manifest", means=means, seen_at=at)
    if at is None:
        return check.fine("What LivePerson has was never compared with what is needed.", step=Step.COMPARE)
    if not found:
        return check.fine("When it was last compared it was as it should be.")
    amount = "one point" if len(found) == 1 else f"{len(found)} points"
    what = f"What LivePerson has differs in {amount} from what is needed. {found[0]['what']}"
    do = "Change it at LivePerson (the list stands below), then compare again."
    is_stopping = any(one["stops"] for one in found)
    tell = check.stops if is_stopping else check.worries
    return tell(what, do=do, step=Step.COMPARE)


def _of_token(installation: AppInstallation, now: datetime) -> Finding:
    check = Check(name="Token", means="Every call to LivePerson carries it; it is renewed by itself.")
    token = AppToken.objects.filter(pk=installation.pk).first()
    if token is not None and token.sealed and token.expires_at and token.expires_at > now:
        return check.fine(f"There is one, valid until {in_utc(token.expires_at)}.")
    if token is None or not token.failures:
        return check.fine("There is none now; the next send fetches one.")
    tries = "one attempt" if token.failures == 1 else f"{token.failures} attempts in a row"
    what = f"LivePerson has not issued a token at {tries} ({token.error_code.replace('_', ' ')})."
    if installation.paused_for == PausedFor.CREDENTIALS_REJECTED:
        return check.stops(what, do="It does once it is asked with a secret that it accepts.")
    do = "Test the connection to see what LivePerson answers; sending goes on by itself once it does."
    return check.stops(what, do=do, step=Step.TEST)


def _of_upstreams(installation: AppInstallation, now: datetime) -> list[Finding]:
    rows = breakers.troubled(now=now).filter(installation=installation).order_by("name")
    return of_hosts(installation, list(rows), now=now)


# --- its channels ----------------------------------------------------------------------------------------------------


def _of_channels(installation: AppInstallation) -> list[Finding]:
    valid = Prefetch("secrets", queryset=ChannelSecret.objects.filter(retired_at=None), to_attr="valid_secrets")
    channels = list(installation.channels.prefetch_related(valid))
    if not channels:
        do = "Add a channel."
        return [_check_of().stops("It has no channel, so no consumer can write.", do=do, step=Step.ADD_CHANNEL)]
    return [finding for channel in channels for finding in _of_channel(channel)]


def _check_of(channel: Channel | None = None) -> Check:
    name = f"Channel {channel.name}" if channel else "Channels"
    means = "By it consumers write, and are answered."
    return Check(name=name, means=means, about=channel.pk if channel else None)


def _of_channel(channel: Channel) -> list[Finding]:
    """As a part of its app installation: what stops a channel need not stop the others."""
    valid: Sequence[ChannelSecret] = channel.valid_secrets  # type: ignore[attr-defined]  # by the prefetch above
    check, step = _check_of(channel), Step.SHOW_CHANNEL
    broken = f"A secret of the channel {channel.name} {CHANNEL_IS_SHUT}"
    found = [*_of_channel_state(channel), *of_seals(check, valid, what=broken, step=step)]
    for label in lacking_addresses(channel):
        what = f"The channel {channel.name} has no {label}: what agents write to its consumers fails."
        found.append(check.worries(what, do="Open the channel and enter it.", step=step))
    return found or [check.fine("It is active and set up.", step=step)]


def _of_channel_state(channel: Channel) -> list[Finding]:
    check = _check_of(channel)
    if channel.state == State.ACTIVE:
        return []
    if channel.state == State.PAUSED and channel.paused_for == PausedFor.CREDENTIALS_REJECTED:
        what = f"The channel {channel.name} rejected our credentials, so it was paused. {channel.state_reason}"
        do = "Open the channel, add the right secret, resume it."
        return [check.worries(what.strip(), do=do, step=Step.SHOW_CHANNEL).as_cause()]
    state, (word, _) = channel.get_state_display().lower(), way_back(channel)
    what = f"The channel {channel.name} is {state}. {quoted(channel.state_reason)}"
    return [check.worries(what.strip(), do=f"Open the channel to {word} it.", step=Step.SHOW_CHANNEL)]
