"""The history that the kit fills a database with is one that the site could have written."""

from __future__ import annotations

import pytest
from django.db import connection

from bench.lists.load import write
from connector_site.invariants import all_invariants, as_json, check
from conversations.models import Message

pytestmark = pytest.mark.django_db


def names() -> set[str]:
    """Of every index, and of every constraint that was checked."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT indexname FROM pg_indexes WHERE schemaname = current_schema"
            " UNION ALL SELECT conrelid::regclass || ' ' || conname FROM pg_constraint WHERE convalidated"
        )
        return {row[0] for row in cursor.fetchall()}


def test_a_filled_database_keeps_every_promise_and_every_index():
    before = names()
    write(4000)
    invariants = all_invariants()
    breaches = check(invariants)
    assert not breaches, as_json(breaches, checked=len(invariants))
    assert Message.objects.count() == 4000
    assert Message.objects.filter(brand__slug="gone").exists()
    assert names() == before


def test_a_database_with_messages_is_left_alone():
    write(2000)
    with pytest.raises(SystemExit):
        write(2000)
    assert Message.objects.count() == 2000
