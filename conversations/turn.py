"""
One turn of a worker: everything it reads and writes in one transaction, gathered so that it goes out in few statements.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import connection

from conversations import lanes
from conversations.models import (
    ConsumerToken,
    Conversation,
    ConversationState,
    Dialog,
    Dispatch,
    Message,
)
from conversations.models.messages import STATUS_RANK
from core.encryption import SealBroken
from core.ids import new_id
from installations.breakers import BreakerDesk
from installations.pause_desk import PauseDesk

_SAVE_DISPATCH = """
    UPDATE conversations_dispatch SET state = %s, step = %s, attempt_count = %s, next_attempt_at = %s, progress = %s,
        conversation_id = %s, lp_dialog_id = %s, lp_sequence = %s, provider_ids = %s, error_code = %s,
        error_detail = %s, resolution = %s, sequence_before = %s, unknown_at = %s, possible_duplicate = %s,
        finished_at = %s
    WHERE id = %s
"""
_START_ATTEMPT = """
    INSERT INTO conversations_attempt (id, brand_id, dispatch_id, step, fence, started_at, outcome, error_code,
        provider_code, detail, answer_head)
    VALUES (%s, %s, %s, %s, %s, %s, '', '', '', '', '')
"""
_FINISH_ATTEMPT = """
    UPDATE conversations_attempt SET finished_at = %s, outcome = %s, error_code = %s, http_status = %s,
        provider_code = %s, detail = %s, answer_head = %s, elapsed_ms = %s
    WHERE id = %s
"""
_STATUS_ORDER = sorted(STATUS_RANK, key=lambda status: STATUS_RANK[status])
_SAVE_MESSAGE = """
    UPDATE conversations_message SET
        status = CASE
            WHEN status IN ('FAILED', 'EXPIRED')
                OR array_position(%s::varchar[], status) >= array_position(%s::varchar[], %s) THEN status
            ELSE %s END,
        error_code = %s, conversation_id = %s, lp_dialog_id = %s, lp_sequence = %s,
        delivered_at = COALESCE(delivered_at, %s)
    WHERE id = %s
"""
_RAISE_SEQUENCE = """
    UPDATE conversations_dialog SET last_sequence = GREATEST(last_sequence, %s)
    WHERE conversation_id = %s AND lp_dialog_id = %s
"""


# (consumer id, installation id) -> ConsumerJWS
ConsumerTokens = dict[tuple[uuid.UUID, uuid.UUID], str]


@dataclass
class OpenConversation:
    """A conversation that is not closed, with its dialogs."""

    row: Conversation
    dialogs: list[Dialog] = field(default_factory=list)

    @property
    def dialog_id(self) -> str:
        """Where a consumer's words go: after the main dialog has closed, into the open survey."""
        if self.row.state == ConversationState.SURVEY:
            for dialog in self.dialogs:
                if dialog.type == "POST_SURVEY" and dialog.is_open:
                    return dialog.lp_dialog_id
        return self.row.lp_conversation_id

    def last_sequence(self, lp_dialog_id: str) -> int:
        """Highest sequence seen in a dialog; -1 when none."""
        return max((d.last_sequence for d in self.dialogs if d.lp_dialog_id == lp_dialog_id), default=-1)


