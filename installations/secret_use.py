"""Secrets of a connector as people tell them apart: when added, when last used, nothing of their value."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime

from installations.models import AppInstallation, Channel, SealedSecret
from installations.signals import secret_use_asked


@dataclass(frozen=True, kw_only=True)
class KnownSecret:
    """used_at: when it last verified a webhook; None: none of the newest."""

    row: SealedSecret
    used_at: datetime | None


def secrets_of_row(row: AppInstallation | Channel) -> list[KnownSecret]:
    """All secrets of an installation or a channel, newest first, the retired ones too."""
    uses: dict[uuid.UUID, datetime] = {}
    for _, told in secret_use_asked.send(sender=type(row), source_id=row.pk):
        assert isinstance(told, dict)
        uses |= told
    return [KnownSecret(row=secret, used_at=uses.get(secret.pk)) for secret in row.secrets.order_by("-created_at")]


def label_of(secret: KnownSecret) -> str:
    """One line, for a choice."""
    used = f"last used {secret.used_at:%Y-%m-%d %H:%M} UTC" if secret.used_at else "not used by the newest webhooks"
    return f"added {secret.row.created_at:%Y-%m-%d %H:%M} UTC, {used}"
