"""Messages made ready for pages: who spoke, the words, the files, and what somebody should know of how they went."""

from __future__ import annotations

import json
import uuid
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from urllib.parse import urlsplit

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import OuterRef, Prefetch, QuerySet
from django.db.models.functions import JSONObject
from django.urls import reverse

from conversations.admin_sends import Sent, doubt_of, sent_of, trouble_of
from conversations.media import PICTURES, link_to
from conversations.models import (
    Audience,
    Dispatch,
    MediaFile,
    Message,
    MessageStatus,
    OrderMark,
)
from conversations.selectors import TROUBLED_STATES
from core.ids import id_in

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
    status_at: datetime | None
    delivery_url: str
    timeline_url: str
    is_line: bool = False

    @property
    def is_private(self) -> bool:
        return self.row.audience == Audience.STAFF


def with_words(messages: QuerySet[Message]) -> QuerySet[Message]:
    """The messages with their words and files, in one statement."""
    facts = JSONObject(**{name: name for name in ("id", "index", "name", "mime", "size", "expires_on")})
    files = MediaFile.objects.filter(message=OuterRef("pk")).order_by("index").values(facts=facts)
    return messages.select_related("content", "channel", "consumer").annotate(told_files=ArraySubquery(files))


def with_everything(messages: QuerySet[Message]) -> QuerySet[Message]:
    """The messages with all that showing them needs, in two statements."""
    rows = Dispatch.objects.order_by("position")
    return with_words(messages).prefetch_related(Prefetch("dispatches", queryset=rows, to_attr="sends"))


def attach_sends(messages: Sequence[Message], sends: Iterable[Dispatch]) -> None:
    """Give messages that were read `with_words` what was sent for them, which was read with something else."""
    of_message: dict[uuid.UUID | None, list[Dispatch]] = defaultdict(list)
    for dispatch in sends:
        of_message[dispatch.message_id].append(dispatch)
    for message in messages:
        message.sends = of_message[message.pk]  # type: ignore[attr-defined]


def said(message: Message, *, today: date) -> Said:
    """A message made ready for its page. It was read `with_everything`."""
    content = getattr(message, "content", None)
    side, who = _SPEAKERS.get(message.sender_role, ("agent", message.sender_role.replace("_", " ").capitalize()))
    sent = [sent_of(dispatch) for dispatch in message.sends]  # type: ignore[attr-defined]
    warnings, status = _warnings(message, sent), MessageStatus(message.status)
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
        warnings=warnings,
        # "Queued" of one that waits for a person, or for evidence, would say that it goes by itself.
        icon="" if warnings and status is MessageStatus.QUEUED else _STATUS_ICONS.get(status, ""),
        status_at={"DELIVERED": message.delivered_at, "READ": message.read_at}.get(message.status),
        delivery_url=_delivery_url(message.correlation_id),
        timeline_url=reverse("admin:message_timeline", args=[message.pk]),
    )


def _choices(offered: list[dict[str, Any]], text: str) -> list[str]:
    """What the consumer could choose from, where the text does not list it already."""
    words = [str(choice.get("text", "")) for choice in offered]
    return words if any(word not in text for word in words) else []


def _files(message: Message, attachments: list[dict[str, Any]], today: date) -> list[File]:
    told: list[dict[str, Any]] = message.told_files  # type: ignore[attr-defined]
    ours = {one["index"]: _media_file(one) for one in told}
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


def _media_file(told: dict[str, Any]) -> MediaFile:
    """The row again from what the database told of it as JSON."""
    own = {"id": uuid.UUID(told["id"]), "expires_on": date.fromisoformat(told["expires_on"])}
    return MediaFile(**{**told, **own})


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
        if (trouble := trouble_of(one.row))
    ]
    if message.status == MessageStatus.FAILED and not found:
        found.append(Warned(text=f"It failed: {message.error_code.replace('_', ' ') or 'no reason was given'}."))
    if message.status == MessageStatus.EXPIRED:
        found.append(Warned(text="It was not sent in time, and was given up."))
    if message.order_mark == OrderMark.AFTER_GAP:
        found.append(Warned(text="Something said before it has not come from LivePerson."))
    if message.order_mark == OrderMark.LATE:
        found.append(Warned(text="It came late from LivePerson: what was said after it was sent before it."))
    doubts = [doubt_of(one.row) for one in sent]
    return found + [Warned(text=doubt) for doubt in dict.fromkeys(doubts) if doubt]


def _delivery_url(correlation_id: str) -> str:
    """What a delivery makes carries its id."""
    delivery_id = id_in(correlation_id)
    return reverse("admin:webhooks_delivery_change", args=[delivery_id]) if delivery_id else ""
