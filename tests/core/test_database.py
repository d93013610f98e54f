"""Errors of a real database: which of them a row is blamed for."""

from __future__ import annotations

import pytest
from django.db import DatabaseError, connection, transaction

from core.database import ROW_REFUSED, refuses_row

pytestmark = pytest.mark.django_db


def error_of(sql: str, *, before: str = "") -> DatabaseError:
    with pytest.raises(DatabaseError) as caught, transaction.atomic(), connection.cursor() as cursor:
        if before:
            cursor.execute(before)
        cursor.execute(sql)
    return caught.value


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1/0",
        "SELECT 'x'::integer",
        "SELECT * FROM no_such_table",
        "INSERT INTO webhooks_seen (id) VALUES (1)",
    ],
)
def test_what_cannot_be_written_is_the_rows_fault(sql: str) -> None:
    error = error_of(sql)
    assert isinstance(error, ROW_REFUSED)
    assert refuses_row(error)


def test_a_value_too_long_for_its_index_is_the_rows_fault() -> None:
    long = "INSERT INTO t SELECT string_agg(md5(n::text), '') FROM generate_series(1, 5000) n"
    assert refuses_row(error_of(long, before="CREATE TEMP TABLE t (words text PRIMARY KEY)"))


@pytest.mark.parametrize(
    ("before", "sql"),
    [
        ("SET LOCAL statement_timeout = 10", "SELECT pg_sleep(1)"),
        ("SET LOCAL transaction_read_only = on", "DELETE FROM webhooks_seen"),
        ("", "DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = 'deadlock_detected'; END $$"),
        ("", "DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = 'serialization_failure'; END $$"),
        ("", "DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = 'admin_shutdown'; END $$"),
        ("", "DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = 'disk_full'; END $$"),
    ],
    ids=["timeout", "read only", "deadlock", "serialization", "shutdown", "disk full"],
)
def test_what_passes_by_itself_is_nobodys_fault(before: str, sql: str) -> None:
    assert not refuses_row(error_of(sql, before=before))
