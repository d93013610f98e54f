"""Messages: what a person reads. What had to be sent for it stands in the outbox."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from django.db import models
from django.db.models import Q

from access.models import BrandOwned
from conversations.models.consumers import Consumer
from conversations.models.conversations import Conversation
from installations.models import Channel


class Direction(models.TextChoices):
    TO_LIVEPERSON = "TO_LIVEPERSON", "To LivePerson"
    TO_CHANNEL = "TO_CHANNEL", "To the channel"


class MessageKind(models.TextChoices):
    TEXT = "TEXT", "Text"
    FILE = "FILE", "File"
    RICH = "RICH", "Structured content"
    UNSUPPORTED = "UNSUPPORTED", "Not carried"


class Audience(models.TextChoices):
    """Staff: a private note. It is never relayed to the consumer."""

    ALL = "ALL", "Everybody"
    STAFF = "STAFF", "Agents and managers"


class OrderMark(models.TextChoices):
    """Where a dialog's events did not come in their order. What was sent stays where it is."""

    AFTER_GAP = "AFTER_GAP", "Something said before it has not come"
    LATE = "LATE", "Came after what was said later"


class MessageStatus(models.TextChoices):
    """It only climbs: received or queued, sent, delivered, read; failed and expired are ends."""

    RECEIVED = "RECEIVED", "Received"
    QUEUED = "QUEUED", "Queued"
    SENT = "SENT", "Sent"
    DELIVERED = "DELIVERED", "Delivered"
    READ = "READ", "Read"
    FAILED = "FAILED", "Failed"
    EXPIRED = "EXPIRED", "Expired"


STATUS_RANK: dict[str, int] = {
    MessageStatus.RECEIVED: 0,
    MessageStatus.QUEUED: 0,
    MessageStatus.SENT: 1,
    MessageStatus.DELIVERED: 2,
    MessageStatus.READ: 3,
}


class RemovedBy(models.TextChoices):
    RETENTION = "RETENTION", "by retention"
    ERASURE = "ERASURE", "by erasure"


class Message(BrandOwned):
    """One thing that somebody said. The facts stand here and stay; the words stand in MessageContent."""

    consumer = models.ForeignKey(
        Consumer, on_delete=models.PROTECT, db_index=False, related_name="messages",
        help_text="The consumer in the conversation.",
    )  # fmt: skip
    conversation = models.ForeignKey(
        Conversation,
        on_delete=models.PROTECT,
        db_index=False,
        null=True,
        blank=True,
        related_name="messages",
        help_text="The conversation; empty until LivePerson has opened one for it.",
    )
    channel = models.ForeignKey(
        Channel, on_delete=models.PROTECT, db_index=False, related_name="+", help_text="The channel."
    )
    direction = models.CharField(max_length=16, choices=Direction, help_text="Where it goes.")
    sender_role = models.CharField(
        max_length=32, help_text="Who said it, in LivePerson's words: CONSUMER, ASSIGNED_AGENT …"
    )
    kind = models.CharField(max_length=16, choices=MessageKind, default=MessageKind.TEXT, help_text="What it is.")
    audience = models.CharField(
        max_length=8, choices=Audience, default=Audience.ALL, help_text="Who may read it. Staff: a private note."
    )
    status = models.CharField(max_length=16, choices=MessageStatus, help_text="What became of it; it only climbs.")
    error_code = models.CharField(max_length=64, blank=True, help_text="Why it failed.")
    lp_dialog_id = models.CharField(max_length=256, blank=True, help_text="LivePerson's id of the dialog.")
    lp_sequence = models.IntegerField(null=True, blank=True, help_text="Its sequence in that dialog.")
    order_mark = models.CharField(
        max_length=16,
        choices=OrderMark,
        blank=True,
        default="",
        db_default="",
        help_text="Whether it came in its order; empty: it did.",
    )
    channel_message_id = models.CharField(max_length=256, blank=True, help_text="The channel's own id of it.")
    is_test = models.BooleanField(
        default=False, db_default=False, help_text="Whether an operator said it as the consumer, to try the way."
    )
    occurred_at = models.DateTimeField(help_text="When it was said, by the clock of the side that said it.")
    created_at = models.DateTimeField(auto_now_add=True, help_text="When it was stored here.")
    delivered_at = models.DateTimeField(null=True, blank=True, help_text="When the other side was known to have it.")
    read_at = models.DateTimeField(null=True, blank=True, help_text="When the other side was known to have read it.")
    correlation_id = models.CharField(max_length=64, blank=True, help_text="Ties it to deliveries and log lines.")
    removed_at = models.DateTimeField(null=True, blank=True, help_text="When its words were removed.")
    removed_by = models.CharField(
        max_length=16, choices=RemovedBy, blank=True, default="", db_default="", help_text="What removed them."
    )

    class Meta:
        ordering = ("-id",)
        constraints = [
            models.UniqueConstraint(
                fields=["channel", "channel_message_id"],
                condition=Q(direction="TO_LIVEPERSON") & ~Q(channel_message_id=""),
                name="message_once_per_channel",
            ),
            # Two installations may bring the same notification: the second one has no effect even across a change of
            # the channel's installation.
            models.UniqueConstraint(
                fields=["conversation", "lp_dialog_id", "lp_sequence"],
                condition=Q(direction="TO_CHANNEL"),
                name="message_once_per_sequence",
            ),
        ]
        indexes = [
            models.Index(fields=["conversation", "id"], name="message_conversation"),
            models.Index(fields=["brand", "-id"], name="message_brand"),
            models.Index(fields=["correlation_id"], condition=~Q(correlation_id=""), name="message_correlation"),
            # Newest first, in place of the keys' own indexes: a message costs no entry more than with those.
            models.Index(fields=["channel", "-id"], name="message_channel"),
            models.Index(fields=["consumer", "-id"], name="message_consumer"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.pk}"

    def climb_to(self, status: str, *, at: datetime) -> bool:
        """
        Raise the status; False when it stands as high already or has ended. The row is not saved by this.

        at: when this was learnt; of delivery and reading it is kept.
        """
        if self.status not in STATUS_RANK or STATUS_RANK.get(status, -1) <= STATUS_RANK[self.status]:
            return False
        self.status = status
        if status == MessageStatus.DELIVERED:
            self.delivered_at = at
        elif status == MessageStatus.READ:
            self.read_at = at
        return True


class MessageContent(models.Model):
    """The words of a message. Deleted when the brand's retention ends, while the message's facts stay."""

    brand_path: ClassVar[str] = "message__brand"

    message = models.OneToOneField(
        Message, primary_key=True, on_delete=models.CASCADE, related_name="content", help_text="The message."
    )
    text = models.TextField(blank=True, help_text="The text as it was said.")
    attachments = models.JSONField(default=list, blank=True, help_text="Files that came with it.")
    element = models.JSONField(null=True, blank=True, help_text="Structured content as LivePerson sent it.")
    quick_replies = models.JSONField(default=list, blank=True, help_text="Choices offered to the consumer.")
    metadata = models.JSONField(default=list, blank=True, help_text="Metadata that goes to LivePerson with it.")
    expires_on = models.DateField(help_text="The last day on which it is kept.")

    class Meta:
        indexes = [models.Index(fields=["expires_on", "message"], name="content_by_day")]

    def __str__(self) -> str:
        return f"content of {self.message_id}"