class Turn:
    """
    Collects changes of one transaction. The mutexes of all consumers it touches are held.

    now: the database's clock, the same for the whole turn.
    """

    def __init__(
        self,
        *,
        now: datetime,
        consumer_tokens: ConsumerTokens | None = None,
        breakers: BreakerDesk | None = None,
        pauses: PauseDesk | None = None,
    ) -> None:
        """consumer_tokens, breakers, pauses: what the worker knows already; what is read is added."""
        self.now = now
        self.breakers = breakers or BreakerDesk()
        self.pauses = pauses or PauseDesk()
        self._tokens = {} if consumer_tokens is None else consumer_tokens
        self._dispatches: dict[uuid.UUID, Dispatch] = {}
        self._messages: dict[uuid.UUID, Message] = {}
        self._finished: list[tuple[Any, ...]] = []
        self._sequences: list[tuple[Any, ...]] = []
        self._attempts: list[tuple[Any, ...]] = []
        self._releases: list[tuple[uuid.UUID, datetime | None, str]] = []
        self._extended: list[uuid.UUID] = []
        self._conversations: dict[uuid.UUID, OpenConversation | None] = {}

    # What is known of the consumers of this turn

    def read_consumers(self, consumer_ids: Iterable[uuid.UUID]) -> None:
        """Read the open conversations and the tokens of many consumers at once."""
        wanted = [consumer_id for consumer_id in consumer_ids if consumer_id not in self._conversations]
        if not wanted:
            return
        self._conversations.update(dict.fromkeys(wanted))
        dialogs = Dialog.objects.filter(conversation__consumer_id__in=wanted).exclude(
            conversation__state=ConversationState.CLOSED
        )
        for dialog in dialogs.select_related("conversation"):
            known = self._conversations[dialog.conversation.consumer_id]
            if known is None:
                known = self._conversations[dialog.conversation.consumer_id] = OpenConversation(dialog.conversation)
            known.dialogs.append(dialog)
        unidentified = set(wanted) - {consumer_id for consumer_id, _ in self._tokens}
        if unidentified:
            for token in ConsumerToken.objects.filter(consumer_id__in=unidentified):
                try:
                    self._tokens[token.consumer_id, token.installation_id] = token.reveal()
                except SealBroken:
                    pass  # its key is gone or it was tampered with: a fresh one costs one call

    def open_conversation_of(self, consumer_id: uuid.UUID) -> OpenConversation | None:
        """The conversation of a consumer that is not closed."""
        return self._conversations[consumer_id]

    def consumer_token(self, consumer_id: uuid.UUID, installation_id: uuid.UUID) -> str:
        """The consumer's token for an installation; empty when there is none yet."""
        return self._tokens.get((consumer_id, installation_id), "")

    def know_token(self, consumer_id: uuid.UUID, installation_id: uuid.UUID, token: str) -> None:
        """A token that was just fetched. What is known of a consumer is not read again."""
        self._tokens[consumer_id, installation_id] = token

    # Changes

    def save(self, dispatch: Dispatch) -> None:
        self._dispatches[dispatch.pk] = dispatch

    def save_message(self, message: Message) -> None:
        self._messages[message.pk] = message

    def finish_attempt(self, attempt_id: uuid.UUID, values: tuple[Any, ...]) -> None:
        """values: outcome, error_code, http_status, provider_code, detail, answer_head, elapsed_ms."""
        self._finished.append((self.now, *values, attempt_id))

    def raise_sequence(self, *, conversation_id: uuid.UUID, lp_dialog_id: str, sequence: int) -> None:
        """A sequence was seen in a dialog."""
        self._sequences.append((sequence, conversation_id, lp_dialog_id))

    def start_attempt(self, dispatch: Dispatch, *, fence: int) -> uuid.UUID:
        """A try of a dispatch's current step begins as soon as this transaction has committed. Returns its id."""
        attempt_id = new_id()
        self._attempts.append((attempt_id, dispatch.brand_id, dispatch.pk, dispatch.step, fence, self.now))
        return attempt_id

    def extend(self, lane_id: uuid.UUID) -> None:
        self._extended.append(lane_id)

    def release(self, lane_id: uuid.UUID, *, due_at: datetime | None, blocked_by: str = "") -> None:
        self._releases.append((lane_id, due_at, blocked_by))

    def flush(self) -> None:
        """Write what was collected so far."""
        with connection.cursor() as cursor:
            if self._finished:
                cursor.executemany(_FINISH_ATTEMPT, self._finished)
            if self._dispatches:
                cursor.executemany(_SAVE_DISPATCH, [_dispatch_values(d) for d in self._dispatches.values()])
            if self._messages:
                cursor.executemany(_SAVE_MESSAGE, [_message_values(m) for m in self._messages.values()])
            if self._sequences:
                cursor.executemany(_RAISE_SEQUENCE, self._sequences)
            if self._attempts:
                cursor.executemany(_START_ATTEMPT, self._attempts)
        lanes.extend(self._extended)
        lanes.release(self._releases)
        self._dispatches, self._messages, self._finished, self._sequences = {}, {}, [], []
        self._attempts, self._extended, self._releases = [], [], []
        self._conversations = {}


def _dispatch_values(d: Dispatch) -> tuple[Any, ...]:
    return (
        d.state, d.step, d.attempt_count, d.next_attempt_at, json.dumps(d.progress),
        d.conversation_id, d.lp_dialog_id, d.lp_sequence, json.dumps(d.provider_ids), d.error_code[:64],
        d.error_detail[:500], d.resolution, d.sequence_before, d.unknown_at, d.possible_duplicate,
        d.finished_at, d.pk,
    )  # fmt: skip


def _message_values(m: Message) -> tuple[Any, ...]:
    # A receipt may have raised the message while its last part was on its way.
    return (
        _STATUS_ORDER,
        _STATUS_ORDER,
        m.status,
        m.status,
        m.error_code[:64],
        m.conversation_id,
        m.lp_dialog_id,
        m.lp_sequence,
        m.delivered_at,
        m.pk,
    )
