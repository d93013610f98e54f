"""What each connection to the database asks of the server."""

from __future__ import annotations

import pytest
from django.db import connection


@pytest.mark.django_db
def test_a_transaction_whose_machine_has_vanished_does_not_keep_its_locks() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT setting::int FROM pg_settings WHERE name = 'idle_in_transaction_session_timeout'")
        assert cursor.fetchone() == (15_000,)
