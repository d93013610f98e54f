"""What retention and erasure have to remember while they work."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import Q

from access.models import BrandOwned
from conversations.models.consumers import Consumer
from core.encryption import context_of
from core.vault import key_ring


class Erasure(models.Model):
    """
    One consumer who was erased, and how far that has come.

    The identity goes at once; what has to be looked for goes in batches. Until then the ids to look for stand here,
    sealed; at the end they go too.
    """

    brand_path: ClassVar[str] = "consumer__brand"

    consumer = models.OneToOneField(
        Consumer, primary_key=True, on_delete=models.PROTECT, related_name="erasure", help_text="Who was erased."
    )
    begun_at = models.DateTimeField(help_text="When it began; what came later is another matter.")
    ended_at = models.DateTimeField(null=True, blank=True, help_text="When nothing was left to be removed.")
    sealed = models.BinaryField(null=True, help_text="The ids to look for, encrypted; empty when it has ended.")
    words_to = models.UUIDField(
        default=uuid.UUID(int=0), help_text="The message up to which words and files have been removed."
    )
    swept_to = models.UUIDField(help_text="The delivery up to which the inbox has been looked through.")
    removed = models.JSONField(default=dict, help_text="How much went, by kind.")

    class Meta:
        indexes = [models.Index(fields=["begun_at"], condition=Q(ended_at__isnull=True), name="erasure_under_way")]

    def __str__(self) -> str:
        return f"erasure of {self.consumer_id}"

    def keep(self, plaintext: bytes) -> None:
        """Encrypt; the row is not saved by this."""
        self.sealed = key_ring().seal(plaintext, context=self.seal_context)

    def reveal(self) -> bytes:
        """What was kept. Raises core.encryption.SealBroken."""
        return key_ring().open(bytes(self.sealed or b""), context=self.seal_context)

    def count(self, **removed: int) -> None:
        """Add to what went, by kind; the row is not saved by this."""
        for kind, number in removed.items():
            if number:
                self.removed[kind] = self.removed.get(kind, 0) + number

    @property
    def seal_context(self) -> str:
        """The place that the sealed value is bound to: moved to another row it does not open."""
        return context_of(self._meta.db_table, self.consumer_id, "sealed")


class Removed(BrandOwned):
    """
    What retention has removed and the trail does not say yet: counted in the transaction that removes it, and taken
    from here in the transaction that writes it into the trail. So a crash neither loses nor doubles a number.
    """

    kind = models.CharField(max_length=32, help_text="Of what, such as message_contents.")
    count = models.BigIntegerField(help_text="How many.")

    class Meta:
        verbose_name_plural = "removed"
        constraints = [models.UniqueConstraint(fields=["brand", "kind"], name="removed_once_per_kind")]

    def __str__(self) -> str:
        return f"{self.count} {self.kind}"


class Redating(BrandOwned):
    """A brand's retention was changed: what is stored already gets its new last day, in batches."""

    old_days = models.PositiveIntegerField(help_text="The days by which the stored dates were made.")
    new_days = models.PositiveIntegerField(help_text="The days that hold now.")
    messages_to = models.UUIDField(help_text="The message up to which it has come.")
    deliveries_to = models.UUIDField(help_text="The delivery up to which it has come.")
    until = models.UUIDField(help_text="Where it ends: what came later was dated by the new days.")

    class Meta:
        ordering = ("id",)

    def __str__(self) -> str:
        return f"from {self.old_days} to {self.new_days} days"
