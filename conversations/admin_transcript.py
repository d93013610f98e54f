"""
A conversation as a person reads it: who said what, what became of it, and behind each message every try to carry it.

Reads a fixed number of statements, however long the conversation is; a long one is shown in parts, newest first.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import date, datetime

from django.db.models import Prefetch, Q

from access.admin_base import id_in
from conversations.admin_messages import Said, said, with_everything
from conversations.admin_sends import Sent, sent_of, tone_of
from conversations.models import (
    Attempt,
    Conversation,
    Direction,
    Dispatch,
    DispatchKind,
    DispatchState,
    Message,
)
from conversations.selectors import TROUBLED_STATES

PART = 200
_MOST_WAITING = 50
_MOST_LINES = 100
_CLOSERS = {
    "AGENT": "the agent",
    "CONSUMER": "the consumer",
    "SYSTEM": "LivePerson",
    "TIMEOUT": "LivePerson, after a time without messages",
    "SUPERSEDED": "LivePerson: the consumer has a newer one",
    "FOUND_CLOSED": "the other side: LivePerson said so when the next message came",
}


@dataclass(frozen=True, kw_only=True)
class Line:
    """Something that happened between the messages."""

    at: datetime
    text: str
    tone: str = "plain"
    sent: Sent | None = None
    is_line: bool = True


@dataclass(kw_only=True)
class Day:
    """What happened on one day, in its order."""

    date: date
    entries: list[Said | Line] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Transcript:
    """days: oldest first. older_than: id to ask for the part before this one; None at the beginning."""

    days: list[Day]
    older_than: uuid.UUID | None
    is_newest: bool


def transcript_of(conversation: Conversation, *, before: str = "", today: date) -> Transcript:
    """A part of a conversation: the newest, or that before a message."""
    until = id_in(before)
    rows = with_everything(Message.objects.filter(conversation=conversation))
    page = list((rows.filter(pk__lt=until) if until else rows).order_by("-id")[: PART + 1])
    older_than = page[PART - 1].pk if len(page) > PART else None
    page = page[:PART]
    entries: list[Said | Line] = [said(message, today=today) for message in page]
    if until is None:
        entries += [said(message, today=today) for message in _waiting_for(conversation)]
    first_at = min((entry.at for entry in entries), default=None) if older_than else None
    last_at = max((entry.at for entry in entries), default=None) if until else None
    entries += [
        line
        for line in _lines(conversation)
        if (first_at is None or line.at >= first_at) and (last_at is None or line.at <= last_at)
    ]
    return Transcript(days=_by_day(entries), older_than=older_than, is_newest=until is None)


def _waiting_for(conversation: Conversation) -> list[Message]:
    """
    What the consumer said in this conversation and LivePerson has not taken: a message joins it when it is taken.
    """
    said_meanwhile = Q(created_at__gte=conversation.opened_at)
    if conversation.closed_at is not None:
        said_meanwhile &= Q(created_at__lt=conversation.closed_at)
    rows = Message.objects.filter(consumer_id=conversation.consumer_id, conversation=None).filter(
        said_meanwhile | Q(pk__in=Dispatch.objects.filter(conversation=conversation).values("message_id"))
    )
    return list(with_everything(rows).order_by("-id")[:_MOST_WAITING])


def _lines(conversation: Conversation) -> list[Line]:
    """Opened, closed, and sends without a message that the reader should know of."""
    worth_telling = Q(kind__in=(DispatchKind.OPEN, DispatchKind.CLOSE)) | Q(state__in=TROUBLED_STATES)
    rows = list(
        Dispatch.objects.filter(worth_telling, conversation=conversation, message=None)
        .select_related("lane")
        .prefetch_related(Prefetch("attempts", queryset=Attempt.objects.order_by("id")))
        .order_by("-id")[:_MOST_LINES]
    )
    opening = next((row for row in rows if row.kind == DispatchKind.OPEN), None)
    lines = [
        Line(at=conversation.opened_at, text="Conversation opened", sent=sent_of(opening) if opening else None),
        *(_line_of(row) for row in rows if row is not opening),
    ]
    if conversation.closed_at is not None:
        closer = _CLOSERS.get(conversation.close_reason, conversation.close_reason.replace("_", " ").lower())
        lines.append(Line(at=conversation.closed_at, text=f"Conversation closed{f' by {closer}' if closer else ''}"))
    return lines


def _line_of(dispatch: Dispatch) -> Line:
    to = "LivePerson" if dispatch.direction == Direction.TO_LIVEPERSON else "the channel"
    what = {
        DispatchKind.OPEN: "Opening another conversation",
        DispatchKind.CLOSE: "LivePerson asked to close" if to == "LivePerson" else "Channel told that it is closed",
        DispatchKind.RECEIPT: f"Receipt to {to}",
        DispatchKind.PROFILE: "Consumer's profile to LivePerson",
        DispatchKind.TYPING: f"Typing to {to}",
    }.get(DispatchKind(dispatch.kind), dispatch.get_kind_display())
    state = "" if dispatch.state == DispatchState.SENT else f": {dispatch.get_state_display().lower()}"
    return Line(at=dispatch.created_at, text=what + state, tone=tone_of(dispatch.state), sent=sent_of(dispatch))


def _by_day(entries: list[Said | Line]) -> list[Day]:
    days: list[Day] = []
    for entry in sorted(entries, key=lambda one: one.at):
        if not days or days[-1].date != entry.at.date():
            days.append(Day(date=entry.at.date()))
        days[-1].entries.append(entry)
    return days
