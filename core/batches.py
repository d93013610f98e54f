"""The short transactions that long work is made of."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

_STATEMENT_MAY_TAKE_MS = 5_000
_LOCK_MAY_TAKE_MS = 1_000


@contextmanager
def batch_transaction() -> Iterator[CursorWrapper]:
    """A transaction that ends with an error rather than hold something for long."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config('statement_timeout', %s, true), set_config('lock_timeout', %s, true)",
            [str(_STATEMENT_MAY_TAKE_MS), str(_LOCK_MAY_TAKE_MS)],
        )
        yield cursor
