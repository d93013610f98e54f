"""Blocks: what a blocked consumer writes is stored and shown, and not carried to LivePerson."""

from __future__ import annotations

import uuid

from django.db import transaction
from django.utils import timezone

from audit import api as audit
from conversations import lanes
from core.actor import Actor
from core.errors import ConfigurationError


@transaction.atomic
def block_consumer(*, consumer_id: uuid.UUID, actor: Actor, reason: str) -> None:
    """Block a consumer from now on. Raises ConfigurationError when there is nobody left to block, or one is."""
    consumer = lanes.lock_consumer(consumer_id)
    if consumer.erased_at is not None:
        raise ConfigurationError("This consumer has been erased: there is nobody left to block.")
    if consumer.is_blocked:
        raise ConfigurationError("This consumer is blocked already.")
    consumer.blocked_at, consumer.blocked_by, consumer.block_reason = timezone.now(), actor.name[:150], reason[:500]
    consumer.save(update_fields=["blocked_at", "blocked_by", "block_reason"])
    audit.record("consumer.blocked", actor=actor, subject=consumer.nameless, reason=reason)


@transaction.atomic
def unblock_consumer(*, consumer_id: uuid.UUID, actor: Actor, reason: str) -> None:
    """Carry again what the consumer writes from now on. Raises ConfigurationError when no block stands."""
    consumer = lanes.lock_consumer(consumer_id)
    if not consumer.is_blocked:
        raise ConfigurationError("This consumer is not blocked.")
    data = {"blocked_since": str(consumer.blocked_at), "blocked_by": consumer.blocked_by}
    consumer.blocked_at, consumer.blocked_by, consumer.block_reason = None, "", ""
    consumer.save(update_fields=["blocked_at", "blocked_by", "block_reason"])
    audit.record("consumer.unblocked", actor=actor, subject=consumer.nameless, data=data, reason=reason)


__all__ = ["block_consumer", "unblock_consumer"]
