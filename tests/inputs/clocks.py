"""Time that passes without being waited for."""

from __future__ import annotations

from django.db import connection

from tests.conversations.stand import _CLOCKS

_ALSO = {"installations_upstream": ("failed_at", "opened_at", "probe_at", "held_until")}


def pass_time(seconds: float) -> None:
    """Everything that waits for a time has waited that much longer."""
    with connection.cursor() as cursor:
        for table, columns in (_ALSO | _CLOCKS).items():
            moved = ", ".join(f"{column} = {column} - make_interval(secs => %s)" for column in columns)
            cursor.execute(f"UPDATE {table} SET {moved}", [seconds] * len(columns))
