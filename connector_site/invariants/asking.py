"""What a promise query is, how it is asked, and how its answer is told."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection

MOST_ROWS = 100


@dataclass(frozen=True, kw_only=True)
class Invariant:
    """sql: returns the rows that break the promise; none while it holds."""

    name: str
    promise: str
    sql: str


@dataclass(frozen=True, kw_only=True)
class Breach:
    """rows: the first of those that break it."""

    invariant: Invariant
    rows: list[dict[str, Any]]

    def as_json(self) -> dict[str, Any]:
        return {"name": self.invariant.name, "promise": self.invariant.promise, "rows": self.rows}


def check(invariants: Sequence[Invariant]) -> list[Breach]:
    """Run the queries; returns what is broken. Each sees one state of the database, while everything runs."""
    breaches = []
    with connection.cursor() as cursor:
        for invariant in invariants:
            cursor.execute(f"SELECT * FROM ({invariant.sql}) broken LIMIT {MOST_ROWS}")  # noqa: S608 -- our own text
            names = [column.name for column in cursor.description]
            rows = [dict(zip(names, map(_plain, row), strict=True)) for row in cursor.fetchall()]
            if rows:
                breaches.append(Breach(invariant=invariant, rows=rows))
    return breaches


def as_json(breaches: Sequence[Breach], *, checked: int) -> str:
    """The report for people and programs."""
    told = {"checked": checked, "broken": [breach.as_json() for breach in breaches]}
    return json.dumps(told, indent=2)


def _plain(value: Any) -> Any:
    if isinstance(value, (bytes, memoryview)):
        return bytes(value).hex()
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)
