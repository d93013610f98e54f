"""
How the newest part of a conversation stands: asked every other second by each page that follows one.

So in one statement, which walks indexes that begin with the conversation, the consumer or the message, and no further
than a page shows.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection

from conversations.models import Consumer, Conversation, Message
from core.ids import NO_ID

# A part that begins with it is the whole conversation.
BEGINNING = NO_ID
MOST_FOLLOWED = 100
_MOST_WAITING = 50
_MOST_SENDS = 300

# What was said here and LivePerson has not taken is in no conversation yet; it joins one when it is taken.
_LOOK = """
    WITH talk AS (
        SELECT *, (lpad(to_hex(floor(extract(epoch FROM opened_at) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid
                  AS first_id
        FROM conversations_conversation WHERE id = %(conversation)s),
    said AS (
        SELECT id FROM conversations_message WHERE conversation_id = %(conversation)s AND id >= %(since)s
        ORDER BY id DESC LIMIT %(most)s),
    sends AS (
        SELECT * FROM conversations_dispatch WHERE conversation_id = %(conversation)s AND id >= %(since)s
        ORDER BY id DESC LIMIT %(most_sends)s),
    waiting AS (
        SELECT message.id FROM conversations_message message, talk
        WHERE message.consumer_id = talk.consumer_id AND message.id >= GREATEST(talk.first_id, %(since)s)
          AND message.conversation_id IS NULL AND message.created_at < COALESCE(talk.closed_at, 'infinity')
        ORDER BY message.id DESC LIMIT %(most_waiting)s),
    tried AS (
        SELECT message.id FROM sends JOIN conversations_message message ON message.id = sends.message_id
        WHERE message.conversation_id IS NULL AND message.id >= %(since)s),
    shown AS (SELECT id FROM said UNION SELECT id FROM waiting UNION SELECT id FROM tried),
    typing AS (
        SELECT COALESCE((payload->>'on')::boolean AND expires_at > statement_timestamp(), false) AS is_on
        FROM sends WHERE kind = 'TYPING' AND direction = 'TO_CHANNEL' ORDER BY id DESC LIMIT 1),
    facts AS (
        SELECT message.id, concat_ws(' ', status, order_mark, error_code, removed_at, conversation_id) AS fact
        FROM conversations_message message WHERE id IN (SELECT id FROM shown)
        UNION ALL
        SELECT id, concat_ws(' ', state, step, attempt_count, next_attempt_at, resolution, possible_duplicate,
                             duplicate_seen_at, echo_sequence)
        FROM conversations_dispatch WHERE message_id IN (SELECT id FROM shown)
        UNION ALL
        SELECT id, concat_ws(' ', state, attempt_count, next_attempt_at) FROM sends
        WHERE message_id IS NULL AND (kind IN ('OPEN', 'CLOSE') OR state IN ('UNKNOWN', 'PARKED', 'DEAD', 'FAILED')))
    SELECT talk.brand_id, talk.lp_conversation_id, talk.consumer_id, talk.state, talk.opened_at, talk.closed_at,
           talk.close_reason, consumer.name, consumer.channel_consumer_id, consumer.is_typing,
           COALESCE((SELECT is_on FROM typing), false),
           ARRAY(SELECT id FROM shown ORDER BY id),
           md5(concat_ws('|', talk.state, talk.closed_at, consumer.is_typing, (SELECT is_on FROM typing),
                         (SELECT string_agg(id::text || ' ' || fact, '|' ORDER BY id) FROM facts)))
    FROM talk JOIN conversations_consumer consumer ON consumer.id = talk.consumer_id
"""


@dataclass(frozen=True, kw_only=True)
class Standing:
    """
    The newest part of a conversation at one moment.

    conversation: with what showing it needs, and no more. since: the id that the part begins with. shown: its messages,
    oldest first. version: differs as soon as something differs that the page shows.
    """

    conversation: Conversation
    since: uuid.UUID
    shown: Sequence[uuid.UUID]
    is_agent_typing: bool
    version: str

    @property
    def has_outgrown(self) -> bool:
        """Whether so much was said since that the page must begin anew."""
        return len(self.shown) >= MOST_FOLLOWED


def look(conversation_id: uuid.UUID, *, since: uuid.UUID) -> Standing | None:
    """How it stands from the message `since` on; None when there is no such conversation."""
    asked: dict[str, Any] = {
        "conversation": conversation_id,
        "since": since,
        "most": MOST_FOLLOWED,
        "most_waiting": _MOST_WAITING,
        "most_sends": _MOST_SENDS,
    }
    with connection.cursor() as cursor:
        cursor.execute(_LOOK, asked)
        row = cursor.fetchone()
    if row is None:
        return None
    (brand_id, lp_id, consumer_id, state, opened_at, closed_at, close_reason,
     name, number, is_typing, is_agent_typing, shown, version) = row  # fmt: skip
    consumer = Consumer(pk=consumer_id, brand_id=brand_id, name=name, channel_consumer_id=number, is_typing=is_typing)
    conversation = Conversation(
        pk=conversation_id, brand_id=brand_id, lp_conversation_id=lp_id, consumer=consumer, state=state,
        opened_at=opened_at, closed_at=closed_at, close_reason=close_reason,
    )  # fmt: skip
    return Standing(
        conversation=conversation, since=since, shown=shown, is_agent_typing=is_agent_typing, version=version
    )


def newest_part(conversation_id: uuid.UUID, *, of: int) -> uuid.UUID:
    """The message that the newest part begins with: so many messages, or all of a short conversation."""
    newest = Message.objects.filter(conversation_id=conversation_id).order_by("-id").values_list("pk", flat=True)
    edge = list(newest[of - 1 : of + 1])
    return edge[0] if len(edge) == 2 else BEGINNING


__all__ = ["BEGINNING", "MOST_FOLLOWED", "Standing", "look", "newest_part"]
