"""
What the REST API tells of conversations and messages: facts, related ids, times.

What was said is not among them. Words, attachments and the consumer's own ids stand in rows of their own, and no key
reads them.
"""

from __future__ import annotations

from datetime import datetime

from rest_framework import serializers

from conversations.models import Conversation, Message
from core.ids import made_at


class ConversationSerializer(serializers.ModelSerializer[Conversation]):
    brand = serializers.UUIDField(source="brand_id", help_text="Id of the brand.")
    account = serializers.UUIDField(source="account_id", help_text="Id of the LivePerson account.")
    installation = serializers.UUIDField(source="installation_id", help_text="Id of the app installation.")
    channel = serializers.UUIDField(source="channel_id", help_text="Id of the channel that owns it.")
    consumer = serializers.UUIDField(source="consumer_id", help_text="Id of the consumer.")
    agent_ids = serializers.ListField(child=serializers.CharField(), help_text="LivePerson's ids of the agents in it.")
    created_at = serializers.SerializerMethodField(help_text="When it was stored here.")

    class Meta:
        model = Conversation
        fields = (
            "id",
            "brand",
            "account",
            "installation",
            "channel",
            "consumer",
            "lp_conversation_id",
            "state",
            "skill_id",
            "agent_ids",
            "opened_at",
            "closed_at",
            "close_reason",
            "created_at",
        )
        read_only_fields = fields

    def get_created_at(self, row: Conversation) -> datetime | None:
        return made_at(row.pk)


class MessageSerializer(serializers.ModelSerializer[Message]):
    brand = serializers.UUIDField(source="brand_id", help_text="Id of the brand.")
    account = serializers.UUIDField(source="channel.account_id", help_text="Id of the LivePerson account.")
    channel = serializers.UUIDField(source="channel_id", help_text="Id of the channel.")
    consumer = serializers.UUIDField(source="consumer_id", help_text="Id of the consumer in the conversation.")
    conversation = serializers.UUIDField(
        source="conversation_id",
        allow_null=True,
        help_text="Id of the conversation; null until LivePerson has opened one for it.",
    )
    created_at = serializers.SerializerMethodField(help_text="When it was stored here.")

    class Meta:
        model = Message
        fields = (
            "id",
            "brand",
            "account",
            "channel",
            "consumer",
            "conversation",
            "direction",
            "sender_role",
            "kind",
            "audience",
            "status",
            "error_code",
            "lp_dialog_id",
            "lp_sequence",
            "channel_message_id",
            "occurred_at",
            "created_at",
            "correlation_id",
        )
        read_only_fields = fields

    def get_created_at(self, row: Message) -> datetime | None:
        return made_at(row.pk)


__all__ = ["ConversationSerializer", "MessageSerializer"]
