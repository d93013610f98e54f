"""What the inbox knows of a connector, and what it does when a brand's retention changes."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Any

from django.db import models
from django.dispatch import receiver

from access import acts
from access.models import Brand
from installations.findings import Check, Finding, Step
from installations.models import AppInstallation, Channel
from installations.secret_use import SecretUse
from installations.signals import arrivals_asked, channel_health_asked, health_asked, secret_use_asked
from webhooks import redating
from webhooks.selectors import kinds_lately, last_deliveries, last_uses_of_secrets

_FRESH = timedelta(days=2)


@receiver(health_asked)
def tell_of_notifications(*, installation: AppInstallation, now: datetime, **_: Any) -> list[Finding]:
    last_at = last_deliveries([installation.pk])[installation.pk]
    means = "LivePerson reaches this site, and signs with a secret that is kept here."
    check = Check(name="Notifications", means=means, seen_at=last_at)
    if last_at is None:
        do = "Hand the manifest below to LivePerson, and see that this site can be reached at its address."
        return [check.worries("No notification from LivePerson has arrived yet.", do=do, step=Step.HAND_OVER)]
    told = f"The last notification from LivePerson arrived {_ago(now - last_at)} ago."
    if now - last_at > _FRESH:
        do = "If agents have been at work since, look at the manifest."
        return [check.worries(told, do=do, step=Step.HAND_OVER)]
    return [check.fine(told)]


_KINDS_NEEDED = {
    "ContentEvent": "what agents write",
    "ExConversationChangeNotification": "conversations that are closed or transferred",
}
_KINDS_WANTED = {"AcceptStatusEvent": "what was read", "ChatStateEvent": "agents who type"}
# Fewer say nothing about what is missing among them.
_KINDS_ENOUGH = 30


@receiver(health_asked)
def tell_of_kinds(*, installation: AppInstallation, **_: Any) -> list[Finding]:
    """LivePerson shows its manifest to nobody but its administrators; what never comes tells what it lacks."""
    kinds = kinds_lately(installation.pk)
    newest_at = max((at for at, _ in kinds.values()), default=None)
    means = "Each kind that the manifest names is sent; what it does not name never comes."
    check = Check(name="Kinds of notification", means=means, seen_at=newest_at)
    amount = sum(count for _, count in kinds.values())
    if amount < _KINDS_ENOUGH:
        return [check.fine("Too few notifications have come to tell which kinds are missing.")]
    missing = [f"{kind} ({what})" for kind, what in _KINDS_NEEDED.items() if kind not in kinds]
    if missing:
        told = f"Among the last {amount} changes that LivePerson told of, there was no {' and no '.join(missing)}."
        do = "Compare the manifest that LivePerson has with the one below."
        return [check.worries(told, do=do, step=Step.COMPARE)]
    wanted = [f"{kind} ({what})" for kind, what in _KINDS_WANTED.items() if kind not in kinds]
    if wanted:
        told = f"All that is needed comes. There was no {' and no '.join(wanted)} among the last {amount} changes."
        return [check.fine(told, do="Where that is a surprise, compare the manifest.", step=Step.COMPARE)]
    return [check.fine(f"All that is wanted comes: {', '.join(sorted(kinds))}.")]


@receiver(channel_health_asked)
def tell_of_what_consumers_do(*, channel: Channel, now: datetime, **_: Any) -> list[Finding]:
    last_at = last_deliveries([channel.pk])[channel.pk]
    check = Check(name="From the other side", means="It reaches this site, and signs as agreed.", seen_at=last_at)
    if last_at is None:
        do = (
            "Give the other side the address below and the secret, and have it send a first message. A secret is shown "
            "once: where it was not copied, add another and retire the first."
        )
        return [check.worries("Nothing has arrived from it yet.", do=do, step=Step.HAND_OVER)]
    # How often consumers write is for nobody to say: an old one is no sign of trouble.
    return [check.fine(f"Something arrived {_ago(now - last_at)} ago.")]


@receiver(arrivals_asked)
def tell_of_arrivals(*, source_ids: list[uuid.UUID], **_: Any) -> dict[uuid.UUID, datetime | None]:
    return last_deliveries(source_ids)


@receiver(secret_use_asked)
def tell_of_secret_use(*, source_id: uuid.UUID, since: datetime | None, **_: Any) -> dict[uuid.UUID, SecretUse]:
    return last_uses_of_secrets(source_id, since=since)


@receiver(acts.done)
def follow_retention(*, action: str, subject: models.Model, data: dict[str, Any], **_: Any) -> None:
    """In the transaction of the change: what is stored already is dated anew."""
    if action == "brand.changed" and isinstance(subject, Brand) and "retention_days" in data:
        old_days, new_days = data["retention_days"]
        redating.begin(brand=subject, old_days=old_days, new_days=new_days)


def _ago(span: timedelta) -> str:
    seconds = max(0, int(span.total_seconds()))
    for length, word in ((86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second")):
        if seconds >= length or length == 1:
            count = seconds // length
            return f"{count} {word}{'' if count == 1 else 's'}"
    return ""
