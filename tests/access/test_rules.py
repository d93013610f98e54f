"""The one rule of who may see and do what."""

from __future__ import annotations

import pytest
from django.apps import apps
from django.contrib.auth.models import AnonymousUser, Group
from django.db import models

from access.models import Brand, Membership, Role, User
from access.rules import ALL_BRANDS, Verb, brand_id_of, brand_path_of, brands_of, limit, may
from conversations.models import Message
from installations.models import Account
from tests.factories import World, make_two_brands, make_user

OURS = ("access", "audit", "installations", "conversations", "webhooks")


@pytest.fixture
def two(db: None) -> tuple[World, World]:
    return make_two_brands()


def slugs(person: object) -> set[str]:
    return set(limit(Brand.objects.all(), person).values_list("slug", flat=True))  # type: ignore[arg-type]


def test_a_member_sees_the_rows_of_their_own_brand_and_no_others(two: tuple[World, World]) -> None:
    amber, birch = two

    assert set(limit(Account.objects.all(), amber.operator)) == {amber.account}
    assert set(limit(Message.objects.all(), birch.auditor).values_list("brand_id", flat=True)) == {birch.brand.pk}


@pytest.mark.parametrize("role", ["owner", "operator", "auditor"])
def test_every_row_of_every_kind_is_limited_to_its_brand(two: tuple[World, World], role: str) -> None:
    amber, birch = two
    person = getattr(amber, role)
    for label in OURS:
        for model in apps.get_app_config(label).get_models():
            if not hasattr(model, "brand_path"):
                continue
            seen = set(limit(model._default_manager.all(), person))
            foreign = {row for row in birch.rows if type(row) is model and not isinstance(row, User)}
            assert not seen & foreign, model


def test_somebody_without_a_membership_sees_nothing(two: tuple[World, World]) -> None:
    stranger = make_user("stranger")

    assert slugs(stranger) == set()
    assert not may(stranger, Verb.VIEW)


def test_somebody_who_is_not_signed_in_sees_nothing(two: tuple[World, World]) -> None:
    assert slugs(AnonymousUser()) == set()
    assert brands_of(AnonymousUser()) == frozenset()


def test_somebody_who_was_deactivated_sees_nothing(two: tuple[World, World]) -> None:
    amber, _ = two
    amber.owner.is_active = False

    assert slugs(amber.owner) == set()
    assert not may(amber.owner, Verb.VIEW, amber.account)


def test_a_superuser_who_was_deactivated_sees_nothing(two: tuple[World, World]) -> None:
    root = User.objects.create_superuser(username="root", password="x" * 12)
    assert brands_of(root) is ALL_BRANDS
    root.is_active = False

    assert slugs(root) == set()


def test_a_membership_without_a_brand_is_one_in_all_brands_those_added_later_too(two: tuple[World, World]) -> None:
    person = make_user("all", role=Role.AUDITOR)
    Brand.objects.create(slug="later", name="Later")

    assert "later" in slugs(person)
    assert brands_of(person) is ALL_BRANDS
    assert not may(person, Verb.OPERATE)


def test_memberships_in_several_brands_add_up(two: tuple[World, World]) -> None:
    amber, birch = two
    person = make_user("both", role=Role.OWNER, brand=amber.brand)
    Membership.objects.create(user=person, brand=birch.brand, role=Role.AUDITOR)

    assert slugs(person) == {amber.brand.slug, birch.brand.slug}
    assert may(person, Verb.OWN, amber.account)
    assert not may(person, Verb.OWN, birch.account)
    assert set(limit(Account.objects.all(), person, verb=Verb.OPERATE)) == {amber.account}


@pytest.mark.parametrize(
    ("role", "verbs"),
    [
        ("owner", {Verb.VIEW, Verb.OPERATE, Verb.OWN}),
        ("operator", {Verb.VIEW, Verb.OPERATE}),
        ("auditor", {Verb.VIEW}),
    ],
)
def test_a_role_may_do_what_it_says(two: tuple[World, World], role: str, verbs: set[Verb]) -> None:
    amber, birch = two
    person = getattr(amber, role)

    assert {verb for verb in Verb if may(person, verb, amber.account)} == verbs
    assert {verb for verb in Verb if may(person, verb)} == verbs
    assert not any(may(person, verb, birch.account) for verb in Verb)


def test_a_row_of_the_whole_site_is_for_those_who_may_see_all_brands(two: tuple[World, World]) -> None:
    amber, _ = two
    site_wide = Membership(user=amber.owner, brand=None, role=Role.OWNER)

    assert brand_id_of(site_wide) is None
    assert not may(amber.owner, Verb.VIEW, site_wide)


def test_a_model_that_does_not_say_where_its_brand_is_is_shown_to_nobody_by_omission(db: None) -> None:
    with pytest.raises(TypeError, match="does not say which brand"):
        limit(Group.objects.all(), User(username="x"))


def test_every_model_of_ours_says_where_its_brand_is() -> None:
    # People and their keys may belong to several, who fails to sign in to none; a count walks through the rows of all.
    exceptions = {"User", "ApiKey", "ApiKeyBrand", "FailedSignIns", "KeptAnswer", "UsageWalk"}
    silent = {
        model.__name__
        for label in OURS
        for model in apps.get_app_config(label).get_models()
        if not isinstance(getattr(model, "brand_path", None), str)
    }

    assert silent <= exceptions


def test_every_brand_path_leads_to_a_brand() -> None:
    for label in OURS:
        for model in apps.get_app_config(label).get_models():
            if not hasattr(model, "brand_path") or model is Brand:
                continue
            target: type[models.Model] = model
            for name in brand_path_of(model).split("__"):
                target = target._meta.get_field(name).related_model  # type: ignore[assignment, union-attr]
            assert target is Brand, model


def test_memberships_are_read_once_for_a_person(two: tuple[World, World], django_assert_num_queries: object) -> None:
    amber, _ = two
    person = User.objects.get(pk=amber.operator.pk)

    with django_assert_num_queries(1):  # type: ignore[operator]
        for _ in range(10):
            may(person, Verb.OPERATE, amber.account)
