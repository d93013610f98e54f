"""Legal holds on consumers: while one stands nothing of the consumer is removed. Those on brands: access.services."""

from __future__ import annotations

import uuid

from django.db import transaction
from django.utils import timezone

from audit import api as audit
from conversations import lanes
from core.actor import Actor
from core.errors import ConfigurationError


@transaction.atomic
def hold_consumer(*, consumer_id: uuid.UUID, actor: Actor, reason: str) -> None:
    """Put a hold on a consumer. Raises ConfigurationError when there is nobody left to hold, or one stands already."""
    consumer = lanes.lock_consumer(consumer_id)
    if consumer.erased_at is not None:
        raise ConfigurationError("This consumer has been erased: nothing is left that a hold could keep.")
    if consumer.is_held:
        raise ConfigurationError("A legal hold stands on this consumer already.")
    consumer.held_at, consumer.held_by, consumer.hold_reason = timezone.now(), actor.name[:150], reason[:500]
    consumer.save(update_fields=["held_at", "held_by", "hold_reason"])
    audit.record("consumer.hold_set", actor=actor, subject=consumer.nameless, reason=reason)


@transaction.atomic
def lift_hold_of_consumer(*, consumer_id: uuid.UUID, actor: Actor, reason: str) -> None:
    """Lift the hold: what is past its day goes with the next walk. Raises ConfigurationError when none stands."""
    consumer = lanes.lock_consumer(consumer_id)
    if not consumer.is_held:
        raise ConfigurationError("No legal hold stands on this consumer.")
    data = {"held_since": str(consumer.held_at), "held_by": consumer.held_by}
    consumer.held_at, consumer.held_by, consumer.hold_reason = None, "", ""
    consumer.save(update_fields=["held_at", "held_by", "hold_reason"])
    audit.record("consumer.hold_lifted", actor=actor, subject=consumer.nameless, data=data, reason=reason)
