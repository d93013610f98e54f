"""
One consumer erased everywhere: what was said, who said it, and what was still to be sent.

The person goes at once, in one transaction that holds nothing but this consumer, and the words of most people with it.
Who has said more is emptied in batches after it, and what has to be looked for in the inbox comes last
(webhooks.erasure). The facts stay: that there were messages, when, what became of them, and that somebody erased this
person, and why. A message that the same person writes later begins a new consumer.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from django.db.models import F
from django.dispatch import Signal
from django.utils import timezone

from access.models import Brand
from audit import api as audit
from conversations import lanes, life
from conversations.models import (
    Consumer,
    ConsumerToken,
    Conversation,
    ConversationState,
    Dialog,
    Dispatch,
    DispatchState,
    Erasure,
    Lane,
    MediaFile,
    Message,
    MessageContent,
)
from conversations.services.retention import BATCH, DELETE_FILES_OF_MESSAGES, remove_bytes
from core.actor import Actor
from core.ids import first_id_at
from installations import pausing
from installations.models import State

# Sent in the transaction of the erasure: erasure, traces, now, message_ids: whose words went already, and words: what
# the person is called.
consumer_erased = Signal()

# No channel's prefix looks like this one.
_ERASED_ID = "ERASED:{}"
_TO_BE_SENT = (DispatchState.QUEUED, DispatchState.SENDING, DispatchState.UNKNOWN, DispatchState.PARKED)
# LivePerson repeats a notification for three days; our row may be that much younger than what brought it.
_BEFORE_WE_KNEW = timedelta(days=3, hours=1)
_MOST_NAMED = 200


class RemovalRefused(Exception):
    """It cannot be erased as things stand; the text says why, and what to do."""


@dataclass(frozen=True, kw_only=True)
class Traces:
    """
    By what a consumer is found in text.

    person: ids by which the channel and LivePerson know them. conversations: LivePerson's ids of what they said.
    """

    person: tuple[str, ...]
    conversations: tuple[str, ...]

    def as_bytes(self) -> bytes:
        return json.dumps([self.person, self.conversations]).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Traces:
        person, conversations = json.loads(data)
        return cls(person=tuple(person), conversations=tuple(conversations))


@dataclass(frozen=True, kw_only=True)
class Preview:
    """What an erasure would touch, for the person who is asked."""

    messages: int
    files: int
    to_be_sent: int
    conversations: int
    obstacle: str


def preview(consumer: Consumer) -> Preview:
    """Look at what would go, and at what stands against it."""
    return Preview(
        messages=MessageContent.objects.filter(message__consumer=consumer).count(),
        files=MediaFile.objects.filter(message__consumer=consumer).count(),
        to_be_sent=Dispatch.objects.filter(lane__consumer=consumer, state__in=_TO_BE_SENT).count(),
        conversations=Conversation.objects.filter(consumer=consumer).count(),
        obstacle=_obstacle(consumer, consumer.brand),
    )


@transaction.atomic
def erase_consumer(*, consumer_id: uuid.UUID, actor: Actor, reason: str) -> Erasure:
    """Erase a person. Raises RemovalRefused."""
    now = timezone.now()
    consumer = lanes.lock_consumer(consumer_id)
    # Shared: a hold that somebody is putting on the brand at this moment comes before or after, not in between.
    brand = Brand.objects.raw("SELECT * FROM access_brand WHERE id = %s FOR SHARE", [consumer.brand_id])[0]
    if obstacle := _obstacle(consumer, brand):
        raise RemovalRefused(obstacle)
    words = [word for word in (consumer.name, *_ids_of(consumer)) if word]
    if audit.names_any(reason, words):
        raise RemovalRefused("Leave the name and the ids of the consumer out of the reason: it stays in the trail.")
    messages = Message.objects.filter(consumer=consumer).count()
    traces = traces_of(consumer)
    dropped = _stop_sending(consumer, now)
    pausing.forget_person(consumer, words=words, actor=actor)
    erasure = _begun(consumer, traces, now)
    erasure.count(masked_in_trail=_mask_trail(consumer, words))
    # Those of most people at once. Who has said more than that is emptied batch by batch, by whoever goes on.
    message_ids = remove_words(erasure, now=now)
    erasure.save(force_insert=True)
    told = {"erasure": erasure, "traces": traces, "message_ids": message_ids or [], "words": words, "now": now}
    consumer_erased.send(sender=Consumer, **told)
    _empty(consumer, now)
    dropped_ids = [str(one) for one in dropped[:_MOST_NAMED]]
    audit.record(
        "consumer.erased",
        actor=actor,
        subject=consumer.nameless,
        data={"messages": messages, "dropped": len(dropped), "dropped_ids": dropped_ids},
        reason=reason,
    )
    return erasure


class _Held(Protocol):
    held_at: datetime | None


def _obstacle(consumer: Consumer, brand: Brand) -> str:
    """Why this consumer cannot be erased now; "" when nothing stands against it."""
    if consumer.erased_at is not None:
        return "This consumer has been erased already."
    held: tuple[tuple[str, _Held], ...] = (("brand", brand), ("consumer", consumer))
    for what, row in held:
        if row.held_at is not None:
            return f"A legal hold stands on this {what} since {row.held_at:%Y-%m-%d}. Have it lifted first."
    opened = (
        Conversation.objects.filter(consumer=consumer)
        .exclude(state=ConversationState.CLOSED)
        .select_related("installation", "channel")
        .first()
    )
    # Paused or disabled: nobody can ask LivePerson to close it, and it says nothing to the consumer any more.
    if opened is None or (opened.installation.state, opened.channel.state) != (State.ACTIVE, State.ACTIVE):
        return ""
    return (
        "A conversation is open at LivePerson: what is said in it after the erasure would be a stranger's. Ask "
        "LivePerson to close it (the button stands on the conversation's page), and erase once it is closed."
    )


def _ids_of(consumer: Consumer) -> tuple[str, ...]:
    known = (consumer.channel_consumer_id, consumer.ext_consumer_id, consumer.lp_consumer_id)
    return tuple(one for one in known if one)


def traces_of(consumer: Consumer) -> Traces:
    """By what this consumer is found in text."""
    conversations = Conversation.objects.filter(consumer=consumer).values_list("lp_conversation_id", flat=True)
    dialogs = Dialog.objects.filter(conversation__consumer=consumer).values_list("lp_dialog_id", flat=True)
    return Traces(person=_ids_of(consumer), conversations=tuple(sorted({*conversations, *dialogs})))


# --- sending ---------------------------------------------------------------------------------------------------------

_END_ATTEMPTS = """
    UPDATE conversations_attempt attempt SET finished_at = %s, outcome = 'UNANSWERED', error_code = 'erased'
    FROM conversations_dispatch dispatch
    WHERE dispatch.id = attempt.dispatch_id AND dispatch.consumer_id = %s AND attempt.finished_at IS NULL
