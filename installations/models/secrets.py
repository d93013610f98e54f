"""Secrets and tokens of connectors: kept encrypted, revealed for use alone."""

from __future__ import annotations

import hmac
from datetime import datetime
from typing import ClassVar

from django.db import models

from access.models import BrandOwned
from core.encryption import SealBroken, context_of
from core.vault import key_ring
from installations.models.accounts import AppInstallation
from installations.models.channels import Channel


class SealedSecret(BrandOwned):
    """A secret that can be added and retired but never read by people. Several may be valid at once."""

    sealed = models.BinaryField(help_text="The secret, encrypted and bound to this row.")
    created_at = models.DateTimeField(auto_now_add=True, help_text="When the secret was added.")
    retired_at = models.DateTimeField(null=True, blank=True, help_text="Since when it is no longer accepted.")

    class Meta:
        abstract = True
        ordering = ("-created_at",)

    def __str__(self) -> str:
        return f"secret of {self.created_at:%Y-%m-%d %H:%M}" if self.created_at else "new secret"

    # Mutators

    def keep(self, plaintext: bytes) -> None:
        """Encrypt; the row is not saved by this."""
        self.sealed = key_ring().seal(plaintext, context=self.seal_context)

    # Queries

    def reveal(self) -> bytes:
        """Decrypt, for use and never for show. Raises core.encryption.SealBroken."""
        return key_ring().open(bytes(self.sealed), context=self.seal_context)

    def is_same_as(self, plaintext: bytes) -> bool:
        """Whether this is what it holds; never, where its seal is broken: the current one can be put beside it."""
        try:
            return hmac.compare_digest(self.reveal(), plaintext)
        except SealBroken:
            return False

    @property
    def seal_context(self) -> str:
        """The place that the sealed value is bound to: moved to another row it does not open."""
        return context_of(self._meta.db_table, self.pk, "sealed")


class InstallationSecret(SealedSecret):
    """A client secret of an app installation."""

    installation = models.ForeignKey(
        AppInstallation, on_delete=models.CASCADE, related_name="secrets", help_text="The app installation."
    )


class ChannelSecret(SealedSecret):
    """A secret of a channel: it verifies what the channel sends, and signs what we send where that is wanted."""

    channel = models.ForeignKey(Channel, on_delete=models.CASCADE, related_name="secrets", help_text="The channel.")
    name = models.CharField(
        max_length=32,
        default="signing_secret",
        help_text="Which of the adapter's secrets it is, such as signing_secret.",
    )


class AppToken(models.Model):
    """The cached AppJWT of an installation, shared by all processes; renewed by one of them at a time."""

    brand_path: ClassVar[str] = "installation__brand"

    installation = models.OneToOneField(
        AppInstallation,
        primary_key=True,
        on_delete=models.CASCADE,
        related_name="app_token",
        help_text="The app installation.",
    )
    sealed = models.BinaryField(null=True, help_text="The AppJWT, encrypted and bound to this row.")
    expires_at = models.DateTimeField(null=True, help_text="When LivePerson stops accepting it.")
    generation = models.PositiveIntegerField(
        default=0, help_text="Counts renewals; tells a rejected token from a newer."
    )
    renewing_until = models.DateTimeField(null=True, help_text="Until when one process has the renewal to itself.")
    not_before = models.DateTimeField(null=True, help_text="After a failed renewal: when the next may be tried.")
    failures = models.PositiveIntegerField(default=0, help_text="Failed renewals in a row.")
    error_code = models.CharField(max_length=64, blank=True, help_text="Why the last renewal failed.")

    def __str__(self) -> str:
        return f"AppJWT of {self.installation_id}"

    def keep(self, token: str, expires_at: datetime) -> None:
        """Store a fresh token; the row is not saved by this."""
        self.sealed = key_ring().seal(token.encode(), context=self.seal_context)
        self.expires_at = expires_at

    def reveal(self) -> str:
        """The token itself, for use in a call. Raises core.encryption.SealBroken."""
        return key_ring().open(bytes(self.sealed or b""), context=self.seal_context).decode()

    @property
    def seal_context(self) -> str:
        """The place that the sealed value is bound to: moved to another row it does not open."""
        return context_of(self._meta.db_table, self.pk, "sealed")
