"""
A conversation as a person reads it: who said what, and what became of it.

Reads a fixed number of statements, however long the conversation is; a long one is shown in parts, newest first. The
end of the newest part is what a page follows.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from django.db.models import Q, QuerySet

from conversations.admin_messages import Said, attach_sends, said, with_everything, with_words
from conversations.admin_sends import Sent, sent_of, tone_of
from conversations.models import Conversation, Direction, Dispatch, DispatchKind, DispatchState, Message
from conversations.selectors import TROUBLED_STATES
from conversations.standing import BEGINNING, Standing, look, newest_part
from core.ids import id_in, made_at

PART = 100
# Of these the end that is asked for again and again; what stands above it is read once.
FOLLOWED = 30
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
    """What happened on one day, in its order. is_begun: the part above has shown its date."""

    date: date
    entries: list[Said | Line] = field(default_factory=list)
    is_begun: bool = False


@dataclass(frozen=True, kw_only=True)
class Transcript:
    """
    days: oldest first. older_than: id to ask for the part before this one; None at the beginning.

    live: the newest messages, which a page may follow; None in an older part.
    """

    days: list[Day]
    older_than: uuid.UUID | None
    live: Live | None


@dataclass(frozen=True, kw_only=True)
class Live:
    """The newest part, as it stands. typing: who types at this moment."""

    days: list[Day]
    standing: Standing
    typing: list[str]


def transcript_of(conversation: Conversation, *, before: str = "", today: date) -> Transcript:
    """A part of a conversation: the newest, or that before a message."""
    until = id_in(before)
    if until is not None:
        days, older_than = _part(conversation, until=until, size=PART, today=today)
        return Transcript(days=days, older_than=older_than, live=None)
    since = newest_part(conversation.pk, of=FOLLOWED)
    standing = look(conversation.pk, since=since)
    assert standing is not None
    days, older_than = [], None
    if since != BEGINNING:
        days, older_than = _part(conversation, until=since, size=PART - FOLLOWED, today=today)
    return Transcript(days=days, older_than=older_than, live=live_of(standing, today=today, after=days))


def live_of(standing: Standing, *, today: date, after: Sequence[Day] = ()) -> Live:
    """
    The newest part made ready for the page. after: the days shown above it.

    Two statements: the messages, and everything sent for them or between them.
    """
    conversation, is_whole = standing.conversation, standing.since == BEGINNING
    messages = list(with_words(Message.objects.filter(pk__in=standing.shown)).order_by("id"))
    between = _worth_telling(conversation) & Q(pk__gte=standing.since)
    rows = list(Dispatch.objects.filter(Q(message_id__in=standing.shown) | between).order_by("position"))
    attach_sends(messages, rows)
    entries: list[Said | Line] = [said(message, today=today) for message in messages]
    first_at = min((entry.at for entry in entries), default=None)
    lines = _lines(conversation, [row for row in rows if row.message_id is None])
    entries += [line for line in lines if is_whole or first_at is None or line.at >= first_at]
    days = _by_day(entries)
    if days and after:
        days[0].is_begun = after[-1].date == days[0].date
    consumer = conversation.consumer
    typing = [str(consumer)] if consumer.is_typing and conversation.is_open else []
    return Live(days=days, standing=standing, typing=typing + ["The agent"] * standing.is_agent_typing)


def _part(
    conversation: Conversation, *, until: uuid.UUID, size: int, today: date
) -> tuple[list[Day], uuid.UUID | None]:
    """So many messages before one of them; and the id to ask for those before."""
    rows = with_everything(Message.objects.filter(conversation=conversation, pk__lt=until))
    page = list(rows.order_by("-id")[: size + 1])
    older_than = page[size - 1].pk if len(page) > size else None
    page = page[:size]
    since = page[-1].pk if older_than else BEGINNING
    page += _waiting_for(conversation, since=since, until=until)
    entries: list[Said | Line] = [said(message, today=today) for message in page]
    lines = _lines(conversation, list(_sends_between(conversation)))
    begin, end = made_at(since) if older_than else None, made_at(until)
    entries += [line for line in lines if (begin is None or line.at >= begin) and (end is None or line.at < end)]
    return _by_day(entries), older_than


def _waiting_for(conversation: Conversation, *, since: uuid.UUID, until: uuid.UUID) -> list[Message]:
    """
    What the consumer said in this conversation and LivePerson has not taken: a message joins it when it is taken.
    """
    said_meanwhile = Q(created_at__gte=conversation.opened_at)
    if conversation.closed_at is not None:
        said_meanwhile &= Q(created_at__lt=conversation.closed_at)
    rows = Message.objects.filter(
        consumer_id=conversation.consumer_id, conversation=None, pk__gte=since, pk__lt=until
    ).filter(said_meanwhile | Q(pk__in=Dispatch.objects.filter(conversation=conversation).values("message_id")))
    return list(with_everything(rows).order_by("-id")[:_MOST_WAITING])


def _worth_telling(conversation: Conversation) -> Q:
    """Sends without a message that the reader should know of."""
    told = Q(kind__in=(DispatchKind.OPEN, DispatchKind.CLOSE)) | Q(state__in=TROUBLED_STATES)
    return told & Q(conversation_id=conversation.pk, message=None)


def _sends_between(conversation: Conversation) -> QuerySet[Dispatch]:
    rows = Dispatch.objects.filter(_worth_telling(conversation))
    return rows.order_by("-id")[:_MOST_LINES]


def _lines(conversation: Conversation, rows: Sequence[Dispatch]) -> list[Line]:
    """Opened, closed, and these sends."""
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
