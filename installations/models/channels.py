"""The ways by which consumers reach a brand."""

from __future__ import annotations

import re
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.utils import timezone

from access.models import BrandOwned
from installations.models.accounts import Account, AppInstallation, PausedFor, State


def validate_prefix(value: str) -> None:
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,31}", value):
        raise ValidationError("Use lower-case letters, digits, - and _, at most 32.")


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
    # Both written by moved_from alone.
    former_installation = models.ForeignKey(
        AppInstallation,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        help_text="The one before it, through which LivePerson may still tell what the present one was not told.",
    )
    moved_at = models.DateTimeField(null=True, blank=True, help_text="When the present one took over.")
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

    def moved_from(self, former: AppInstallation) -> list[str]:
        """Note which app installation it spoke through until now; returns the fields to be saved beside that one."""
        self.former_installation, self.moved_at = former, timezone.now()
        return ["former_installation", "moved_at"]

    def clean(self) -> None:
        problems: dict[str, Any] = {}
        if self.installation_id and self.account_id and self.installation.account_id != self.account_id:
            problems["installation"] = "This app installation belongs to another account."
        if problems:
            raise ValidationError(problems)
