"""Plans of statements that do not hang on how many rows other tests have left, or on what autovacuum has looked at."""

from __future__ import annotations

from django.db import connection


def hide_statistics(*tables: str) -> None:
    """
    Until the end of the transaction, put empty tables with the same indexes before these.

    The planner knows nothing of them. Of a table that it knows to hold a row or two, any index costs the same.
    """
    with connection.cursor() as cursor:
        for table in tables:
            cursor.execute(f"CREATE TEMP TABLE {table} (LIKE {table} INCLUDING INDEXES) ON COMMIT DROP")
