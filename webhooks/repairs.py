"""What an operator does by hand to a delivery that could not be applied. Each act is in the trail."""

from __future__ import annotations

import uuid

from django.db import transaction

from audit import api as audit
from core import queue
from core.actor import Actor
from webhooks.models import Delivery, DeliveryBody, DeliveryState

APPLICABLE = (DeliveryState.DEAD, DeliveryState.QUARANTINED)


class NotPossible(Exception):
    """The delivery is not in a state in which this can be done; the text says why."""


@transaction.atomic
def apply_again(*, delivery_id: uuid.UUID, actor: Actor, reason: str = "") -> None:
    """
    Have a dead or quarantined delivery applied, before all that its source sent after it and that still waits.

    What it holds and another delivery has brought since has no second effect.
    """
    delivery = Delivery.objects.select_for_update(no_key=True).get(pk=delivery_id)
    if delivery.state not in APPLICABLE:
        raise NotPossible(
            f"It is {delivery.get_state_display().lower()}: only what is dead or quarantined is applied again."
        )
    if not DeliveryBody.objects.filter(pk=delivery_id).exists():
        raise NotPossible("Its body has expired and was deleted: there is nothing left to apply.")
    before = delivery.state
    delivery.state = DeliveryState.STORED
    delivery.start_count = 0
    delivery.processed_at = None
    delivery.detail = ""
    delivery.save(update_fields=["state", "start_count", "processed_at", "detail"])
    audit.record("delivery.reapplied", actor=actor, subject=delivery, data={"state": before}, reason=reason)
    queue.ring()
