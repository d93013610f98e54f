"""
A conversation as a person reads it: who said what, what became of it, and behind each message every try to carry it.

Reads a fixed number of statements, however long the conversation is; a long one is shown in parts, newest first.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from urllib.parse import urlsplit

from django.db.models import Prefetch, Q, QuerySet
from django.urls import reverse

from access.admin_base import id_in
from conversations.media import PICTURES, link_to
from conversations.models import (
    Attempt,
    Audience,
    Conversation,
    Direction,
    Dispatch,
    DispatchKind,
    DispatchState,
    MediaFile,
    Message,
    MessageStatus,
    OrderMark,
    Outcome,
)
from conversations.selectors import TROUBLED_STATES

PART = 200
_MOST_WAITING = 50
_MOST_LINES = 100
# LivePerson's roles: side of the page, and who that is.
_SPEAKERS = {
    "CONSUMER": ("consumer", ""),
    "ASSIGNED_AGENT": ("agent", "Agent"),
    "MANAGER": ("agent", "Manager"),
    "READER": ("agent", "Agent"),
    "AGENT": ("bot", "Bot"),
    "CONTROLLER": ("system", "LivePerson, automatically"),
}
_STATUS_ICONS = {
    MessageStatus.QUEUED: "schedule",
    MessageStatus.SENT: "check",
    MessageStatus.DELIVERED: "done_all",
    MessageStatus.READ: "done_all",
    MessageStatus.FAILED: "error",
    MessageStatus.EXPIRED: "hourglass_disabled",
}
_CLOSERS = {
    "AGENT": "the agent",
    "CONSUMER": "the consumer",
    "SYSTEM": "LivePerson",
    "TIMEOUT": "LivePerson, after a time without messages",
    "SUPERSEDED": "LivePerson: the consumer has a newer one",
    "FOUND_CLOSED": "the other side: LivePerson said so when the next message came",
}


@dataclass(frozen=True, kw_only=True)
class Tried:
    """One attempt. tone: good, wait or bad."""

    row: Attempt
    tone: str
    word: str


@dataclass(frozen=True, kw_only=True)
class Sent:
    """One dispatch with its attempts, oldest first."""

    row: Dispatch
    tone: str
    tries: list[Tried]
    url: str

    @property
    def part(self) -> str:
        """Which part of a message that needs several."""
        total = self.row.payload.get("of", 1)
        return (
            f"part {self.row.payload.get('part', self.row.payload.get('attachment', 0)) + 1} of {total}"
            if total > 1
            else ""
        )


@dataclass(frozen=True, kw_only=True)
class File:
    """An attachment: ours to show when we have it. url: empty when we do not."""

    name: str
    mime: str
    size: int | None
    url: str
    is_picture: bool
    missing: str = ""


@dataclass(frozen=True, kw_only=True)
class Warned:
    """A sentence about what did not go as it should; url: where a person can do something about it."""

    text: str
    url: str = ""


@dataclass(frozen=True, kw_only=True)
class Said:
    """One message on the page."""

    row: Message
    at: datetime
    side: str
    who: str
    has_content: bool
    text: str
    files: list[File]
    choices: list[str]
    element: str
    sent: list[Sent]
    warnings: list[Warned]
    icon: str
    delivery_url: str
    is_line: bool = False

    @property
    def is_private(self) -> bool:
        return self.row.audience == Audience.STAFF


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


def with_everything(messages: QuerySet[Message]) -> QuerySet[Message]:
    """The messages with all that showing them needs, in one statement more for each kind of row."""
    return messages.select_related("content", "channel", "consumer").prefetch_related("files", sends())


def sends() -> Prefetch[Any]:
    """The dispatches of messages with their attempts."""
    tries = Prefetch("attempts", queryset=Attempt.objects.order_by("id"))
    return Prefetch("dispatches", queryset=Dispatch.objects.order_by("position").prefetch_related(tries))


def said(message: Message, *, today: date) -> Said:
    """A message made ready for its page. It was read by `with_everything`."""
    content = getattr(message, "content", None)
    side, who = _SPEAKERS.get(message.sender_role, ("agent", message.sender_role.replace("_", " ").capitalize()))
    sent = [sent_of(dispatch) for dispatch in message.dispatches.all()]
    return Said(
        row=message,
        at=message.created_at,
        side="staff" if message.audience == Audience.STAFF else side,
        who=who or str(message.consumer),
        has_content=content is not None,
        text=content.text if content else "",
        files=_files(message, content.attachments if content else [], today),
        choices=_choices(content.quick_replies, content.text) if content else [],
        element=json.dumps(content.element, indent=2, ensure_ascii=False) if content and content.element else "",
        sent=sent,
        warnings=_warnings(message, sent),
        icon=_STATUS_ICONS.get(MessageStatus(message.status), ""),
        delivery_url=_delivery_url(message.correlation_id),
    )


def sent_of(dispatch: Dispatch) -> Sent:
    """A dispatch made ready for its page."""
    return Sent(
        row=dispatch,
        tone=tone_of(dispatch.state),
        tries=[tried_of(attempt) for attempt in dispatch.attempts.all()],
        url=reverse("admin:conversations_dispatch_change", args=[dispatch.pk]),
    )


def tried_of(attempt: Attempt) -> Tried:
    """An attempt made ready for its page."""
    if attempt.outcome == Outcome.ACCEPTED:
        tone = "good"
    else:
        tone = "bad" if attempt.outcome == Outcome.REJECTED else "wait"
    word = attempt.get_outcome_display() or ("Under way" if attempt.finished_at is None else "Ended")
    return Tried(row=attempt, tone=tone, word=word)


def tone_of(state: str) -> str:
    """The colour of a dispatch's state."""
    tones = {"SENT": "good", "UNKNOWN": "wait", "PARKED": "bad", "DEAD": "bad", "FAILED": "bad"}
    return tones.get(state, "plain")


