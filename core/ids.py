"""Identifiers: UUIDv7, so that one id serves inside, in URLs and in logs, and sorts by time."""

from __future__ import annotations

import uuid

from uuid_utils.compat import uuid7


def new_id() -> uuid.UUID:
    """A fresh UUIDv7, as the standard library's class."""
    return uuid7()
