"""What brands use, counted by month: the base of an invoice. Only the counts in usage services write these rows."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from access.models import BrandOwned
from conversations.models.consumers import Consumer
from installations.models import Channel


class Reckoning(models.TextChoices):
    """
    Everything is counted twice. Soon: a minute after it happened, for the month that runs. Final: a day after it
    happened, when what was stored late has long been there; what counts in the end.
    """

    SOON = "SOON", "Soon"
    FINAL = "FINAL", "Final"


class UsageCount(BrandOwned):
    """What one channel did in one month of UTC, as far as one of the two counts has come."""

    reckoning = models.CharField(max_length=8, choices=Reckoning, help_text="Which of the two counts.")
    month = models.DateField(help_text="The first day of the month.")
    channel = models.ForeignKey(Channel, on_delete=models.PROTECT, related_name="+", help_text="The channel.")
    messages_to_liveperson = models.BigIntegerField(
        default=0, db_default=0, help_text="Messages of consumers that were stored."
    )
    messages_to_channel = models.BigIntegerField(
        default=0, db_default=0, help_text="Messages for consumers that were stored; private notes are not among them."
    )
    private_notes = models.BigIntegerField(
        default=0, db_default=0, help_text="Notes among agents, which are never carried to a consumer."
    )
    segments_to_liveperson = models.BigIntegerField(
        default=0, db_default=0, help_text="Sends for a message that LivePerson accepted, in the month of accepting."
    )
    segments_to_channel = models.BigIntegerField(
        default=0, db_default=0, help_text="Sends for a message that the channel accepted, in the month of accepting."
    )
    media_files = models.BigIntegerField(default=0, db_default=0, help_text="Files that were carried.")
    media_bytes = models.BigIntegerField(default=0, db_default=0, help_text="Bytes of these files.")
    conversations_opened = models.BigIntegerField(
        default=0, db_default=0, help_text="Conversations that were opened at LivePerson."
    )
    consumers = models.BigIntegerField(
        default=0, db_default=0, help_text="Different consumers with at least one message."
    )

    class Meta:
        ordering = ("-month", "brand", "channel")
        constraints = [
            models.UniqueConstraint(fields=["reckoning", "month", "brand", "channel"], name="usage_once_per_month"),
        ]

    def __str__(self) -> str:
        return f"usage of {self.channel_id} in {self.month:%Y-%m}"


class UsageStorage(BrandOwned):
    """
    What stood in storage when it was last measured in a month.

    Measuring walks through all that is kept. Until a walk has come to its end, its sums stand in rows of their own.
    """

    month = models.DateField(help_text="The first day of the month in which the walk began.")
    channel = models.ForeignKey(
        Channel,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        help_text="The channel; empty: what LivePerson sent to an app installation, which several channels may use.",
    )
    measured_at = models.DateTimeField(
        null=True, blank=True, help_text="When the walk came to its end; empty: it is under way."
    )
    content_bytes = models.BigIntegerField(default=0, db_default=0, help_text="Bytes of what messages say.")
    file_bytes = models.BigIntegerField(default=0, db_default=0, help_text="Bytes of files.")
    body_bytes = models.BigIntegerField(default=0, db_default=0, help_text="Bytes of deliveries' bodies.")

    class Meta:
        verbose_name_plural = "usage of storage"
        constraints = [
            models.UniqueConstraint(
                fields=["month", "brand", "channel"],
                condition=models.Q(measured_at__isnull=True),
                nulls_distinct=False,
                name="storage_once_under_way",
            ),
            models.UniqueConstraint(
                fields=["month", "brand", "channel"],
                condition=models.Q(measured_at__isnull=False),
                nulls_distinct=False,
                name="storage_once_per_month",
            ),
        ]

    def __str__(self) -> str:
        return f"storage of {self.channel_id or self.brand_id} in {self.month:%Y-%m}"


class UsageConsumer(models.Model):
    """A consumer who has been counted on a channel in a month. Goes when the month is final."""

    brand_path: ClassVar[str] = "channel__brand"

    id = models.BigAutoField(primary_key=True, help_text="Row number.")
    reckoning = models.CharField(max_length=8, choices=Reckoning, help_text="By which of the two counts.")
    month = models.DateField(help_text="The first day of the month.")
    channel = models.ForeignKey(Channel, on_delete=models.PROTECT, related_name="+", help_text="The channel.")
    consumer = models.ForeignKey(Consumer, on_delete=models.PROTECT, related_name="+", help_text="The consumer.")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["month", "reckoning", "channel", "consumer"], name="usage_consumer_once_per_month"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.consumer_id} in {self.month:%Y-%m}"


class UsageWalk(models.Model):
    """How far a count has come through the rows of one kind. Whoever goes on with it locks this row."""

    name = models.CharField(primary_key=True, max_length=64, help_text="Which count, of which rows.")
    place = models.JSONField(null=True, help_text="The last row that was counted; empty: none yet.")
    counted_to = models.DateTimeField(
        null=True, blank=True, help_text="Everything that happened before this moment is counted."
    )
    month = models.DateField(null=True, blank=True, help_text="Of a walk through the storage: the month it began in.")

    def __str__(self) -> str:
        return self.name


class RemovedFile(BrandOwned):
    """What stays of a file whose row retention or an erasure has removed: that it was carried. Its id is the file's."""

    channel = models.ForeignKey(Channel, on_delete=models.PROTECT, related_name="+", help_text="The channel.")
    size = models.PositiveIntegerField(help_text="Bytes.")

    def __str__(self) -> str:
        return f"removed file {self.pk}"