"""


def _stop_sending(consumer: Consumer, now: datetime) -> list[uuid.UUID]:
    """
    Drop what is still to be sent, and take the lanes away from whoever is sending: under an old fence a result that
    comes late is kept with its attempt and brings nothing back.
    """
    waiting = Dispatch.objects.filter(lane__consumer=consumer, state__in=_TO_BE_SENT)
    ids = list(waiting.order_by("id").values_list("pk", flat=True))
    Dispatch.objects.filter(pk__in=ids).update(
        state=DispatchState.DROPPED, resolution="erasure", error_code="erased", finished_at=now, next_attempt_at=None
    )
    with connection.cursor() as cursor:
        cursor.execute(_END_ATTEMPTS, [now, consumer.pk])
    Message.objects.filter(consumer=consumer, status="QUEUED").update(status="FAILED", error_code="erased")
    Lane.objects.filter(consumer=consumer).update(
        fence=F("fence") + 1, leased_until=None, due_at=None, blocked_by="", held_at=None
    )
    ConsumerToken.objects.filter(consumer=consumer).delete()
    for conversation in Conversation.objects.filter(consumer=consumer).exclude(state=ConversationState.CLOSED):
        life.close_locally(conversation, at=now, reason="ERASED")
    return ids


# --- words -----------------------------------------------------------------------------------------------------------

_NEXT_MESSAGES = """
    SELECT id FROM conversations_message WHERE consumer_id = %s AND id > %s ORDER BY id LIMIT %s
"""
_DELETE_CONTENTS = "DELETE FROM conversations_messagecontent WHERE message_id = ANY(%s) RETURNING message_id"
# A provider's id of a message may hold the number that it went to.
_MARK_MESSAGES = """
    UPDATE conversations_message SET channel_message_id = '',
        removed_at = CASE WHEN id = ANY(%s) THEN %s ELSE removed_at END,
        removed_by = CASE WHEN id = ANY(%s) THEN 'ERASURE' ELSE removed_by END
    WHERE id = ANY(%s)
"""
# What may stay of a payload are numbers: which part of how many.
_KEPT = "('part', 'of', 'attachment', 'on', 'status', 'sequences')"
_NEXT_DISPATCHES = f"""
    SELECT dispatch.id FROM conversations_dispatch dispatch
    WHERE dispatch.consumer_id = %s AND dispatch.message_id IS NULL
      AND (dispatch.progress <> '{{}}' OR dispatch.provider_ids <> '[]' OR dispatch.content_digest IS NOT NULL
           OR dispatch.error_detail <> ''
           OR EXISTS (SELECT 1 FROM jsonb_object_keys(dispatch.payload) AS key WHERE key NOT IN {_KEPT})
           OR EXISTS (SELECT 1 FROM conversations_attempt attempt
                      WHERE attempt.dispatch_id = dispatch.id AND attempt.answer_head || attempt.detail <> ''))
    LIMIT %s
