"""What a change changes, as the trail keeps it: the name of each field with its value before and after."""

from __future__ import annotations

import datetime
import hashlib
import uuid
from collections.abc import Iterable
from typing import Any

from django.db import models

from core.wire import canonical


def changes_between(before: models.Model, after: models.Model, fields: Iterable[str]) -> dict[str, list[Any]]:
    """Field name to [before, after], of those fields that differ. Rows that are pointed to are named by their id."""
    changes = {}
    for name in fields:
        attribute = after._meta.get_field(name).attname  # type: ignore[union-attr]
        old, new = getattr(before, attribute), getattr(after, attribute)
        if old != new:
            changes[name] = [_plain(old), _plain(new)]
    return changes


def facts_of(row: models.Model, fields: Iterable[str]) -> dict[str, Any]:
    """Field name to value, as a new row's entry in the trail holds them."""
    return {name: _plain(getattr(row, row._meta.get_field(name).attname)) for name in fields}  # type: ignore[union-attr]


def fingerprint(row: models.Model, fields: Iterable[str]) -> str:
    """Names these fields of a row as they are now: another name after each change."""
    return hashlib.sha256(canonical(facts_of(row, fields))).hexdigest()[:32]


def _plain(value: Any) -> Any:
    if isinstance(value, (uuid.UUID, datetime.datetime, datetime.date)):
        return str(value)
    return value
