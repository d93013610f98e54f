"""The trail: registered acts, written with the act itself, and never changed."""

from __future__ import annotations

from datetime import timedelta

import pytest
import structlog
from django.core.management import CommandError, call_command
from django.db import transaction

from access.models import Brand, User
from access.people import actor_of
from audit import api
from audit.models import AuditEntry
from core.actor import COMMAND, SYSTEM, Actor
from tests.conversations.conftest import transactional_db
from tests.conversations.stand import Door, make_door

__all__ = ["transactional_db"]


@pytest.fixture
def brand(db: None) -> Brand:
    return Brand.objects.create(slug="acme", name="Acme")


def test_an_entry_says_who_did_what_to_which_object(brand: Brand) -> None:
    actor = Actor(kind="PERSON", id="7", name="eve", address="192.0.2.1")

    entry = api.record("brand.changed", actor=actor, subject=brand, data={"name": ["A", "B"]}, reason="asked to")

    assert (entry.action, entry.actor_kind, entry.actor_id, entry.actor_name) == ("brand.changed", "PERSON", "7", "eve")
    assert (entry.address, entry.reason, entry.data) == ("192.0.2.1", "asked to", {"name": ["A", "B"]})
    assert (entry.subject_type, entry.subject_id, entry.subject_name) == ("brand", str(brand.pk), "Acme")
    assert entry.brand_id == brand.pk


def test_an_entry_belongs_to_the_brand_of_what_was_changed(transactional_db: None) -> None:
    door: Door = make_door()
    with transaction.atomic():
        entry = api.record("channel.changed", actor=COMMAND, subject=door.channel)

    assert entry.brand_id == door.onboarded.brand.pk


def test_what_belongs_to_no_brand_is_of_the_whole_site(db: None) -> None:
    person = User.objects.create_user(username="eve")

    entry = api.record("user.created", actor=actor_of(person, None), subject=person)

    assert entry.brand_id is None
    assert entry.actor_id == str(person.pk)


def test_an_action_that_is_not_registered_is_refused(brand: Brand) -> None:
    with pytest.raises(api.UnknownAction, match="brand.painted is not listed"):
        api.record("brand.painted", actor=COMMAND, subject=brand)
    assert not AuditEntry.objects.exists()


def test_an_act_and_its_record_stand_or_fall_together(transactional_db: None) -> None:
    brand = Brand.objects.create(slug="acme", name="Acme")

    with pytest.raises(RuntimeError, match="outside the transaction of the act"):
        api.record("brand.changed", actor=COMMAND, subject=brand)
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        api.record("brand.changed", actor=COMMAND, subject=brand)
        raise ZeroDivisionError

    assert not AuditEntry.objects.exists()


def test_long_names_and_reasons_are_cut_rather_than_lost(brand: Brand) -> None:
    brand.name = "n" * 128
    actor = Actor(kind="SYSTEM", name="a" * 400)

    entry = api.record("brand.changed", actor=actor, subject=brand, reason="r" * 9000)

    assert (len(entry.actor_name), len(entry.reason)) == (150, 500)


def test_an_entry_is_tied_to_the_log_lines_of_its_request(brand: Brand) -> None:
    with structlog.contextvars.bound_contextvars(correlation_id="c-1"):
        entry = api.record("brand.changed", actor=SYSTEM, subject=brand)

    assert entry.correlation_id == "c-1"


def test_an_entry_cannot_be_changed_or_deleted(brand: Brand) -> None:
    entry = api.record("brand.changed", actor=COMMAND, subject=brand)
    entry.reason = "another"

    with pytest.raises(TypeError, match="cannot be changed"):
        entry.save()
    with pytest.raises(TypeError, match="cannot be deleted"):
        entry.delete()
    assert AuditEntry.objects.get().reason == ""


def test_entries_cannot_be_changed_or_deleted_many_at_once(brand: Brand) -> None:
    api.record("brand.changed", actor=COMMAND, subject=brand)

    with pytest.raises(TypeError, match="cannot be changed"):
        AuditEntry.objects.all().update(reason="another")
    with pytest.raises(TypeError, match="cannot be deleted"):
        AuditEntry.objects.all().delete()
    with pytest.raises(TypeError, match="cannot be changed"):
        AuditEntry.objects.bulk_update(list(AuditEntry.objects.all()), ["reason"])
    assert AuditEntry.objects.get().reason == ""


def test_the_command_that_empties_a_database_is_refused(transactional_db: None) -> None:
    brand = Brand.objects.create(slug="acme", name="Acme")
    with transaction.atomic():
        api.record("brand.created", actor=COMMAND, subject=brand)

    with pytest.raises(CommandError):
        call_command("flush", interactive=False, verbosity=0)

    assert AuditEntry.objects.count() == 1


def test_a_brand_with_a_trail_cannot_be_deleted(brand: Brand) -> None:
    from django.db.models import ProtectedError

    api.record("brand.created", actor=COMMAND, subject=brand)

    with pytest.raises(ProtectedError):
        brand.delete()


def test_what_was_done_to_no_row_was_done_to_the_whole_site(db: None) -> None:
    with transaction.atomic():
        entry = api.record("backup.taken", actor=COMMAND, subject=None)

    assert (entry.subject_type, entry.subject_id, entry.brand_id) == ("site", "", None)


def test_the_same_of_the_same_actor_is_recorded_once_in_a_while(brand: Brand) -> None:
    eve, ada = (Actor(kind="PERSON", id=name, name=name) for name in ("eve", "ada"))
    other = Brand.objects.create(slug="birch", name="Birch")
    hour = timedelta(hours=1)

    assert api.record_once("access.refused", actor=eve, subject=brand, within=hour) is not None
    assert api.record_once("access.refused", actor=eve, subject=brand, within=hour) is None
    assert api.record_once("access.refused", actor=ada, subject=brand, within=hour) is not None
    assert api.record_once("access.refused", actor=eve, subject=other, within=hour) is not None
    assert api.record_once("access.refused", actor=eve, subject=brand, within=timedelta(0)) is not None
