"""
What LivePerson tells of a conversation of ours.

Each function runs in the caller's transaction. What is applied to a conversation is given its row and its consumer's,
both read under the consumer's mutex, which the caller holds: it may apply much at once.
"""

from __future__ import annotations

import dataclasses
import uuid
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models.query import RawQuerySet

from adapters.registry import get_adapter
from conversations import evidence, held, lanes, life, sequences
from conversations.models import (
    Audience,
    Consumer,
    Conversation,
    ConversationState,
    Dialog,
    Direction,
    Dispatch,
    DispatchKind,
    DispatchState,
    Message,
    MessageContent,
    MessageKind,
    MessageStatus,
    OrderMark,
)
from conversations.sequences import Place, Seen
from conversations.services.effects import APPLIED, Effect, EffectKind, ignored
from conversations.signals import agent_message
from core.events import (
    AcceptStatusChanged,
    ChatStateChanged,
    ContentPublished,
    ConversationChanged,
    DialogEvent,
    RichContentPublished,
)
from installations.models import AppInstallation, Channel

_STATUS_OF_RECEIPT = {"ACCEPT": MessageStatus.DELIVERED, "READ": MessageStatus.READ, "ACCESS": MessageStatus.READ}


def apply_content(
    *, conversation: Conversation, consumer: Consumer, event: ContentPublished, correlation_id: str, now: datetime
) -> Effect:
    """Somebody said something: the consumer's own words come back, an agent's go to the channel."""
    if event.is_from_consumer:
        return dataclasses.replace(_apply_echo(conversation, event), seen=_note(conversation, event))
    kind = MessageKind.FILE if event.attachment else MessageKind.TEXT
    if event.unsupported:
        kind = MessageKind.UNSUPPORTED
    content = {
        "text": event.text,
        "attachments": [dataclasses.asdict(event.attachment)] if event.attachment else [],
        "quick_replies": [dataclasses.asdict(choice) for choice in event.quick_replies],
    }
    return _accept_agent_message(conversation, consumer, event, kind, content, correlation_id, now)


def apply_rich_content(
    *, conversation: Conversation, consumer: Consumer, event: RichContentPublished, correlation_id: str, now: datetime
) -> Effect:
    """An agent or a bot sent structured content."""
    if event.is_from_consumer:
        return dataclasses.replace(
            ignored("Structured content of the consumer's own."), seen=_note(conversation, event)
        )
    content = {
        "text": event.text,
        "element": event.element,
        "quick_replies": [dataclasses.asdict(choice) for choice in event.quick_replies],
    }
    return _accept_agent_message(conversation, consumer, event, MessageKind.RICH, content, correlation_id, now)


def apply_accept_status(
    *, conversation: Conversation, consumer: Consumer, event: AcceptStatusChanged, correlation_id: str, now: datetime
) -> Effect:
    """The agent's side received or read what the consumer said: the messages climb, the channel is told of reading."""
    effect = _apply_receipt(conversation, consumer, event, correlation_id, now)
    return dataclasses.replace(effect, seen=_note(conversation, event))


def apply_chat_state(
    *, conversation: Conversation, consumer: Consumer, event: ChatStateChanged, correlation_id: str, now: datetime
) -> Effect:
    """An agent types or has stopped."""
    if event.is_from_consumer:
        return Effect(kind=EffectKind.ECHO)
    if not conversation.is_open:
        return ignored("The conversation is closed.")
    life.tell_typing(
        consumer,
        Direction.TO_CHANNEL,
        {"on": event.chat_state == "COMPOSING"},
        now=now,
        correlation_id=correlation_id,
        conversation_id=conversation.pk,
    )
    return APPLIED


