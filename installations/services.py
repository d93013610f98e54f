"""What is done to connectors. Each function is one transaction with its record in the trail."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from django.db import transaction
from django.utils import timezone

from audit import api as audit
from core.actor import SYSTEM, Actor
from core.errors import ConfigurationError, ConnectorError, CredentialsRejected, NotSent, RateLimited
from core.http_guard import AddressRefused
from installations import pausing, tokens
from installations.connectors import client_for, forget_connectors, secrets_of
from installations.models import (
    AppInstallation,
    Channel,
    ChannelSecret,
    InstallationSecret,
    PausedFor,
    State,
)
from installations.pausing import NotPossible
from installations.secret_use import last_use_of
from liveperson.auth import fetch_app_jwt_with_any
from liveperson.client import LivePersonClient

logger = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Tested:
    """How a test of the connection went, with a sentence about it. code: of the error; empty when it has passed."""

    has_passed: bool
    detail: str
    code: str = ""


@transaction.atomic
def add_client_secret(installation: AppInstallation, *, secret: str, actor: Actor) -> InstallationSecret | None:
    """Add a valid client secret; None when it is there already. Others stay valid until they are retired."""
    secret = secret.strip()
    if not secret:
        raise ConfigurationError("The client secret is empty.")
    # Not the key: what refers to it meanwhile need not wait. Two people who add the same one add it once.
    AppInstallation.objects.select_for_update(no_key=True).get(pk=installation.pk)
    if any(row.is_same_as(secret.encode()) for row in installation.secrets.filter(retired_at=None)):
        return None
    row = InstallationSecret(brand_id=installation.brand_id, installation=installation)
    row.keep(secret.encode())
    row.save()
    audit.record("installation.secret.added", actor=actor, subject=installation, data={"secret": str(row.pk)})
    tokens.forget(installation.pk)
    # A worker may have paused it since the caller read it.
    installation.refresh_from_db(fields=["state", "state_reason", "paused_for"])
    if installation.state == State.PAUSED and installation.paused_for == PausedFor.CREDENTIALS_REJECTED:
        pausing.resume(installation, actor=actor, reason="a new secret was added")
    forget_connectors()
    return row


@transaction.atomic
def retire_client_secret(row: InstallationSecret, *, actor: Actor) -> None:
    """Stop accepting a secret. The last valid one cannot be retired: disable the installation instead."""
    valid = InstallationSecret.objects.select_for_update().filter(installation_id=row.installation_id, retired_at=None)
    if len(valid) < 2 and row.retired_at is None:
        raise ConfigurationError("This is the only valid secret. Add a new one first, or disable the app installation.")
    row.retired_at = timezone.now()
    row.save(update_fields=["retired_at"])
    data = {"secret": str(row.pk), "last_used_at": last_use_of(row.installation, row)}
    audit.record("installation.secret.retired", actor=actor, subject=row.installation, data=data)
    tokens.forget(row.installation_id)
    forget_connectors()


@transaction.atomic
def add_channel_secret(channel: Channel, *, secret: str, actor: Actor, name: str = "signing_secret") -> ChannelSecret:
    """Add a valid secret of a channel."""
    row = ChannelSecret(brand_id=channel.brand_id, channel=channel, name=name)
    row.keep(secret.strip().encode())
    row.save()
    audit.record("channel.secret.added", actor=actor, subject=channel, data={"secret": str(row.pk)})
    forget_connectors()
    return row


@transaction.atomic
def retire_channel_secret(row: ChannelSecret, *, actor: Actor) -> None:
    """Stop accepting and using a channel's secret. The last valid one cannot be retired."""
    valid = ChannelSecret.objects.select_for_update().filter(channel_id=row.channel_id, name=row.name, retired_at=None)
    if len(valid) < 2 and row.retired_at is None:
        raise ConfigurationError("This is the only valid secret. Add a new one first, or disable the channel.")
    row.retired_at = timezone.now()
    row.save(update_fields=["retired_at"])
    data = {"secret": str(row.pk), "last_used_at": last_use_of(row.channel, row)}
    audit.record("channel.secret.retired", actor=actor, subject=row.channel, data=data)
    forget_connectors()


@transaction.atomic
def enable(row: AppInstallation | Channel, *, actor: Actor, reason: str = "") -> None:
    """Take its webhooks again, and send again. Raises NotPossible where it is not disabled."""
    if pausing.lock(row).state != State.DISABLED:
        raise NotPossible("It is not disabled.")
    pausing.activate(row)
    audit.record(f"{_noun(row)}.enabled", actor=actor, subject=row, reason=reason)


