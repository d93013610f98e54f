"""What stands in the trail stays as it was written, whoever speaks to the database by a plain statement."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from django.db.models import F, QuerySet

from access.models import Brand
from audit import api
from audit.models import AuditEntry
from core.actor import Actor
from tests.conversations.database import without_the_guard

pytestmark = pytest.mark.django_db

TABLE = "audit_auditentry"
EVE = Actor(kind="PERSON", id="7", name="eve", address="192.0.2.1")
MASKING = "SET LOCAL connector_site.masking = 'on'"


@pytest.fixture
def entry() -> AuditEntry:
    brand = Brand.objects.create(slug="acme", name="Acme of Ada")
    entry = api.record("brand.changed", actor=EVE, subject=brand, data={"name": ["A", "B"]}, reason="Ada called")
    sql("SET CONSTRAINTS ALL IMMEDIATE")  # a table with open checks is not emptied, whoever asks
    return entry


@pytest.fixture
def entries() -> QuerySet[AuditEntry]:
    """Not the model's own manager, which refuses before the database is asked."""
    return QuerySet(AuditEntry)


def sql(statement: str, *parameters: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters or None)


def refused(act: Callable[[], Any], *, because: str = "append-only") -> None:
    """It is refused with a clear message, and nothing of it has happened."""
    before = list(AuditEntry.objects.order_by("id").values())
    with pytest.raises(DatabaseError, match=because), transaction.atomic():
        act()
    assert list(AuditEntry.objects.order_by("id").values()) == before


# --- changing --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("column", [field.column for field in AuditEntry._meta.concrete_fields])
def test_no_column_is_changed_by_a_plain_statement(entry, column):
    other = api.record("brand.created", actor=Actor(kind="COMMAND", name="x"), subject=Brand(id=None, name="y"))
    refused(lambda: sql(f"UPDATE {TABLE} SET {column} = (SELECT {column} FROM {TABLE} WHERE id = %s)", other.pk))


TRICKS: dict[str, Callable[[QuerySet[AuditEntry], AuditEntry], Any]] = {
    "queryset": lambda rows, entry: rows.update(reason="another"),
    "expression": lambda rows, entry: rows.update(actor_name=F("action")),
    "bulk": lambda rows, entry: rows.bulk_update([entry], ["reason"]),
    "base save": lambda rows, entry: super(AuditEntry, entry).save(),
    "upsert": lambda rows, entry: rows.bulk_create(
        [AuditEntry(pk=entry.pk, action="user.created", actor_kind="SYSTEM", actor_name="x", subject_type="user")],
        update_conflicts=True, unique_fields=["pk"], update_fields=["action"],
    ),
    "delete": lambda rows, entry: rows.all().delete(),
    "raw delete": lambda rows, entry: rows.all()._raw_delete("default"),
    "base delete": lambda rows, entry: super(AuditEntry, entry).delete(),
}  # fmt: skip


@pytest.mark.parametrize("trick", TRICKS)
def test_what_the_orm_offers_is_refused_by_the_database_too(entry, entries, trick):
    refused(lambda: TRICKS[trick](entries, entry))


@pytest.mark.parametrize(
    "statement",
    [
        f"UPDATE {TABLE} SET reason = reason",
        f"DELETE FROM {TABLE}",
        f"DELETE FROM {TABLE} WHERE id = '01a20606-828d-72ab-9868-55efe8f19534'",
        f"TRUNCATE {TABLE}",
        f"TRUNCATE {TABLE} CASCADE",
        "TRUNCATE access_brand CASCADE",
        f"WITH gone AS (DELETE FROM {TABLE} RETURNING id) SELECT count(*) FROM gone",
        f"MERGE INTO {TABLE} entry USING access_brand brand ON brand.id = entry.brand_id"
        " WHEN MATCHED THEN UPDATE SET reason = ''",
        f"MERGE INTO {TABLE} entry USING access_brand brand ON brand.id = entry.brand_id WHEN MATCHED THEN DELETE",
    ],
)
def test_plain_statements_are_refused(entry, statement):
    refused(lambda: sql(statement))


def test_a_brand_does_not_take_its_entries_along(entry):
    with pytest.raises(DatabaseError), transaction.atomic():
        sql("DELETE FROM access_brand")
        sql("SET CONSTRAINTS ALL IMMEDIATE")
    assert AuditEntry.objects.count() == 1


# --- masking ---------------------------------------------------------------------------------------------------------


def test_words_are_masked_in_what_people_wrote(entry):
    assert api.mask(subject_type="brand", subject_ids=[entry.subject_id], words=["Ada"]) == 1

    masked = AuditEntry.objects.get()
    assert (masked.reason, masked.subject_name) == ("••• called", "Acme of •••")
    assert (masked.action, masked.actor_name, masked.data, masked.at) == (
        "brand.changed", "eve", {"name": ["A", "B"]}, entry.at,
    )  # fmt: skip


@pytest.mark.parametrize(
    "reason", ["100% of a_b\\c is Ada's, 'quoted' \"too\"\n", "••• and Ada", "Ada" * 166, "ADA ada"]
)
def test_any_text_can_be_masked(entry, reason):
    brand = Brand.objects.get()
    api.record("brand.changed", actor=EVE, subject=brand, reason=reason)

    api.mask(subject_type="brand", subject_ids=[str(brand.pk)], words=["Ada", "b\\c", "%"])

    assert not AuditEntry.objects.filter(reason__icontains="ada").exists()


def test_a_mask_longer_than_the_text_may_be_covers_all_of_it(entry):
    brand = Brand.objects.get()
    api.record("brand.changed", actor=EVE, subject=brand, reason="A " * 250)

    api.mask(subject_type="brand", subject_ids=[str(brand.pk)], words=["A"])

    assert AuditEntry.objects.order_by("id").last().reason == "•••"


@pytest.mark.parametrize(
    "change",
    [
        "action = 'user.created'",
        "actor_name = 'mallory'",
        "actor_id = ''",
        "actor_kind = 'SYSTEM'",
        "address = NULL",
        "at = at - interval '1 day'",
        "brand_id = NULL",
        """data = '{"name": ["A", "C"]}'""",
        "data = '{}'",
        "subject_id = ''",
        "correlation_id = 'x'",
        "reason = '•••', actor_name = '•••'",
        "reason = 'Ben called'",
        "reason = '••• called back'",
        "reason = 'Ada called %%'",
        "reason = '___ called'",
        "reason = ''",
        "subject_name = 'Another'",
    ],
)
def test_masking_takes_words_out_and_does_nothing_else(entry, change):
    def forge() -> None:
        sql(MASKING)
        sql(f"UPDATE {TABLE} SET {change.replace('%%', '%')}")

    refused(forge, because="Masking takes words out")


@pytest.mark.parametrize("statement", [f"DELETE FROM {TABLE}", f"TRUNCATE {TABLE}"])
def test_masking_deletes_nothing(entry, statement):
    def delete() -> None:
        sql(MASKING)
        sql(statement)

    refused(delete)


def test_masking_ends_with_what_asked_for_it(entry):
    api.mask(subject_type="brand", subject_ids=[entry.subject_id], words=["Acme"])

    refused(lambda: sql(f"UPDATE {TABLE} SET reason = '•••'"))


def test_without_the_guard_an_entry_is_changed(entry, entries):
    """Otherwise the tests above would prove nothing."""
    with without_the_guard():
        entries.update(reason="another", at=F("at") - timedelta(days=1))
        assert entries.get().reason == "another"
        entries.all()._raw_delete("default")
    assert not entries.exists()
