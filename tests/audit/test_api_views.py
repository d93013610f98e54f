"""The trail over REST: who changed what, told to those whom it concerns."""

from __future__ import annotations

from typing import Any

import pytest
import structlog
from django.db import connection
from django.test.utils import CaptureQueriesContext

from access.models import ApiKey, ApiKeyBrand, Role
from audit import api as audit
from audit.actions import ACTIONS
from audit.models import AuditEntry
from core.actor import COMMAND, Actor
from core.ids import new_id
from installations import services
from tests.access.keys import Program
from tests.factories import World, make_two_brands, make_user

pytestmark = pytest.mark.django_db

LOG = "/api/v1/audit-log/"
EVE = Actor(kind="PERSON", id=str(new_id()), name="eve", address="192.0.2.1")


@pytest.fixture
def worlds() -> tuple[World, World]:
    return make_two_brands()


@pytest.fixture
def amber(worlds) -> World:
    return worlds[0]


@pytest.fixture
def program(amber) -> Program:
    return Program(amber.auditor)


def told(program: Program, **filters: Any) -> list[dict[str, Any]]:
    return program.read(LOG, **filters)["results"]


def test_who_changed_this_secret(program, amber):
    row = services.add_client_secret(amber.installation, secret="another secret", actor=EVE)
    entries = told(program, subject_type="appinstallation", subject_id=str(amber.installation.pk))
    newest = entries[0]
    assert (newest["action"], newest["sentence"]) == ("installation.secret.added", "added a client secret")
    assert (newest["actor_kind"], newest["actor"], newest["actor_name"]) == ("PERSON", EVE.id, "eve")
    assert (newest["address"], newest["brand"]) == ("192.0.2.1", str(amber.brand.pk))
    assert newest["data"] == {"secret": str(row.pk)}
    assert newest["links"]["subject"].endswith(f"/api/v1/installations/{amber.installation.pk}/")
    assert program.read(f"{LOG}{newest['id']}/") == newest
    assert "another secret" not in str(entries)


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        ({"action": "brand.hold_set"}, 1),
        ({"action": "brand.hold_lifted"}, 0),
        ({"actor_kind": "PERSON", "actor": EVE.id}, 1),
        ({"actor_kind": "COMMAND", "actor": EVE.id}, 0),
        ({"actor": "01a20606-828d-72ab-9868-55efe8f19534"}, 0),
        ({"correlation_id": "corr-7"}, 1),
        ({"correlation_id": "corr-8"}, 0),
        ({"subject_type": "brand", "actor": EVE.id}, 1),
        ({"subject_type": "channel", "actor": EVE.id}, 0),
        ({"created_after": "2026-01-01T00:00:00Z", "actor": EVE.id}, 1),
        ({"created_before": "2026-01-01T00:00:00Z"}, 0),
        ({"since": "hour", "actor": EVE.id}, 1),
    ],
)
def test_entries_are_found_by_what_they_say(program, amber, filters, count):
    with structlog.contextvars.bound_contextvars(correlation_id="corr-7"):
        audit.record("brand.hold_set", actor=EVE, subject=amber.brand)
    assert len(told(program, **filters)) == count


@pytest.mark.parametrize(
    ("name", "value"),
    [("action", "brand.painted"), ("actor_kind", "person"), ("subject_type", "secret"), ("subject_id", "x")],
)
def test_what_no_entry_can_have_is_refused(program, name, value):
    answer = program.get(LOG, {name: value})
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_parameter")


def test_entries_of_the_whole_site_are_told_to_readers_of_all_brands_alone(worlds, program):
    amber, _ = worlds
    entry = audit.record("backup.taken", actor=COMMAND, subject=None)
    auditor = make_user("all", role=Role.AUDITOR)
    of_all = Program(auditor)

    (found,) = told(of_all, action="backup.taken")
    assert (found["id"], found["brand"], found["subject_name"]) == (str(entry.pk), None, "the whole site")
    assert told(program, action="backup.taken") == []
    assert program.get(f"{LOG}{entry.pk}/").status_code == 404
    ApiKeyBrand.objects.create(key=ApiKey.objects.get(owner=auditor), brand=amber.brand)
    assert told(of_all, action="backup.taken") == []
    assert of_all.get(f"{LOG}{entry.pk}/").status_code == 404


def test_another_brands_entries_are_not_told(worlds, program):
    amber, birch = worlds
    audit.record("brand.hold_set", actor=EVE, subject=birch.brand)
    assert told(program, actor=EVE.id) == []
    assert told(program, subject_id=str(birch.brand.pk)) == []
    assert {one["brand"] for one in told(program)} == {str(amber.brand.pk)}


def test_every_action_of_the_trail_has_its_sentence(program, amber):
    for action in ACTIONS:
        audit.record(action, actor=COMMAND, subject=amber.brand)
    assert all(one["sentence"] == ACTIONS[one["action"]] for one in told(program))


@pytest.mark.parametrize(
    ("filters", "index"),
    [
        ({"subject_id": "subject"}, "audit_of_subject"),
        ({"actor": EVE.id}, "audit_of_actor"),
        ({"correlation_id": "corr-7"}, "audit_correlation"),
    ],
)
def test_entries_are_read_along_an_index_newest_first(program, amber, filters, index):
    """However many there are: 3,000 others stand before and behind."""
    filters = {name: str(amber.brand.pk) if value == "subject" else value for name, value in filters.items()}
    AuditEntry.objects.bulk_create(
        AuditEntry(
            action="user.signed_in", actor_kind="PERSON", actor_id=str(number), actor_name="x", subject_type="user",
            subject_id=str(number), brand=amber.brand, correlation_id=str(number),
        )
        for number in range(3_000)
    )  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE audit_auditentry")
    with CaptureQueriesContext(connection) as queries:
        program.read(LOG, **filters)
    asked = [one["sql"] for one in queries if 'FROM "audit_auditentry"' in one["sql"]]
    assert asked
    for sql in asked:
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN {sql}")
            plan = "\n".join(line for (line,) in cursor.fetchall())
        assert index in plan, plan
        assert "Seq Scan on audit_auditentry" not in plan
