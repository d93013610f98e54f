"""
Events that came before what was said before them: held for a while, where that has been of use lately.

Whether it is of use is learned for each app installation: LivePerson's numbers may skip events that we are not told of,
and then nobody would ever come. The truth is a row with a due time, so that it survives whoever waits.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import connection

from conversations import sequences
from conversations.models import Conversation
from core.events import ContentPublished, LivePersonEvent, RichContentPublished
from webhooks.models import Delivery, DeliveryState, Event, Held

LEAST_WAIT_S, MOST_WAIT_S = 5, 180

Place = tuple[uuid.UUID, str]  # a dialog: id of the conversation, LivePerson's id of the dialog


def is_shown(event: LivePersonEvent) -> bool:
    """Whether its place in its dialog matters to a reader: what an agent or a bot says."""
    return (
        isinstance(event, (ContentPublished, RichContentPublished))
        and event.sequence is not None
        and not event.is_from_consumer
    )


def are_turned(events: Sequence[LivePersonEvent]) -> bool:
    """Whether some of what arrived together, each for the first time, stands behind what was said after it."""
    highest: dict[str, int] = {}
    for event in events:
        if isinstance(event, (ContentPublished, RichContentPublished)) and event.sequence is not None:
            if event.sequence < highest.get(event.lp_dialog_id, -1):
                return True
            highest[event.lp_dialog_id] = event.sequence
    return False


def must_wait(conversation: Conversation, event: LivePersonEvent) -> bool:
    """Whether something that was said before it has not come."""
    if not isinstance(event, (ContentPublished, RichContentPublished)) or not is_shown(event):
        return False
    assert event.sequence is not None
    return sequences.has_gap_before(conversation, event.lp_dialog_id, event.sequence)


def held_for(
    row: Event, delivery: Delivery, conversation: Conversation, event: LivePersonEvent, *, wait_s: int
) -> Held:
    """
    The row by which an event waits; not stored yet.

    Its time counts from its arrival, not from when a worker came to it: see heard_until.
    """
    assert isinstance(event, (ContentPublished, RichContentPublished)) and event.sequence is not None
    return Held(
        event=row,
        conversation=conversation,
        lp_dialog_id=event.lp_dialog_id,
        sequence=event.sequence,
        since=delivery.received_at,
        due_at=delivery.received_at + timedelta(seconds=min(wait_s, MOST_WAIT_S)),
    )


def places_of_held(conversation_ids: Sequence[uuid.UUID]) -> set[Place]:
    """The dialogs of these conversations in which something is held."""
    return set(
        Held.objects.filter(conversation__in=conversation_ids).values_list("conversation_id", "lp_dialog_id").distinct()
    )


def heard_until(inbox_id: uuid.UUID, *, now: datetime) -> datetime:
    """
    The moment until when everything that arrived in an inbox has been applied; now, where nothing is left.

    What is missing may lie in a backlog that it takes minutes to apply. It has not come only when all that arrived in
    time has been looked at.
    """
    stored = Delivery.objects.filter(inbox_id=inbox_id, state=DeliveryState.STORED).order_by("id")
    return min(now, stored.values_list("received_at", flat=True).first() or now)


# Twice what the slowest of late took: many that are filled at once say nothing about one that is tried again later. It
# is forgotten when nothing has been filled for an hour.
_FILLED = """
    UPDATE webhooks_inbox SET gap_filled_at = now(), gaps_given_up = 0,
        gap_wait_s = LEAST(%s, GREATEST(%s, %s,
            CASE WHEN gap_filled_at > now() - interval '1 hour' THEN gap_wait_s ELSE 0 END))
    WHERE id = %s
"""


def learn_filled(delivery: Delivery, *, after_s: float) -> int:
    """What was missing has come after all, so long after it was missed. Returns how long to wait for such from now."""
    twice = min(MOST_WAIT_S, int(2 * after_s) + 1)
    if after_s > MOST_WAIT_S:
        return 0  # nobody would have waited for it
    with connection.cursor() as cursor:
        cursor.execute(_FILLED + " RETURNING gap_wait_s", [MOST_WAIT_S, LEAST_WAIT_S, twice, delivery.inbox_id])
        row = cursor.fetchone()
    return int(row[0]) if row else 0


def learn_in_vain(delivery: Delivery) -> None:
    """What was missing has not come."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE webhooks_inbox SET gaps_given_up = gaps_given_up + 1 WHERE id = %s", [delivery.inbox_id])
