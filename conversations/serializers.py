"""
What the REST API tells of consumers, of what they say, and of what is sent for it: facts, related ids, times.

Who a consumer is, and what an answer held, is masked for keys that may not read content.
"""

from __future__ import annotations

from rest_framework import serializers

from access.rest.content import Masked, MaskedDigest, MaskedObject
from access.rest.serializers import BrandFactsSerializer
from conversations.models import Attempt, Consumer, Conversation, Direction, Dispatch, Message


class ConversationSerializer(BrandFactsSerializer[Conversation]):
    account = serializers.UUIDField(source="account_id", help_text="Id of the LivePerson account.")
    installation = serializers.UUIDField(source="installation_id", help_text="Id of the app installation.")
    channel = serializers.UUIDField(source="channel_id", help_text="Id of the channel that owns it.")
    consumer = serializers.UUIDField(source="consumer_id", help_text="Id of the consumer.")
    agent_ids = serializers.ListField(child=serializers.CharField(), help_text="LivePerson's ids of the agents in it.")

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
        links = {
            "brand": ("brand", "brand_id"),
            "account": ("account", "account_id"),
            "installation": ("installation", "installation_id"),
            "channel": ("channel", "channel_id"),
            "consumer": ("consumer", "consumer_id"),
        }


class MessageSerializer(BrandFactsSerializer[Message]):
    account = serializers.UUIDField(source="channel.account_id", help_text="Id of the LivePerson account.")
    channel = serializers.UUIDField(source="channel_id", help_text="Id of the channel.")
    consumer = serializers.UUIDField(source="consumer_id", help_text="Id of the consumer in the conversation.")
    conversation = serializers.UUIDField(
        source="conversation_id",
        allow_null=True,
        help_text="Id of the conversation; null until LivePerson has opened one for it.",
    )

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
        links = {
            "brand": ("brand", "brand_id"),
            "account": ("account", "channel.account_id"),
            "channel": ("channel", "channel_id"),
            "consumer": ("consumer", "consumer_id"),
            "conversation": ("conversation", "conversation_id"),
        }


class ConsumerSerializer(BrandFactsSerializer[Consumer]):
    account = serializers.UUIDField(source="account_id", help_text="Id of the LivePerson account.")
    channel = serializers.UUIDField(source="channel_id", help_text="Id of the channel last written on.")
    ext_consumer_id = Masked(help_text="Our id of the consumer, as LivePerson is told it. Personal.")
    channel_consumer_id = Masked(
        help_text="The channel's own id of the consumer, such as a phone number; empty once erased. Personal."
    )
    name = Masked(help_text="Name that the channel told. Personal.")
    profile = MaskedObject(help_text="What the channel told about the consumer; null where it is masked. Personal.")

    class Meta:
        model = Consumer
        fields = (
            "id",
            "brand",
            "account",
            "channel",
            "ext_consumer_id",
            "channel_consumer_id",
            "lp_consumer_id",
            "name",
            "profile",
            "last_seen_at",
            "held_at",
            "erased_at",
            "created_at",
        )
        read_only_fields = fields
        links = {
            "brand": ("brand", "brand_id"),
            "account": ("account", "account_id"),
            "channel": ("channel", "channel_id"),
        }


class DispatchSerializer(BrandFactsSerializer[Dispatch]):
    account = serializers.UUIDField(source="lane.account_id", help_text="Id of the LivePerson account.")
    channel = serializers.UUIDField(source="channel_id", help_text="Id of the channel it goes through.")
    consumer = serializers.UUIDField(source="lane.consumer_id", help_text="Id of the consumer it concerns.")
    conversation = serializers.UUIDField(
        source="conversation_id",
        allow_null=True,
        help_text="Id of the conversation it was sent in, or must be sent in; null until there is one.",
    )
    message = serializers.UUIDField(
        source="message_id", allow_null=True, help_text="Id of the message it is sent for; null where it is for none."
    )
    direction = serializers.ChoiceField(
        source="lane.direction", choices=Direction.choices, help_text="Which way it goes."
    )
    provider_ids = serializers.ListField(child=serializers.CharField(), help_text="The channel's ids of it.")
    content_digest = MaskedDigest(
        help_text="SHA-256 of the text sent, by which its echo is recognised; null where there is none. Words can be "
        "guessed from it, so it is masked as they are."
    )

    class Meta:
        model = Dispatch
        fields = (
            "id",
            "brand",
            "account",
            "channel",
            "consumer",
            "conversation",
            "message",
            "direction",
            "kind",
            "state",
            "step",
            "attempt_count",
            "next_attempt_at",
            "expires_at",
            "unknown_at",
            "finished_at",
            "resolution",
            "error_code",
            "error_detail",
            "possible_duplicate",
            "duplicate_seen_at",
            "lp_dialog_id",
            "lp_sequence",
            "echo_sequence",
            "provider_ids",
            "content_digest",
            "created_at",
            "correlation_id",
        )
        read_only_fields = fields
        links = {
            "brand": ("brand", "brand_id"),
            "account": ("account", "lane.account_id"),
            "channel": ("channel", "channel_id"),
            "consumer": ("consumer", "lane.consumer_id"),
            "conversation": ("conversation", "conversation_id"),
            "message": ("message", "message_id"),
        }


class AttemptSerializer(BrandFactsSerializer[Attempt]):
    dispatch = serializers.UUIDField(source="dispatch_id", help_text="Id of what it tried to send.")
    message = serializers.UUIDField(
        source="dispatch.message_id", allow_null=True, help_text="Id of the message behind that; null where it is none."
    )
    answer_head = Masked(help_text="The beginning of the answer, without secrets. It may hold what was said.")

    class Meta:
        model = Attempt
        fields = (
            "id",
            "brand",
            "dispatch",
            "message",
            "step",
            "started_at",
            "finished_at",
            "outcome",
            "error_code",
            "http_status",
            "provider_code",
            "detail",
            "answer_head",
            "elapsed_ms",
            "created_at",
        )
        read_only_fields = fields
        links = {
            "brand": ("brand", "brand_id"),
            "dispatch": ("dispatch", "dispatch_id"),
            "message": ("message", "dispatch.message_id"),
        }


__all__ = [
    "AttemptSerializer",
    "ConsumerSerializer",
    "ConversationSerializer",
    "DispatchSerializer",
    "MessageSerializer",
]
