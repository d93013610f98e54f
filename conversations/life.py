"""
The life of a conversation: opened, told about, closed; and what each side has to hear of it.

Every function is called inside a transaction that holds the consumer's mutex.
"""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

import structlog
from django.db.models import QuerySet

from conversations import lanes
from conversations.models import (
    Consumer,
    Conversation,
    ConversationState,
    Dialog,
    Direction,
    Dispatch,
    DispatchKind,
    Message,
    MessageStatus,
)
from installations.models import Channel

logger = structlog.get_logger(__name__)

FOUND_CLOSED = "FOUND_CLOSED"
_TYPING_USEFUL = timedelta(seconds=30)


def conversation_opened(
    *, consumer: Consumer, channel: Channel, lp_conversation_id: str, opened_at: datetime
) -> Conversation:
    """
    Know a conversation of ours. It may be known already: the notification can outrun the answer, and the reverse.

    LivePerson keeps one open conversation per consumer, so an older one that is still open here has been closed there.
    """
    known = Conversation.objects.filter(account_id=consumer.account_id, lp_conversation_id=lp_conversation_id).first()
    if known is not None:
        return known
    for older in open_conversations(consumer):
        close_locally(older, at=opened_at, reason="SUPERSEDED")
    conversation = Conversation.objects.create(
        brand_id=consumer.brand_id,
        account_id=consumer.account_id,
        installation_id=channel.installation_id,
        channel=channel,
        consumer=consumer,
        lp_conversation_id=lp_conversation_id,
        opened_at=opened_at,
    )
    Dialog.objects.create(conversation=conversation, lp_dialog_id=lp_conversation_id)
    logger.info("conversation.opened", conversation_id=str(conversation.pk))
    return conversation


def open_conversations(consumer: Consumer) -> QuerySet[Conversation]:
    """Those of a consumer that are not closed: one at most."""
    return Conversation.objects.filter(consumer=consumer).exclude(state=ConversationState.CLOSED)


def close_locally(conversation: Conversation, *, at: datetime, reason: str) -> None:
    """Mark a conversation and its dialogs closed; tells nobody."""
    conversation.state = ConversationState.CLOSED
    conversation.closed_at = at
    conversation.close_reason = reason[:64]
    conversation.save(update_fields=["state", "closed_at", "close_reason"])
    conversation.dialogs.update(is_open=False)
    Consumer.objects.filter(pk=conversation.consumer_id).update(is_typing=False)


def conversation_found_closed(dispatch: Dispatch, *, now: datetime) -> None:
    """
    LivePerson answered that the dialog is closed. The caller holds the mutex.

    If its notification was faster, it has told more than this: then words go into another dialog already, or nowhere.
    """
    if dispatch.conversation_id is None:
        return
    conversation = Conversation.objects.get(pk=dispatch.conversation_id)  # the one at hand is as old as the call
    if not conversation.is_open:
        return
    was_main_dialog = dispatch.lp_dialog_id == conversation.lp_conversation_id
    if was_main_dialog == (conversation.state == ConversationState.OPEN):
        close_locally(conversation, at=now, reason=FOUND_CLOSED)


def tell_channel_closed(conversation: Conversation, consumer: Consumer) -> None:
    """Have the channel told that the conversation has ended."""
    lanes.append(
        consumer=consumer,
        direction=Direction.TO_CHANNEL,
        kind=DispatchKind.CLOSE,
        conversation_id=conversation.pk,
        payload={"reason": conversation.close_reason},
    )


def ask_liveperson_to_close(
    consumer: Consumer, *, conversation: Conversation | None = None, correlation_id: str
) -> None:
    """
    Queue the closing of a conversation, behind all that was said before.

    conversation: the one that is meant; None: the one that is open then.
    """
    tied = conversation and {
        "conversation_id": str(conversation.pk),
        "dialog_id": conversation.lp_conversation_id,
    }
    lanes.append(
        consumer=consumer,
        direction=Direction.TO_LIVEPERSON,
        kind=DispatchKind.CLOSE,
        payload=tied or {},
        correlation_id=correlation_id,
    )


def tell_typing(
    consumer: Consumer,
    direction: Direction,
    payload: dict[str, bool],
    *,
    now: datetime,
    correlation_id: str,
    conversation_id: uuid.UUID | None = None,
) -> None:
    """Queue that somebody types or has stopped ({"on": …}); one that waits says the newest. Soon it is of no use."""
    waiting = lanes.waiting_dispatch(consumer=consumer, direction=direction, kind=DispatchKind.TYPING)
    if waiting is not None:
        waiting.payload, waiting.expires_at = payload, now + _TYPING_USEFUL
        waiting.save(update_fields=["payload", "expires_at"])
        return
    lanes.append(
        consumer=consumer,
        direction=direction,
        kind=DispatchKind.TYPING,
        conversation_id=conversation_id,
        payload=payload,
        expires_at=now + _TYPING_USEFUL,
        correlation_id=correlation_id,
    )


def delivered_to_consumer(consumer: Consumer, message: Message, *, now: datetime) -> None:
    """The channel has it: the message climbs, and LivePerson is told."""
    if message.climb_to(MessageStatus.DELIVERED, at=now):
        tell_liveperson(consumer, message, status="ACCEPT")


def tell_liveperson(
    consumer: Consumer, message: Message, *, status: str, metadata: list[dict[str, object]] | None = None
) -> None:
    """Queue a receipt for an agent's message; receipts of one kind that wait together travel together."""
    if message.lp_sequence is None or message.conversation_id is None:
        return
    place = {"conversation_id": str(message.conversation_id), "dialog_id": message.lp_dialog_id, "status": status}
    waiting = lanes.waiting_dispatch(consumer=consumer, direction=Direction.TO_LIVEPERSON, kind=DispatchKind.RECEIPT)
    if waiting and not metadata and {key: waiting.payload.get(key) for key in place} == place:
        if message.lp_sequence not in waiting.payload["sequences"]:
            waiting.payload["sequences"].append(message.lp_sequence)
            waiting.save(update_fields=["payload"])
        return
    payload: dict[str, object] = {**place, "sequences": [message.lp_sequence]}
    if metadata:
        payload["metadata"] = metadata
    lanes.append(
        consumer=consumer,
        direction=Direction.TO_LIVEPERSON,
        kind=DispatchKind.RECEIPT,
        conversation_id=message.conversation_id,
        payload=payload,
        correlation_id=message.correlation_id,
    )
