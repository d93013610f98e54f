"""What is done to people, brands and roles, where two do it at the same moment."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from django.db import connection, transaction

from access import services
from access.models import User
from core.actor import COMMAND
from core.errors import ConfigurationError
from tests.conversations.conftest import transactional_db
from tests.factories import make_superuser

__all__ = ["transactional_db"]


class Demotion(threading.Thread):
    """Takes the site away from somebody, over a database connection of its own."""

    def __init__(self, person: User, *, field: str) -> None:
        super().__init__()
        self.refusal: ConfigurationError | None = None
        self._person, self._field = person, field

    def run(self) -> None:
        try:
            _demote(self._person, field=self._field)
        except ConfigurationError as refusal:
            self.refusal = refusal
        finally:
            connection.close()


def _demote(person: User, *, field: str) -> None:
    setattr(person, field, False)
    services.change_person(person, fields=[field], actor=COMMAND)


def _wait_until_it_waits(thread: threading.Thread) -> None:
    """Until somebody waits for a row of ours, or has not had to."""
    ends_at_s = time.monotonic() + 30
    while thread.is_alive() and time.monotonic() < ends_at_s:
        with connection.cursor() as cursor:
            cursor.execute("SELECT EXISTS (SELECT 1 FROM pg_locks WHERE NOT granted)")
            if cursor.fetchone()[0]:
                return
        time.sleep(0.01)


@pytest.mark.parametrize("fields", [("is_superuser", "is_superuser"), ("is_active", "is_superuser")])
def test_of_the_last_two_who_run_the_site_one_stays_though_both_go_at_once(
    transactional_db: Any, fields: tuple[str, str]
) -> None:
    ada, bob = make_superuser("ada"), make_superuser("bob")
    second = Demotion(bob, field=fields[1])

    with transaction.atomic():
        _demote(ada, field=fields[0])
        second.start()
        _wait_until_it_waits(second)
    second.join()

    left = User.objects.filter(is_superuser=True, is_active=True)
    assert [person.username for person in left] == ["bob"]
    assert "the last person who runs the site" in str(second.refusal)


def test_two_of_three_may_go_at_once(transactional_db: Any) -> None:
    ada, bob, eve = (make_superuser(name) for name in ("ada", "bob", "eve"))
    second = Demotion(bob, field="is_superuser")

    with transaction.atomic():
        _demote(ada, field="is_superuser")
        second.start()
        _wait_until_it_waits(second)
    second.join()

    assert second.refusal is None
    assert [person.pk for person in User.objects.filter(is_superuser=True)] == [eve.pk]
