"""Asking the admin around corners: lookups, odd addresses, autocompletion, ids of other columns, pages about no row."""

from __future__ import annotations

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.http import HttpResponseBase

from tests.access.matrix import Part, shape_of, state_of_everything, told_by, undone
from tests.access.pages import PAGES, RULED, is_sent_to_sign_in, models_with, pages_of
from tests.access.route_rules import Rule
from tests.factories import World

pytestmark = pytest.mark.django_db

MODELS = models_with(*PAGES)
of_models = pytest.mark.parametrize("model", MODELS, ids=[model._meta.label for model in MODELS])
GUESSED = frozenset(
    {"sealed", "password", "token_key", "digest", "slug", "raw", "text", "username", "lp_account_id", "name"}
)


# --- lists -----------------------------------------------------------------------------------------------------------


@of_models
def test_lists_cannot_be_asked_for_what_they_do_not_show(stage, model):
    """A lookup that is no filter answers alike whether its value is right or wrong: nothing is guessed bit by bit."""
    for ruled in pages_of(model, Rule.LIST):
        for part in stage.lookers:
            own = part.sees[0]
            for lookup in lookups_of(model):
                right, wrong = (
                    told_of(stage.ask(part, "get", ruled.route.url(), {f"{lookup}__startswith": value}), value)
                    for value in (own.mark[:4], "zzzz")
                )
                assert right == wrong, lookup


def told_of(answer: HttpResponseBase, value: str) -> str:
    """What an answer says, apart from the value that was asked for."""
    return str(shape_of(answer)).replace(value, "#")


def lookups_of(model: type[models.Model]) -> list[str]:
    """Ways from a model to columns that somebody could want to guess."""
    found, seen, edge = set(), {model}, [("", model)]
    for _ in range(3):
        further = []
        for way, one in edge:
            for to in one._meta.get_fields():
                if to.is_relation and to.related_model and to.related_model not in seen:
                    further.append((f"{way}{to.name}__", to.related_model))
                    seen.add(to.related_model)
                elif to.name in GUESSED:
                    found.add(f"{way}{to.name}")
        edge = further
    return sorted(found)


@of_models
def test_lists_tell_nothing_of_another_brand_whatever_the_address_says(stage, model):
    before = state_of_everything()
    for ruled in pages_of(model, Rule.LIST):
        for part in stage.lookers:
            for query in odd_queries(stage.other(part.sees[0]), model):
                answer = stage.ask(part, "get", ruled.route.url(), query)
                assert answer.status_code in (200, 302, 400, 403, 404), query
                stage.follow(part, answer)
    assert state_of_everything() == before


def odd_queries(world: World, model: type[models.Model]) -> list[dict[str, str]]:
    row, key = world.row_of(model), model._meta.pk.name
    queries = [
        {"q": str(row.pk)}, {"q": world.mark}, {"q": world.account.lp_account_id}, {"q": world.installation.client_id},
        {"q": world.brand.slug}, {"q": "%"}, {"q": "\x00"}, {"q": "'\""}, {"q": "x" * 10_000},
        {"q": world.owner.username}, {"q": world.consumer.channel_consumer_id}, {"q": world.consumer.ext_consumer_id},
        {"q": world.conversation.lp_conversation_id},
        {"brand": str(world.brand.pk)}, {"brand__id__exact": str(world.brand.pk)}, {"brand": "x"}, {"brand": "\x00"},
        {f"{key}__in": str(row.pk)}, {f"{key}__exact": str(row.pk)}, {"id": str(row.pk)}, {"subject_id": str(row.pk)},
        {"_to_field": "name"}, {"_to_field": "sealed", "_popup": "1"}, {"_to_field": key, "_popup": "1"},
        {"o": "1.2.-3"}, {"o": "999"}, {"p": "1"}, {"p": "99999"}, {"p": "-1"}, {"p": "x"}, {"all": "1"}, {"e": "1"},
        {"_facets": "1"}, {"_changelist_filters": "q=x"}, {"_source_model": "x"}, {"since": "x"}, {"state": "x"},
        {"installation__secrets__sealed__startswith": "a"},
    ]  # fmt: skip
    for name in ("account", "installation", "channel", "consumer", "conversation", "delivery", "message", "lane"):
        target = next(one for one in world.rows if one._meta.model_name.endswith(name))
        queries += [{name: str(target.pk)}, {f"{name}__id__exact": str(target.pk)}, {f"{name}_id": str(target.pk)}]
    return queries


@of_models
def test_lists_answer_alike_to_ids_of_another_brand_and_unknown_ones(stage, model):
    known = "01900000-0000-7000-8000-000000000000"
    for ruled in pages_of(model, Rule.LIST):
        for part in (one for one in stage.lookers if len(one.sees) == 1):
            other = stage.other(part.sees[0])
            for name in ("q", "brand", "account", "installation", "channel", "consumer", "conversation", "subject_id"):
                row = next((one for one in other.rows if one._meta.model_name.endswith(name)), other.row_of(model))
                answers = [
                    shape_of(stage.ask(part, "get", ruled.route.url(), {name: value})) for value in (str(row.pk), known)
                ]
                assert answers[0] == answers[1], (part.name, name)


