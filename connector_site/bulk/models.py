"""What somebody asked to have done to many rows, and what became of each."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from access.models import Brand, User
from core.ids import new_id


class BulkKind(models.TextChoices):
    RESEND = "RESEND", "Send dispatches again"
    DROP = "DROP", "Drop dispatches"
    REPLAY = "REPLAY", "Apply deliveries again"


class BulkState(models.TextChoices):
    """
    Gathering looks for the rows; ready shows what it would touch and does nothing; waiting wants a second person. Done
    and discarded are ends.
    """

    GATHERING = "GATHERING", "Looking for the rows"
    READY = "READY", "Preview"
    WAITING = "WAITING", "Waiting for a second person"
    RUNNING = "RUNNING", "Running"
    STOPPED = "STOPPED", "Stopped"
    DONE = "DONE", "Done"
    DISCARDED = "DISCARDED", "Discarded"


# Nothing has been done, and nobody has asked for it yet.
PREVIEWS = (BulkState.GATHERING, BulkState.READY)
# Workers have something to do for these.
AT_WORK = (BulkState.GATHERING, BulkState.RUNNING)


class BulkJob(models.Model):
    """
    One act to be done to many rows, chosen once and for all before it starts.

    Only connector_site.bulk moves it. What it does to a row is committed together with the row's own end in the job.
    """

    brand_path: ClassVar[str] = "brand"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False, help_text="Identifier, ordered by time.")
    brand = models.ForeignKey(
        Brand, on_delete=models.PROTECT, null=True, blank=True, db_index=False, related_name="+",
        help_text="The brand whose rows it touches; empty: of several, for people who work for all.",
    )  # fmt: skip
    kind = models.CharField(max_length=16, choices=BulkKind, help_text="What is done to each row.")
    state = models.CharField(
        max_length=16, choices=BulkState, default=BulkState.GATHERING, help_text="Where it stands."
    )
    asked_by = models.ForeignKey(
        User, on_delete=models.PROTECT, db_index=False, related_name="+", help_text="Who asked for it."
    )
    approved_by = models.ForeignKey(
        User, on_delete=models.PROTECT, null=True, blank=True, db_index=False, related_name="+",
        help_text="The second person, where it needs one.",
    )  # fmt: skip
    reason = models.CharField(max_length=300, blank=True, help_text="Why, in the words of who asked.")
    per_second = models.PositiveSmallIntegerField(default=10, help_text="Rows a second, at most.")
    wanted = models.JSONField(
        default=dict,
        help_text="Which rows: brands, and where they were not ticked the filters and the span of time; never words.",
    )
    gathered_to = models.JSONField(default=dict, help_text="How far the look for its rows has come.")
    looked_at = models.PositiveIntegerField(default=0, help_text="Rows looked at in search of those that match.")
    is_cut = models.BooleanField(default=False, help_text="Whether more rows match than one job takes.")
    stopped_because = models.CharField(
        max_length=200, blank=True, help_text="Why it stands still, where no person stopped it."
    )

    # The preview, counted while the rows were gathered.
    total = models.PositiveIntegerField(default=0, help_text="Rows in it.")
    oldest_at = models.DateTimeField(null=True, blank=True, help_text="When the oldest of its rows came into being.")
    closed_count = models.PositiveIntegerField(default=0, help_text="Rows of closed conversations.")
    doubtful_count = models.PositiveIntegerField(default=0, help_text="Rows that may then have arrived twice.")
    impossible_count = models.PositiveIntegerField(
        default=0, help_text="Rows for which it was not possible when they were gathered."
    )

    # What became of its rows: each is counted in the transaction of its own act.
    done_count = models.PositiveIntegerField(default=0, help_text="Rows for which it was done.")
    settled_count = models.PositiveIntegerField(default=0, help_text="Rows that somebody had settled before.")
    refused_count = models.PositiveIntegerField(default=0, help_text="Rows for which it was not possible.")

    created_at = models.DateTimeField(auto_now_add=True, help_text="When it was asked for.")
    started_at = models.DateTimeField(null=True, blank=True, help_text="When it was started first.")
    finished_at = models.DateTimeField(null=True, blank=True, help_text="When it came to its end.")
    next_at = models.DateTimeField(db_default=Now(), help_text="When the turn of its next row comes.")
    leased_until = models.DateTimeField(null=True, blank=True, help_text="Until when one worker has it to itself.")
    fence = models.BigIntegerField(default=0, help_text="Counts claims; a worker that lost its lease does nothing.")

    class Meta:
        verbose_name = "bulk job"
        ordering = ("-id",)
        indexes = [
            models.Index(fields=["brand", "-id"], name="bulk_job_brand"),
            models.Index(fields=["next_at"], condition=Q(state__in=["GATHERING", "RUNNING"]), name="bulk_job_at_work"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} ({self.pk})"

    # Queries

    @property
    def settled(self) -> int:
        """Rows that have come to their end in it."""
        return self.done_count + self.settled_count + self.refused_count

    @property
    def left(self) -> int:
        return self.total - self.settled

    @property
    def is_at_work(self) -> bool:
        """Whether workers go on with it by themselves."""
        return self.state in AT_WORK


class ItemState(models.TextChoices):
    """Settled: somebody, or something, had brought it to another end before the turn of the row came."""

    WAITING = "WAITING", "Waiting"
    DONE = "DONE", "Done"
    SETTLED = "SETTLED", "Settled before"
    REFUSED = "REFUSED", "Not possible"


class BulkItem(models.Model):
    """One row of a job, and what became of it there."""

    brand_path: ClassVar[str] = "brand"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False, help_text="Identifier.")
    brand = models.ForeignKey(
        Brand, on_delete=models.PROTECT, db_index=False, related_name="+", help_text="The brand of the row."
    )
    job = models.ForeignKey(
        BulkJob, on_delete=models.CASCADE, db_index=False, related_name="items", help_text="Its job."
    )
    target_id = models.UUIDField(help_text="The dispatch or delivery; ids grow with time.")
    lane_id = models.UUIDField(help_text="The lane or inbox whose order it keeps.")
    position = models.BigIntegerField(help_text="Its place there.")
    state = models.CharField(
        max_length=16, choices=ItemState, default=ItemState.WAITING, help_text="What became of it."
    )
    detail = models.CharField(max_length=300, blank=True, help_text="Why it was not done.")
    at = models.DateTimeField(null=True, blank=True, help_text="When that was.")

    class Meta:
        verbose_name = "row of a bulk job"
        constraints = [models.UniqueConstraint(fields=["job", "target_id"], name="bulk_item_once")]
        indexes = [
            models.Index(fields=["job", "lane_id", "position"], condition=Q(state="WAITING"), name="bulk_item_lane"),
            models.Index(fields=["job", "target_id"], condition=Q(state="WAITING"), name="bulk_item_next"),
        ]

    def __str__(self) -> str:
        return f"{self.target_id} in {self.job_id}"


__all__ = ["AT_WORK", "PREVIEWS", "BulkItem", "BulkJob", "BulkKind", "BulkState", "ItemState"]
