"""Test messages: an operator says something as the consumer, to see that the way is open."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from urllib.parse import urlsplit

import structlog
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from audit import api as audit
from conversations import lanes, life
from conversations.models import Consumer, Conversation, Direction, Message
from conversations.services.consumer_side import store_and_queue
from core import queue
from core.actor import Actor
from core.errors import ConfigurationError

# Agents see what was said, and nothing of its row.
TAG = "[Test message]"
LONGEST = 500


@dataclass(frozen=True, kw_only=True)
class Reach:
    """
    Who would see a test message.

    account: LivePerson's id of the account. is_local: its LivePerson is a program on this machine, with no agent behind
    it. conversation: the open one that it would join; None: it would open one.
    """

    account: str
    is_local: bool
    conversation: Conversation | None


def reach_of(consumer: Consumer) -> Reach:
    """Who would see what is said as this consumer now."""
    account = consumer.channel.account
    host = urlsplit(account.domain_api or settings.LIVEPERSON_DOMAIN_API).hostname or ""
    return Reach(
        account=account.lp_account_id,
        is_local=host == "localhost" or host.startswith("127.") or host == "::1",
        conversation=life.open_conversations(consumer).first(),
    )


@transaction.atomic
def say_as_consumer(*, consumer_id: uuid.UUID, text: str, once: uuid.UUID, actor: Actor, reason: str = "") -> Message:
    """
    Queue a text as if the consumer had written it, tagged as a test. That the consumer wrote is not noted.

    once: names this wish; a button that is pressed twice asks for one message.

    Raises ConfigurationError where there is nobody to say it as, or nothing would be carried.
    """
    consumer = lanes.lock_consumer(consumer_id)
    if consumer.erased_at is not None:
        raise ConfigurationError("This consumer has been erased: nothing can be said as them.")
    if consumer.is_blocked:
        raise ConfigurationError("This consumer is blocked: a test message would not be carried. Unblock first.")
    message_id = f"test-{once}"
    if Message.objects.filter(
        channel=consumer.channel_id, channel_message_id=message_id, direction=Direction.TO_LIVEPERSON
    ).exists():
        raise ConfigurationError("This test message has been sent already: it stands in the conversation.")
    message = store_and_queue(
        consumer=consumer,
        message_id=message_id,
        text=f"{TAG} {text}",
        occurred_at=timezone.now(),
        correlation_id=str(structlog.contextvars.get_contextvars().get("correlation_id", "")),
    )
    audit.record(
        "consumer.test_message_sent",
        actor=actor,
        subject=consumer.nameless,
        data={"message": str(message.pk)},
        reason=reason,
    )
    queue.ring()
    return message


__all__ = ["LONGEST", "TAG", "Reach", "reach_of", "say_as_consumer"]