@of_models
def test_a_row_is_found_by_its_id_alone(stage, model):
    """`_to_field` would tell whether a value exists in a column."""
    for ruled in pages_of(model, Rule.ROW):
        for part in stage.lookers:
            for world in stage.worlds:
                for column in sorted({one.name for one in model._meta.concrete_fields} - {model._meta.pk.name}):
                    value = getattr(world.row_of(model), column)
                    if isinstance(value, str) and value and "/" not in value:
                        url = ruled.route.url(object_id=value)
                        answer = stage.ask(part, "get", url, {"_to_field": column, "_popup": "1"})
                        assert answer.status_code in (301, 302, 400, 403, 404), (part.name, url)


# --- autocompletion --------------------------------------------------------------------------------------------------


def test_autocompletion_offers_nothing_of_another_brand(stage):
    of_models = [
        {"app_label": model._meta.app_label, "model_name": model._meta.model_name, "field_name": one.name}
        for model in apps.get_models()
        for one in model._meta.get_fields()
        if isinstance(one, models.ForeignKey)
    ]
    odd = [
        {},
        {"app_label": "access", "model_name": "user", "field_name": "password"},
        {"app_label": "installations", "model_name": "installationsecret", "field_name": "sealed"},
        {"app_label": "x", "model_name": "y", "field_name": "z"},
        {"app_label": "access", "model_name": "membership", "field_name": "user__password"},
        {"app_label": "\x00", "model_name": "", "field_name": "x" * 5_000},
    ]
    strangers = [part for part in stage.parts if not part.may_enter]
    for part in [*strangers, *stage.lookers, stage.parts[-1]]:
        for asked in [*of_models, *odd]:
            # Not the whole mark: what is asked may come back, and a leak would look like an echo.
            for term in ("", *(world.mark[:5] for world in stage.worlds)):
                answer = stage.ask(part, "get", "/admin/autocomplete/", {**asked, "term": term})
                if part.may_enter:
                    assert answer.status_code in (200, 403, 404), asked
                else:
                    assert is_sent_to_sign_in(answer)


# --- pages about no row ----------------------------------------------------------------------------------------------


def test_pages_about_no_row_show_everybody_their_own(stage):
    before = state_of_everything()
    labels = sorted({model._meta.app_label for model in admin.site._registry})
    urls = [
        "/admin/", "/admin/search/?s=amber", "/admin/search/?s=birch&extended=1", "/admin/password_change/",
        "/admin/password_change/done/", "/admin/nonsense/", "/admin/access/nonsense/",
        *(f"/admin/{label}/" for label in labels),
    ]  # fmt: skip
    for part in stage.parts:
        stage.ask(part, "get", "/admin/jsi18n/")
        for url in urls:
            answer = stage.ask(part, "get", url)
            assert answer.status_code in (200, 302, 404), (part.name, url)
            assert is_sent_to_sign_in(answer) != part.may_enter, (part.name, url)
    assert state_of_everything() == before


def test_the_dashboard_shows_each_person_their_brands(stage):
    for part in (one for one in stage.parts if one.may_enter):
        text = told_by(stage.ask(part, "get", "/admin/"))
        for world in stage.worlds:
            assert (world.mark in text) == (world in part.sees), part.name


def test_links_by_type_and_id_lead_nowhere(stage):
    for part in [*(one for one in stage.parts if not one.may_enter), *stage.lookers]:
        for world in stage.worlds:
            for model in {type(row) for row in world.rows}:
                kind = ContentType.objects.get_for_model(model)
                answer = stage.ask(part, "get", f"/admin/r/{kind.pk}/{world.row_of(model).pk}/")
                assert answer.status_code in (302, 403, 404), (part.name, model)


def test_the_way_in_does_not_tell_whose_names_exist(stage):
    anonymous = stage.parts[0]
    for world in stage.worlds:
        with undone():
            answers = [
                stage.ask(anonymous, "post", "/admin/login/", {"username": name, "password": "wrong"})
                for name in (world.owner.username, "nobody-of-this-name")
            ]
        known, unknown = (shape_of(answer) for answer in answers)
        assert known[0] == 200
        assert known[2].replace(world.owner.username, "#") == unknown[2].replace("nobody-of-this-name", "#")


def test_public_addresses_tell_nothing_of_any_brand(stage):
    stranger = Part(name="anybody", user=None, sees=())
    for ruled in (one for one in RULED if one.rule is Rule.PUBLIC):
        for part in stage.parts:
            answer = stage.ask(part, "get", ruled.route.url())
            assert answer.status_code in (200, 503), (part.name, ruled.route.text)
            stage.judge(stranger, answer, asked="", label=ruled.route.text)


def test_the_bare_address_leads_everybody_to_the_admin(stage):
    (ruled,) = (one for one in RULED if one.rule is Rule.LEADS_TO_ADMIN)
    for part in stage.parts:
        answer = stage.ask(part, "get", ruled.route.url())
        assert (answer.status_code, answer["Location"], answer.content) == (302, "/admin/", b"")


def test_where_there_is_nothing_nobody_is_led_elsewhere(stage):
    for ruled in (one for one in RULED if one.rule is Rule.NOWHERE):
        for part in stage.parts:
            for method in ("get", "post", "delete"):
                assert stage.ask(part, method, f"{ruled.route.url()}nonsense").status_code == 404