def _choices(offered: list[dict[str, Any]], text: str) -> list[str]:
    """What the consumer could choose from, where the text does not list it already."""
    words = [str(choice.get("text", "")) for choice in offered]
    return words if any(word not in text for word in words) else []


def _files(message: Message, attachments: list[dict[str, Any]], today: date) -> list[File]:
    ours = {file.index: file for file in message.files.all()}
    shown = [_file(ours[index], today) for index in sorted(ours)]
    for index, attachment in enumerate(attachments):
        if index not in ours:
            name = str(attachment.get("name") or "A file")
            shown.append(
                File(
                    name=name,
                    mime=str(attachment.get("mime") or ""),
                    size=None,
                    url="",
                    is_picture=False,
                    missing="not fetched",
                )
            )
    return shown


def _file(file: MediaFile, today: date) -> File:
    if file.expires_on < today:
        return File(name=file.name, mime=file.mime, size=file.size, url="", is_picture=False, missing="expired")
    # The path alone: the page loads it from the host that it came from.
    url = urlsplit(link_to(file.pk)).path
    return File(name=file.name, mime=file.mime, size=file.size, url=url, is_picture=file.mime in PICTURES)


def _warnings(message: Message, sent: list[Sent]) -> list[Warned]:
    found = [
        Warned(text=trouble, url=one.url if one.row.state in TROUBLED_STATES else "")
        for one in sent
        if (trouble := _trouble_of(one.row))
    ]
    if message.status == MessageStatus.FAILED and not found:
        found.append(Warned(text=f"It failed: {_plain(message.error_code) or 'no reason was given'}."))
    if message.status == MessageStatus.EXPIRED:
        found.append(Warned(text="It was not sent in time, and was given up."))
    if message.order_mark == OrderMark.AFTER_GAP:
        found.append(Warned(text="Something said before it has not come from LivePerson."))
    if message.order_mark == OrderMark.LATE:
        found.append(Warned(text="It came late from LivePerson: what was said after it was sent before it."))
    doubts = [_doubt_of(one.row) for one in sent]
    return found + [Warned(text=doubt) for doubt in dict.fromkeys(doubts) if doubt]


def _doubt_of(dispatch: Dispatch) -> str:
    if dispatch.duplicate_seen_at is not None:
        return "It arrived twice: it was sent again in doubt, and the first try turned up after all."
    if dispatch.possible_duplicate:
        return "It may stand there twice: it was sent again without knowing what became of the first try."
    return ""


def _trouble_of(dispatch: Dispatch) -> str:
    to = "LivePerson" if dispatch.step != "SEND" else "the channel"
    detail = f" {dispatch.error_detail}" if dispatch.error_detail else ""
    return {
        DispatchState.UNKNOWN: f"Whether it reached {to} is not known yet; what comes after it waits.{detail}",
        DispatchState.PARKED: f"Gap: nobody knows whether it reached {to}, and what came after it went on."
        f" It waits for a person.{detail}",
        DispatchState.DEAD: f"Gap: it was given up after {dispatch.attempt_count} tries.{detail}",
        DispatchState.FAILED: f"Gap: it was not taken.{detail}",
        DispatchState.DROPPED: "Gap: it was dropped.",
    }.get(DispatchState(dispatch.state), "")


def _plain(code: str) -> str:
    return code.replace("_", " ")


def _delivery_url(correlation_id: str) -> str:
    """What a delivery makes carries its id."""
    delivery_id = id_in(correlation_id)
    return reverse("admin:webhooks_delivery_change", args=[delivery_id]) if delivery_id else ""


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
        closer = _CLOSERS.get(conversation.close_reason, _plain(conversation.close_reason).lower())
        lines.append(Line(at=conversation.closed_at, text=f"Conversation closed{f' by {closer}' if closer else ''}"))
    return lines


def _line_of(dispatch: Dispatch) -> Line:
    to = "LivePerson" if dispatch.lane.direction == Direction.TO_LIVEPERSON else "the channel"
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
