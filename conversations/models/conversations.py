"""Conversations and their dialogs, as LivePerson counts them."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q

from access.models import BrandOwned
from conversations.models.consumers import Consumer
from core.ids import new_id
from installations.models import Account, AppInstallation, Channel


class ConversationState(models.TextChoices):
    """Survey: the main dialog is closed, but the survey's is open: what the consumer writes goes there."""

    OPEN = "OPEN", "Open"
    SURVEY = "SURVEY", "Survey"
    CLOSED = "CLOSED", "Closed"


class Conversation(BrandOwned):
    """One conversation at LivePerson. A consumer has at most one that is not closed."""

    account = models.ForeignKey(
        Account, on_delete=models.PROTECT, db_index=False, related_name="+", help_text="The LivePerson account."
    )
    installation = models.ForeignKey(
        AppInstallation, on_delete=models.PROTECT, related_name="+", help_text="The app installation that opened it."
    )
    channel = models.ForeignKey(
        Channel, on_delete=models.PROTECT, db_index=False, related_name="+", help_text="The channel that owns it."
    )
    consumer = models.ForeignKey(
        Consumer, on_delete=models.PROTECT, db_index=False, related_name="conversations",
        help_text="Whose conversation it is.",
    )  # fmt: skip
    lp_conversation_id = models.CharField(max_length=256, help_text="LivePerson's id of the conversation.")
    state = models.CharField(
        max_length=16, choices=ConversationState, default=ConversationState.OPEN, help_text="Where it stands."
    )
    opened_at = models.DateTimeField(help_text="When it was opened.")
    closed_at = models.DateTimeField(null=True, blank=True, help_text="When it was closed.")
    close_reason = models.CharField(max_length=64, blank=True, help_text="Who closed it, in LivePerson's words.")
    skill_id = models.CharField(max_length=64, blank=True, help_text="The skill that it is routed to.")
    agent_ids = models.JSONField(default=list, blank=True, help_text="LivePerson's ids of the agents in it.")
    lp_updated_ms = models.BigIntegerField(
        default=0, help_text="LivePerson's metaDataLastUpdateTs of the newest notification applied."
    )

    class Meta:
        ordering = ("-id",)
        constraints = [
            models.UniqueConstraint(fields=["account", "lp_conversation_id"], name="conversation_once_per_account"),
            models.UniqueConstraint(
                fields=["consumer"], condition=~Q(state="CLOSED"), name="conversation_one_open_per_consumer"
            ),
        ]
        indexes = [
            models.Index(fields=["brand", "-id"], name="conversation_brand"),
            # Newest first, in place of the keys' own indexes.
            models.Index(fields=["account", "-id"], name="conversation_account"),
            models.Index(fields=["channel", "-id"], name="conversation_channel"),
            models.Index(fields=["consumer", "-id"], name="conversation_consumer"),
        ]

    def __str__(self) -> str:
        return self.lp_conversation_id

    @property
    def is_open(self) -> bool:
        return self.state != ConversationState.CLOSED


class Dialog(models.Model):
    """A part of a conversation: the main one, or a survey after it. Sequences count within a dialog."""

    brand_path: ClassVar[str] = "conversation__brand"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False, help_text="Identifier, ordered by time.")
    conversation = models.ForeignKey(
        Conversation, on_delete=models.PROTECT, related_name="dialogs", help_text="The conversation."
    )
    lp_dialog_id = models.CharField(max_length=256, help_text="LivePerson's id of the dialog; not always a UUID.")
    type = models.CharField(max_length=32, default="MAIN", help_text="MAIN, POST_SURVEY or OTHER.")
    is_open = models.BooleanField(default=True, help_text="Whether it takes messages.")
    last_sequence = models.IntegerField(default=-1, help_text="Highest sequence seen in it; -1 when none.")
    # Only conversations.sequences moves these.
    complete_to = models.IntegerField(
        null=True,
        blank=True,
        db_default=-1,
        help_text="Up to here every sequence has come or was given up; empty: as the highest one seen.",
    )
    ahead = models.JSONField(default=list, db_default=[], blank=True, help_text="Sequences that came beyond that.")
    missing = models.JSONField(
        default=dict,
        db_default={},
        blank=True,
        help_text="Sequences that were given up, each with the moment in milliseconds.",
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["conversation", "lp_dialog_id"], name="dialog_once_per_conversation"),
        ]
        # A notification may name its dialog only.
        indexes = [models.Index(fields=["lp_dialog_id"], name="dialog_lp_id")]

    def __str__(self) -> str:
        return f"{self.type} {self.lp_dialog_id}"