"""  # noqa: S608 -- constants of ours
_DISPATCHES_OF_MESSAGES = "SELECT id FROM conversations_dispatch WHERE message_id = ANY(%s)"
# A digest of a few words can be guessed.
_CLEAR_DISPATCHES = f"""
    UPDATE conversations_dispatch dispatch
    SET payload = COALESCE((SELECT jsonb_object_agg(key, value) FROM jsonb_each(dispatch.payload)
                            WHERE key IN {_KEPT}), '{{}}'),
        progress = '{{}}', provider_ids = '[]', content_digest = NULL, error_detail = ''
    WHERE id = ANY(%s)
"""  # noqa: S608 -- constants of ours
_CLEAR_ATTEMPTS = """
    UPDATE conversations_attempt SET answer_head = '', detail = ''
    WHERE dispatch_id = ANY(%s) AND answer_head || detail <> ''
"""


def remove_words(erasure: Erasure, *, now: datetime) -> list[uuid.UUID] | None:
    """
    Remove what some of the messages said, and what was sent for them; None when nothing is left.

    Returns the messages, in the caller's transaction. The row of the erasure is not saved by this.
    """
    with connection.cursor() as cursor:
        cursor.execute(_NEXT_MESSAGES, [erasure.consumer_id, erasure.words_to, BATCH])
        message_ids = [message_id for (message_id,) in cursor.fetchall()]
        if message_ids:
            erasure.words_to = message_ids[-1]
            _remove_words_of(cursor, erasure, message_ids, now)
            cursor.execute(_DISPATCHES_OF_MESSAGES, [message_ids])
        else:
            cursor.execute(_NEXT_DISPATCHES, [erasure.consumer_id, BATCH])
        dispatch_ids = [dispatch_id for (dispatch_id,) in cursor.fetchall()]
        cursor.execute(_CLEAR_DISPATCHES, [dispatch_ids])
        cursor.execute(_CLEAR_ATTEMPTS, [dispatch_ids])
    return message_ids if message_ids or dispatch_ids else None


def _remove_words_of(cursor: CursorWrapper, erasure: Erasure, message_ids: list[uuid.UUID], now: datetime) -> None:
    cursor.execute(_DELETE_CONTENTS, [message_ids])
    gone = [message_id for (message_id,) in cursor.fetchall()]
    cursor.execute(DELETE_FILES_OF_MESSAGES, [message_ids])
    file_ids = [file_id for file_id, _ in cursor.fetchall()]
    cursor.execute(_MARK_MESSAGES, [gone, now, gone, message_ids])
    erasure.count(message_contents=len(gone), files=len(file_ids))
    transaction.on_commit(lambda: remove_bytes(file_ids))


# --- person ----------------------------------------------------------------------------------------------------------


def _mask_trail(consumer: Consumer, words: Iterable[str]) -> int:
    """Reasons are written by people, who may have named the person."""
    subjects: dict[str, Any] = {
        "consumer": [consumer.pk],
        "conversation": Conversation.objects.filter(consumer=consumer).values_list("pk", flat=True),
        "dispatch": Dispatch.objects.filter(consumer=consumer).values_list("pk", flat=True),
        "lane": Lane.objects.filter(consumer=consumer).values_list("pk", flat=True),
    }
    return sum(
        audit.mask(subject_type=kind, subject_ids=[str(one) for one in ids], words=words)
        for kind, ids in subjects.items()
    )


def _begun(consumer: Consumer, traces: Traces, now: datetime) -> Erasure:
    """The row is not saved by this."""
    first_said = Message.objects.filter(consumer=consumer).order_by("created_at").values_list("created_at", flat=True)
    known_since = min([consumer.created_at, *first_said[:1]])
    erasure = Erasure(consumer=consumer, begun_at=now, swept_to=first_id_at(known_since - _BEFORE_WE_KNEW))
    erasure.keep(traces.as_bytes())
    return erasure


def _empty(consumer: Consumer, now: datetime) -> None:
    """The keyed hash stays: whoever asks later whether this person was erased is told."""
    consumer.ext_consumer_id = _ERASED_ID.format(consumer.pk)
    consumer.channel_consumer_id = consumer.lp_consumer_id = consumer.name = ""
    consumer.profile = {}
    consumer.is_typing = False
    # The reason may name the person, and nobody is left to be blocked.
    consumer.blocked_at, consumer.blocked_by, consumer.block_reason = None, "", ""
    consumer.erased_at = now
    consumer.save()


__all__ = [
    "Preview",
    "RemovalRefused",
    "Traces",
    "consumer_erased",
    "erase_consumer",
    "preview",
    "remove_words",
    "traces_of",
]
