"""Filters of the lists of consumers, conversations, messages and sends: in the admin and in the REST API."""

from __future__ import annotations

from typing import Any

from django.db import models

from access.admin_filters import BrandFilter, OfferedFilter, RowFilter, TimeFilter, choice_filter, link_filter
from conversations.models import (
    Audience,
    ConversationState,
    Direction,
    DispatchKind,
    DispatchState,
    MessageKind,
    MessageStatus,
)
from core import errors
from installations.models import Channel


def _codes() -> list[str]:
    """The stable codes of everything that can go wrong with a send."""
    codes = {one.code for one in errors.kinds()}
    return sorted(codes - {errors.WebhookRejected.code, errors.BodyUnusable.code})


class ErrorCodeFilter(OfferedFilter):
    title = "what went wrong"
    parameter_name = "error_code"

    @classmethod
    def words(cls) -> list[tuple[str, str]]:
        return [(code, code.replace("_", " ")) for code in _codes()]

    @classmethod
    def narrowed(cls, queryset: models.QuerySet[Any], value: Any) -> models.QuerySet[Any]:
        return queryset.filter(error_code=value)


class ChannelFilter(RowFilter):
    title = "channel"
    parameter_name = "channel"
    model = Channel


CONSUMER_FILTERS = (BrandFilter, TimeFilter, ChannelFilter)
CONVERSATION_FILTERS = (
    BrandFilter,
    TimeFilter,
    choice_filter("state", ConversationState),
    ChannelFilter,
    link_filter("consumer", title="consumer"),
)
MESSAGE_FILTERS = (
    BrandFilter,
    TimeFilter,
    choice_filter("status", MessageStatus),
    choice_filter("direction", Direction),
    choice_filter("kind", MessageKind),
    choice_filter("audience", Audience),
    ChannelFilter,
    link_filter("conversation", title="conversation"),
    link_filter("consumer", title="consumer"),
)
DISPATCH_FILTERS = (
    BrandFilter,
    TimeFilter,
    choice_filter("state", DispatchState),
    choice_filter("kind", DispatchKind),
    choice_filter("direction", Direction),
    ErrorCodeFilter,
    ChannelFilter,
    link_filter("conversation", title="conversation"),
    link_filter("message", title="message"),
    link_filter("consumer", title="consumer"),
)
