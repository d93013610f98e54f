"""
Events that came before what was said before them: held for a while, where that has been of use lately.

Whether it is of use is learned for each app installation: LivePerson's numbers may skip events that we are not told of,
and then nobody would ever come. The truth is a row with a due time, so that it survives whoever waits.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection

from conversations import sequences
from conversations.models import Conversation
from core.events import ContentPublished, LivePersonEvent, RichContentPublished
from webhooks.models import Delivery, Event, Held

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

    Its time counts from its arrival, not from when a worker came to it: see Due.
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


@dataclass(frozen=True, kw_only=True)
class Due:
    """
    A dialog in which something is held.

    heard_until: the moment until when everything that arrived in its inbox has been applied; now, where nothing is
    left. What is missing may lie in a backlog that it takes minutes to apply. It has not come only when all that
    arrived in time has been looked at.
    """

    conversation_id: uuid.UUID
    lp_dialog_id: str
    heard_until: datetime


# First those whose time is over, all of which go; then the others, which an answer may have told what was missing. Of
# each the inboxes take turns, so that none stands behind the backlog of another. The inbox is asked for row by row,
# because a join may be planned as one of all events with all deliveries.
_NEXT = """
    WITH place AS MATERIALIZED (
        SELECT first.conversation_id, first.lp_dialog_id, first.due_at, (
            SELECT delivery.inbox_id FROM webhooks_event event
            JOIN webhooks_delivery delivery ON delivery.id = event.delivery_id WHERE event.id = first.event_id
        ) AS inbox_id
        FROM (SELECT DISTINCT ON (conversation_id, lp_dialog_id) conversation_id, lp_dialog_id, due_at, event_id
              FROM webhooks_held ORDER BY conversation_id, lp_dialog_id, due_at) first
    ), heard AS MATERIALIZED (
        SELECT inbox.inbox_id, LEAST(%(now)s, COALESCE(oldest.received_at, %(now)s)) AS until
        FROM (SELECT DISTINCT inbox_id FROM place) inbox
        LEFT JOIN LATERAL (
            SELECT stored.received_at FROM webhooks_delivery stored
            WHERE stored.inbox_id = inbox.inbox_id AND stored.state = 'STORED' ORDER BY stored.id LIMIT 1
        ) oldest ON true
    )
    SELECT place.conversation_id, place.lp_dialog_id, heard.until
    FROM place JOIN heard USING (inbox_id)
    ORDER BY place.due_at > heard.until,
        row_number() OVER (PARTITION BY inbox_id, place.due_at > heard.until ORDER BY place.due_at), place.due_at
    LIMIT %(at_most)s
"""


def next_places(*, now: datetime, at_most: int) -> list[Due]:
    """
    The dialogs whose held events are to be looked at now.

    Asked before any mutex is taken: what is applied meanwhile is taken for not heard yet.
    """
    with connection.cursor() as cursor:
        cursor.execute(_NEXT, {"now": now, "at_most": at_most})
        return [Due(conversation_id=row[0], lp_dialog_id=row[1], heard_until=row[2]) for row in cursor.fetchall()]


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