def apply_conversation_change(
    *, conversation: Conversation, consumer: Consumer, event: ConversationChanged, correlation_id: str, now: datetime
) -> Effect:
    """The state of a conversation changed. What is older than what is known changes nothing."""
    state = _state_of(event)
    would_open = not conversation.is_open and state != ConversationState.CLOSED
    # Of two states of one moment the closed one holds: what is resumed is resumed later.
    if event.updated_at_ms < conversation.lp_updated_ms + would_open:
        return Effect(kind=EffectKind.STALE, detail="A newer state is known.")
    if event.change == "DELETE" and state != ConversationState.CLOSED:
        return ignored("LivePerson does not tell of it any more; that does not close it.")
    # A send may have found it closed before this told us: the channel has not heard of it yet.
    is_untold = conversation.is_open or conversation.close_reason == life.FOUND_CLOSED
    is_ending = is_untold and state == ConversationState.CLOSED
    is_resumed = not conversation.is_open and state != ConversationState.CLOSED
    if is_resumed and life.open_conversations(consumer).exists():
        return Effect(kind=EffectKind.STALE, detail="The consumer has another open conversation.")
    conversation.lp_updated_ms = event.updated_at_ms
    conversation.skill_id = event.skill_id[:64]
    conversation.agent_ids = [person for person, role in event.participants if role == "ASSIGNED_AGENT"]
    _apply_dialogs(conversation, event)
    if state == ConversationState.CLOSED:
        Consumer.objects.filter(pk=consumer.pk).update(is_typing=False)
        if is_ending:
            conversation.closed_at = event.ended_at or now
            conversation.close_reason = event.close_reason[:64]
            life.tell_channel_closed(conversation, consumer)
    elif is_resumed:
        conversation.closed_at, conversation.close_reason = None, ""
    conversation.state = state
    conversation.save()
    return APPLIED


@transaction.atomic(savepoint=False)
def adopt_conversation(
    *, installation: AppInstallation, event: ConversationChanged, now: datetime
) -> Conversation | None:
    """
    Recognise a conversation of ours that we do not know yet: the notification outran the answer to our opening, or the
    answer was lost. None when it is not ours.

    Ours is: a consumer of ours takes part, and either an opening for that consumer is under way or in doubt, or the
    main dialog names our client id; where the consumer's channel has moved, by the former one's, too.
    """
    if not event.stage_is_open:
        return None
    found = Consumer.objects.filter(
        account_id=installation.account_id, lp_consumer_id__in=[c for c in event.consumer_ids if c]
    ).first()
    if found is None:
        return None
    consumer = lanes.lock_consumer(found.pk)
    opening = (
        Dispatch.objects.filter(
            lane__consumer=consumer,
            kind=DispatchKind.OPEN,
            state__in=(DispatchState.SENDING, DispatchState.UNKNOWN, DispatchState.QUEUED),
        )
        .exclude(step="")
        .select_related("lane")
        .first()
    )
    client_ids = _client_ids(installation, consumer.channel)
    is_named = any(d.type == "MAIN" and d.app_install_id in client_ids for d in event.dialogs)
    if opening is None and not is_named:
        return None
    conversation = life.conversation_opened(
        consumer=consumer,
        channel=consumer.channel,
        lp_conversation_id=event.lp_conversation_id,
        opened_at=event.started_at or now,
    )
    if opening is not None and opening.state != DispatchState.SENDING:
        Dispatch.objects.filter(pk=opening.pk).update(
            state=DispatchState.SENT, resolution="echo", conversation=conversation, finished_at=now, error_code=""
        )
        held.let_go_when_settled(opening.lane)
        lanes.make_due([opening.lane_id])
    return conversation


def _client_ids(installation: AppInstallation, channel: Channel) -> set[str]:
    """By which a conversation may name the one that tells of it."""
    carriers = [one for one in (channel.installation, channel.former_installation) if one is not None]
    return {one.client_id for one in (carriers if installation in carriers else [installation])}


