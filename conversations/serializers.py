"""
What the REST API tells of consumers, of what they say, and of what is sent for it: facts, related ids, times.

Who a consumer is, what was said, and what an answer held, is masked for keys that may not read content.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from access.people import actor_of
from access.rest.content import MASK, Masked, MaskedDigest, MaskedObject, may_read_content
from access.rest.facts import links_to
from access.rest.serializers import BrandFactsSerializer
from conversations.models import Attempt, Consumer, Conversation, Dispatch, Message, MessageContent
from conversations.services import content


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
        links = links_to("brand", "account", "installation", "channel", "consumer")


_CONTENT = "content"
_TEXT_OR_NULL = {"type": "string", "nullable": True}
_CONTENT_SCHEMA = {
    "oneOf": [
        {"type": "string", "enum": [MASK], "description": "Masked."},
        {
            "type": "object",
            "nullable": True,
            "required": ["text", "attachments", "structured", "quick_replies"],
            "properties": {
                "text": {"type": "string", "description": "The text as it was said."},
                "attachments": {
                    "type": "array",
                    "description": "Files that came with it; the files themselves are not told.",
                    "items": {"type": "object", "properties": {"name": _TEXT_OR_NULL, "mime": _TEXT_OR_NULL}},
                },
                "structured": {"description": "Structured content as LivePerson sent it; null where there is none."},
                "quick_replies": {
                    "type": "array",
                    "description": "Choices offered to the consumer.",
                    "items": {"type": "object", "additionalProperties": True},
                },
            },
        },
    ]
}


class _ReadTogether(serializers.ListSerializer[Message]):
    """The contents of a page are read, and recorded, as a whole."""

    child: MessageSerializer

    def to_representation(self, data: Any) -> Any:
        rows = list(data)
        self.child.read_contents_of(rows)
        return super().to_representation(rows)


class MessageSerializer(BrandFactsSerializer[Message]):
    """A message. What was said is told to who asks for `content`, and recorded; not where it stands in another row."""

    account = serializers.UUIDField(source="channel.account_id", help_text="Id of the LivePerson account.")
    channel = serializers.UUIDField(source="channel_id", help_text="Id of the channel.")
    consumer = serializers.UUIDField(source="consumer_id", help_text="Id of the consumer in the conversation.")
    conversation = serializers.UUIDField(
        source="conversation_id",
        allow_null=True,
        help_text="Id of the conversation; null until LivePerson has opened one for it.",
    )
    content = serializers.SerializerMethodField(
        help_text="What was said, told only to who asks for it by `fields`. Keys that may not read content are told "
        "that something was said; null where it was removed. Each reading stands in the audit log."
    )

    class Meta:
        model = Message
        list_serializer_class = _ReadTogether
        on_request = (_CONTENT,)
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
            "is_test",
            "lp_dialog_id",
            "lp_sequence",
            "channel_message_id",
            "occurred_at",
            "created_at",
            "correlation_id",
            _CONTENT,
        )
        read_only_fields = fields
        links = {
            **links_to("brand"),
            "account": ("account", "channel.account_id"),
            **links_to("channel", "consumer", "conversation"),
        }

    def to_representation(self, instance: Message) -> Any:
        if self.parent is None:
            self.read_contents_of([instance])
        return super().to_representation(instance)

    def read_contents_of(self, rows: Sequence[Message]) -> None:
        """Before they are told: their contents, or only whether there are some. Read contents are recorded."""
        self._contents: Mapping[uuid.UUID, MessageContent] = {}
        self._masked: frozenset[uuid.UUID] = frozenset()
        if _CONTENT not in self.fields:
            return
        request = self.context["request"]
        if may_read_content(request.user):
            self._contents = content.read(rows, actor=actor_of(request.user, request))
        else:
            self._masked = content.kept_for(rows)

    @extend_schema_field(_CONTENT_SCHEMA)
    def get_content(self, row: Message) -> dict[str, Any] | str | None:
        said = self._contents.get(row.pk)
        if said is None:
            return MASK if row.pk in self._masked else None
        return {
            "text": said.text,
            "attachments": [{"name": one.get("name"), "mime": one.get("mime")} for one in said.attachments],
            "structured": said.element,
            "quick_replies": said.quick_replies,
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
            "blocked_at",
            "erased_at",
            "created_at",
        )
        read_only_fields = fields
        links = links_to("brand", "account", "channel")


class DispatchSerializer(BrandFactsSerializer[Dispatch]):
    account = serializers.UUIDField(source="channel.account_id", help_text="Id of the LivePerson account.")
    channel = serializers.UUIDField(source="channel_id", help_text="Id of the channel it goes through.")
    consumer = serializers.UUIDField(source="consumer_id", help_text="Id of the consumer it concerns.")
    conversation = serializers.UUIDField(
        source="conversation_id",
        allow_null=True,
        help_text="Id of the conversation it was sent in, or must be sent in; null until there is one.",
    )
    message = serializers.UUIDField(
        source="message_id", allow_null=True, help_text="Id of the message it is sent for; null where it is for none."
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
            **links_to("brand"),
            "account": ("account", "channel.account_id"),
            **links_to("channel", "consumer", "conversation", "message"),
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
        links = {**links_to("brand", "dispatch"), "message": ("message", "dispatch.message_id")}


__all__ = [
    "AttemptSerializer",
    "ConsumerSerializer",
    "ConversationSerializer",
    "DispatchSerializer",
    "MessageSerializer",
]
