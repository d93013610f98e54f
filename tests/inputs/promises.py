"""All promise queries in one prepared statement: asked after every step, they must cost next to nothing."""

from __future__ import annotations

from typing import Any

from django.db import connection

from connector_site.invariants import Invariant, all_invariants, check

# What is no promise, but must not happen while nothing but input is wrong: an error of our own, however well contained.
_OUR_ERRORS = [
    Invariant(
        name="no_error_of_our_own",
        promise="No input leads into code that cannot handle it.",
        sql="""
            SELECT id, 'delivery' AS row, detail FROM webhooks_delivery
            WHERE state = 'DEAD' OR detail LIKE 'An error of our own%'
            UNION ALL SELECT id, 'event', detail FROM webhooks_event WHERE detail LIKE 'An error of our own%'
            UNION ALL SELECT id, 'dispatch', error_detail FROM conversations_dispatch WHERE error_code = 'our_error'
            UNION ALL SELECT id, 'attempt', detail FROM conversations_attempt WHERE detail LIKE 'An error of our own%'
        """,
    )
]


class Promises:
    """Asks; keeps what it prepared on the connection that it was prepared on."""

    def __init__(self) -> None:
        self._asked = [*all_invariants(), *_OUR_ERRORS]
        self._prepared_on: Any = None

    def broken(self) -> dict[str, list[dict[str, Any]]]:
        """What does not hold: names and rows; empty while all is well."""
        connection.ensure_connection()
        with connection.cursor() as cursor:
            if self._prepared_on is not connection.connection:
                cursor.execute("DEALLOCATE ALL")
                cursor.execute(f"PREPARE promises AS {' UNION ALL '.join(map(_is_broken, self._asked))}")
                self._prepared_on = connection.connection
            cursor.execute("EXECUTE promises")
            names = {name for (name,) in cursor.fetchall()}
        return {breach.invariant.name: breach.rows for breach in check([i for i in self._asked if i.name in names])}


def _is_broken(invariant: Invariant) -> str:
    return f"SELECT '{invariant.name}' WHERE EXISTS (SELECT 1 FROM ({invariant.sql}) broken)"
