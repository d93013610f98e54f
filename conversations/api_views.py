"""The REST API's lists of consumers, conversations, messages, dispatches and attempts."""

from __future__ import annotations

from django_filters import FilterSet
from drf_spectacular.utils import extend_schema, extend_schema_view

from access.models import Brand
from access.rest.filters import CreatedAfter, CreatedBefore, IdOf, OneOf
from access.rest.views import BrandScopedList
from conversations.models import (
    Attempt,
    Consumer,
    Conversation,
    ConversationState,
    Direction,
    Dispatch,
    DispatchKind,
    DispatchState,
    Message,
    MessageStatus,
    Outcome,
    Step,
)
from conversations.serializers import (
    AttemptSerializer,
    ConsumerSerializer,
    ConversationSerializer,
    DispatchSerializer,
    MessageSerializer,
)
from installations.models import Account, Channel


class ConsumerFilters(FilterSet):
    brand = IdOf("brand_id", Brand)
    account = IdOf("account_id", Account)
    channel = IdOf("channel_id", Channel)
    created_after = CreatedAfter()
    created_before = CreatedBefore()


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


class DispatchFilters(FilterSet):
    brand = IdOf("brand_id", Brand)
    account = IdOf("lane__account_id", Account)
    consumer = IdOf("lane__consumer_id", Consumer)
    conversation = IdOf("conversation_id", Conversation)
    message = IdOf("message_id", Message)
    direction = OneOf(Direction, field_name="lane__direction", help_text="Which way it goes.")
    kind = OneOf(DispatchKind, help_text="What is to be sent.")
    state = OneOf(DispatchState, help_text="Where it stands.")
    created_after = CreatedAfter()
    created_before = CreatedBefore()


class AttemptFilters(FilterSet):
    brand = IdOf("brand_id", Brand)
    dispatch = IdOf("dispatch_id", Dispatch)
    message = IdOf("dispatch__message_id", Message)
    step = OneOf(Step, help_text="What it tried.")
    outcome = OneOf(Outcome, help_text="How it ended.")
    created_after = CreatedAfter()
    created_before = CreatedBefore()


@extend_schema_view(
    list=extend_schema(summary="Consumers, newest first"),
    retrieve=extend_schema(summary="One consumer"),
)
class ConsumerList(BrandScopedList):
    """The people who write on a channel. Who they are is masked for keys that may not read content."""

    resource = "consumers"
    queryset = Consumer.objects.all()
    serializer_class = ConsumerSerializer
    filterset_class = ConsumerFilters


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


@extend_schema_view(
    list=extend_schema(summary="Dispatches, newest first"),
    retrieve=extend_schema(summary="One dispatch"),
)
class DispatchList(BrandScopedList):
    """What had to be sent, to LivePerson or to a channel, and how that stands. A message may need several."""

    resource = "dispatches"
    queryset = Dispatch.objects.select_related("lane__consumer", "message")
    serializer_class = DispatchSerializer
    filterset_class = DispatchFilters


@extend_schema_view(
    list=extend_schema(summary="Attempts, newest first"),
    retrieve=extend_schema(summary="One attempt"),
)
class AttemptList(BrandScopedList):
    """Every try to send something: when, how long it took, what came back."""

    resource = "attempts"
    queryset = Attempt.objects.select_related("dispatch")
    serializer_class = AttemptSerializer
    filterset_class = AttemptFilters
