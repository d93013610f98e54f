"""LivePerson accounts, and the connectors that are registered in them."""

from __future__ import annotations

import re

from django.core.exceptions import ValidationError
from django.db import models

from access.models import BrandOwned
from liveperson.send_api import FEATURES


def default_features() -> list[str]:
    """What every connector can do unless somebody says otherwise."""
    return list(FEATURES)


def validate_lp_account_id(value: str) -> None:
    """Account ids are digits in production and begin with le or qa on test systems."""
    if not re.fullmatch(r"[0-9]{1,20}|(?:le|qa)[0-9A-Za-z]{1,18}", value):
        raise ValidationError("A LivePerson account id is a number, such as 12345678.")


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
        verbose_name = "LivePerson account"
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
    manifest_compared_at = models.DateTimeField(
        null=True, blank=True, help_text="When the manifest that LivePerson has was last compared with the needed one."
    )
    manifest_differences = models.JSONField(
        default=list,
        db_default=models.Value([], models.JSONField()),
        blank=True,
        help_text="What it lacked then: sentences, and whether each stops the connector.",
    )
    created_at = models.DateTimeField(auto_now_add=True, help_text="When the app installation was added.")

    class Meta:
        ordering = ("name", "client_id")
        constraints = [
            models.UniqueConstraint(fields=["account", "client_id"], name="installation_once_per_account"),
        ]

    def __str__(self) -> str:
        return self.name or self.client_id