def _apply_receipt(
    conversation: Conversation, consumer: Consumer, event: AcceptStatusChanged, correlation_id: str, now: datetime
) -> Effect:
    if event.is_from_consumer:
        return Effect(kind=EffectKind.ECHO)
    status = _STATUS_OF_RECEIPT.get(event.status)
    if status is None:
        return ignored(f"Receipts of the kind {event.status[:32]} change nothing.")
    read_ids, message_id = [], None
    for message in _messages_with(conversation, event):
        message_id = message.pk
        if message.climb_to(status, at=now):
            message.save(update_fields=["status", "delivered_at", "read_at"])
            if status == MessageStatus.READ and message.channel_message_id:
                read_ids.append(message.channel_message_id)
    if read_ids:
        _queue_read(consumer, conversation, read_ids, correlation_id)
    # Where it is about several: the newest of them. When each was received or read stands with the message.
    return Effect(kind=EffectKind.APPLIED, message_id=message_id)


def _apply_echo(conversation: Conversation, event: ContentPublished) -> Effect:
    assert event.sequence is not None
    dispatch = evidence.note_echo(
        conversation,
        lp_dialog_id=event.lp_dialog_id,
        sequence=event.sequence,
        text=event.text,
        relative_path=event.attachment.relative_path if event.attachment else "",
    )
    if dispatch is None:
        return Effect(kind=EffectKind.ECHO, detail="Said by the consumer, but not through us.")
    return Effect(kind=EffectKind.ECHO, message_id=dispatch.message_id)


def _accept_agent_message(
    conversation: Conversation,
    consumer: Consumer,
    event: DialogEvent,
    kind: str,
    content: dict[str, Any],
    correlation_id: str,
    now: datetime,
) -> Effect:
    # Only what is for everybody may reach the consumer; an audience that we do not know counts as private.
    is_private = event.audience != "ALL"
    seen = _take(conversation, event)
    known = _message_of(conversation, event)
    if known is not None:
        return Effect(kind=EffectKind.DUPLICATE, message_id=known, seen=seen)
    is_carried = not is_private and kind != MessageKind.UNSUPPORTED
    message = Message.objects.create(
        brand_id=conversation.brand_id,
        consumer=consumer,
        conversation=conversation,
        channel_id=consumer.channel_id,
        direction=Direction.TO_CHANNEL,
        sender_role=event.role[:32],
        kind=kind,
        audience=Audience.STAFF if is_private else Audience.ALL,
        status=MessageStatus.QUEUED if is_carried else MessageStatus.RECEIVED,
        lp_dialog_id=event.lp_dialog_id,
        lp_sequence=event.sequence,
        # What was sent already stays where it is: what comes late stands behind it, and says so.
        order_mark=OrderMark.LATE if seen and seen.place is Place.LATE else "",
        occurred_at=event.server_at or now,
        correlation_id=correlation_id,
    )
    for number, choice in enumerate(content.get("quick_replies", [])):
        choice["id"] = choice_id_of(message, number)
    MessageContent.objects.create(message=message, expires_on=conversation.brand.expires_on(now), **content)
    if is_carried:
        _queue_agent_message(consumer, conversation, message)
    elif kind == MessageKind.UNSUPPORTED and not is_private:
        message.status = MessageStatus.FAILED
        message.error_code = "content_unsupported"
        message.save(update_fields=["status", "error_code"])
        life.tell_liveperson(consumer, message, status="NACK")
    return Effect(kind=EffectKind.APPLIED, message_id=message.pk, seen=seen)


def mark_gap(message_id: uuid.UUID) -> None:
    """Show that what was said before a message was waited for in vain."""
    Message.objects.filter(pk=message_id, order_mark="").update(order_mark=OrderMark.AFTER_GAP)


def choice_id_of(message: Message, number: int) -> str:
    """An id for one choice of a message; it leads back to the message."""
    return f"{message.pk}.{number}"


