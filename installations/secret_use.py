"""Secrets of a connector as people tell them apart: when added, when last used, nothing of their value."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from core.moments import in_utc
from installations.models import AppInstallation, Channel, SealedSecret
from installations.signals import secret_use_asked

# For so long an old secret has to be silent, while the new one is used, before nothing is said to be signed with it.
QUIET = timedelta(minutes=10)


@dataclass(frozen=True, kw_only=True)
class SecretUse:
    """What webhooks a secret verified: the last one, and how many since a moment that was asked about."""

    last_at: datetime
    count: int


@dataclass(frozen=True, kw_only=True)
class KnownSecret:
    """used_at: when it last verified a webhook; None: none of the newest. count: how many since another was added."""

    row: SealedSecret
    used_at: datetime | None
    count: int = 0


def secrets_of_row(row: AppInstallation | Channel) -> list[KnownSecret]:
    """All secrets of an installation or a channel, newest first, the retired ones too."""
    secrets = list(row.secrets.order_by("-created_at"))
    uses: dict[uuid.UUID, SecretUse] = {}
    newest_at = next((secret.created_at for secret in secrets if secret.retired_at is None), None)
    for _, told in secret_use_asked.send(sender=type(row), source_id=row.pk, since=newest_at):
        assert isinstance(told, dict)
        uses |= told
    return [_known(secret, uses.get(secret.pk)) for secret in secrets]


def _known(secret: SealedSecret, use: SecretUse | None) -> KnownSecret:
    return KnownSecret(row=secret, used_at=use.last_at if use else None, count=use.count if use else 0)


def valid_beside(secrets: Sequence[KnownSecret], one: KnownSecret) -> list[KnownSecret]:
    """The other valid secrets that can stand in its place, newest first."""
    name = getattr(one.row, "name", "")
    return [
        other
        for other in secrets
        if other is not one and other.row.retired_at is None and getattr(other.row, "name", "") == name
    ]


def is_out_of_use(one: KnownSecret, secrets: Sequence[KnownSecret], *, now: datetime) -> bool:
    """Whether webhooks show that a newer secret has taken its place: that one is used, and it has been silent since."""
    newer = [other for other in valid_beside(secrets, one) if other.row.created_at > one.row.created_at]
    last_of_newer = max((other.used_at for other in newer if other.used_at), default=None)
    if last_of_newer is None:
        return False
    return one.used_at is None or (one.used_at < last_of_newer and now - one.used_at >= QUIET)


def last_use_of(row: AppInstallation | Channel, secret: SealedSecret) -> str | None:
    """When it last verified one of the newest webhooks, as the trail keeps it."""
    at = next((known.used_at for known in secrets_of_row(row) if known.row.pk == secret.pk), None)
    return at.isoformat(timespec="seconds") if at else None


def label_of(secret: KnownSecret) -> str:
    """One line, for a choice."""
    used = f"last used {in_utc(secret.used_at)}" if secret.used_at else "not used by the newest webhooks"
    return f"added {in_utc(secret.row.created_at)}, {used}"
