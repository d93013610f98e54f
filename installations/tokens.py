"""
The AppJWT of each installation, in the database for all processes.

One process renews at a time: it leases the row, asks LivePerson without a transaction open, and stores the answer.
Failures are spaced; LivePerson asks for at least five seconds between sign-in calls.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db.models import F, Q

from core.encryption import SealBroken
from core.errors import ConnectorError, RateLimited
from installations.models import AppToken
from liveperson.auth import RENEW_AHEAD

_LEASE = timedelta(seconds=15)
_FAILURE_PAUSES_S = (5, 10, 15, 30, 60, 120, 300)


@dataclass(frozen=True, kw_only=True)
class KnownToken:
    """A token fit for use; `generation` names it without showing it."""

    token: str = field(repr=False)
    generation: int
    expires_at: datetime

    def is_fresh(self, now: datetime) -> bool:
        return now < self.expires_at - RENEW_AHEAD


@dataclass(frozen=True, kw_only=True)
class TokenState:
    """What is known of an installation's token: a usable one, or since when and why there is none."""

    known: KnownToken | None
    retry_at: datetime | None
    error_code: str


def look_up(installation_id: uuid.UUID, *, now: datetime) -> TokenState:
    """The token as it stands in the database."""
    row = AppToken.objects.filter(pk=installation_id).first()
    if row is None:
        return TokenState(known=None, retry_at=None, error_code="")
    known = None
    if row.sealed and row.expires_at and row.expires_at > now:
        try:
            known = KnownToken(token=row.reveal(), generation=row.generation, expires_at=row.expires_at)
        except SealBroken:
            pass  # its key is gone or it was tampered with: a fresh one costs one call
    waiting = row.not_before if row.not_before and row.not_before > now else None
    return TokenState(known=known, retry_at=waiting, error_code=row.error_code if waiting else "")


def lease_renewal(installation_id: uuid.UUID, *, now: datetime) -> datetime | None:
    """Until when this process has the renewal to itself; None when another one has it, or it is too early."""
    AppToken.objects.bulk_create([AppToken(installation_id=installation_id)], ignore_conflicts=True)
    free = Q(renewing_until=None) | Q(renewing_until__lt=now)
    allowed = Q(not_before=None) | Q(not_before__lte=now)
    until = now + _LEASE
    is_leased = AppToken.objects.filter(free, allowed, pk=installation_id).update(renewing_until=until)
    return until if is_leased else None


def keep(installation_id: uuid.UUID, *, lease: datetime, token: str, expires_at: datetime) -> None:
    """Store a fresh token for everybody; one whose lease is gone was asked for with credentials of before."""
    row = AppToken(installation_id=installation_id)
    row.keep(token, expires_at)
    AppToken.objects.filter(pk=installation_id, renewing_until=lease).update(
        sealed=row.sealed,
        expires_at=expires_at,
        generation=F("generation") + 1,
        renewing_until=None,
        not_before=None,
        failures=0,
        error_code="",
    )


def note_failure(installation_id: uuid.UUID, *, lease: datetime, error: ConnectorError, now: datetime) -> bool:
    """
    Remember that a renewal failed, and when the next may be tried.

    False when the lease is gone: the credentials have changed in between, or it took too long. Then the failure says
    nothing about what is there now.
    """
    row = AppToken.objects.select_for_update().filter(pk=installation_id, renewing_until=lease).first()
    if row is None:
        return False
    pause_s = float(_FAILURE_PAUSES_S[min(row.failures, len(_FAILURE_PAUSES_S) - 1)])
    if isinstance(error, RateLimited) and error.retry_after_s:
        pause_s = max(pause_s, error.retry_after_s)
    AppToken.objects.filter(pk=installation_id).update(
        renewing_until=None,
        not_before=now + timedelta(seconds=pause_s),
        failures=F("failures") + 1,
        error_code=error.code,
    )
    return True


def reject(installation_id: uuid.UUID, *, generation: int) -> None:
    """LivePerson refused this token: nobody uses it again. A newer one stays."""
    AppToken.objects.filter(pk=installation_id, generation=generation).update(sealed=None, expires_at=None)


def forget(installation_id: uuid.UUID) -> None:
    """Start afresh: the credentials have changed."""
    # The counter stays: a late refusal of an old token must not hit the first new one.
    AppToken.objects.filter(pk=installation_id).update(
        sealed=None, expires_at=None, generation=F("generation") + 1, renewing_until=None, not_before=None, failures=0,
        error_code="",
    )  # fmt: skip
