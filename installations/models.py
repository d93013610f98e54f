"""Which connector is installed in which LivePerson account, with its secrets and its channels."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, ClassVar

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q

from access.models import BrandOwned
from core.breaker import Breaker, Phase, Window
from core.encryption import context_of
from core.vault import key_ring
from liveperson.send_api import FEATURES


def default_features() -> list[str]:
    """What every connector can do unless somebody says otherwise."""
    return list(FEATURES)


def validate_lp_account_id(value: str) -> None:
    """Account ids are digits in production and begin with le or qa on test systems."""
    if not re.fullmatch(r"[0-9]{1,20}|(?:le|qa)[0-9A-Za-z]{1,18}", value):
        raise ValidationError("A LivePerson account id is a number, such as 12345678.")


def validate_prefix(value: str) -> None:
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,31}", value):
        raise ValidationError("Use lower-case letters, digits, - and _, at most 32.")


class State(models.TextChoices):
    """Paused: webhooks are stored, nothing is sent. Disabled: webhooks are refused as well."""

    ACTIVE = "ACTIVE", "Active"
    PAUSED = "PAUSED", "Paused"
    DISABLED = "DISABLED", "Disabled"


class PausedFor(models.TextChoices):
    """What paused it by itself; empty where a person did."""

    CREDENTIALS_REJECTED = "CREDENTIALS_REJECTED", "Credentials rejected"


class Account(BrandOwned):
    """A brand's account at LivePerson. It belongs to exactly one brand."""

    lp_account_id = models.CharField(
        "account id",
        max_length=20,
        unique=True,
        validators=[validate_lp_account_id],
        help_text="LivePerson's id of the account (site id), a number.",
    )
    name = models.CharField(max_length=128, blank=True, help_text="Name as people read it.")
    domain_api = models.URLField(
        "Domain API",
        blank=True,
        help_text="Scheme and host of the Domain API, where it is not LivePerson's own; normally empty.",
    )
    created_at = models.DateTimeField(auto_now_add=True, help_text="When the account was added.")

    class Meta:
        ordering = ("lp_account_id",)

    def __str__(self) -> str:
        return f"{self.name} ({self.lp_account_id})" if self.name else self.lp_account_id


class UnknownPolicy(models.TextChoices):
    AUTO = "AUTO", "Send again when evidence shows that it did not arrive, else park"
    PARK = "PARK", "Park for a person; the lane goes on"
    HOLD = "HOLD", "Hold the lane for a person"


class SignaturePolicy(models.TextChoices):
    AUTO = "AUTO", "SHA-1 and SHA-256"
    SHA256 = "SHA256", "SHA-256 only"


class AppInstallation(BrandOwned):
    """The registration of a connector in one account: a client id, and secrets that sign webhooks and fetch tokens."""

    account = models.ForeignKey(
        Account, on_delete=models.PROTECT, related_name="installations", help_text="The LivePerson account."
    )
    client_id = models.CharField(max_length=64, help_text="LivePerson's client id of the app installation, a UUID.")
    name = models.CharField(max_length=128, blank=True, help_text="Name as people read it.")
    state = models.CharField(
        max_length=16,
        choices=State,
        default=State.ACTIVE,
        help_text="Paused: webhooks are stored, nothing is sent. Disabled: webhooks are refused as well.",
    )
    state_reason = models.CharField(
        max_length=300, blank=True, help_text="Why it is paused or disabled, in words for people."
    )
    paused_for = models.CharField(
        max_length=32,
        choices=PausedFor,
        default="",
        db_default="",
        blank=True,
        help_text="What paused it by itself; empty where a person did.",
    )
    state_changed_at = models.DateTimeField(null=True, blank=True, help_text="When it was paused, disabled or resumed.")
    signature_policy = models.CharField(
        max_length=16,
        choices=SignaturePolicy,
        default=SignaturePolicy.AUTO,
        help_text="Which signatures are accepted. Choose SHA-256 once LivePerson has switched the account to it.",
    )
    unknown_policy = models.CharField(
        max_length=16,
        choices=UnknownPolicy,
        default=UnknownPolicy.AUTO,
        help_text="What happens to a send whose outcome stays unknown.",
    )
    features = models.JSONField(
        default=default_features,
        blank=True,
        help_text="What the connector announces in Client-Properties. Without MULTI_DIALOG there is no survey.",
    )
    campaign_id = models.CharField(max_length=32, blank=True, help_text="Campaign for routing; recommended.")
    engagement_id = models.CharField(max_length=32, blank=True, help_text="Engagement of that campaign.")
    skill_id = models.CharField(max_length=32, blank=True, help_text="Skill for routing, where no campaign is used.")
    tested_at = models.DateTimeField(null=True, blank=True, help_text="When the connection was last tested.")
    test_passed = models.BooleanField(null=True, blank=True, help_text="Whether that test passed.")
    test_detail = models.CharField(max_length=300, blank=True, help_text="What that test found.")
    created_at = models.DateTimeField(auto_now_add=True, help_text="When the app installation was added.")

    class Meta:
        ordering = ("name", "client_id")
        constraints = [
            models.UniqueConstraint(fields=["account", "client_id"], name="installation_once_per_account"),
        ]

    def __str__(self) -> str:
        return self.name or self.client_id


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

    @property
    def seal_context(self) -> str:
        """The place that the sealed value is bound to: moved to another row it does not open."""
        return context_of(self._meta.db_table, self.pk, "sealed")


