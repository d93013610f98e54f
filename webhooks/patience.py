"""How long an acknowledgement waits for the database: not until its sender gives up."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection, transaction

STATEMENT_TIMEOUT_MS = 500


@contextmanager
def quick_transaction() -> Iterator[None]:
    """
    A transaction none of whose statements waits long, for a lock or for anything else.

    Raises OperationalError then. LivePerson takes an error for a reason to send again, silence for a broken endpoint.
    Source: developers.liveperson.com/connector-api-webhooks-disclaimers.html
    """
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('statement_timeout', %s, true)", [str(STATEMENT_TIMEOUT_MS)])
        yield