def _queue_agent_message(consumer: Consumer, conversation: Conversation, message: Message) -> None:
    planned = get_adapter(consumer.channel.type).plan(
        agent_message(
            message,
            id=str(message.pk),
            conversation_id=str(conversation.pk),
            consumer_id=consumer.channel_consumer_id,
            occurred_at=message.occurred_at,
        )
    )
    kind = {MessageKind.FILE: DispatchKind.FILE, MessageKind.RICH: DispatchKind.RICH}.get(
        MessageKind(message.kind), DispatchKind.TEXT
    )
    for part in range(len(planned)):
        lanes.append(
            consumer=consumer,
            direction=Direction.TO_CHANNEL,
            kind=kind,
            message=message,
            conversation_id=conversation.pk,
            payload={"part": part, "of": len(planned), "attachment": 0},
            correlation_id=message.correlation_id,
        )


def _queue_read(consumer: Consumer, conversation: Conversation, message_ids: list[str], correlation_id: str) -> None:
    waiting = lanes.waiting_dispatch(consumer=consumer, direction=Direction.TO_CHANNEL, kind=DispatchKind.RECEIPT)
    if waiting is not None:
        waiting.payload["message_ids"] += message_ids
        waiting.save(update_fields=["payload"])
        return
    lanes.append(
        consumer=consumer,
        direction=Direction.TO_CHANNEL,
        kind=DispatchKind.RECEIPT,
        conversation_id=conversation.pk,
        payload={"message_ids": message_ids},
        correlation_id=correlation_id,
    )


# Written out, because a fourth of all notifications are receipts. One can outrun the answer to the request that brought
# the message; its echo has told the sequence then.
_MESSAGES_WITH = """
    SELECT message.* FROM conversations_message message
    WHERE message.id IN (
        SELECT dispatch.message_id FROM conversations_dispatch dispatch
        WHERE dispatch.conversation_id = %s AND dispatch.lp_dialog_id = %s AND dispatch.kind IN ('TEXT', 'FILE')
          AND (dispatch.lp_sequence = ANY(%s) OR dispatch.echo_sequence = ANY(%s)))
    ORDER BY message.id
"""


def _messages_with(conversation: Conversation, event: AcceptStatusChanged) -> RawQuerySet[Message]:
    sequences_told = list(event.sequences)
    return Message.objects.raw(_MESSAGES_WITH, [conversation.pk, event.lp_dialog_id, sequences_told, sequences_told])


def _message_of(conversation: Conversation, event: DialogEvent) -> uuid.UUID | None:
    known = Message.objects.filter(
        conversation=conversation,
        lp_dialog_id=event.lp_dialog_id,
        lp_sequence=event.sequence,
        direction=Direction.TO_CHANNEL,
    )
    return next(iter(known.order_by().values_list("pk", flat=True)[:1]), None)


def _take(conversation: Conversation, event: DialogEvent) -> Seen | None:
    return None if event.sequence is None else sequences.take(conversation, event.lp_dialog_id, event.sequence)


def _note(conversation: Conversation, event: DialogEvent) -> Seen | None:
    return None if event.sequence is None else sequences.note(conversation, event.lp_dialog_id, event.sequence)


def _state_of(event: ConversationChanged) -> ConversationState:
    if not event.stage_is_open:
        return ConversationState.CLOSED
    return ConversationState.OPEN if event.state_is_open else ConversationState.SURVEY


def _apply_dialogs(conversation: Conversation, event: ConversationChanged) -> None:
    told = {
        dialog.lp_dialog_id: Dialog(
            conversation=conversation,
            lp_dialog_id=dialog.lp_dialog_id,
            type=dialog.type[:32],
            is_open=dialog.is_open,
        )
        for dialog in event.dialogs
        if dialog.type != "OTHER"  # co-browsing, voice and video are not ours to carry
    }
    Dialog.objects.bulk_create(
        told.values(),
        update_conflicts=True,
        unique_fields=["conversation", "lp_dialog_id"],
        update_fields=["type", "is_open"],
    )
