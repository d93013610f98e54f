"""
Whether the database is one of which a restore has not come to its end: see connector_site.restoring.

Asked at every step of a worker and not at its start alone: one that was forgotten on another machine, and that had
lost its database for a while, finds the restored one behind the same address.
"""

from __future__ import annotations

from django.db import connection

TABLE = "connector_site_restoring"


def is_unfinished() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [TABLE])
        return bool(cursor.fetchone()[0])
