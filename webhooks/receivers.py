"""What the inbox knows of a connector, and what it does when a brand's retention changes."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Any

from django.db import models
from django.dispatch import receiver

from access import acts
from access.models import Brand
from installations.models import AppInstallation
from installations.signals import health_asked, secret_use_asked
from installations.verdicts import Finding, Tone
from webhooks import redating
from webhooks.selectors import last_deliveries, last_uses_of_secrets

_FRESH = timedelta(days=2)


@receiver(health_asked)
def tell_of_notifications(*, installation: AppInstallation, now: datetime, **_: Any) -> list[Finding]:
    last_at = last_deliveries([installation.pk])[installation.pk]
    if last_at is None:
        return [
            Finding(
                tone=Tone.WORRIES,
                what="No notification from LivePerson has arrived yet.",
                do="Hand the manifest below to LivePerson, and see that this site can be reached at its address.",
            )
        ]
    told = f"The last notification from LivePerson arrived {_ago(now - last_at)} ago."
    if now - last_at > _FRESH:
        return [Finding(tone=Tone.WORRIES, what=told, do="If agents have been at work since, look at the manifest.")]
    return [Finding(tone=Tone.FINE, what=told)]


@receiver(secret_use_asked)
def tell_of_secret_use(*, source_id: uuid.UUID, **_: Any) -> dict[uuid.UUID, datetime]:
    return last_uses_of_secrets(source_id)


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
