"""The outbox: lanes keep the order, dispatches are what must be sent, attempts are the tries."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import Q

from access.models import BrandOwned
from conversations.models.consumers import Consumer
from conversations.models.conversations import Conversation
from conversations.models.messages import Direction, Message
from core.ids import new_id
from installations.models import ASLEEP_FOR, Account, Channel

# What a lane may be blocked by beside pauses and the error of its head's last try: docs/operations.md.
_WAITS_FOR = {
    "waiting_for_token": "a token of LivePerson's",
    "waiting_for_upstream": "the other side to work again: calls to it failed",
    "unknown": "evidence whether its first send arrived",
    "configuration": "a set-up that can be used: see the connector's page",
    "credentials_rejected": "credentials that are accepted",
}


class Lane(BrandOwned):
    """
    Everything that goes one way for one consumer, in order. One send is in flight at a time; it outlives conversations.

    Only conversations.lanes moves a lane.
    """

    account = models.ForeignKey(
        Account,
        on_delete=models.PROTECT,
        related_name="+",
        help_text="The LivePerson account; lanes are claimed fairly.",
    )
    consumer = models.ForeignKey(Consumer, on_delete=models.PROTECT, related_name="lanes", help_text="The consumer.")
    direction = models.CharField(max_length=16, choices=Direction, help_text="Which way it goes.")
    next_position = models.BigIntegerField(default=1 << 20, help_text="Place that the next dispatch gets.")
    due_at = models.DateTimeField(
        null=True, blank=True, help_text="When its head is to be looked at; empty: nothing waits."
    )
    leased_until = models.DateTimeField(null=True, blank=True, help_text="Until when one worker has it to itself.")
    fence = models.BigIntegerField(
        default=0,
        help_text="Counts claims; a result under an older number moves nothing on, and settles what is in doubt.",
    )
    blocked_by = models.CharField(
        max_length=64, blank=True, help_text="Why its head waits, such as credentials_rejected."
    )
    held_at = models.DateTimeField(
        null=True, blank=True, help_text="Since when a restore keeps it from sending; empty: it is free."
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["consumer", "direction"], name="lane_once")]
        indexes = [
            models.Index(fields=["account", "due_at"], condition=Q(due_at__isnull=False), name="lane_due"),
            models.Index(fields=["brand", "account"], condition=Q(held_at__isnull=False), name="lane_held"),
            models.Index(fields=["id"], condition=Q(blocked_by__in=ASLEEP_FOR), name="lane_asleep"),
            models.Index(fields=["brand"], condition=Q(blocked_by__in=ASLEEP_FOR), name="lane_asleep_in_brand"),
            models.Index(fields=["brand"], condition=~Q(blocked_by="") & Q(due_at__isnull=False), name="lane_put_off"),
        ]

    def __str__(self) -> str:
        return f"{self.get_direction_display()} for {self.consumer_id}"

    @property
    def is_asleep(self) -> bool:
        """Whether it waits for a pause to end."""
        return self.blocked_by in ASLEEP_FOR

    @property
    def waits_for(self) -> str:
        """What blocks it, in words; empty where nothing does."""
        if not self.blocked_by or self.is_asleep:
            return "a pause to end" if self.blocked_by else ""
        return _WAITS_FOR.get(self.blocked_by) or f"its next try ({self.blocked_by.replace('_', ' ')})"


class DispatchKind(models.TextChoices):
    OPEN = "OPEN", "Open a conversation"
    TEXT = "TEXT", "Text"
    FILE = "FILE", "File"
    RICH = "RICH", "Structured content"
    TYPING = "TYPING", "Typing"
    RECEIPT = "RECEIPT", "Receipt"
    CLOSE = "CLOSE", "Close"
    PROFILE = "PROFILE", "Profile"


class DispatchState(models.TextChoices):
    """
    Queued waits its turn; sending has an attempt under way; unknown waits for evidence and holds its lane; parked waits
    for a person and does not. Sent, failed, dead and dropped are ends.
    """

    QUEUED = "QUEUED", "Queued"
    SENDING = "SENDING", "Sending"
    UNKNOWN = "UNKNOWN", "Unknown"
    PARKED = "PARKED", "Parked"
    SENT = "SENT", "Sent"
    FAILED = "FAILED", "Failed"
    DEAD = "DEAD", "Dead"
    DROPPED = "DROPPED", "Dropped"


LIVE_STATES = ("QUEUED", "SENDING", "UNKNOWN")


class Step(models.TextChoices):
    """What one attempt does. Only open, publish and send can be in doubt; the others are simply repeated."""

    IDENTIFY = "IDENTIFY", "Get the consumer's token"
    OPEN = "OPEN", "Open the conversation"
    FETCH = "FETCH", "Fetch the file"
    UPLOAD = "UPLOAD", "Upload the file"
    PUBLISH = "PUBLISH", "Publish to LivePerson"
    SEND = "SEND", "Send to the channel"


class Dispatch(BrandOwned):
    """One thing to send. A message may need several; a receipt or an opening has no message."""

    lane = models.ForeignKey(
        Lane, on_delete=models.PROTECT, db_index=False, related_name="dispatches", help_text="Its lane."
    )
    # What lists are walked and filtered by stands in the row itself. The lane's key guards the consumer, too.
    consumer = models.ForeignKey(
        Consumer,
        on_delete=models.PROTECT,
        db_index=False,
        db_constraint=False,
        related_name="dispatches",
        help_text="The lane's consumer.",
    )
    direction = models.CharField(max_length=16, choices=Direction, help_text="The lane's direction.")
    channel = models.ForeignKey(
        Channel,
        on_delete=models.PROTECT,
        db_index=False,
        related_name="+",
        help_text="The channel it goes through: its message's, or else the one that the consumer had written on last.",
    )
    position = models.BigIntegerField(help_text="Its place in the lane; an opening is put before what needs it.")
    kind = models.CharField(max_length=16, choices=DispatchKind, help_text="What is to be sent.")
    state = models.CharField(
        max_length=16, choices=DispatchState, default=DispatchState.QUEUED, help_text="Where it stands."
    )
    message = models.ForeignKey(
        Message, on_delete=models.PROTECT, null=True, blank=True, related_name="dispatches", help_text="Its message."
    )
    conversation = models.ForeignKey(
        Conversation,
        on_delete=models.PROTECT,
        db_index=False,
        null=True,
        blank=True,
        related_name="dispatches",
        help_text="The conversation it was sent in, or must be sent in.",
    )
    lp_dialog_id = models.CharField(max_length=256, blank=True, help_text="The dialog it was sent in.")
    payload = models.JSONField(
        default=dict, help_text="Facts that the send needs: part number, sequences; never words."
    )
    progress = models.JSONField(
        default=dict, help_text="What finished steps brought, such as the uploaded file's path."
    )
    step = models.CharField(max_length=16, choices=Step, blank=True, help_text="The step under way or last tried.")
    attempt_count = models.PositiveIntegerField(default=0, help_text="Tries of the current step.")
    next_attempt_at = models.DateTimeField(
        null=True, blank=True, help_text="When it may be tried again, or is decided."
    )
    expires_at = models.DateTimeField(null=True, blank=True, help_text="When it has lost its use and is dropped.")
    content_digest = models.BinaryField(null=True, help_text="SHA-256 of the text sent, to recognise its echo.")
    lp_sequence = models.IntegerField(null=True, blank=True, help_text="Sequence that LivePerson gave it.")
    provider_ids = models.JSONField(default=list, blank=True, help_text="The channel's ids of it.")
    error_code = models.CharField(max_length=64, blank=True, help_text="Why the last try failed.")
    error_detail = models.CharField(max_length=500, blank=True, help_text="The same as a sentence.")
    resolution = models.CharField(
        max_length=16,
        blank=True,
        help_text="What settled it: answer, echo, report, policy, a person, an erasure; empty while open.",
    )
    sequence_before = models.IntegerField(null=True, blank=True, help_text="Highest sequence known when it was tried.")
    echo_sequence = models.IntegerField(null=True, blank=True, help_text="Sequence of its echo, where one was seen.")
    unknown_at = models.DateTimeField(null=True, blank=True, help_text="Since when its outcome is unknown.")
    possible_duplicate = models.BooleanField(default=False, help_text="It was sent again without knowing of the first.")
    duplicate_seen_at = models.DateTimeField(null=True, blank=True, help_text="When a second arrival was proved.")
    created_at = models.DateTimeField(auto_now_add=True, help_text="When it was queued.")
    finished_at = models.DateTimeField(null=True, blank=True, help_text="When it came to its end.")
    correlation_id = models.CharField(max_length=64, blank=True, help_text="Ties it to deliveries and log lines.")

    class Meta:
        verbose_name_plural = "dispatches"
        ordering = ("-id",)
        constraints = [models.UniqueConstraint(fields=["lane", "position"], name="dispatch_one_per_position")]
        indexes = [
            models.Index(fields=["lane", "position"], condition=Q(state__in=LIVE_STATES), name="dispatch_head"),
            models.Index(
                fields=["brand", "state", "-id"],
                condition=Q(state__in=["UNKNOWN", "PARKED", "DEAD", "FAILED"]),
                name="dispatch_troubled",
            ),
            models.Index(
                fields=["conversation", "lp_dialog_id", "lp_sequence"],
                condition=Q(lp_sequence__isnull=False),
                name="dispatch_sequence",
            ),
            models.Index(fields=["brand", "-id"], name="dispatch_brand"),
            # Newest first, in place of the keys' own indexes: a dispatch costs one entry more than with those.
            models.Index(fields=["consumer", "-id"], name="dispatch_consumer"),
            models.Index(fields=["channel", "-id"], name="dispatch_channel"),
            models.Index(fields=["conversation", "-id"], name="dispatch_conversation"),
            # What has come to an end, in the order in which it did: usage and the dashboard count it.
            models.Index(fields=["finished_at", "id"], condition=Q(finished_at__isnull=False), name="dispatch_ended"),
            models.Index(
                fields=["brand", "id"], condition=Q(payload__has_key="metadata"), name="dispatch_with_metadata"
            ),
            # For tracing and finding. What has a message is found by that.
            models.Index(fields=["conversation", "id"], condition=Q(kind="RECEIPT"), name="dispatch_receipt"),
            models.Index(
                fields=["correlation_id"],
                condition=Q(message__isnull=True) & ~Q(correlation_id=""),
                name="dispatch_correlation",
            ),
            GinIndex(
                fields=["provider_ids"],
                opclasses=["jsonb_path_ops"],
                condition=~Q(provider_ids=[]),
                name="dispatch_provider_ids",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.pk}"

    @property
    def part(self) -> str:
        """Which part of a message that needs several, for people; empty of any other."""
        total = self.payload.get("of", 1)
        number = self.payload.get("part", self.payload.get("attachment", 0)) + 1
        return f"part {number} of {total}" if total > 1 else ""


class Outcome(models.TextChoices):
    ACCEPTED = "ACCEPTED", "Accepted"
    NOT_PROCESSED = "NOT_PROCESSED", "Certainly not processed"
    REJECTED = "REJECTED", "Rejected"
    REFUSED = "REFUSED", "Refused by a server error"
    UNANSWERED = "UNANSWERED", "Unanswered"


class Attempt(models.Model):
    """
    One try of one step, committed before the first byte is written.

    Without finished_at the process died in between: then it is unanswered.
    """

    brand_path: ClassVar[str] = "brand"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False, help_text="Identifier, ordered by time.")
    brand = models.ForeignKey(
        "access.Brand", on_delete=models.PROTECT, db_index=False, related_name="+",
        help_text="The brand that this belongs to.",
    )  # fmt: skip
    dispatch = models.ForeignKey(
        Dispatch, on_delete=models.PROTECT, db_index=False, related_name="attempts", help_text="What it tried."
    )
    step = models.CharField(max_length=16, choices=Step, help_text="Which step it tried.")
    fence = models.BigIntegerField(help_text="The lane's fence under which it ran.")
    started_at = models.DateTimeField(help_text="When it began.")
    finished_at = models.DateTimeField(null=True, blank=True, help_text="When it ended.")
    outcome = models.CharField(max_length=16, choices=Outcome, blank=True, help_text="How it ended.")
    error_code = models.CharField(max_length=64, blank=True, help_text="Our name of what went wrong.")
    http_status = models.PositiveSmallIntegerField(null=True, blank=True, help_text="HTTP status of the answer.")
    provider_code = models.CharField(max_length=64, blank=True, help_text="The provider's own code, where it gave one.")
    detail = models.CharField(max_length=500, blank=True, help_text="What went wrong, as a sentence.")
    answer_head = models.CharField(max_length=512, blank=True, help_text="The beginning of the answer, redacted.")
    elapsed_ms = models.PositiveIntegerField(null=True, blank=True, help_text="How long the call took.")

    class Meta:
        ordering = ("-id",)
        indexes = [
            models.Index(fields=["dispatch", "id"], name="attempt_dispatch"),
            # Newest first, in place of the key's own index.
            models.Index(fields=["brand", "-id"], name="attempt_brand"),
            models.Index(fields=["dispatch"], condition=Q(finished_at__isnull=True), name="attempt_unfinished"),
            models.Index(fields=["brand", "id"], condition=~Q(answer_head=""), name="attempt_with_answer"),
        ]

    def __str__(self) -> str:
        return f"{self.get_step_display()} {self.started_at:%H:%M:%S}"
