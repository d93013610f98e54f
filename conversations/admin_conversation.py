"""Conversations and their messages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.db import models
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString

from access.admin_deeds import Deed, DeedsMixin, ReasonForm, Told
from access.admin_records import RecordAdmin
from access.rules import limit
from access.templatetags.readable import chip, cut, moment, seen
from conversations.admin_filters import CONVERSATION_FILTERS, MESSAGE_FILTERS
from conversations.admin_live import STATE_TONES, LiveMixin
from conversations.admin_messages import said, with_everything
from conversations.admin_transcript import transcript_of
from conversations.admin_trying import TEST_MESSAGE
from conversations.models import Consumer, Conversation, Direction, Message
from conversations.services import operations
from conversations.walks import CONVERSATION_WALKS, MESSAGE_WALKS
from core import visible_text
from core.actor import Actor
from core.vault import search_hash
from installations.models import Account, Channel

STATUS_TONES = {"FAILED": "bad", "EXPIRED": "bad", "QUEUED": "wait", "DELIVERED": "good", "READ": "good"}
_MOST_CONSUMERS = 200


def _close(row: Conversation, given: dict[str, Any], actor: Actor) -> Told:
    operations.ask_to_close(conversation_id=row.pk, actor=actor, reason=given["reason"])
    return Told(sentence="LivePerson is asked to close it, after all that was said before.")


@admin.register(Conversation)
class ConversationAdmin(LiveMixin):
    refusals = (*DeedsMixin.refusals, operations.NotPossible)
    deeds = (
        TEST_MESSAGE,
        Deed(
            name="close",
            label="Ask LivePerson to close",
            icon="close",
            explain="Queues the closing behind everything the consumer has said. It cannot be taken back.",
            run=_close,
            offered=lambda row: row.is_open,
            form=ReasonForm,
            tone="danger",
        ),
    )
    list_display = ("who", "state_chip", "channel", "opened", "closed", "lp_id")
    list_display_links = ("who",)
    list_filter = CONVERSATION_FILTERS
    walks = CONVERSATION_WALKS
    list_select_related = ("consumer", "channel")
    search_fields = ("lp_conversation_id",)
    search_help_text = "Id, LivePerson's id, or id of the consumer on the channel"
    page_template = "admin/conversations/conversation.html"
    read_action = "message.content_read"

    @admin.display(description="Consumer")
    def who(self, obj: Conversation) -> SafeString:
        return seen(obj.consumer)

    @admin.display(description="State")
    def state_chip(self, obj: Conversation) -> SafeString:
        return chip(obj.get_state_display(), STATE_TONES[obj.state])

    @admin.display(description="Opened")
    def opened(self, obj: Conversation) -> SafeString | str:
        return moment(obj.opened_at)

    @admin.display(description="Closed")
    def closed(self, obj: Conversation) -> SafeString | str:
        return moment(obj.closed_at)

    @admin.display(description="LivePerson's id")
    def lp_id(self, obj: Conversation) -> SafeString:
        return cut(obj.lp_conversation_id)

    def named(self, request: HttpRequest, term: str) -> Iterator[models.QuerySet[Any]]:
        accounts = list(limit(Account.objects.all(), request.user).values_list("pk", flat=True))
        yield self.seen_by(request).filter(account__in=accounts, lp_conversation_id=term)
        # The newest of who is called this on a channel.
        consumers = limit(Consumer.objects.filter(search_hash=search_hash(term)), request.user)
        ids = list(consumers.values_list("pk", flat=True)[:_MOST_CONSUMERS])
        yield Conversation.objects.filter(consumer__in=ids).order_by("-pk")

    def whole(self, rows: models.QuerySet[Any]) -> models.QuerySet[Any]:
        return rows.select_related("consumer", "channel", "installation", "account", "brand")

    def title_of(self, obj: Conversation) -> str:
        return f"{visible_text.visible(str(obj.consumer))} on {visible_text.visible(obj.channel.name)}"

    def page_context(self, request: HttpRequest, obj: Conversation) -> dict[str, Any]:
        return {
            "transcript": transcript_of(obj, before=request.GET.get("before", ""), today=timezone.now().date()),
            "live_url": self.live_url(obj),
            "state_tone": STATE_TONES[obj.state],
            "buttons": self.deeds_for(request, obj),
            "sends_url": f"{reverse('admin:conversations_dispatch_changelist')}?conversation={obj.pk}",
        }


@admin.register(Message)
class MessageAdmin(RecordAdmin):
    list_display = ("when", "sender", "kind", "status_chip", "channel", "conversation_link")
    list_display_links = ("when",)
    list_filter = MESSAGE_FILTERS
    walks = MESSAGE_WALKS
    list_select_related = ("channel", "consumer", "conversation")
    search_fields = ("channel_message_id",)
    search_help_text = "Id, or the channel's own id of the message"
    page_template = "admin/conversations/message.html"
    read_action = "message.content_read"

    @admin.display(description="When")
    def when(self, obj: Message) -> SafeString | str:
        return moment(obj.created_at)

    @admin.display(description="Who")
    def sender(self, obj: Message) -> SafeString:
        return seen(obj.consumer if obj.sender_role == "CONSUMER" else obj.sender_role.replace("_", " ").lower())

    @admin.display(description="Status")
    def status_chip(self, obj: Message) -> SafeString:
        return chip(obj.get_status_display(), STATUS_TONES.get(obj.status, "plain"), obj.error_code)

    @admin.display(description="Conversation")
    def conversation_link(self, obj: Message) -> SafeString | str:
        return cut(obj.conversation) if obj.conversation else "not in one yet"

    def named(self, request: HttpRequest, term: str) -> Iterator[models.QuerySet[Any]]:
        channels = limit(Channel.objects.all(), request.user).values("pk")
        # As the condition of the unique index says it.
        yield self.seen_by(request).filter(
            ~models.Q(channel_message_id=""),
            channel__in=channels,
            channel_message_id=term,
            direction=Direction.TO_LIVEPERSON,
        )

    def whole(self, rows: models.QuerySet[Any]) -> models.QuerySet[Any]:
        return with_everything(rows).select_related("content", "channel", "consumer", "conversation", "brand")

    def page_context(self, request: HttpRequest, obj: Message) -> dict[str, Any]:
        return {
            "entry": said(obj, today=timezone.now().date()),
            "is_open": True,
            "status_tone": STATUS_TONES.get(obj.status, "plain"),
        }
