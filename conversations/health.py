"""What the outbox knows of a connector's health: whether echoes come back, and how much waits for an upstream."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.dispatch import receiver

from conversations.models import Dispatch, DispatchKind, DispatchState, Lane
from conversations.selectors import COUNTED_AT_MOST
from core.ids import first_id_at
from installations.breakers import WAITING
from installations.models import AppInstallation
from installations.signals import health_asked, waiting_asked
from installations.verdicts import Finding, Tone

_LOOKED_BACK = timedelta(hours=24)
_ECHO_WITHIN = timedelta(minutes=2)
_LOOKED_AT = 20
_ENOUGH = 3


@receiver(health_asked)
def tell_of_echoes(*, installation: AppInstallation, now: datetime, **_: Any) -> list[Finding]:
    """Echoes are the evidence that settles a send whose answer was lost: without them a person has to decide."""
    echoes = list(
        Dispatch.objects.filter(
            brand_id=installation.brand_id,
            conversation__installation=installation,
            kind=DispatchKind.TEXT,
            state=DispatchState.SENT,
            lp_sequence__isnull=False,
            pk__gte=first_id_at(now - _LOOKED_BACK),
            finished_at__lt=now - _ECHO_WITHIN,
        )
        .order_by("-id")
        .values_list("echo_sequence", flat=True)[:_LOOKED_AT]
    )
    if len(echoes) < _ENOUGH or any(echo is not None for echo in echoes):
        return []
    return [
        Finding(
            tone=Tone.WORRIES,
            what=f"LivePerson accepted the last {len(echoes)} messages, but none came back as a notification.",
            do="See that its manifest names this site for ContentEvent: echoes settle sends whose answer was lost.",
        )
    ]


@receiver(waiting_asked)
def count_what_waits(*, installation: AppInstallation, **_: Any) -> int:
    """Lanes whose next call is held back; of a whole account, because consumers may change between its channels."""
    return Lane.objects.filter(account=installation.account_id, blocked_by=WAITING).count()


@receiver(health_asked)
def tell_of_held_lanes(*, installation: AppInstallation, **_: Any) -> list[Finding]:
    """After a restore somebody has to look: until then these consumers' messages wait."""
    held = Lane.objects.filter(
        brand_id=installation.brand_id, account_id=installation.account_id, held_at__isnull=False
    ).order_by()  # fmt: skip
    count = held[:COUNTED_AT_MOST].count()
    if not count:
        return []
    amount = f"{count} lanes are held after a restore: nothing leaves them."
    if count == 1:
        amount = "1 lane is held after a restore: nothing leaves it."
    what = f"More than {amount}" if count == COUNTED_AT_MOST else amount
    do = "Look where their unknown messages would stand, then drop or release: manage.py held, or each consumer's page."
    return [Finding(tone=Tone.WORRIES, what=what, do=do)]
