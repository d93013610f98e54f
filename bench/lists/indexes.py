"""Constraints and secondary indexes of the long tables: taken off before they are filled, made again afterwards."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from django.db import connection

from bench.site import say

# Primary keys stay: rows come in the order of their ids, which costs little, and foreign keys lean on them.
_CONSTRAINTS = """
    SELECT contype, conrelid::regclass::text, conname, pg_get_constraintdef(oid)
    FROM pg_constraint WHERE conrelid = ANY(%s::regclass[]) AND contype IN ('f', 'u')
    ORDER BY contype, conname
"""
_INDEXES = """
    SELECT indexname, indexdef FROM pg_indexes
    WHERE schemaname = current_schema AND tablename = ANY(%s)
      AND NOT EXISTS (SELECT 1 FROM pg_constraint made_it WHERE made_it.conname = indexname)
    ORDER BY tablename, indexname
"""


@dataclass(frozen=True, kw_only=True)
class _Aside:
    drop: str
    make: str


@contextlib.contextmanager
def set_aside(tables: Sequence[str]) -> Iterator[None]:
    """Fill these tables inside. Foreign keys are made again last, and so check every row that was written."""
    with connection.cursor() as cursor:
        cursor.execute(_CONSTRAINTS, [list(tables)])
        found = cursor.fetchall()
        cursor.execute(_INDEXES, [list(tables)])
        indexes = [_Aside(drop=f'DROP INDEX "{name}"', make=made) for name, made in cursor.fetchall()]
    constraints = {
        kind: [
            _Aside(
                drop=f'ALTER TABLE {table} DROP CONSTRAINT "{name}"',
                make=f'ALTER TABLE {table} ADD CONSTRAINT "{name}" {made}',
            )
            for of_kind, table, name, made in found
            if of_kind == kind
        ]
        for kind in ("f", "u")
    }
    _run([one.drop for one in (*constraints["f"], *constraints["u"], *indexes)])
    yield
    started = time.monotonic()
    _run([one.make for one in (*indexes, *constraints["u"])])
    say(f"    {len(indexes) + len(constraints['u'])} indexes made in {time.monotonic() - started:.0f} s")
    started = time.monotonic()
    _run([one.make for one in constraints["f"]])
    say(f"    {len(constraints['f'])} foreign keys checked in {time.monotonic() - started:.0f} s")


def _run(statements: Sequence[str]) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
