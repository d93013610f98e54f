"""
Events that wait: to see whose they are, until their conversation is known or they are foreign after a while; or for
what was said before them, until it has come or their time is over.

The consumer's mutex is taken before anything that waits: so whoever applies some of it applies all that stands before.
One that is in use at this moment is looked at next time: a worker that halts keeps nobody from the others.
"""

from __future__ import annotations

import time
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Exists, OuterRef

from conversations import lanes
from conversations.models import Conversation
from conversations.selectors import accounts_that_may_open
from webhooks import gaps, notified
from webhooks.models import DeliveryBody, Event, EventOutcome, Held

_MOST_HELD = 200  # looked at in one go
_LOOK_MAY_TAKE_S = 1.0
# An opening in doubt may have opened just the conversation that something waits for. Most are settled in minutes.
_FOREIGN_DESPITE_DOUBT = timedelta(minutes=15)


def settle_waiting(*, now: datetime) -> None:
    """Apply what has waited for a conversation that is known by now, and call foreign what has waited too long."""
    for conversation in _now_known():
        with transaction.atomic():
            if lanes.lock_consumer_if_free(conversation.consumer_id):
                notified.apply_waiting(conversation, now=now)
    _call_foreign(now)


def settle_held(*, now: datetime) -> None:
    """Apply what waits for nothing any more, and what has waited long enough; of much, as much as there is time for."""
    ends_at_s = time.monotonic() + _LOOK_MAY_TAKE_S
    for place in gaps.next_places(now=now, at_most=_MOST_HELD):
        while _set_some_free(place, now=now) and time.monotonic() < ends_at_s:
            pass
        if time.monotonic() >= ends_at_s:
            return


def _set_some_free(place: gaps.Due, *, now: datetime) -> bool:
    """Whether there is more of it."""
    with transaction.atomic():
        conversation = Conversation.objects.get(pk=place.conversation_id)
        if not lanes.lock_consumer_if_free(conversation.consumer_id):
            return False
        freed = notified.release_held(
            conversation, place.lp_dialog_id, due_by=place.heard_until, now=now, at_most=notified.MOST_SET_FREE
        )
        return freed.has_more


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


def _now_known() -> list[Conversation]:
    """For which something has waited, the longest wait first."""
    known = Conversation.objects.raw(
        """
        SELECT conversation.* FROM webhooks_event event
        JOIN conversations_conversation conversation
          ON conversation.account_id = event.account_id
         AND conversation.lp_conversation_id = event.lp_conversation_id
        WHERE event.outcome = 'WAITING' ORDER BY event.id LIMIT 200
        """
    )
    return list(dict.fromkeys(known))


def _call_foreign(now: datetime) -> None:
    """Of what belongs to other connectors the digest, the size and the outcome stay; the body goes within a day."""
    with transaction.atomic():
        rows = Event.objects.filter(outcome=EventOutcome.WAITING, at__lt=now - notified.FOREIGN_AFTER)
        rows = rows.exclude(account_id__in=accounts_that_may_open(), at__gte=now - _FOREIGN_DESPITE_DOUBT)
        known = Conversation.objects.filter(
            account_id=OuterRef("account_id"), lp_conversation_id=OuterRef("lp_conversation_id")
        )
        # What somebody is about to apply is left to them: nobody waits here for anybody. With the events their
        # deliveries are locked; two that each had a part of one would both keep its body for the other's sake.
        free = rows.exclude(Exists(known)).select_for_update(no_key=True, skip_locked=True)
        chosen = {pk: owner for pk, owner, _ in free.values_list("pk", "delivery_id", "delivery__state")[:2000]}
        if not chosen:
            return
        Event.objects.filter(pk__in=chosen).update(outcome=EventOutcome.FOREIGN, at=now)
        still_needed = Event.objects.filter(delivery_id__in=set(chosen.values())).exclude(outcome=EventOutcome.FOREIGN)
        kept = set(still_needed.values_list("delivery_id", flat=True))
        DeliveryBody.objects.filter(pk__in=set(chosen.values()) - kept).update(expires_on=now.date())
