"""Django's own commands about people, with a record in the trail: they know of no service of ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection, transaction
from django.db.models.signals import post_save

from access.models import User


@contextmanager
def recorded(record: Callable[[User], object]) -> Iterator[None]:
    """One transaction, at whose end each person who was stored in it is handed to `record`."""
    stored: list[User] = []

    def note(instance: User, **_: Any) -> None:
        stored.append(instance)

    post_save.connect(note, sender=User, weak=False)
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            # Somebody may be typing a password in here.
            cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
            yield
            for person in stored:
                record(person)
    finally:
        post_save.disconnect(note, sender=User)
