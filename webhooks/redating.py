"""
A brand's retention was changed: what is stored already follows.

Each row holds its own last day, made when the row was; so those rows are dated anew, in batches, from the oldest that
may still be there to the moment of the change.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

from django.db import models
from django.utils import timezone

from access.models import Brand
from conversations.models import Message, Redating
from conversations.services.retention import BATCH, Batch
from core.batches import batch_transaction
from core.ids import first_id_at
from webhooks.models import Delivery

# Processes remember a brand's retention for a few seconds: what they store meanwhile is dated by the old days too.
_KNOWN_EVERYWHERE_AFTER = timedelta(seconds=15)
_SLACK = timedelta(days=3)

_DATE_CONTENTS = """
    UPDATE conversations_messagecontent content SET expires_on = (message.created_at AT TIME ZONE 'UTC')::date + %s
    FROM conversations_message message WHERE message.id = content.message_id AND message.id = ANY(%s)
"""
_DATE_FILES = """
    UPDATE conversations_mediafile SET expires_on = (created_at AT TIME ZONE 'UTC')::date + %s
    WHERE message_id = ANY(%s)
"""
# Of what belongs to others the body goes sooner; so no body gets more days that had not all of the old ones.
_DATE_BODIES = """
    UPDATE webhooks_deliverybody body
    SET expires_on = CASE
        WHEN body.expires_on >= (delivery.received_at AT TIME ZONE 'UTC')::date + %(old)s
            THEN (delivery.received_at AT TIME ZONE 'UTC')::date + %(new)s
        ELSE LEAST(body.expires_on, (delivery.received_at AT TIME ZONE 'UTC')::date + %(new)s) END
    FROM webhooks_delivery delivery WHERE delivery.id = body.delivery_id AND delivery.id = ANY(%(ids)s)
"""


def begin(*, brand: Brand, old_days: int, new_days: int) -> None:
    """Note that what is stored has to be dated anew. Called in the transaction of the change."""
    now = timezone.now()
    oldest = first_id_at(now - timedelta(days=old_days) - _SLACK)
    Redating.objects.create(
        brand=brand,
        old_days=old_days,
        new_days=new_days,
        messages_to=oldest,
        deliveries_to=oldest,
        until=first_id_at(now + _KNOWN_EVERYWHERE_AFTER),
    )


def walk(*, now: Callable[[], datetime]) -> Iterator[Batch]:
    """Date anew what waits for it; one change of a brand after the other."""
    while (count := _some(now=now())) is not None:
        yield Batch(kind="dated_anew", count=count)


def _some(*, now: datetime) -> int | None:
    """One batch; None when nothing is left."""
    with batch_transaction() as cursor:
        task = Redating.objects.select_for_update(skip_locked=True).filter(until__lte=first_id_at(now)).first()
        if task is None:
            return None
        messages = _next(Message, task, task.messages_to)
        deliveries = _next(Delivery, task, task.deliveries_to)
        if not (messages or deliveries):
            task.delete()
            return 0
        values: dict[str, Any] = {"old": task.old_days, "new": task.new_days, "ids": deliveries}
        cursor.execute(_DATE_CONTENTS, [task.new_days, messages])
        cursor.execute(_DATE_FILES, [task.new_days, messages])
        cursor.execute(_DATE_BODIES, values)
        task.messages_to = (messages or [task.messages_to])[-1]
        task.deliveries_to = (deliveries or [task.deliveries_to])[-1]
        task.save(update_fields=["messages_to", "deliveries_to"])
        return len(messages) + len(deliveries)


def _next(model: type[models.Model], task: Redating, after: uuid.UUID) -> list[uuid.UUID]:
    rows = model._default_manager.filter(brand_id=task.brand_id, pk__gt=after, pk__lt=task.until).order_by("pk")
    return list(rows.values_list("pk", flat=True)[:BATCH])
