"""The row of an event: what it was, and what it did."""

from __future__ import annotations

import hashlib
from datetime import datetime

from conversations.services.effects import Effect
from webhooks.models import Delivery, Event, EventOutcome


def event_row(delivery: Delivery, index: int, event_type: str, identity: str, now: datetime) -> Event:
    """A row that is not stored yet, of an event that has done nothing yet."""
    short = identity if len(identity) <= 600 else hashlib.sha256(identity.encode()).hexdigest()
    return Event(
        brand_id=delivery.brand_id,
        delivery=delivery,
        index=index,
        type=event_type[:64],
        identity=short,
        outcome=EventOutcome.IGNORED,
        at=now,
    )


def set_effect(row: Event, effect: Effect) -> None:
    """Note on the row what it did."""
    row.outcome = EventOutcome[effect.kind.name]
    row.detail = effect.detail[:300]
    row.message_id = effect.message_id
