"""The people who write."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.db import models
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString

from access.admin_deeds import DeedsMixin
from access.admin_records import RecordAdmin
from access.rules import Verb, limit
from access.templatetags.readable import moment, seen
from conversations.admin_block import BLOCK, UNBLOCK
from conversations.admin_consent import channels_of
from conversations.admin_filters import CONSUMER_FILTERS
from conversations.admin_held import RELEASE_LANES
from conversations.admin_messages import said, with_everything
from conversations.admin_removal import ERASE, HOLD, LIFT_HOLD
from conversations.admin_trying import TEST_MESSAGE
from conversations.models import Consumer, Erasure, Message
from conversations.services.erasure import RemovalRefused
from conversations.services.held_lanes import NotHeld
from conversations.walks import CONSUMER_WALKS
from core import visible_text
from core.vault import search_hash
from installations.admin_pause import PAUSE, RESUME
from installations.models import Account

_MOST_SHOWN = 20


@admin.register(Consumer)
class ConsumerAdmin(DeedsMixin, RecordAdmin):
    deeds = (RESUME, PAUSE, RELEASE_LANES, TEST_MESSAGE, BLOCK, UNBLOCK, HOLD, LIFT_HOLD, ERASE)
    refusals = (*DeedsMixin.refusals, RemovalRefused, NotHeld)

    list_display = ("who", "on_channel", "channel", "account", "last_seen")
    list_display_links = ("who",)
    list_filter = CONSUMER_FILTERS
    walks = CONSUMER_WALKS
    list_select_related = ("channel", "account")
    search_fields = ("channel_consumer_id",)
    search_help_text = "Id, the consumer's whole id on the channel, or ours at LivePerson (prefix:id)"
    page_template = "admin/conversations/consumer.html"
    read_action = "message.content_read"

    @admin.display(description="Consumer")
    def who(self, obj: Consumer) -> SafeString:
        return seen(obj)

    @admin.display(description="Id on the channel")
    def on_channel(self, obj: Consumer) -> SafeString:
        return seen(obj.channel_consumer_id)

    @admin.display(description="Last wrote")
    def last_seen(self, obj: Consumer) -> SafeString | str:
        return moment(obj.last_seen_at)

    def named(self, request: HttpRequest, term: str) -> Iterator[models.QuerySet[Any]]:
        yield self.seen_by(request).filter(search_hash=search_hash(term))
        accounts = list(limit(Account.objects.all(), request.user).values_list("pk", flat=True))
        yield self.seen_by(request).filter(account__in=accounts, ext_consumer_id=term)

    def title_of(self, obj: Consumer) -> str:
        return visible_text.visible(str(obj))

    def page_context(self, request: HttpRequest, obj: Consumer) -> dict[str, Any]:
        today = timezone.now().date()
        apart = with_everything(Message.objects.filter(consumer=obj, conversation=None)).order_by("-id")[:_MOST_SHOWN]
        return {
            "profile": list(obj.profile.items()),
            "conversations": obj.conversations.select_related("channel").order_by("-id")[:_MOST_SHOWN],
            "channels": channels_of(obj),
            "lanes": obj.lanes.order_by("direction"),
            "apart": [said(message, today=today) for message in reversed(apart)],
            "buttons": self.deeds_for(request, obj),
            "may_export": obj.erased_at is None and self._allows(request, Verb.OWN, obj),
            "erasure": Erasure.objects.filter(pk=obj.pk).first(),
        }