class InstallationSecret(SealedSecret):
    """A client secret of an app installation."""

    installation = models.ForeignKey(
        AppInstallation, on_delete=models.CASCADE, related_name="secrets", help_text="The app installation."
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


class Channel(BrandOwned):
    """A way to reach consumers: an SMS gateway, LINE, a brand's own app. Points to its current app installation."""

    account = models.ForeignKey(
        Account, on_delete=models.PROTECT, related_name="channels", help_text="The LivePerson account it serves."
    )
    installation = models.ForeignKey(
        AppInstallation,
        on_delete=models.PROTECT,
        related_name="channels",
        help_text="The app installation through which it speaks now; conversations survive a change.",
    )
    type = models.CharField(max_length=32, help_text="Which adapter carries it, such as custom.")
    name = models.CharField(max_length=64, help_text="Name as people read it; unique in the account.")
    prefix = models.CharField(
        max_length=32,
        validators=[validate_prefix],
        help_text="Begins the ids of its consumers at LivePerson, such as sms in sms:+15550100. Fixed after first use.",
    )
    shares_prefix = models.BooleanField(
        default=False,
        help_text="Whether it shares its prefix, and so its consumers, with another channel on purpose.",
    )
    state = models.CharField(
        max_length=16,
        choices=State,
        default=State.ACTIVE,
        help_text="Paused: webhooks are stored, nothing is sent. Disabled: webhooks are refused as well.",
    )
    state_reason = models.CharField(
        max_length=300, blank=True, help_text="Why it is paused or disabled, in words for people."
    )
    paused_for = models.CharField(
        max_length=32,
        choices=PausedFor,
        default="",
        db_default="",
        blank=True,
        help_text="What paused it by itself; empty where a person did.",
    )
    config = models.JSONField(default=dict, blank=True, help_text="Settings of the adapter that are not secret.")
    created_at = models.DateTimeField(auto_now_add=True, help_text="When the channel was added.")

    class Meta:
        ordering = ("name",)
        constraints = [
            models.UniqueConstraint(fields=["account", "name"], name="channel_name_once_per_account"),
            models.UniqueConstraint(
                fields=["account", "prefix"], condition=Q(shares_prefix=False), name="channel_prefix_once_per_account"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        problems: dict[str, Any] = {}
        if self.installation_id and self.account_id and self.installation.account_id != self.account_id:
            problems["installation"] = "This app installation belongs to another account."
        if problems:
            raise ValidationError(problems)


class ChannelSecret(SealedSecret):
    """A secret of a channel: it verifies what the channel sends, and signs what we send where that is wanted."""

    channel = models.ForeignKey(Channel, on_delete=models.CASCADE, related_name="secrets", help_text="The channel.")
    name = models.CharField(
        max_length=32,
        default="signing_secret",
        help_text="Which of the adapter's secrets it is, such as signing_secret.",
    )


_PHASES = [
    (Phase.CLOSED.value, "Closed: calls go"),
    (Phase.OPEN.value, "Open: nobody calls"),
    (Phase.HALF_OPEN.value, "Half open: one call tries"),
]


class Upstream(BrandOwned):
    """
    One host that calls on behalf of an installation go to, once it gave trouble: its breaker, shared by all workers.

    Written by installations.breakers alone.
    """

    installation = models.ForeignKey(
        AppInstallation, on_delete=models.CASCADE, related_name="upstreams", help_text="On whose behalf it is called."
    )
    name = models.CharField(max_length=255, help_text="A service of LivePerson, or the host of a channel.")
    phase = models.CharField(max_length=16, choices=_PHASES, default=Phase.CLOSED.value, help_text="Of its breaker.")
    window = models.JSONField(default=list, help_text="Calls and failures of the last minute, in buckets.")
    failed_at = models.DateTimeField(null=True, help_text="When a call last failed.")
    opened_at = models.DateTimeField(null=True, help_text="Since when it is not called.")
    probe_at = models.DateTimeField(null=True, help_text="When the next probe may begin.")
    probe = models.PositiveBigIntegerField(default=0, help_text="Number of the last probe.")
    good_probes = models.PositiveIntegerField(default=0, help_text="Good probes in a row.")
    bad_probes = models.PositiveIntegerField(default=0, help_text="Failed probes since it opened.")
    held_until = models.DateTimeField(null=True, help_text="When the pause that it asked for ends.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["installation", "name"], name="upstream_once_per_installation"),
        ]

    def __str__(self) -> str:
        return self.name

    # Mutators

    def keep(self, breaker: Breaker) -> None:
        """Take over a breaker; the row is not saved by this."""
        self.phase = breaker.phase.value
        self.window = [list(bucket) for bucket in breaker.window.buckets]
        for name in _BREAKER_FACTS:
            setattr(self, name, getattr(breaker, name))

    # Properties

    @property
    def breaker(self) -> Breaker:
        return Breaker(
            phase=Phase(self.phase),
            window=Window(tuple((at, calls, failures) for at, calls, failures in self.window)),
            **{name: getattr(self, name) for name in _BREAKER_FACTS},
        )


_BREAKER_FACTS = ("opened_at", "probe_at", "probe", "good_probes", "bad_probes", "held_until")
