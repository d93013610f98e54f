"""What a command needs of the database, asked before it starts: a sentence instead of a traceback from its middle."""

from __future__ import annotations

from collections.abc import Sequence

import django
from django.conf import settings
from django.db import Error, connection
from django.db.migrations.executor import MigrationExecutor

from connector_site import commands, restoring
from connector_site.logs import first_line

# A power failure must not take back what was acknowledged; killing processes would never show that one of them is off.
_DURABILITY = ("fsync", "full_page_writes", "synchronous_commit")
_NAMED_MIGRATIONS = 3


def trouble(argv: Sequence[str]) -> str:
    """A sentence about why this command cannot work on the database, or nothing."""
    if not commands.needs_database(argv):
        return ""
    try:
        connection.ensure_connection()
        django.setup()  # migrations name models
        if not commands.needs_schema(argv):
            return ""
        return (commands.serves(argv) and _forgetfulness()) or _unfinished_restore() or _older_schema()
    except Error as error:
        return away(error)
    finally:
        # What runs next may fork, or become another program: neither must share this connection.
        connection.close()


def away(error: BaseException) -> str:
    """The sentence about a database that cannot be used: where it is, and what it said. Never the password."""
    reason = first_line(error).rpartition(" failed: ")[2].removeprefix("FATAL:").strip().rstrip(".")
    return f"The database at {_address()} cannot be used ({reason}). Start it, or correct DATABASE_URL."


def _forgetfulness() -> str:
    """A sentence about what lets PostgreSQL lose what it has confirmed, or nothing."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT " + ", ".join(f"current_setting('{name}')" for name in _DURABILITY))
        values = cursor.fetchone()
    off = [f"{name} = off" for name, value in zip(_DURABILITY, values, strict=True) if value == "off"]
    if not off:
        return ""
    return (
        f"PostgreSQL at {_address()} runs with {' and '.join(off)}, so a power failure may take back messages that "
        "were acknowledged. Set it to on, reload PostgreSQL and start again."
    )


def _unfinished_restore() -> str:
    """What is restored half-way must not be served from: its outbox is not held yet."""
    if not restoring.is_unfinished():
        return ""
    return (
        f"A restore into the database at {_address()} is under way, or was broken off. Wait for it, or run "
        "manage.py restore again: it starts anew."
    )


def _older_schema() -> str:
    executor = MigrationExecutor(connection)
    missing = [migration for migration, _ in executor.migration_plan(executor.loader.graph.leaf_nodes())]
    if not missing:
        return ""
    if not executor.loader.applied_migrations:
        return f"The database at {_address()} is empty. Run manage.py migrate first (manage.py run does it by itself)."
    named = ", ".join(f"{one.app_label}.{one.name}" for one in missing[:_NAMED_MIGRATIONS])
    more = f" and {len(missing) - _NAMED_MIGRATIONS} more" if len(missing) > _NAMED_MIGRATIONS else ""
    return (
        f"The database at {_address()} has an older schema than this version needs: {named}{more} not applied yet. "
        "Run manage.py migrate, then this command again."
    )


def _address() -> str:
    known = settings.DATABASES["default"]
    return f"{known['HOST'] or 'the local socket'}:{known['PORT'] or 5432}"
