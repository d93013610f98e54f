"""Who may see what: people, brands (the tenants), and what a person is in a brand."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import ClassVar, Literal

from django.contrib.auth.models import AbstractUser
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils import timezone
from django.utils.crypto import salted_hmac

from core.ids import new_id


class User(AbstractUser):
    """A person who signs in. What they may see follows from their memberships; a superuser runs the whole site."""

    # The key by which this person's program asks; None where the person asks. Set on the instance by who found the key.
    key: ApiKey | None = None

    id = models.UUIDField(primary_key=True, default=new_id, editable=False, help_text="Identifier of the person.")
    sessions_round = models.PositiveIntegerField(
        default=0, db_default=0, help_text="Grows when the person is signed out everywhere; older sessions are over."
    )

    class Meta(AbstractUser.Meta):
        verbose_name = "person"
        verbose_name_plural = "people"

    def _get_session_auth_hash(self, secret: str | None = None) -> str:
        """What each session holds and every request compares: of another password or round it is another one."""
        digest: str = super()._get_session_auth_hash(secret=secret)  # type: ignore[misc]
        if not self.sessions_round:
            return digest
        return salted_hmac(
            f"access.sessions.{self.sessions_round}", digest, secret=secret, algorithm="sha256"
        ).hexdigest()


class Holdable(models.Model):
    """What a legal hold can be put on: while it stands nothing of it is removed, neither by age nor on request."""

    held_at = models.DateTimeField(null=True, blank=True, help_text="Since when a legal hold stands; empty: none.")
    held_by = models.CharField(
        max_length=150, blank=True, default="", db_default="", help_text="Who put the hold on it."
    )
    hold_reason = models.CharField(max_length=500, blank=True, default="", db_default="", help_text="Why it is held.")

    class Meta:
        abstract = True

    @property
    def is_held(self) -> bool:
        return self.held_at is not None


class Brand(Holdable):
    """A tenant: a company whose consumers and agents this site connects. Every other row belongs to one brand."""

    brand_path: ClassVar[str] = "pk"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False, help_text="Identifier of the brand.")
    slug = models.SlugField(unique=True, help_text="Short name for commands and lists, such as acme.")
    name = models.CharField(max_length=128, help_text="Name as people read it.")
    retention_days = models.PositiveIntegerField(
        default=90,
        # A hundred years: a day beyond what a calendar has could not be written beside any message.
        validators=[MinValueValidator(1), MaxValueValidator(36_500)],
        help_text="Days that message contents and bodies are kept. Facts (who, when, what became of it) stay.",
    )
    created_at = models.DateTimeField(auto_now_add=True, help_text="When the brand was added.")

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name

    # Queries

    def expires_on(self, at: datetime) -> date:
        """The day on which contents of that time are deleted."""
        return expires_on(at, retention_days=self.retention_days)


def expires_on(at: datetime, *, retention_days: int) -> date:
    """The day on which contents of that time are deleted; days are those of UTC."""
    return at.astimezone(UTC).date() + timedelta(days=retention_days)


class BrandOwned(models.Model):
    """Base of every row that belongs to a brand. `brand_path` is where access.rules finds the brand."""

    brand_path: ClassVar[str] = "brand"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False, help_text="Identifier, ordered by time.")
    brand = models.ForeignKey(
        Brand, on_delete=models.PROTECT, related_name="+", help_text="The brand that this belongs to."
    )

    class Meta:
        abstract = True


class Role(models.TextChoices):
    OWNER = "OWNER", "Owner"
    OPERATOR = "OPERATOR", "Operator"
    AUDITOR = "AUDITOR", "Auditor"


class Membership(models.Model):
    """What a person is in one brand, or in all brands when no brand is named."""

    brand_path: ClassVar[str] = "brand"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False, help_text="Identifier of the membership.")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships", help_text="The person.")
    brand = models.ForeignKey(
        Brand,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="memberships",
        help_text="The brand; empty means every brand, those added later too.",
    )
    role = models.CharField(
        max_length=16,
        choices=Role,
        help_text="Owner: everything in the brand. Operator: sees all, sets up connectors, repairs. Auditor: sees all.",
    )
    created_at = models.DateTimeField(auto_now_add=True, help_text="When the person was given this role.")

    class Meta:
        verbose_name = "role"
        constraints = [
            models.UniqueConstraint(
                fields=["user", "brand"], nulls_distinct=False, name="membership_once_per_user_and_brand"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user} — {self.get_role_display()} of {self.brand or 'all brands'}"


class ApiKey(models.Model):
    """
    A program's way into the REST API: it sees what its owner sees, or less.

    The secret is never here: its digest stands in the row of `token`, which goes when the key is revoked. This row
    stays, so that whoever reads the trail later can tell what the key was.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False, help_text="Identifier of the key.")
    owner = models.ForeignKey(
        User, on_delete=models.PROTECT, related_name="api_keys", help_text="Whose key it is; it sees no more than they."
    )
    token = models.OneToOneField(
        "knox.AuthToken",
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        help_text="Where the digest of the secret stands; empty once the key is revoked.",
    )
    name = models.CharField(max_length=80, help_text="What it is for, as its owner calls it.")
    prefix = models.CharField(max_length=25, db_index=True, help_text="The beginning of the key, which names it.")
    brands = models.ManyToManyField(
        Brand,
        through="ApiKeyBrand",
        blank=True,
        related_name="+",
        help_text="The brands it is limited to; none: all that its owner sees, those added later too.",
    )
    resources = models.JSONField(
        default=list, blank=True, help_text="The resources of the API it is limited to; none: all."
    )
    may_read_content = models.BooleanField(default=False, help_text="Whether it reads what was said.")
    may_operate = models.BooleanField(
        default=False, help_text="Whether it may send again, drop, pause and resume, where its owner may."
    )
    created_at = models.DateTimeField(default=timezone.now, help_text="When it was made.")
    expires_at = models.DateTimeField(help_text="When it ends by itself.")
    revoked_at = models.DateTimeField(null=True, blank=True, help_text="When it was revoked; empty: it was not.")
    last_used_at = models.DateTimeField(null=True, blank=True, help_text="When a program last asked with it.")
    last_used_from = models.GenericIPAddressField(null=True, blank=True, help_text="Where that program asked from.")
    window_at = models.DateTimeField(null=True, blank=True, help_text="The minute in which requests are counted.")
    window_count = models.PositiveIntegerField(default=0, help_text="Requests in that minute.")

    class Meta:
        verbose_name = "API key"
        ordering = ("-id",)

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    # Queries

    def standing_at(self, now: datetime) -> Literal["valid", "expired", "revoked"]:
        """Whether it opens anything at that time."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if now >= self.expires_at else "valid"

    @cached_property
    def brand_ids(self) -> frozenset[uuid.UUID]:
        """The brands it is limited to; none: it is not."""
        return frozenset(ApiKeyBrand.objects.filter(key=self).values_list("brand_id", flat=True))


class ApiKeyBrand(models.Model):
    """One brand that a key is limited to."""

    key = models.ForeignKey(ApiKey, on_delete=models.CASCADE, related_name="+", help_text="The key.")
    # Protected: a key whose last brand went away would see all that its owner sees.
    brand = models.ForeignKey(Brand, on_delete=models.PROTECT, related_name="+", help_text="The brand.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["key", "brand"], name="api_key_once_per_brand")]

    def __str__(self) -> str:
        return f"{self.key} in {self.brand}"


class KeptAnswer(models.Model):
    """
    What an act by a key was answered, so that its repetition is answered alike and done no second time.

    Stands in the transaction of the act; goes after a day.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False, help_text="Identifier, ordered by time.")
    key = models.ForeignKey(ApiKey, on_delete=models.CASCADE, related_name="+", help_text="The key that asked.")
    idempotency_key = models.CharField(max_length=128, help_text="By what the program names the request.")
    digest = models.BinaryField(max_length=32, help_text="SHA-256 of what was asked for.")
    answer = models.TextField(help_text="The JSON of the answer.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["key", "idempotency_key"], name="answer_once_per_key_and_request")
        ]

    def __str__(self) -> str:
        return f"{self.idempotency_key} of {self.key_id}"
