"""The REST API's lists of conversations and messages."""

from __future__ import annotations

from django_filters import FilterSet
from drf_spectacular.utils import extend_schema, extend_schema_view

from access.models import Brand
from access.rest.filters import CreatedAfter, CreatedBefore, IdOf, OneOf
from access.rest.views import BrandScopedList
from conversations.models import Consumer, Conversation, ConversationState, Direction, Message, MessageStatus
from conversations.serializers import ConversationSerializer, MessageSerializer
from installations.models import Account, Channel


class ConversationFilters(FilterSet):
    brand = IdOf("brand_id", Brand)
    account = IdOf("account_id", Account)
    channel = IdOf("channel_id", Channel)
    consumer = IdOf("consumer_id", Consumer)
    state = OneOf(ConversationState, help_text="Where it stands.")
    created_after = CreatedAfter()
    created_before = CreatedBefore()


class MessageFilters(FilterSet):
    brand = IdOf("brand_id", Brand)
    account = IdOf("channel__account_id", Account)
    channel = IdOf("channel_id", Channel)
    consumer = IdOf("consumer_id", Consumer)
    conversation = IdOf("conversation_id", Conversation)
    direction = OneOf(Direction, help_text="Where it goes.")
    status = OneOf(MessageStatus, help_text="What became of it.")
    created_after = CreatedAfter()
    created_before = CreatedBefore()


@extend_schema_view(
    list=extend_schema(summary="Conversations, newest first"),
    retrieve=extend_schema(summary="One conversation"),
)
class ConversationList(BrandScopedList):
    """Conversations at LivePerson that a channel of this site carries."""

    resource = "conversations"
    queryset = Conversation.objects.all()
    serializer_class = ConversationSerializer
    filterset_class = ConversationFilters


@extend_schema_view(
    list=extend_schema(summary="Messages, newest first"),
    retrieve=extend_schema(summary="One message"),
)
class MessageList(BrandScopedList):
    """
    Messages as facts: who, when, which way, what became of them. What was said is not told here.
    """

    resource = "messages"
    queryset = Message.objects.select_related("channel")
    serializer_class = MessageSerializer
    filterset_class = MessageFilters
