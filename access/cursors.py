"""
Where a page of a list ended, so that the next one goes on there: sealed for one person, one list and its filters.

A cursor cannot be made up, and cannot continue another list. Nor can the id be read from it: the row that a page looked
at last may be one of another brand.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.utils.crypto import salted_hmac

from core.ids import NO_ID

_TAG_BYTES = 16


@dataclass(frozen=True, kw_only=True)
class Place:
    """What a cursor is bound to. filters: names and values as they stand in the address."""

    path: str
    reader_id: str
    filters: Iterable[tuple[str, Any]]


def seal(last_id: uuid.UUID, place: Place) -> str:
    """The cursor that continues after this row."""
    tag = _tag(last_id, place)
    return base64.urlsafe_b64encode(_veiled(last_id.bytes, tag) + tag).decode().rstrip("=")


def unseal(cursor: str, place: Place) -> uuid.UUID | None:
    """The row that a cursor continues after; None for one that is not of this place."""
    try:
        raw = base64.b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        last_id = uuid.UUID(bytes=_veiled(raw[:-_TAG_BYTES], raw[-_TAG_BYTES:]))
    except (binascii.Error, ValueError):
        last_id, raw = NO_ID, b""
    return last_id if hmac.compare_digest(raw[-_TAG_BYTES:], _tag(last_id, place)) else None


# What is signed, and with which words, stays as it is: programs keep cursors for long.
def _tag(last_id: uuid.UUID, place: Place) -> bytes:
    bound_to = repr((place.path, place.reader_id, last_id.hex, sorted(place.filters)))
    return salted_hmac("access.rest.paging", bound_to, algorithm="sha256").digest()[:_TAG_BYTES]


def _veiled(text: bytes, tag: bytes) -> bytes:
    """As nobody else can read it, and back. Another text has another tag, so no veil is used for two of them."""
    veil = salted_hmac("access.rest.paging.veil", tag, algorithm="sha256").digest()
    return bytes(one ^ other for one, other in zip(text, veil[:_TAG_BYTES], strict=True))


__all__ = ["Place", "seal", "unseal"]
