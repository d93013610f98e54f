"""The REST API's lists of consumers, conversations, messages, dispatches and attempts."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_view

from access.admin_filters import BrandFilter, TimeFilter, choice_filter, link_filter
from access.newest import Walks, along_each, by
from access.rest.content import may_read_content
from access.rest.facts import chosen_fields
from access.rest.filters import IdOf, filters_like
from access.rest.views import BrandScopedList
from conversations.admin_filters import (
    CONSUMER_FILTERS,
    CONVERSATION_FILTERS,
    DISPATCH_FILTERS,
    MESSAGE_FILTERS,
    ErrorCodeFilter,
)
from conversations.models import Attempt, Consumer, Conversation, Dispatch, Message, Outcome, Step
from conversations.serializers import (
    AttemptSerializer,
    ConsumerSerializer,
    ConversationSerializer,
    DispatchSerializer,
    MessageSerializer,
)
from conversations.services import content
from conversations.walks import CONSUMER_WALKS, CONVERSATION_WALKS, DISPATCH_WALKS, MESSAGE_WALKS
from installations.models import Account

# The admin shows the attempts of one dispatch at a time, and so has no filters of them.
ATTEMPT_FILTERS = (
    BrandFilter,
    TimeFilter,
    choice_filter("step", Step),
    choice_filter("outcome", Outcome),
    ErrorCodeFilter,
    link_filter("dispatch", title="dispatch"),
)


def _dispatches_of_message(rows: QuerySet[Any], message_id: uuid.UUID) -> list[QuerySet[Any]]:
    """Attempts know their dispatch, and a message has one for each part that it was sent in."""
    return along_each(rows, "-dispatch_id", Dispatch.objects.filter(message=message_id).values_list("pk", flat=True))


@extend_schema_view(
    list=extend_schema(summary="Consumers, newest first"),
    retrieve=extend_schema(summary="One consumer"),
)
class ConsumerList(BrandScopedList):
    """The people who write on a channel. Who they are is masked for keys that may not read content."""

    resource = "consumers"
    queryset = Consumer.objects.all()
    serializer_class = ConsumerSerializer
    filterset_class = filters_like(Consumer, CONSUMER_FILTERS, account=IdOf("account_id", Account))
    walks = CONSUMER_WALKS


@extend_schema_view(
    list=extend_schema(summary="Conversations, newest first"),
    retrieve=extend_schema(summary="One conversation"),
)
class ConversationList(BrandScopedList):
    """Conversations at LivePerson that a channel of this site carries."""

    resource = "conversations"
    queryset = Conversation.objects.all()
    serializer_class = ConversationSerializer
    filterset_class = filters_like(Conversation, CONVERSATION_FILTERS, account=IdOf("account_id", Account))
    walks = CONVERSATION_WALKS


@extend_schema_view(
    list=extend_schema(summary="Messages, newest first"),
    retrieve=extend_schema(summary="One message"),
)
class MessageList(BrandScopedList):
    """
    Messages as facts: who, when, which way, what became of them.

    What was said is told to who asks for it (`fields=id,content`) with a key that may read content; each reading stands
    in the audit log. A page of contents may be short.
    """

    resource = "messages"
    queryset = Message.objects.prefetch_related("channel")
    serializer_class = MessageSerializer
    filterset_class = filters_like(Message, MESSAGE_FILTERS, account=IdOf("channel__account_id", Account))
    walks = MESSAGE_WALKS

    def fitting(self, rows: Sequence[Message]) -> int:
        is_asked_for = "content" in (chosen_fields(self.request, MessageSerializer) or ())
        return content.fitting(rows) if is_asked_for and may_read_content(self.request.user) else len(rows)


@extend_schema_view(
    list=extend_schema(summary="Dispatches, newest first"),
    retrieve=extend_schema(summary="One dispatch"),
)
class DispatchList(BrandScopedList):
    """What had to be sent, to LivePerson or to a channel, and how that stands. A message may need several."""

    resource = "dispatches"
    queryset = Dispatch.objects.prefetch_related("channel")
    serializer_class = DispatchSerializer
    filterset_class = filters_like(
        Dispatch,
        DISPATCH_FILTERS,
        account=IdOf("channel__account_id", Account),
    )
    walks = DISPATCH_WALKS


@extend_schema_view(
    list=extend_schema(summary="Attempts, newest first"),
    retrieve=extend_schema(summary="One attempt"),
)
class AttemptList(BrandScopedList):
    """Every try to send something: when, how long it took, what came back."""

    resource = "attempts"
    queryset = Attempt.objects.select_related("dispatch")
    serializer_class = AttemptSerializer
    filterset_class = filters_like(Attempt, ATTEMPT_FILTERS, message=IdOf("dispatch__message_id", Message))
    walks = Walks(by={"dispatch": by("-dispatch_id"), "message": _dispatches_of_message})
