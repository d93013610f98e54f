"""What the outbox knows of a connector: do sends arrive, do echoes come back, how much waits for an upstream."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Any

from django.dispatch import receiver

from conversations.lately import LOOKED_BACK, Ended, lately_ended
from conversations.models import Direction, DispatchState, Lane
from core.errors import CredentialsRejected, RateLimited
from installations.breakers import WAITING
from installations.findings import Check, Finding, Step
from installations.models import AppInstallation, Channel
from installations.signals import channel_health_asked, health_asked, waiting_asked

_ECHO_WITHIN = timedelta(minutes=2)
_LOOKED_AT = 20
_ENOUGH = 3
_MOST_COUNTED = 100
_LOOK = "Look at the failures below: each says what was answered."
_HOURS = LOOKED_BACK // timedelta(hours=1)


@receiver(health_asked)
def tell_of_sends(*, installation: AppInstallation, now: datetime, **_: Any) -> list[Finding]:
    ended = lately_ended(installation, now=now)
    to_liveperson = [one for one in ended if one.direction == Direction.TO_LIVEPERSON]
    to_channel = [one for one in ended if one.direction == Direction.TO_CHANNEL]
    of_sends = _of_sends(to_liveperson, whither="LivePerson", means="What consumers write reaches an agent.")
    return [
        replace(of_sends, taken_at=of_sends.check.seen_at if of_sends.check else None),
        _of_echoes(to_liveperson, now),
        _of_sends(to_channel, whither="the channels", means="What agents write reaches the consumers."),
    ]


@receiver(channel_health_asked)
def tell_of_sends_of_channel(*, channel: Channel, now: datetime, **_: Any) -> list[Finding]:
    ended = [one for one in lately_ended(channel, now=now) if one.direction == Direction.TO_CHANNEL]
    return [_of_sends(ended, whither="the other side", means="What agents write reaches the consumers.")]


def _of_sends(ended: Sequence[Ended], *, whither: str, means: str) -> Finding:
    """ended: newest first. When several consumers' messages fail one after the other, it is not about one consumer."""
    sent_at = next((one.at for one in ended if one.state == DispatchState.SENT), None)
    check = Check(name=f"Messages to {whither}", means=means, seen_at=sent_at)
    failed = list(takewhile(lambda one: one.state != DispatchState.SENT, (one for one in ended if one.is_telling)))
    why = _because(failed[0].error_code.replace("_", " ")) if failed else ""
    if len({one.lane_id for one in failed}) >= _ENOUGH:
        what = f"None of the last {len(failed)} messages to {whither} is known to have arrived{why}."
        return check.stops(what, do=_LOOK, step=Step.SHOW_FAILURES)
    if again := sum(one.is_to_be_tried_again for one in failed):
        what = f"{again} message{'s' if again > 1 else ''} to {whither} did not go through at the last try{why}."
        is_rejected = failed[0].error_code == CredentialsRejected.code
        when = "when what was paused for it is resumed" if is_rejected else "by itself"
        return check.worries(what, do=f"{_LOOK} It is tried again {when}.", step=Step.SHOW_FAILURES)
    if failed:
        since = "since the last one was accepted" if sent_at else f"in the last {_HOURS} hours, and none was accepted"
        return check.fine(f"{len(failed)} failed {since}: too few to say that it is the connector.")
    if sent_at is None:
        return check.fine(f"There was none in the last {_HOURS} hours.")
    return check.fine("The last one was accepted.")


def _because(code: str) -> str:
    return f" ({code})" if code else ""


def _of_echoes(ended: Sequence[Ended], now: datetime) -> Finding:
    """Echoes are the evidence that settles a send whose answer was lost: without them a person has to decide."""
    accepted = [one for one in ended if one.may_echo and one.at and one.at < now - _ECHO_WITHIN][:_LOOKED_AT]
    echoed = [one for one in accepted if one.is_echoed]
    means = "A message of ours comes back as a notification: that settles a send whose answer was lost."
    check = Check(name="Echoes", means=means, seen_at=echoed[0].at if echoed else None)
    if echoed:
        return check.fine("Messages that LivePerson accepted come back.")
    if len(accepted) < _ENOUGH:
        return check.fine("Too few messages were sent lately to tell.")
    what = f"LivePerson accepted the last {len(accepted)} messages, but none came back as a notification."
    do = "See that its manifest names this site for ContentEvent: echoes settle sends whose answer was lost."
    return check.worries(what, do=do, step=Step.HAND_OVER)


@receiver(waiting_asked)
def count_what_waits(*, installation: AppInstallation, **_: Any) -> int:
    """Lanes whose next call is held back; of a whole account, because consumers may change between its channels."""
    held_back = (WAITING, RateLimited.code)
    return Lane.objects.filter(account=installation.account_id, blocked_by__in=held_back).count()


@receiver(health_asked)
def tell_of_held_lanes(*, installation: AppInstallation, **_: Any) -> list[Finding]:
    """After a restore somebody has to look: until then these consumers' messages wait."""
    held = Lane.objects.filter(
        brand_id=installation.brand_id, account_id=installation.account_id, held_at__isnull=False
    ).order_by()  # fmt: skip
    count = held[:_MOST_COUNTED].count()
    if not count:
        return []
    amount = f"{count} lanes are held after a restore: nothing leaves them."
    if count == 1:
        amount = "1 lane is held after a restore: nothing leaves it."
    what = f"At least {amount}" if count == _MOST_COUNTED else amount
    do = "Look where their unknown messages would stand, then drop or release: manage.py held, or each consumer's page."
    check = Check(name="Held lanes", means="A restored backup may know less than what was sent after it was taken.")
    return [check.worries(what, do=do)]
