"""Work that is seen to be right and then undone: every generated input meets the same site."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection, transaction

from tests.conversations.stand import forget_caches


@contextmanager
def undone() -> Iterator[None]:
    """Roll back what happens inside, once the database has checked everything that it checks at a commit."""
    with transaction.atomic():
        yield
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        transaction.set_rollback(True)
    # Inside of what was rolled back they were checked; outside they wait for the commit, as they do on a real site.
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")
    forget_caches()
