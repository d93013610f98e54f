"""What a channel tells of a consumer: messages, typing, choices, receipts, the end. One transaction each."""

from __future__ import annotations

import dataclasses
import json
from datetime import datetime
from typing import Any

from django.db import transaction

from conversations import evidence, lanes, life
from conversations.models import (
    Consumer,
    Direction,
    Dispatch,
    DispatchKind,
    DispatchState,
    Message,
    MessageContent,
    MessageKind,
    MessageStatus,
)
from conversations.services.effects import APPLIED, Effect, EffectKind, ignored
from conversations.texts import digest_of, parts_of
from core.events import (
    ConsumerClosed,
    ConsumerMessage,
    ConsumerRef,
    ConsumerTyping,
    MessageStatusReported,
    QuickReplyChosen,
)
from core.ids import id_in, new_id
from core.vault import search_hash
from installations.models import Channel

CONSUMER_BLOCKED = "consumer_blocked"

# As JSON. Five hundred consumers stand on one page, and whoever tells a new member each time would fill it.
_LONGEST_PROFILE = 32 * 1024


@transaction.atomic(savepoint=False)
def accept_consumer_message(*, channel: Channel, event: ConsumerMessage, correlation_id: str, now: datetime) -> Effect:
    """A consumer wrote: store it and queue what LivePerson must be sent for it."""
    assert event.consumer is not None
    consumer = _meet(channel, event.consumer, now=now)
    if Message.objects.filter(
        channel=channel, channel_message_id=event.message_id, direction=Direction.TO_LIVEPERSON
    ).exists():
        return Effect(kind=EffectKind.DUPLICATE)
    message = _store(
        channel=channel,
        consumer=consumer,
        message_id=event.message_id,
        text=event.text,
        attachments=[dataclasses.asdict(attachment) for attachment in event.attachments],
        occurred_at=event.occurred_at or now,
        correlation_id=correlation_id,
    )
    _queue_message(consumer, message, event.text, len(event.attachments))
    if consumer.is_blocked:
        return _kept_from_agents(message, now=now)
    _end_typing(consumer, correlation_id, now)
    return Effect(kind=EffectKind.APPLIED, message_id=message.pk)


@transaction.atomic(savepoint=False)
def accept_typing(*, channel: Channel, event: ConsumerTyping, correlation_id: str, now: datetime) -> Effect:
    """A consumer types, or has stopped. Of use only in an open conversation; it never opens one."""
    assert event.consumer is not None
    consumer = _find(channel, event.consumer)
    if consumer is None or not life.open_conversations(consumer).exists():
        return ignored("No conversation is open.")
    if consumer.is_blocked and event.on:
        return ignored("The consumer is blocked.")
    if consumer.is_typing == event.on:
        return ignored("LivePerson knows already.")
    consumer.is_typing = event.on
    consumer.save(update_fields=["is_typing"])
    life.tell_typing(consumer, Direction.TO_LIVEPERSON, {"on": event.on}, now=now, correlation_id=correlation_id)
    return APPLIED


@transaction.atomic(savepoint=False)
def accept_close(*, channel: Channel, event: ConsumerClosed, correlation_id: str) -> Effect:
    """A consumer ended the conversation: LivePerson is asked to close it, after all that was said before."""
    assert event.consumer is not None
    consumer = _find(channel, event.consumer)
    if consumer is None:
        return ignored("The consumer is not known.")
    life.ask_liveperson_to_close(consumer, correlation_id=correlation_id)
    return APPLIED


@transaction.atomic(savepoint=False)
def accept_quick_reply(*, channel: Channel, event: QuickReplyChosen, correlation_id: str, now: datetime) -> Effect:
    """
    A consumer chose an answer that was offered: a receipt with the choice's metadata, and its text.

    Source: developers.liveperson.com/connector-api-send-api-send.html, metadata of structured content.
    """
    assert event.consumer is not None
    consumer = _meet(channel, event.consumer, now=now)
    offered = _message_offering(consumer, event.choice)
    if offered is None:
        return ignored("This choice was not offered to this consumer.")
    choice = next(c for c in offered.content.quick_replies if c["id"] == event.choice)
    if not consumer.is_blocked:
        life.tell_liveperson(consumer, offered, status="ACTION", metadata=choice["metadata"])
    message = _store(
        channel=channel,
        consumer=consumer,
        message_id=event.message_id,
        text=choice["text"],
        attachments=[],
        occurred_at=event.occurred_at or now,
        correlation_id=correlation_id,
        metadata=choice["metadata"],
    )
    _queue_message(consumer, message, choice["text"], 0)
    if consumer.is_blocked:
        return _kept_from_agents(message, now=now)
    _end_typing(consumer, correlation_id, now)
    return Effect(kind=EffectKind.APPLIED, message_id=message.pk)


