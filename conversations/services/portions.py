"""
Rows that are walked through once: a bounded portion in one short transaction, and the place that a walk has come to
with it. So no crash and no second worker counts a row twice, and sending and receiving touch nothing of it.

Walked are ids, which carry the time at which a row was made, or the moments at which something happened. A row may be
committed later than one with a younger id, even by minutes: so a walk stays behind the clock.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from django.db.backends.utils import CursorWrapper

from conversations.models import UsageWalk
from core.ids import NO_ID, first_id_at

PORTION = 5_000

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_KNOW_WALK = "INSERT INTO conversations_usagewalk (name) VALUES (%s) ON CONFLICT DO NOTHING"


@dataclass(frozen=True, kw_only=True)
class Source:
    """
    Rows of one kind that are walked through.

    keys: their places (moment or null, id) from a place on. counts: what a range of places adds, in the columns that
    whoever counts wants. walked_by: what the keys are ordered by.
    """

    name: str
    keys: str
    counts: str
    walked_by: Literal["id", "moment"] = "id"

    def place_at(self, moment: datetime) -> Place:
        """Behind all that happened before this moment, before all else."""
        last_id = uuid.UUID(int=first_id_at(moment).int - 1) if self.walked_by == "id" else NO_ID
        return Place(at=moment, id=last_id)


@dataclass(frozen=True, kw_only=True)
class Place:
    """A row that a walk has come to. Walks by id read the moment from the id."""

    at: datetime = _EPOCH
    id: uuid.UUID = NO_ID

    @classmethod
    def read(cls, stored: dict[str, str] | None) -> Place:
        if not stored:
            return cls()
        return cls(at=datetime.fromisoformat(stored["at"]), id=uuid.UUID(stored["id"]))

    @classmethod
    def of(cls, at: datetime | None, row_id: uuid.UUID) -> Place:
        return cls(at=at or _EPOCH + timedelta(milliseconds=row_id.int >> 80), id=row_id)

    def as_json(self) -> dict[str, str]:
        return {"at": self.at.isoformat(), "id": str(self.id)}


def by_id(table: str, key: str = "id") -> str:
    """The keys of a source that is walked by the ids of a table."""
    return f"""
        SELECT NULL::timestamptz, {key} FROM {table}
        WHERE {key} > %(after_id)s AND {key} < %(before_id)s ORDER BY {key} LIMIT %(limit)s
    """  # noqa: S608 -- constants of ours


def lock_walk(cursor: CursorWrapper, name: str) -> UsageWalk | None:
    """The walk of this name, locked until the transaction ends; None while somebody else is at it."""
    cursor.execute(_KNOW_WALK, [name])
    return UsageWalk.objects.select_for_update(skip_locked=True).filter(pk=name).first()


def has_passed(walk: UsageWalk, before: datetime) -> bool:
    """Whether a walk has come to this moment: a worker whose clock is behind must not take it back."""
    return walk.counted_to is not None and before <= walk.counted_to


def next_places(cursor: CursorWrapper, source: Source, *, after: Place, before: datetime) -> list[Place]:
    """The places of the next rows of a walk, one portion of them."""
    values: dict[str, Any] = {
        "after_at": after.at,
        "after_id": after.id,
        "before_at": before,
        "before_id": first_id_at(before),
    }
    cursor.execute(source.keys, {**values, "limit": PORTION})
    return [Place.of(at, row_id) for at, row_id in cursor.fetchall()]


def between(after: Place, to: Place, **values: Any) -> dict[str, Any]:
    """What the statement of a source is given: a range of places, and more values."""
    return {"after_at": after.at, "after_id": after.id, "to_at": to.at, "to_id": to.id, **values}


def counted_to(walks: Mapping[str, UsageWalk], names: Collection[str]) -> datetime | None:
    """How far all walks of these names have come; None where one of them has not begun. walks: by name."""
    moments = [walks[name].counted_to for name in names if name in walks]
    known = [moment for moment in moments if moment is not None]
    return min(known) if len(known) == len(names) else None


__all__ = [
    "PORTION",
    "Place",
    "Source",
    "between",
    "by_id",
    "counted_to",
    "has_passed",
    "lock_walk",
    "next_places",
]
