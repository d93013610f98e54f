"""The members of what a custom channel sends, each checked where it is read; errors name the member."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from core.errors import BodyUnusable
from core.events import Attachment, ConsumerRef, Json
from core.wire import as_list, require_id, require_object, storable, storable_tree

MAX_ATTACHMENTS = 10
MAX_URL_LENGTH = 2048
MAX_NAME_LENGTH = 256

_NOT_IN_A_LINE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def object_of(value: Any, *, field: str) -> Json:
    return require_object(value, field=field)


def id_of(value: Any, *, field: str) -> str:
    """An opaque id: non-empty text; a number is refused, since its other forms would be other ids."""
    if value is not None and not isinstance(value, str):
        raise BodyUnusable(f"{field} must be text.", field=field)
    return require_id(value, field=field)


def text_of(value: Any, *, field: str) -> str:
    """Text of any length, made storable; "" where it is absent or null."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise BodyUnusable(f"{field} must be text.", field=field)
    return storable(value)


def line_of(value: Any, *, field: str) -> str:
    """A short text in one line; "" where it is absent or null."""
    text = text_of(value, field=field)
    if len(text) > MAX_NAME_LENGTH:
        raise BodyUnusable(f"{field} is longer than {MAX_NAME_LENGTH} characters.", field=field)
    return _NOT_IN_A_LINE.sub(" ", text).strip()


def time_of(value: Any) -> datetime | None:
    """When it happened by the sender's clock, in UTC; None where it does not say so in ISO 8601."""
    if not isinstance(value, str) or len(value) > 40:
        return None
    try:
        time = datetime.fromisoformat(value)
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def consumer_of(data: Json) -> ConsumerRef:
    consumer = require_object(data.get("consumer"), field="data.consumer")
    profile = consumer.get("profile")
    return ConsumerRef(
        id=id_of(consumer.get("id"), field="data.consumer.id"),
        name=line_of(consumer.get("name"), field="data.consumer.name"),
        profile={} if profile is None else storable_tree(require_object(profile, field="data.consumer.profile")),
    )


def attachments_of(value: Any) -> tuple[Attachment, ...]:
    if value is not None and not isinstance(value, list):
        raise BodyUnusable("data.attachments must be a list.", field="data.attachments")
    listed = as_list(value)
    if len(listed) > MAX_ATTACHMENTS:
        raise BodyUnusable(f"data.attachments holds more than {MAX_ATTACHMENTS} files.", field="data.attachments")
    return tuple(_attachment(entry, field=f"data.attachments[{index}]") for index, entry in enumerate(listed))


def _attachment(entry: Any, *, field: str) -> Attachment:
    file = require_object(entry, field=field)
    return Attachment(
        url=_web_address(file.get("url"), field=f"{field}.url"),
        mime=line_of(file.get("mime"), field=f"{field}.mime"),
        name=line_of(file.get("name"), field=f"{field}.name"),
        caption=text_of(file.get("caption"), field=f"{field}.caption"),
    )


def _web_address(value: Any, *, field: str) -> str:
    """An http or https address. Whether it may be fetched is decided when it is."""
    if value is None or value == "":
        raise BodyUnusable(f"{field} is missing.", field=field)
    if not isinstance(value, str):
        raise BodyUnusable(f"{field} must be text.", field=field)
    if len(value) > MAX_URL_LENGTH:
        raise BodyUnusable(f"{field} is longer than {MAX_URL_LENGTH} characters.", field=field)
    try:
        parts = urlsplit(value)
        is_usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_usable = False
    if not is_usable or not value.isprintable() or " " in value:
        raise BodyUnusable(f"{field} must be an address that begins with https:// or http://.", field=field)
    return value
