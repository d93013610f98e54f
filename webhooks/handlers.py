"""One event to one service call: what an event of each type does."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from conversations.models import Consumer, Conversation
from conversations.services import agent_side, consumer_side
from conversations.services.effects import Effect, ignored
from core.events import (
    AcceptStatusChanged,
    ChannelEvent,
    ChannelEventIgnored,
    ChatStateChanged,
    ConsumerClosed,
    ConsumerMessage,
    ConsumerTyping,
    ContentPublished,
    ConversationChanged,
    LivePersonEvent,
    MessageStatusReported,
    QuickReplyChosen,
    RichContentPublished,
)
from installations.models import Channel


def apply_channel_event(*, channel: Channel, event: ChannelEvent, correlation_id: str, now: datetime) -> Effect:
    """What a channel told."""
    if isinstance(event, ChannelEventIgnored):
        return ignored(event.why)
    return _CHANNEL[type(event)](channel, event, correlation_id, now)


def apply_liveperson_event(
    *, conversation: Conversation, consumer: Consumer, event: LivePersonEvent, correlation_id: str, now: datetime
) -> Effect:
    """What LivePerson told of a conversation of ours. The caller holds the consumer's mutex."""
    return _LIVEPERSON[type(event)](
        conversation=conversation, consumer=consumer, event=event, correlation_id=correlation_id, now=now
    )


_CHANNEL: dict[type, Callable[[Channel, Any, str, datetime], Effect]] = {
    ConsumerMessage: lambda channel, event, correlation_id, now: consumer_side.accept_consumer_message(
        channel=channel, event=event, correlation_id=correlation_id, now=now
    ),
    ConsumerTyping: lambda channel, event, correlation_id, now: consumer_side.accept_typing(
        channel=channel, event=event, correlation_id=correlation_id, now=now
    ),
    ConsumerClosed: lambda channel, event, correlation_id, now: consumer_side.accept_close(
        channel=channel, event=event, correlation_id=correlation_id
    ),
    QuickReplyChosen: lambda channel, event, correlation_id, now: consumer_side.accept_quick_reply(
        channel=channel, event=event, correlation_id=correlation_id, now=now
    ),
    MessageStatusReported: lambda channel, event, correlation_id, now: consumer_side.accept_status(
        channel=channel, event=event, now=now
    ),
}

_LIVEPERSON: dict[type, Callable[..., Effect]] = {
    ContentPublished: agent_side.apply_content,
    RichContentPublished: agent_side.apply_rich_content,
    AcceptStatusChanged: agent_side.apply_accept_status,
    ChatStateChanged: agent_side.apply_chat_state,
    ConversationChanged: agent_side.apply_conversation_change,
}
