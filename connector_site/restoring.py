"""
The mark of a restore that has begun: while it stands, nothing may serve from this database.

A restored outbox is full of work that may have been done already. Between the moment its rows are there and the moment
its lanes are held no worker may look at it, also when the restore was killed in between. So the mark is set before the
first row comes, and taken away in the transaction that holds the lanes.
"""

from __future__ import annotations

from django.db import connection

from core.restoring import TABLE as _TABLE
from core.restoring import is_unfinished


def begin() -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE IF NOT EXISTS {_TABLE} (since timestamptz NOT NULL DEFAULT now())")


def end() -> None:
    """Inside the transaction that makes the database fit to be served from."""
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE {_TABLE}")


def is_its_table(name: str) -> bool:
    return name == _TABLE


__all__ = ["begin", "end", "is_its_table", "is_unfinished"]
