"""
Events that wait: to see whose they are, until their conversation is known or they are foreign after a while; or for
what was said before them, until it has come or their time is over.
"""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

from django.db import transaction

from conversations import lanes
from conversations.models import Conversation
from conversations.selectors import accounts_that_may_open
from webhooks import gaps
from webhooks.models import DeliveryBody, Event, EventOutcome, Held
from webhooks.notified import FOREIGN_AFTER, apply_late, release_held

_MOST_HELD = 200  # looked at in one go
# An opening in doubt may have opened just the conversation that something waits for. Most are settled in minutes.
_FOREIGN_DESPITE_DOUBT = timedelta(minutes=15)


def settle_waiting(*, now: datetime) -> None:
    """Apply what has waited for a conversation that is known by now, and call foreign what has waited too long."""
    for row in _now_known():
        with transaction.atomic():
            locked = (
                Event.objects.select_for_update(of=("self",), skip_locked=True)
                .filter(pk=row, outcome=EventOutcome.WAITING)
                .select_related("delivery__installation")
                .first()
            )
            if locked is not None:
                apply_late(locked, now=now)
    _call_foreign(now)


def settle_held(*, now: datetime) -> None:
    """Apply what waits for nothing any more, and what has waited long enough."""
    for place in gaps.next_places(now=now, at_most=_MOST_HELD):
        with transaction.atomic():
            conversation = Conversation.objects.get(pk=place.conversation_id)
            lanes.lock_consumer(conversation.consumer_id)
            release_held(conversation, place.lp_dialog_id, due_by=place.heard_until, now=now)


def end_all(*, now: datetime) -> None:
    """
    Decide all that waits as if its time were over. After a restore, while no worker runs.

    What the site that was lost has applied and sent long ago must not be applied once somebody may send it.
    """
    Event.objects.filter(outcome=EventOutcome.WAITING).update(at=now - 2 * _FOREIGN_DESPITE_DOUBT)
    Held.objects.update(due_at=now)
    left = _count_waiting()
    while left:
        settle_waiting(now=now)
        settle_held(now=now)
        before, left = left, _count_waiting()
        if left >= before:
            raise RuntimeError(f"{left} events that wait cannot be decided.")


def _count_waiting() -> int:
    return Event.objects.filter(outcome=EventOutcome.WAITING).count() + Held.objects.count()


def has_waiting() -> bool:
    """Whether an event waits for anything."""
    return Event.objects.filter(outcome=EventOutcome.WAITING).exists() or Held.objects.exists()


def _now_known() -> list[uuid.UUID]:
    known = Event.objects.raw(
        """
        SELECT event.id FROM webhooks_event event
        JOIN conversations_conversation conversation
          ON conversation.account_id = event.account_id
         AND conversation.lp_conversation_id = event.lp_conversation_id
        WHERE event.outcome = 'WAITING' ORDER BY event.id LIMIT 200
        """
    )
    return [row.pk for row in known]


def _call_foreign(now: datetime) -> None:
    """Of what belongs to other connectors the digest, the size and the outcome stay; the body goes within a day."""
    with transaction.atomic():
        rows = Event.objects.filter(outcome=EventOutcome.WAITING, at__lt=now - FOREIGN_AFTER)
        rows = rows.exclude(account_id__in=accounts_that_may_open(), at__gte=now - _FOREIGN_DESPITE_DOUBT)
        delivery_ids = list(rows.values_list("delivery_id", flat=True)[:2000])
        if not delivery_ids:
            return
        rows.filter(delivery_id__in=delivery_ids).update(outcome=EventOutcome.FOREIGN, at=now)
        still_needed = Event.objects.filter(delivery_id__in=delivery_ids).exclude(outcome=EventOutcome.FOREIGN)
        kept = set(still_needed.values_list("delivery_id", flat=True))
        DeliveryBody.objects.filter(pk__in=set(delivery_ids) - kept).update(expires_on=now.date())
