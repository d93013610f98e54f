"""Pauses: what people keep from being sent, and for how long. Those that have ended stay: they are the history."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from access.models import Brand
from core.actor import SYSTEM
from core.ids import new_id


class PauseScope(models.TextChoices):
    """What a pause is put on. A consumer's lanes are named by the consumer: they need not be there yet."""

    PLATFORM = "PLATFORM", "The whole platform"
    BRAND = "BRAND", "Brand"
    INSTALLATION = "INSTALLATION", "App installation"
    CHANNEL = "CHANNEL", "Channel"
    CONSUMER = "CONSUMER", "Consumer"

    @property
    def blocks_as(self) -> str:
        """What a lane says that waits for it."""
        return f"{self.value.lower()}_paused"


# What the lanes say that sleep for a pause.
ASLEEP_FOR = tuple(scope.blocks_as for scope in PauseScope)


class PausedDirection(models.TextChoices):
    """Which lanes of the scope wait. The values of the single directions are those of a lane."""

    BOTH = "BOTH", "In both directions"
    TO_LIVEPERSON = "TO_LIVEPERSON", "Towards LivePerson"
    TO_CHANNEL = "TO_CHANNEL", "Towards the channel"

    def covers(self, direction: str) -> bool:
        """Whether it keeps everything of this direction."""
        return self is PausedDirection.BOTH or self.value == direction


class Pause(models.Model):
    """
    Since when, until when and why nothing is begun in some lanes.

    In force until `ended_at`, which installations.pausing alone writes; `until` is when it is to end by itself.
    """

    brand_path: ClassVar[str] = "brand"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False, help_text="Identifier, ordered by time.")
    brand = models.ForeignKey(
        Brand,
        on_delete=models.PROTECT,
        db_index=False,
        null=True,
        blank=True,
        related_name="+",
        help_text="The brand that this belongs to; empty: the whole platform is paused.",
    )
    scope = models.CharField(max_length=16, choices=PauseScope, help_text="What kind of thing is paused.")
    target_id = models.UUIDField(
        null=True, blank=True, help_text="Which brand, app installation, channel or consumer; empty: the platform."
    )
    target_name = models.CharField(
        max_length=128, blank=True, help_text="Its name when it was paused; empty for consumers and the platform."
    )
    direction = models.CharField(
        max_length=16, choices=PausedDirection, default=PausedDirection.BOTH, help_text="What of it waits."
    )
    reason = models.CharField(max_length=300, help_text="Why, for whoever sees that nothing is sent.")
    began_at = models.DateTimeField(default=timezone.now, help_text="Since when.")
    until = models.DateTimeField(
        null=True, blank=True, help_text="When it ends by itself; empty: when somebody resumes it."
    )
    by_name = models.CharField(max_length=150, blank=True, help_text="Who paused it.")
    by_id = models.CharField(max_length=64, blank=True, help_text="The id of that person or key.")
    ended_at = models.DateTimeField(null=True, blank=True, help_text="When it ended; empty: it is in force.")
    ended_by = models.CharField(max_length=150, blank=True, help_text="Who ended it.")
    end_reason = models.CharField(max_length=300, blank=True, help_text="Why it was ended.")
    woken_at = models.DateTimeField(
        null=True, blank=True, help_text="When the last lane that slept for it was woken; empty: not yet."
    )
    woken_to = models.UUIDField(
        null=True, blank=True, help_text="The last lane that was woken: those with greater ids are still to be."
    )

    class Meta:
        ordering = ("-id",)
        constraints = [
            models.UniqueConstraint(
                fields=["scope", "target_id", "direction"],
                condition=Q(ended_at=None),
                nulls_distinct=False,
                name="pause_once_in_force",
            ),
            models.CheckConstraint(
                condition=Q(scope="PLATFORM", brand=None, target_id=None)
                | (~Q(scope="PLATFORM") & Q(brand__isnull=False, target_id__isnull=False)),
                name="pause_of_platform_or_brand",
            ),
            models.CheckConstraint(condition=Q(until=None) | Q(until__gt=F("began_at")), name="pause_ends_after_begin"),
        ]
        indexes = [
            models.Index(fields=["brand", "-id"], name="pause_brand"),
            # Both are asked again and again, and hold a few rows of all that ever were.
            models.Index(fields=["id"], condition=Q(ended_at=None), name="pause_in_force"),
            models.Index(fields=["id"], condition=Q(ended_at__isnull=False, woken_at=None), name="pause_to_wake"),
        ]

    def __str__(self) -> str:
        return f"{self.subject}, {self.get_direction_display().lower()}"

    @property
    def subject(self) -> str:
        """What is paused, as lists name it: consumers by their id, since their names may be erased."""
        name = self.target_name or self.target_id or ""
        return f"{self.get_scope_display()} {name}".strip()

    @property
    def subject_and_brand(self) -> str:
        """The same where pauses of several brands stand together: channels of two may bear one name."""
        is_plain = self.brand is None or self.scope == PauseScope.BRAND
        return self.subject if is_plain else f"{self.subject}, {self.brand}"

    @property
    def is_in_force(self) -> bool:
        return self.ended_at is None

    @property
    def is_by_itself(self) -> bool:
        """Whether the site made it, for rejected credentials: resuming alone does not help."""
        return self.by_name == SYSTEM.name and not self.by_id
