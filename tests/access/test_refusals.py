"""Who asks for a row of another brand learns nothing, and the brand's own auditors learn of it."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import DatabaseError, models
from django.test import Client

from access import acts, refusals
from access.models import ApiKey, ApiKeyBrand, Role
from audit.models import AuditEntry
from core.ids import new_id
from tests.access.keys import Program
from tests.access.matrix import shape_of
from tests.access.pages import ROW_RULES, RULED, addresses, models_with, pages_of
from tests.access.route_rules import Rule
from tests.factories import World, make_two_brands, make_user

pytestmark = pytest.mark.django_db

MODELS = models_with(*ROW_RULES)
of_models = pytest.mark.parametrize("model", MODELS, ids=[model._meta.label for model in MODELS])


@pytest.fixture
def worlds() -> tuple[World, World]:
    return make_two_brands()


@pytest.fixture
def client(worlds) -> Client:
    """The browser of an owner of the first brand."""
    browser = Client(headers={"x-forwarded-for": "198.51.100.7"})
    browser.force_login(worlds[0].owner)
    return browser


def refused() -> list[AuditEntry]:
    return list(AuditEntry.objects.filter(action="access.refused").order_by("id"))


def page_of(row: models.Model) -> str:
    return f"/admin/{row._meta.app_label}/{row._meta.model_name}/{row.pk}/change/"


# --- the admin -------------------------------------------------------------------------------------------------------


@of_models
def test_every_page_about_a_row_of_another_brand_is_told_of(worlds, client, model):
    _, birch = worlds
    row = birch.row_of(model)
    for ruled in pages_of(model, *ROW_RULES):
        for url in addresses(ruled, birch):
            client.get(url, follow=True)
    (entry,) = refused()
    assert (entry.subject_type, entry.subject_id) == (model._meta.model_name, str(row.pk))
    assert entry.brand_id == birch.brand.pk
    assert (entry.actor_kind, entry.actor_id) == ("PERSON", str(worlds[0].owner.pk))
    assert entry.address == "198.51.100.7"


def test_a_deed_that_was_tried_is_told_of(worlds, client):
    amber, birch = worlds
    client.post(f"/admin/installations/appinstallation/{birch.installation.pk}/do/pause/", {"reason": "to harm"})
    (entry,) = refused()
    assert (entry.subject_id, entry.brand_id) == (str(birch.installation.pk), birch.brand.pk)


@pytest.mark.parametrize("row_id", ["01a20606-828d-72ab-9868-55efe8f19534", "nonsense", "1", "_00", "' OR 1=1", "%00"])
def test_what_does_not_exist_is_told_to_nobody(worlds, client, row_id):
    assert client.get(f"/admin/installations/channel/{row_id}/change/", follow=True).status_code == 404
    assert refused() == []


def test_rows_that_one_may_see_are_not_told_of(worlds, client):
    assert client.get(page_of(worlds[0].channel)).status_code == 200
    assert refused() == []


def test_a_consumer_is_not_named_for_it(worlds, client):
    _, birch = worlds
    client.get(page_of(birch.consumer))
    (entry,) = refused()
    assert birch.mark not in entry.subject_name
    assert str(birch.consumer.pk) in entry.subject_name


def test_a_loop_does_not_flood_the_trail(worlds, client):
    amber, birch = worlds
    for _ in range(5):
        client.get(page_of(birch.channel))
    assert len(refused()) == 1
    client.get(page_of(birch.installation))
    assert len(refused()) == 2
    client.force_login(amber.operator)
    client.get(page_of(birch.channel))
    assert len(refused()) == 3


def test_the_answer_is_the_same_when_it_could_not_be_recorded(worlds, client, monkeypatch):
    _, birch = worlds
    absent = shape_of(client.get(f"/admin/installations/channel/{new_id()}/change/"))

    def fail(*_: Any, **__: Any) -> None:
        raise DatabaseError("the trail is full")

    monkeypatch.setattr(acts, "tell_once", fail)
    assert shape_of(client.get(page_of(birch.channel))) == absent
    assert refused() == []


def test_those_whom_it_concerns_see_it_and_the_asker_does_not(worlds, client):
    _, birch = worlds
    client.get(page_of(birch.channel))
    page = f"/admin/audit/auditentry/{refused()[0].pk}/change/"
    assert client.get(page).status_code == 404
    client.force_login(birch.auditor)
    shown = client.get(page).content.decode()
    assert "asked for something of a brand" in shown
    assert worlds[0].mark not in shown  # nor who works for another brand


# --- the API ---------------------------------------------------------------------------------------------------------

RESOURCES = [one for one in RULED if one.rule is Rule.API_ROW]


@pytest.mark.parametrize("ruled", RESOURCES, ids=[one.route.text for one in RESOURCES])
def test_a_key_that_asks_for_a_row_of_another_brand_is_told_of(worlds, ruled):
    amber, birch = worlds
    program, row = Program(amber.auditor), birch.row_of(ruled.model)
    absent = shape_of(program.get(ruled.route.url(pk=new_id())))
    for _ in range(3):
        assert shape_of(program.get(ruled.route.url(pk=row.pk))) == absent
    (entry,) = refused()
    assert (entry.subject_type, entry.subject_id) == (ruled.model._meta.model_name, str(row.pk))
    assert entry.brand_id == birch.brand.pk
    assert (entry.actor_kind, entry.actor_id) == ("KEY", str(ApiKey.objects.get(owner=amber.auditor).pk))


def test_a_filter_by_a_row_of_another_brand_is_told_of(worlds):
    amber, birch = worlds
    program = Program(amber.auditor)
    assert program.read("/api/v1/messages/", conversation=str(birch.conversation.pk))["results"] == []
    (entry,) = refused()
    assert (entry.subject_id, entry.brand_id) == (str(birch.conversation.pk), birch.brand.pk)


def test_filters_by_what_one_sees_or_nobody_has_are_not_told_of(worlds):
    program = Program(worlds[0].auditor)
    program.read("/api/v1/messages/", conversation=str(worlds[0].conversation.pk))
    program.read("/api/v1/messages/", conversation=str(new_id()))
    assert refused() == []


def test_a_key_that_opens_fewer_brands_than_its_owner_sees_is_told_of(worlds):
    amber, birch = worlds
    owner = make_user("all", role=Role.AUDITOR)
    program = Program(owner)
    ApiKeyBrand.objects.create(key=ApiKey.objects.get(owner=owner), brand=amber.brand)
    assert program.get(f"/api/v1/messages/{birch.failed.pk}/").status_code == 404
    assert [one.brand_id for one in refused()] == [birch.brand.pk]


def test_a_row_of_the_whole_site_is_told_of_in_the_trail_of_the_site(worlds):
    amber, _ = worlds
    entry = AuditEntry.objects.create(
        action="user.created", actor_kind="SYSTEM", actor_name="system", subject_type="user"
    )
    refusals.note(amber.auditor, AuditEntry, entry.pk, None)
    assert refused()[0].brand_id is None


def test_there_is_something_to_try():
    assert len(MODELS) > 10
    assert len(RESOURCES) >= 10
