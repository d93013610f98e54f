"""What the site as a whole keeps: its workers' sign of life, its dashboard's figures, and jobs over many rows."""

from typing import ClassVar

from django.db import models
from django.db.models.functions import Now

from access.models import Brand
from connector_site.bulk.models import BulkItem, BulkJob


class Heartbeat(models.Model):
    """
    When a task of a cluster last ran; written by the task itself, so that it proves the whole way from doorbell to row.
    """

    cluster = models.CharField(
        primary_key=True, max_length=64, help_text="The cluster that ran the task, named by its supervisor."
    )
    beat_at = models.DateTimeField(db_default=Now(), help_text="By the database's clock, the one clock all share.")

    objects: ClassVar[models.Manager["Heartbeat"]] = models.Manager()

    class Meta:
        verbose_name = "worker heartbeat"

    def __str__(self) -> str:
        return self.cluster


class Span(models.IntegerChoices):
    """How long the time is that a figure is about, in seconds."""

    FIVE_MINUTES = 300, "Five minutes"
    HOUR = 3_600, "An hour"
    DAY = 86_400, "A day"


class Counting(models.TextChoices):
    """
    Soon: seconds after it happened. Final: an hour after it happened, when what was stored late has long been there.
    Measured: not counted from rows, but noted where it happened.
    """

    SOON = "SOON", "Soon"
    FINAL = "FINAL", "Final"
    MEASURED = "MEASURED", "Measured"


class Figure(models.TextChoices):
    """What is counted. The label of a row divides it further, as is said here; where nothing is said it is empty."""

    DELIVERIES_FROM_LIVEPERSON = "DELIVERIES_FROM_LIVEPERSON", "Webhooks received from LivePerson"
    DELIVERIES_FROM_CHANNEL = "DELIVERIES_FROM_CHANNEL", "Webhooks received from channels"
    MESSAGES_TO_LIVEPERSON = "MESSAGES_TO_LIVEPERSON", "Messages of consumers"
    MESSAGES_TO_CHANNEL = "MESSAGES_TO_CHANNEL", "Messages for consumers"
    PRIVATE_NOTES = "PRIVATE_NOTES", "Notes among agents"
    CONVERSATIONS = "CONVERSATIONS", "Conversations opened"
    SENT_TO_LIVEPERSON = "SENT_TO_LIVEPERSON", "Sends that LivePerson accepted"
    SENT_TO_CHANNEL = "SENT_TO_CHANNEL", "Sends that the channel accepted"
    # By error code.
    FAILED_TO_LIVEPERSON = "FAILED_TO_LIVEPERSON", "Sends that LivePerson will not take"
    FAILED_TO_CHANNEL = "FAILED_TO_CHANNEL", "Sends that the channel will not take"
    DEAD_TO_LIVEPERSON = "DEAD_TO_LIVEPERSON", "Sends to LivePerson that were tried often enough"
    DEAD_TO_CHANNEL = "DEAD_TO_CHANNEL", "Sends to the channel that were tried often enough"
    DROPPED_TO_LIVEPERSON = "DROPPED_TO_LIVEPERSON", "Sends to LivePerson that were dropped"
    DROPPED_TO_CHANNEL = "DROPPED_TO_CHANNEL", "Sends to the channel that were dropped"
    # By the upper edge of the bucket, in milliseconds.
    THROUGH_TO_LIVEPERSON = "THROUGH_TO_LIVEPERSON", "From the channel's webhook to LivePerson's acceptance"
    THROUGH_TO_CHANNEL = "THROUGH_TO_CHANNEL", "From LivePerson's webhook to the channel's acceptance"
    ACK_TO_LIVEPERSON = "ACK_TO_LIVEPERSON", "Time until a webhook of LivePerson was answered 200"
    ACK_TO_CHANNEL = "ACK_TO_CHANNEL", "Time until a webhook of a channel was answered 200"
    # By HTTP status.
    REFUSED_TO_LIVEPERSON = "REFUSED_TO_LIVEPERSON", "Webhooks of LivePerson that were not taken"
    REFUSED_TO_CHANNEL = "REFUSED_TO_CHANNEL", "Webhooks of channels that were not taken"


class RollupCount(models.Model):
    """
    How often something happened in a span of time: what the dashboard adds up instead of the rows themselves.

    Only connector_site.rollups writes these rows.
    """

    brand_path: ClassVar[str] = "brand"

    id = models.BigAutoField(primary_key=True, help_text="Row number.")
    brand = models.ForeignKey(
        Brand, on_delete=models.PROTECT, db_index=False, related_name="+", help_text="The brand that this belongs to."
    )
    source_id = models.UUIDField(null=True, help_text="The app installation or channel; empty: the brand as a whole.")
    span = models.PositiveIntegerField(choices=Span, help_text="How long the time is, in seconds.")
    at = models.DateTimeField(help_text="When that time begins.")
    figure = models.CharField(max_length=32, choices=Figure, help_text="What is counted.")
    label = models.CharField(max_length=64, blank=True, help_text="Divides it: an error code, a bucket, a status.")
    counting = models.CharField(max_length=8, choices=Counting, help_text="Which of the counts wrote it.")
    count = models.BigIntegerField(help_text="How often it happened.")

    objects: ClassVar[models.Manager["RollupCount"]] = models.Manager()

    class Meta:
        verbose_name = "rolled-up count"
        constraints = [
            # In the order in which a chart asks.
            models.UniqueConstraint(
                fields=["brand", "source_id", "span", "at", "figure", "label", "counting"],
                nulls_distinct=False,
                name="rollup_once",
            ),
        ]
        # What is old goes by its time.
        indexes = [models.Index(fields=["span", "at"], name="rollup_by_age")]

    def __str__(self) -> str:
        return f"{self.get_figure_display()} {self.at:%Y-%m-%d %H:%M}"


__all__ = ["BulkItem", "BulkJob", "Counting", "Figure", "Heartbeat", "RollupCount", "Span"]