@transaction.atomic(savepoint=False)
def accept_status(*, channel: Channel, event: MessageStatusReported, now: datetime) -> Effect:
    """The channel tells what became of an agent's message. A status only climbs."""
    found = _sent_as(channel, event.message_id)
    if found is None or found.message is None:
        return ignored("No message with this id was sent on this channel.")
    consumer = lanes.lock_consumer(found.message.consumer_id)
    if consumer.erased_at is not None:
        return ignored("Its consumer was erased.")
    evidence.note_report(found.pk)
    message = Message.objects.select_related("conversation").get(pk=found.message.pk)
    if event.status == "failed":
        return _report_failure(consumer, message, event.reason)
    status = MessageStatus.DELIVERED if event.status == "delivered" else MessageStatus.READ
    if not message.climb_to(status, at=now):
        return Effect(kind=EffectKind.STALE, message_id=message.pk, detail=f"It is {message.status} already.")
    message.save(update_fields=["status", "delivered_at", "read_at"])
    life.tell_liveperson(consumer, message, status="ACCEPT" if status == MessageStatus.DELIVERED else "READ")
    return Effect(kind=EffectKind.APPLIED, message_id=message.pk)


def _report_failure(consumer: Consumer, message: Message, reason: str) -> Effect:
    if message.status in (MessageStatus.READ, MessageStatus.DELIVERED, MessageStatus.FAILED):
        return Effect(kind=EffectKind.STALE, message_id=message.pk, detail=f"It is {message.status} already.")
    message.status = MessageStatus.FAILED
    message.error_code = "reported_failed"
    message.save(update_fields=["status", "error_code"])
    life.tell_liveperson(consumer, message, status="NACK")
    return Effect(kind=EffectKind.APPLIED, message_id=message.pk, detail=reason[:200])


def _meet(channel: Channel, who: ConsumerRef, *, now: datetime) -> Consumer:
    """The consumer's row, made on first sight, locked, with what the channel tells now."""
    consumer = _find(channel, who)
    if consumer is None:
        _introduce(channel, who)
        consumer = _find(channel, who)
        assert consumer is not None
    has_changed = _learn(consumer, who)
    consumer.channel = channel
    consumer.last_seen_at = now
    consumer.save(update_fields=["channel", "last_seen_at", "name", "profile"])
    if has_changed and not consumer.is_blocked and life.open_conversations(consumer).exists():
        lanes.append(consumer=consumer, direction=Direction.TO_LIVEPERSON, kind=DispatchKind.PROFILE)
    return consumer


def _introduce(channel: Channel, who: ConsumerRef) -> None:
    """Make the row of a consumer, unless somebody else does at this moment."""
    newcomer = Consumer(
        id=new_id(),
        brand_id=channel.brand_id,
        account_id=channel.account_id,
        channel=channel,
        ext_consumer_id=f"{channel.prefix}:{who.id}",
        channel_consumer_id=who.id,
        search_hash=search_hash(who.id),
        name=who.name,
        profile=_grown({}, who.profile),
    )
    Consumer.objects.bulk_create([newcomer], ignore_conflicts=True)


def _learn(consumer: Consumer, who: ConsumerRef) -> bool:
    name = who.name or consumer.name
    profile = _grown(consumer.profile, who.profile)
    if (name, profile) == (consumer.name, consumer.profile):
        return False
    consumer.name, consumer.profile = name, profile
    return True


def _grown(known: dict[str, Any], told: dict[str, Any]) -> dict[str, Any]:
    """A profile with what is told now; as it was where that would make it too long."""
    grown = {**known, **told}
    return grown if len(json.dumps(grown, ensure_ascii=False)) <= _LONGEST_PROFILE else known