@transaction.atomic
def pause_active(installation_id: uuid.UUID, *, actor: Actor, reason: str) -> None:
    """Pause an installation as it stands in the database. Raises NotPossible where it is not active."""
    row = _locked(installation_id)
    if row.state != State.ACTIVE:
        raise NotPossible(f"It is {row.get_state_display().lower()}: only an active one is paused.")
    pausing.pause(row, actor=actor, reason=reason)


@transaction.atomic
def resume_paused(installation_id: uuid.UUID, *, actor: Actor, reason: str) -> None:
    """Resume an installation as it stands in the database. Raises NotPossible where it is not paused."""
    row = _locked(installation_id)
    if row.state != State.PAUSED:
        raise NotPossible(f"It is {row.get_state_display().lower()}: only a paused one is resumed.")
    pausing.resume(row, actor=actor, reason=reason)


@transaction.atomic
def disable(row: AppInstallation | Channel, *, actor: Actor, reason: str) -> None:
    """
    Send nothing, and refuse its webhooks. Its pauses end with that: enabled again, it sends.

    Raises NotPossible where it is disabled already.
    """
    if pausing.lock(row).state == State.DISABLED:
        raise NotPossible("It is disabled already.")
    pausing.end_all(row, actor=actor, reason=reason)
    pausing.write_state(row, State.DISABLED, reason)
    audit.record(f"{_noun(row)}.disabled", actor=actor, subject=row, reason=reason)


def pause_for_credentials(installation_id: uuid.UUID, *, detail: str) -> None:
    """LivePerson rejected the credentials: nothing can be sent until a person has changed them."""
    _pause_by_itself(AppInstallation, installation_id, "installation.credentials_rejected", detail)


def pause_channel_for_credentials(channel_id: uuid.UUID, *, detail: str) -> None:
    """The channel's provider rejected our credentials."""
    _pause_by_itself(Channel, channel_id, "channel.credentials_rejected", detail)


def test_connection(installation: AppInstallation, *, actor: Actor) -> AppInstallation:
    """Ask LivePerson for a token with each valid secret, newest first, and remember how it went."""
    secrets = secrets_of(installation)
    tested = ask_for_token(client_for(installation), client_id=installation.client_id, secrets=secrets)
    note_test(installation, tested, actor=actor)
    return installation


@transaction.atomic
def note_test(installation: AppInstallation, tested: Tested, *, actor: Actor) -> None:
    """Remember how a test of the connection went."""
    installation.tested_at = timezone.now()
    installation.test_passed = tested.has_passed
    installation.test_detail = tested.detail[:300]
    installation.save(update_fields=["tested_at", "test_passed", "test_detail"])
    audit.record("installation.tested", actor=actor, subject=installation, data={"passed": tested.has_passed})


def ask_for_token(client: LivePersonClient, *, client_id: str, secrets: Sequence[str]) -> Tested:
    """Whether LivePerson issues a token for one of these secrets, newest first. Stores nothing."""
    try:
        _, accepted = fetch_app_jwt_with_any(
            http=client.http,
            domains=client.domains,
            account_id=client.account_id,
            client_id=client_id,
            client_secrets=secrets,
        )
    except ConnectorError as error:
        return Tested(has_passed=False, detail=f"{error.detail} {_advice_on(error)}".strip(), code=error.code)
    note = "" if accepted == secrets[0] else " The newest secret is not accepted yet, an older one is."
    return Tested(has_passed=True, detail=f"LivePerson issued a token.{note}")


def _advice_on(error: ConnectorError) -> str:
    """What to do about a test that failed; what an error of a delivery advises speaks of sending."""
    if isinstance(error, AddressRefused):
        return error.operator_hint
    if isinstance(error, CredentialsRejected):
        return "Check the account, the client id and the client secret."
    if isinstance(error, NotSent):
        return "Check the network, and the address of the Domain API if one is set; then test again."
    return "Wait a minute, then test again." if isinstance(error, RateLimited) else ""


def _pause_by_itself(model: type[AppInstallation] | type[Channel], row_id: uuid.UUID, action: str, detail: str) -> None:
    with transaction.atomic():
        # Not the key: what refers to the row meanwhile need not wait, nor make workers wait for each other in a circle.
        row: Any = model.objects.select_for_update(no_key=True).get(pk=row_id)
        if row.state == State.ACTIVE:
            pausing.write_state(row, State.PAUSED, detail, paused_for=PausedFor.CREDENTIALS_REJECTED)
            pausing.keep_for_itself(row, detail=detail)
            audit.record(action, actor=SYSTEM, subject=row, reason=detail)
            logger.warning(action, id=str(row_id))
    forget_connectors()


def _locked(installation_id: uuid.UUID) -> AppInstallation:
    # Not the key: what refers to the row meanwhile need not wait.
    return AppInstallation.objects.select_for_update(no_key=True).get(pk=installation_id)


def _noun(row: AppInstallation | Channel) -> str:
    return "installation" if isinstance(row, AppInstallation) else "channel"
