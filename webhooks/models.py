"""The inbox: what arrived signed from outside, what was in it, and what has been seen before."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q

from access.models import BrandOwned
from conversations.models import Conversation
from installations.models import AppInstallation, Channel


class Inbox(BrandOwned):
    """
    The deliveries of one source, an app installation or a channel, in the order of arrival.

    One worker applies them at a time. Its id is the source's id.
    """

    id = models.UUIDField(primary_key=True, editable=False, help_text="Id of the app installation or channel.")
    leased_until = models.DateTimeField(null=True, blank=True, help_text="Until when one worker has it to itself.")
    fence = models.BigIntegerField(default=0, help_text="Counts claims; a worker that lost its lease changes nothing.")
    # Only webhooks.gaps writes these.
    gap_filled_at = models.DateTimeField(
        null=True, blank=True, help_text="When something that was missing in a dialog last came after all."
    )
    gap_wait_s = models.PositiveSmallIntegerField(
        default=5, db_default=5, help_text="How long to wait for what is missing, while waiting is of use."
    )
    gaps_given_up = models.PositiveIntegerField(
        default=0, db_default=0, help_text="How many waits since then were in vain."
    )

    class Meta:
        verbose_name_plural = "inboxes"

    def __str__(self) -> str:
        return f"inbox of {self.pk}"


class DeliveryState(models.TextChoices):
    """Quarantined: authentic, but its body cannot be read."""

    STORED = "STORED", "Stored"
    PROCESSED = "PROCESSED", "Processed"
    QUARANTINED = "QUARANTINED", "Quarantined"
    DEAD = "DEAD", "Dead"


class Delivery(BrandOwned):
    """One authentic HTTP request that arrived. Its facts stay; its body stands in DeliveryBody for a while."""

    inbox = models.ForeignKey(Inbox, on_delete=models.PROTECT, related_name="deliveries", help_text="Where it arrived.")
    installation = models.ForeignKey(
        AppInstallation, on_delete=models.PROTECT, null=True, blank=True, related_name="+",
        help_text="The app installation whose secret signed it.",
    )  # fmt: skip
    channel = models.ForeignKey(
        Channel, on_delete=models.PROTECT, null=True, blank=True, related_name="+",
        help_text="The channel whose secret signed it.",
    )  # fmt: skip
    state = models.CharField(
        max_length=16, choices=DeliveryState, default=DeliveryState.STORED, help_text="Where it stands."
    )
    received_at = models.DateTimeField(help_text="When it arrived.")
    processed_at = models.DateTimeField(null=True, blank=True, help_text="When its events were applied.")
    secret_id = models.UUIDField(help_text="Which of the valid secrets verified it.")
    sha256 = models.BinaryField(help_text="SHA-256 of the body as it arrived.")
    size = models.PositiveIntegerField(help_text="Bytes of the body.")
    request_identity = models.CharField(max_length=256, blank=True, help_text="The sender's own id of the request.")
    start_count = models.PositiveSmallIntegerField(default=0, help_text="How often a worker began to apply it.")
    detail = models.CharField(max_length=300, blank=True, help_text="Why it is quarantined or dead.")

    class Meta:
        verbose_name_plural = "deliveries"
        ordering = ("-id",)
        constraints = [
            models.UniqueConstraint(
                fields=["inbox", "request_identity"],
                condition=~Q(request_identity=""),
                name="delivery_once_per_request",
            ),
        ]
        indexes = [
            models.Index(fields=["inbox", "id"], condition=Q(state="STORED"), name="delivery_to_apply"),
            models.Index(fields=["brand", "-id"], name="delivery_brand"),
            models.Index(
                fields=["brand", "state", "-id"],
                condition=Q(state__in=["QUARANTINED", "DEAD"]),
                name="delivery_troubled",
            ),
            # Lists of one source, newest first, and when it last sent something.
            models.Index(fields=["inbox", "-id"], name="delivery_inbox"),
        ]

    def __str__(self) -> str:
        return f"delivery {self.pk}"

    @property
    def sender(self) -> str:
        """Who sent it, for people."""
        return f"LivePerson, {self.installation}" if self.installation else f"Channel {self.channel}"


class DeliveryBody(models.Model):
    """The bytes of a delivery exactly as they came: text and JSON columns would refuse some of them."""

    brand_path: ClassVar[str] = "delivery__brand"

    delivery = models.OneToOneField(
        Delivery, primary_key=True, on_delete=models.CASCADE, related_name="body", help_text="The delivery."
    )
    raw = models.BinaryField(help_text="The body as it arrived.")
    headers = models.JSONField(default=dict, help_text="The few headers that matter to its meaning.")
    expires_on = models.DateField(help_text="The last day on which it is kept.")

    class Meta:
        indexes = [models.Index(fields=["expires_on", "delivery"], name="body_by_day")]

    def __str__(self) -> str:
        return f"body of {self.delivery_id}"


class EventOutcome(models.TextChoices):
    """
    Waiting: not known to be ours yet. Foreign: of a conversation that another connector carries. Held: something that
    was said before it is on its way.
    """

    APPLIED = "APPLIED", "Applied"
    DUPLICATE = "DUPLICATE", "Seen before"
    CONFLICT = "CONFLICT", "Seen before with other content"
    ECHO = "ECHO", "Our own message, come back"
    STALE = "STALE", "Older than what is known"
    IGNORED = "IGNORED", "Of no use to us"
    WAITING = "WAITING", "Waiting to see whether it is ours"
    HELD = "HELD", "Waiting for what was said before it"
    FOREIGN = "FOREIGN", "Not ours"
    UNKNOWN_TYPE = "UNKNOWN_TYPE", "Of a type that we do not know"
    UNREADABLE = "UNREADABLE", "Cannot be read"


class Event(BrandOwned):
    """One change in a delivery, and what it did."""

    delivery = models.ForeignKey(
        Delivery, on_delete=models.PROTECT, related_name="events", help_text="The request that brought it."
    )
    index = models.PositiveIntegerField(help_text="Its place in the body, from 0.")
    type = models.CharField(max_length=64, help_text="Its type in the sender's words.")
    identity = models.CharField(max_length=600, blank=True, help_text="What makes it the same when it comes again.")
    lp_conversation_id = models.CharField(max_length=256, blank=True, help_text="LivePerson's id of the conversation.")
    account_id = models.UUIDField(null=True, blank=True, help_text="The account, while it waits.")
    outcome = models.CharField(max_length=16, choices=EventOutcome, help_text="What it did.")
    detail = models.CharField(max_length=300, blank=True, help_text="More about that.")
    message_id = models.UUIDField(null=True, blank=True, help_text="The message that it made, or tells about.")
    at = models.DateTimeField(help_text="When it was applied, or last looked at.")

    class Meta:
        ordering = ("-id",)
        constraints = [models.UniqueConstraint(fields=["delivery", "index"], name="event_once_per_delivery")]
        indexes = [
            models.Index(
                fields=["account_id", "lp_conversation_id"], condition=Q(outcome="WAITING"), name="event_waiting"
            ),
            models.Index(fields=["message_id"], condition=Q(message_id__isnull=False), name="event_message"),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.pk}"


class Held(models.Model):
    """An event that waits for what was said before it in its dialog, for a while. It holds nothing but its dialog."""

    brand_path: ClassVar[str] = "event__brand"

    event = models.OneToOneField(
        Event, primary_key=True, on_delete=models.CASCADE, related_name="held", help_text="The event."
    )
    conversation = models.ForeignKey(
        Conversation, on_delete=models.CASCADE, related_name="+", help_text="Its conversation."
    )
    lp_dialog_id = models.CharField(max_length=256, help_text="LivePerson's id of its dialog.")
    sequence = models.IntegerField(help_text="Its sequence there.")
    since = models.DateTimeField(help_text="Since when it waits.")
    due_at = models.DateTimeField(db_index=True, help_text="Until when it waits at most.")

    class Meta:
        verbose_name_plural = "held events"
        indexes = [models.Index(fields=["conversation", "lp_dialog_id", "sequence"], name="held_in_dialog")]

    def __str__(self) -> str:
        return f"held {self.pk}"


class Seen(models.Model):
    """
    The ledger of identities: what has been seen, kept far longer than bodies.

    So pruning never makes an old event new.
    """

    brand_path: ClassVar[str] = "brand"

    id = models.BigAutoField(primary_key=True, help_text="Row number.")
    brand = models.ForeignKey(
        "access.Brand", on_delete=models.PROTECT, related_name="+", help_text="The brand that this belongs to."
    )
    # Of what LivePerson tells: the installation that opened the conversation, whichever door it came through.
    source_id = models.UUIDField(help_text="The app installation or channel that brought it.")
    digest = models.BinaryField(help_text="First 16 bytes of the identity's SHA-256.")
    content_digest = models.BinaryField(help_text="First 16 bytes of the content's SHA-256.")
    delivery_id = models.UUIDField(help_text="The delivery that first brought it; only that one has an effect.")
    seen_at = models.DateTimeField(help_text="When it was first seen.")

    class Meta:
        verbose_name_plural = "seen identities"
        constraints = [models.UniqueConstraint(fields=["source_id", "digest"], name="seen_once")]

    def __str__(self) -> str:
        return f"seen {self.pk}"