def _find(channel: Channel, who: ConsumerRef) -> Consumer | None:
    return (
        Consumer.objects.select_for_update(no_key=True)
        .filter(account_id=channel.account_id, ext_consumer_id=f"{channel.prefix}:{who.id}")
        .first()
    )


def _store(
    *,
    channel: Channel,
    consumer: Consumer,
    message_id: str,
    text: str,
    attachments: list[dict[str, Any]],
    occurred_at: datetime,
    correlation_id: str,
    metadata: list[dict[str, Any]] | None = None,
    is_test: bool = False,
) -> Message:
    message = Message.objects.create(
        brand_id=channel.brand_id,
        consumer=consumer,
        channel=channel,
        direction=Direction.TO_LIVEPERSON,
        sender_role="CONSUMER",
        kind=MessageKind.FILE if attachments else MessageKind.TEXT,
        status=MessageStatus.QUEUED,
        channel_message_id=message_id,
        is_test=is_test,
        occurred_at=occurred_at,
        correlation_id=correlation_id,
    )
    MessageContent.objects.create(
        message=message,
        text=text,
        attachments=attachments,
        metadata=metadata or [],
        expires_on=channel.brand.expires_on(message.created_at),
    )
    return message


def store_and_queue(
    *, consumer: Consumer, message_id: str, text: str, occurred_at: datetime, correlation_id: str
) -> Message:
    """What somebody says as the consumer to try the way. The caller holds the consumer's mutex."""
    message = _store(
        channel=consumer.channel,
        consumer=consumer,
        message_id=message_id,
        text=text,
        attachments=[],
        occurred_at=occurred_at,
        correlation_id=correlation_id,
        is_test=True,
    )
    _queue_message(consumer, message, text, 0)
    return message


def _queue_message(consumer: Consumer, message: Message, text: str, attachment_count: int) -> None:
    parts = parts_of(text) if text else []
    total = len(parts) + attachment_count
    for number, part in enumerate(parts):
        lanes.append(
            consumer=consumer,
            direction=Direction.TO_LIVEPERSON,
            kind=DispatchKind.TEXT,
            message=message,
            payload={"part": number, "of": total},
            content_digest=digest_of(part),
            correlation_id=message.correlation_id,
        )
    for number in range(attachment_count):
        lanes.append(
            consumer=consumer,
            direction=Direction.TO_LIVEPERSON,
            kind=DispatchKind.FILE,
            message=message,
            payload={"attachment": number, "of": total},
            correlation_id=message.correlation_id,
        )


def _kept_from_agents(message: Message, *, now: datetime) -> Effect:
    """What a blocked consumer said: it is here to be seen, with what was not sent for it."""
    message.status, message.error_code = MessageStatus.FAILED, CONSUMER_BLOCKED
    message.save(update_fields=["status", "error_code"])
    Dispatch.objects.filter(message=message).update(
        state=DispatchState.DROPPED, error_code=CONSUMER_BLOCKED, resolution="policy", finished_at=now
    )
    return Effect(
        kind=EffectKind.APPLIED, message_id=message.pk, detail="Its consumer is blocked: it is stored, and not carried."
    )


def _end_typing(consumer: Consumer, correlation_id: str, now: datetime) -> None:
    if consumer.is_typing:
        consumer.is_typing = False
        consumer.save(update_fields=["is_typing"])
        life.tell_typing(consumer, Direction.TO_LIVEPERSON, {"on": False}, now=now, correlation_id=correlation_id)


def _message_offering(consumer: Consumer, choice_id: str) -> Message | None:
    """The agent's message to this consumer that offered a choice; choice_id_of made the choice's id."""
    message_id = id_in(choice_id.rpartition(".")[0])
    if message_id is None:
        return None
    found = (
        Message.objects.filter(pk=message_id, consumer=consumer, direction=Direction.TO_CHANNEL, content__isnull=False)
        .select_related("content", "conversation")
        .first()
    )
    has_it = found is not None and any(c["id"] == choice_id for c in found.content.quick_replies)
    return found if has_it else None


def _sent_as(channel: Channel, sent_id: str) -> Dispatch | None:
    """What carried an agent's message and went out under this id on this channel."""
    dispatch_id = id_in(sent_id)
    if dispatch_id is None:
        return None
    return (
        Dispatch.objects.filter(pk=dispatch_id, message__channel=channel, lane__direction=Direction.TO_CHANNEL)
        .select_related("message")
        .first()
    )
