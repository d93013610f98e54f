"""Identifiers: UUIDv7, so that one id serves inside, in URLs and in logs, and sorts by time."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

from uuid_utils.compat import uuid7

# Before every other id, and the id of nothing.
NO_ID = uuid.UUID(int=0)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def new_id() -> uuid.UUID:
    """A fresh UUIDv7, as the standard library's class."""
    return uuid7()


def id_in(text: str) -> uuid.UUID | None:
    """The id that somebody typed, pasted or sent; None when it is none."""
    try:
        return uuid.UUID(text.strip())
    except ValueError:
        return None


def made_at(row_id: uuid.UUID) -> datetime | None:
    """The moment that a UUIDv7 carries, to the millisecond; None for an id of another kind."""
    if row_id.version != 7:
        return None
    return _EPOCH + timedelta(milliseconds=row_id.int >> 80)


def first_id_at(moment: datetime) -> uuid.UUID:
    """The smallest id of the first whole millisecond at or after a moment: a bound for a range of ids."""
    elapsed = moment - _EPOCH
    milliseconds = -(-elapsed // timedelta(milliseconds=1))
    return uuid.UUID(int=max(milliseconds, 0) << 80)
