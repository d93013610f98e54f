"""What a key opens: never more than its owner may, and of that only what it is limited to."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.models import ProtectedError
from django.test import Client, RequestFactory
from django.utils import timezone
from knox.models import AuthToken
from rest_framework.test import APIRequestFactory

from access.models import ApiKey, Role, User
from access.people import actor_of
from access.resources import RESOURCES
from access.rest.permissions import InReach, resource_of
from access.rules import ALL_BRANDS, Verb, brands_of, may
from connector_site import api_urls
from tests.access.keys import Program, make_key
from tests.factories import make_superuser, make_two_brands, make_user, make_world

pytestmark = pytest.mark.django_db


@pytest.fixture
def worlds():
    return make_two_brands()


def with_key(owner: User, *, brands=(), **values) -> User:
    """The owner as a request with such a key knows them."""
    owner = User.objects.get(pk=owner.pk)
    key = ApiKey.objects.create(
        owner=owner, name="nightly export", prefix="consite_1a2b3c4", expires_at=timezone.now(), **values
    )
    key.brands.set(brands)
    owner.key = key
    return owner


# --- brands and verbs ------------------------------------------------------------------------------------------------


def test_a_key_without_limits_sees_what_its_owner_sees(worlds):
    amber, _ = worlds
    assert brands_of(with_key(amber.auditor)) == {amber.brand.pk}
    assert brands_of(with_key(make_superuser())) is ALL_BRANDS


def test_a_key_sees_no_brand_beside_its_own_and_none_that_its_owner_does_not_see(worlds):
    amber, birch = worlds
    everybody = make_user("everybody", role=Role.OPERATOR)
    assert brands_of(with_key(everybody, brands=[amber.brand])) == {amber.brand.pk}
    assert brands_of(with_key(amber.auditor, brands=[birch.brand])) == frozenset()
    assert brands_of(with_key(amber.auditor, brands=[amber.brand, birch.brand])) == {amber.brand.pk}


def test_a_key_operates_only_where_it_was_made_for_it_and_its_owner_may(worlds):
    amber, _ = worlds
    assert not may(with_key(amber.operator), Verb.OPERATE, amber.dead)
    assert may(with_key(amber.operator, may_operate=True), Verb.OPERATE, amber.dead)
    assert not may(with_key(amber.auditor, may_operate=True), Verb.OPERATE, amber.dead)
    assert not may(with_key(amber.operator, may_operate=True, brands=[worlds[1].brand]), Verb.OPERATE, amber.dead)


def test_what_owners_alone_may_do_is_never_done_by_a_key(worlds):
    amber, _ = worlds
    assert may(amber.owner, Verb.OWN, amber.brand)
    assert not may(with_key(amber.owner, may_operate=True), Verb.OWN, amber.brand)
    assert not may(with_key(make_superuser(), may_operate=True), Verb.OWN, amber.brand)


def test_a_key_of_somebody_who_may_no_longer_sign_in_sees_nothing(worlds):
    owner = with_key(worlds[0].owner)
    owner.is_active = False
    assert brands_of(owner) == frozenset()


def test_a_brand_that_a_key_is_limited_to_cannot_go_away(worlds):
    empty = make_world(slug="cedar", mark="CEDARQQ").brand
    with_key(make_superuser(), brands=[empty])
    with pytest.raises(ProtectedError):
        empty.delete()


# --- resources -------------------------------------------------------------------------------------------------------


def test_every_address_of_the_api_says_which_resource_it_belongs_to():
    for _, view, _ in api_urls.router.registry:
        assert resource_of(view) in RESOURCES


def test_a_view_that_does_not_say_its_resource_opens_nothing(worlds):
    request = APIRequestFactory().get("/")
    request.user = with_key(worlds[0].auditor)
    for view in (type("Forgotten", (), {})(), type("Mistyped", (), {"resource": "message"})()):
        with pytest.raises(TypeError, match="does not say which resource"):
            InReach().has_permission(request, view)


def test_a_key_limited_to_resources_opens_those_and_says_so_elsewhere(worlds):
    program = Program(worlds[0].auditor)
    ApiKey.objects.update(resources=["messages"])
    assert program.get("/api/v1/messages/").status_code == 200
    answer = program.get("/api/v1/conversations/")
    told = answer.json()
    assert (answer.status_code, told["code"]) == (403, "forbidden")
    assert told["detail"] == "This key does not open conversations. It opens messages."
    assert program.get(f"/api/v1/conversations/{worlds[0].conversation.pk}/").status_code == 403


# --- who asked -------------------------------------------------------------------------------------------------------


def test_the_trail_names_the_key_and_its_owner(worlds):
    owner = with_key(worlds[0].operator)
    actor = actor_of(owner, RequestFactory().get("/"))
    assert (actor.kind, actor.id, actor.address) == ("KEY", str(owner.key.pk), "127.0.0.1")
    assert actor.name == f"{owner.get_username()} (key nightly export)"


def test_a_person_who_signs_in_has_no_key(worlds):
    assert actor_of(worlds[0].operator, None).kind == "PERSON"


# --- the row and its token -------------------------------------------------------------------------------------------


def status_with(key: str) -> int:
    return Client().get("/api/v1/messages/", headers={"Authorization": f"Bearer {key}"}).status_code


def test_a_token_without_a_row_opens_nothing(worlds):
    key = make_key(worlds[0].auditor)
    assert status_with(key) == 200
    ApiKey.objects.update(token=None)
    assert status_with(key) == 401


@pytest.mark.parametrize("change", ["revoked_at", "expires_at"])
def test_a_row_that_has_ended_is_refused_though_its_token_is_there(worlds, change):
    key = make_key(worlds[0].auditor)
    ApiKey.objects.update(**{change: timezone.now() - timedelta(seconds=1)})
    assert status_with(key) == 401


def test_a_row_of_somebody_else_than_the_token_is_refused(worlds):
    key = make_key(worlds[0].auditor)
    ApiKey.objects.update(owner=worlds[1].owner)
    assert status_with(key) == 401


def test_who_asks_is_found_by_one_statement(worlds, django_assert_num_queries):
    from access.rest.authentication import KeyAuthentication

    key = make_key(worlds[0].auditor)
    with django_assert_num_queries(1):
        user, _ = KeyAuthentication().authenticate_credentials(key.encode())
        assert user.key.brand_ids == frozenset()


def test_tokens_that_were_there_before_get_their_rows(worlds):
    old, secret = AuthToken.objects.create(user=worlds[0].auditor, expiry=timedelta(days=3))
    AuthToken.objects.create(user=worlds[0].auditor, expiry=None)
    assert status_with(secret) == 401
    apps = MigrationExecutor(connection).loader.project_state([("access", "0005_keys_of_tokens")]).apps
    from importlib import import_module

    import_module("access.migrations.0005_keys_of_tokens").give_tokens_their_rows(apps, None)
    row = ApiKey.objects.get()
    assert (row.owner_id, row.token_id, row.prefix) == (worlds[0].auditor.pk, old.pk, secret[:15])
    assert (row.may_operate, row.may_read_content, row.brand_ids) == (False, False, frozenset())
    assert status_with(secret) == 200
