"""
Every route, in every role, about rows of two brands: the right answer, and not a byte of a brand that one may not see.

The routes are taken from the URL resolver and the admin's own list of pages, so that whatever is added is covered; a
route that tests/access/route_rules.py does not speak of fails here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.http import HttpResponseBase
from django.test import Client
from knox.models import AuthToken

from connector_site.invariants import all_invariants, check
from core.ids import new_id
from tests.access.conftest import CELLS, LEAKS, UNRULED
from tests.access.forms import fields_of, filled_in, forgeries
from tests.access.matrix import Part, Stage, make_stage, shape_of, state_of, state_of_everything, told_by, undone
from tests.access.route_rules import Rule, Ruled, rule_of
from tests.access.routes import Route, all_routes
from tests.conversations.database import empty
from tests.factories import World

pytestmark = pytest.mark.django_db

RULED = [ruled for route in all_routes() if (ruled := rule_of(route))]
ROW_RULES = (Rule.ROW, Rule.ROW_CHANGE, Rule.DEED)
PAGES = (Rule.LIST, Rule.ADD, *ROW_RULES)
MODELS = sorted({one.model for one in RULED if one.rule in PAGES}, key=lambda model: model._meta.label)
PLATFORM_MODELS = sorted({one.model for one in RULED if one.rule is Rule.PLATFORM}, key=lambda model: model._meta.label)
of_models = pytest.mark.parametrize("model", MODELS, ids=[model._meta.label for model in MODELS])
ABSENT = None


@pytest.fixture(scope="module")
def whole_stage(django_db_setup: None, django_db_blocker: Any) -> Iterator[Stage]:
    """Committed once, because it takes seconds to set up; what a test does to it is rolled back."""
    with django_db_blocker.unblock():
        stage = make_stage()
    yield stage
    with django_db_blocker.unblock():
        AuthToken.objects.all().delete()
        empty()


@pytest.fixture
def stage(whole_stage: Stage, record_property: Any) -> Iterator[Stage]:
    """The stage, with the sums of one test; a test that let something leak fails."""
    whole_stage.cells, whole_stage.leaks = 0, []
    yield whole_stage
    record_property(CELLS, whole_stage.cells)
    record_property(LEAKS, len(whole_stage.leaks))
    assert not whole_stage.leaks, "\n".join(whole_stage.leaks[:20])


def pages_of(model: type[models.Model], *rules: Rule) -> list[Ruled]:
    return [one for one in RULED if one.model is model and one.rule in rules]


def deeds_of(model: type[models.Model]) -> list[str]:
    return [deed.name for deed in getattr(admin.site._registry[model], "deeds", ())]


def addresses(ruled: Ruled, world: World | None) -> list[str]:
    """The addresses of a route about a row of this world; ABSENT: about an id that does not exist."""
    row = world.row_of(ruled.model) if world else None
    row_id = str(row.pk) if row else str(new_id())
    if ruled.rule is not Rule.DEED:
        return [ruled.route.url(object_id=row_id, pk=row_id)]
    return [ruled.route.url(object_id=row_id, deed_name=name) for name in [*deeds_of(ruled.model), "nonsense"]]


def is_sent_to_sign_in(answer: HttpResponseBase) -> bool:
    return answer.status_code == 302 and "/admin/login/" in answer["Location"]


# --- the table is complete -------------------------------------------------------------------------------------------


def test_every_route_has_a_rule(record_property):
    without = [route.text for route in all_routes() if rule_of(route) is None]
    record_property(UNRULED, len(without))
    assert without == [], "Say in tests/access/route_rules.py whose these routes are."


def test_every_page_of_the_admin_is_among_the_routes():
    texts = {route.text for route in all_routes()}
    for model, page in admin.site._registry.items():
        for pattern in page.get_urls():
            assert f"admin/{model._meta.app_label}/{model._meta.model_name}/{pattern.pattern}" in texts


def test_a_route_that_is_new_has_no_rule():
    for text in (
        "admin/access/brand/<path:object_id>/export/",
        "api/v1/messages/<uuid:pk>/text/",
        "api/v2/x/",
        "debug/",
    ):
        assert rule_of(Route(text=text)) is None


# --- the eye sees ----------------------------------------------------------------------------------------------------


def test_a_leak_would_be_found(whole_stage):
    """What superusers are shown is shown to somebody who may not see it."""
    amber, birch = whole_stage.worlds
    superuser = whole_stage.parts[-1]
    of_amber = next(part for part in whole_stage.parts if part.sees == (amber,))
    answer = whole_stage.client(superuser).get(f"/admin/access/brand/{birch.brand.pk}/change/")
    whole_stage.leaks = []
    whole_stage.judge(of_amber, answer, asked="", label="")
    assert birch.mark in whole_stage.leaks[0]
    whole_stage.leaks = []
    whole_stage.judge(superuser, answer, asked="", label="")
    assert whole_stage.leaks == []


def test_a_change_would_be_found(whole_stage):
    amber, birch = whole_stage.worlds
    for row in birch.rows:
        with undone():
            before = (state_of(amber), state_of(birch), state_of_everything())
            type(row)._default_manager.filter(pk=row.pk).update(**{_changeable(row): _changed(row)})
            assert state_of(amber) == before[0], row
            assert state_of(birch) != before[1], row
            assert state_of_everything() != before[2], row


def _changeable(row: models.Model) -> str:
    kinds = (models.CharField, models.TextField, models.BinaryField)
    return next(one.name for one in row._meta.concrete_fields if isinstance(one, kinds) and not one.primary_key)


def _changed(row: models.Model) -> Any:
    value = getattr(row, _changeable(row))
    return f"x{value}"[:8] if isinstance(value, str) else b"x"


# --- looking at pages of rows ----------------------------------------------------------------------------------------


@of_models
def test_pages_are_shown_to_those_who_may_see_them(stage, model):
    before = state_of_everything()
    for part in stage.parts:
        for ruled in pages_of(model, Rule.LIST, Rule.ADD):
            answer = stage.ask(part, "get", ruled.route.url())
            assert_right_list(part, ruled, answer)
        for ruled in pages_of(model, *ROW_RULES):
            missing = [shape_of(stage.ask(part, "get", url)) for url in addresses(ruled, ABSENT)]
            for world in stage.worlds:
                answers = [stage.ask(part, "get", url) for url in addresses(ruled, world)]
                if world in part.sees:
                    for url, answer in zip(addresses(ruled, world), answers, strict=True):
                        assert_right_row(part, ruled, world, answer, url)
                else:
                    assert [shape_of(answer) for answer in answers] == missing, (part.name, ruled.route.text)
    assert state_of_everything() == before


def assert_right_list(part: Part, ruled: Ruled, answer: HttpResponseBase) -> None:
    told = (part.name, ruled.route.text, answer.status_code)
    if not part.may_enter:
        assert is_sent_to_sign_in(answer), told
    elif ruled.rule is Rule.ADD:
        assert answer.status_code in ((200, 403) if part.may_change else (403,)), told
    else:
        assert answer.status_code == 200, told
        for world in part.sees:
            assert shows(answer, world, ruled.model), told


def assert_right_row(part: Part, ruled: Ruled, world: World, answer: HttpResponseBase, url: str) -> None:
    told = (part.name, url, answer.status_code)
    if url.endswith("/nonsense/"):
        assert answer.status_code == 404, told
    elif ruled.rule is Rule.ROW:
        assert answer.status_code in (200, 301, 302), told
        assert not is_sent_to_sign_in(answer), told
        if answer.status_code == 200:
            assert shows(answer, world, ruled.model), told
    elif part.may_change:
        assert answer.status_code in (200, 302, 403), told
        assert not is_sent_to_sign_in(answer), told
    else:
        assert answer.status_code == 403, told


def shows(answer: HttpResponseBase, world: World, model: type[models.Model]) -> bool:
    """Whether something of the row's own brand stands there: an empty page would leak nothing."""
    row, text = world.row_of(model), told_by(answer).lower()
    return world.mark.lower() in text or str(row.pk) in text


def test_pages_for_those_who_run_the_site_are_shown_to_nobody_else(stage):
    before = state_of_everything()
    for model in PLATFORM_MODELS:
        for ruled in pages_of(model, Rule.PLATFORM):
            for world in (*stage.worlds, ABSENT) if ruled.route.parameters else (stage.amber,):
                row = world.row_of(model) if world else None
                url = ruled.route.url(object_id=row.pk if row else new_id(), id=row.pk if row else new_id())
                for part in stage.parts:
                    answer = stage.ask(part, "get", url)
                    told = (part.name, url, answer.status_code)
                    if not part.may_enter:
                        assert is_sent_to_sign_in(answer), told
                    elif part.runs_the_site:
                        assert answer.status_code in (200, 302, 403, 404), told
                    else:
                        assert answer.status_code in (302, 403, 404), told
    assert state_of_everything() == before


# --- trying to change ------------------------------------------------------------------------------------------------


@of_models
def test_those_who_only_look_change_nothing(stage, model):
    """Auditors, of their own brand too, and people without a role: with the very forms that an operator would send."""
    before = state_of_everything()
    for part in stage.parts:
        if part.may_change:
            continue
        for ruled in pages_of(model, *PAGES):
            for url in addresses(ruled, stage.amber):
                for method in ("post", "put", "patch", "delete"):
                    data = what_an_owner_would_send(stage, url) if method == "post" else {}
                    with undone():
                        answer = stage.ask(part, method, url, data)
                        told = (part.name, method, url, answer.status_code)
                        assert answer.status_code in (302, 403, 404, 405) or ruled.rule in (Rule.LIST, Rule.ROW), told
                        assert state_of_everything() == before, told


@of_models
def test_nobody_changes_rows_of_another_brand(stage, model):
    before = state_of_everything()
    for part in stage.parts:
        for world in stage.worlds:
            if not part.may_change or world in part.sees:
                continue
            for ruled in pages_of(model, *ROW_RULES):
                for url, gone in zip(addresses(ruled, world), addresses(ruled, ABSENT), strict=True):
                    data = what_an_owner_would_send(stage, url, of=world)
                    with undone():
                        missing = shape_of(stage.ask(part, "post", gone, data))
                    with undone():
                        answer = stage.ask(part, "post", url, data)
                        assert shape_of(answer) == missing, (part.name, url)
                        assert state_of_everything() == before, (part.name, url)


def what_an_owner_would_send(stage: Stage, url: str, *, of: World | None = None) -> dict[str, str]:
    """The form at this address, filled in by somebody who may."""
    world = of or stage.amber
    owner = next(part for part in stage.parts if part.user == world.owner)
    answer = stage.client(owner).get(url)
    form = filled_in(fields_of(answer.content)) if answer.status_code == 200 else {}
    return {"post": "yes", "reason": "a test", **form}


@of_models
def test_ids_of_another_brand_in_a_form_have_no_effect(stage, model):
    links = [one for one in all_invariants() if one.name.startswith("one_")]
    for part in stage.parts:
        if not part.may_change or part.runs_the_site:
            continue
        (own,) = part.sees
        other = next(world for world in stage.worlds if world is not own)
        before = state_of(other)
        for url in addresses_of_forms(stage, part, model, own):
            page = stage.ask(part, "get", url)
            fields = fields_of(page.content) if page.status_code == 200 else []
            for data in forgeries(fields, model, own, other):
                with undone():
                    answer = stage.ask(part, "post", url, data)
                    stage.redirects(part, answer)
                    assert state_of(other) == before, (part.name, url)
                    assert check(links) == [], (part.name, url, data)


def addresses_of_forms(stage: Stage, part: Part, model: type[models.Model], own: World) -> Iterator[str]:
    for ruled in pages_of(model, Rule.ADD, Rule.ROW):
        for url in addresses(ruled, own):
            page = stage.client(part).get(url)
            if page.status_code == 200:
                yield url
                yield from (url + link for link in choices_of_kind(page.content.decode()))
    for ruled in pages_of(model, Rule.DEED):
        for url in addresses(ruled, own):
            page = stage.client(part).get(url)
            # A deed without a choice of rows has nothing to forge, and some call the outside.
            if page.status_code == 200 and any(str(row.pk) in page.content.decode() for row in secrets_in(own)):
                yield url


def secrets_in(world: World) -> list[models.Model]:
    return [row for row in world.rows if hasattr(row, "seal_context")]


def choices_of_kind(page: str) -> list[str]:
    """Links of a page that asks first of what kind the new row is to be."""
    return sorted({part.split('"')[0] for part in page.split('href="')[1:] if part.startswith("?")})


@of_models
def test_rows_of_another_brand_cannot_be_selected_for_an_action(stage, model):
    page = admin.site._registry[model]
    names = {
        "delete_selected",
        *(name for _, name, _ in page._get_base_actions()),
        *dict(admin.site.actions),
        "nonsense",
    }
    for part in stage.parts:
        for world in stage.worlds:
            hidden = [one for one in stage.worlds if one not in part.sees]
            ids = [str(row.pk) for one in hidden for row in one.rows if type(row) is model]
            if not ids or world in part.sees:
                continue
            before = [state_of(one) for one in hidden]
            for name in sorted(names):
                for more in ({}, {"select_across": "1"}, {"post": "yes"}, {"_save": "1", "form-0-id": ids[0]}):
                    data = {"action": name, "_selected_action": ids, "index": "0", **more}
                    for ruled in pages_of(model, Rule.LIST):
                        with undone():
                            answer = stage.ask(part, "post", ruled.route.url(), data)
                            stage.redirects(part, answer)
                            assert [state_of(one) for one in hidden] == before, (part.name, name)


@of_models
def test_forms_without_the_token_against_forgery_are_refused(stage, model):
    before = state_of_everything()
    client = Client(enforce_csrf_checks=True, raise_request_exception=False)
    client.force_login(stage.parts[-1].user)
    with undone():
        client.force_login(stage.parts[-1].user)
    before = state_of_everything()
    for ruled in pages_of(model, *PAGES):
        for url in addresses(ruled, stage.amber):
            with undone():
                answer = client.post(url, what_an_owner_would_send(stage, url))
                stage.cells += 1
                assert answer.status_code == 403, url
                assert state_of_everything() == before


# --- asking around corners -------------------------------------------------------------------------------------------


@of_models
def test_lists_cannot_be_asked_for_what_they_do_not_show(stage, model):
    """A lookup that is not a filter gives the same answer whether its value is right or wrong."""
    for ruled in pages_of(model, Rule.LIST):
        for part in (one for one in stage.parts if one.may_enter and not one.runs_the_site):
            own = part.sees[0]
            for lookup in lookups_of(model):
                answers = [
                    stage.ask(part, "get", ruled.route.url(), {f"{lookup}__{kind}": value})
                    for kind, value in (("startswith", own.mark[:4]), ("startswith", "nothing"))
                ]
                shapes = [shape_of(answer) for answer in answers]
                assert without_values(shapes[0], own.mark[:4]) == without_values(shapes[1], "nothing"), (
                    part.name,
                    lookup,
                )


def without_values(shape: tuple[int, str, str], value: str) -> tuple[int, str, str]:
    return shape[0], shape[1].replace(value, "#"), shape[2].replace(value, "#")


def lookups_of(model: type[models.Model]) -> list[str]:
    """Ways from a model to columns that somebody could want to guess letter by letter."""
    wanted = {"sealed", "password", "token_key", "digest", "slug", "raw", "text", "username", "lp_account_id"}
    found, seen, edge = set(), {model}, [("", model)]
    for _ in range(3):
        further = []
        for way, one in edge:
            for to in one._meta.get_fields():
                if to.is_relation and to.related_model and to.related_model not in seen:
                    further.append((f"{way}{to.name}__", to.related_model))
                    seen.add(to.related_model)
                elif to.name in wanted:
                    found.add(f"{way}{to.name}")
        edge = further
    return sorted(found)


@of_models
def test_lists_tell_nothing_of_another_brand_whatever_the_address_says(stage, model):
    for ruled in pages_of(model, Rule.LIST):
        for part in (one for one in stage.parts if one.may_enter):
            for world in stage.worlds:
                for query in odd_queries(world, model):
                    answer = stage.ask(part, "get", ruled.route.url(), query)
                    assert answer.status_code in (200, 302, 400, 403, 404), query
                    if answer.status_code == 302:
                        stage.redirects(part, answer)


def odd_queries(world: World, model: type[models.Model]) -> list[dict[str, str]]:
    row, key = world.row_of(model), model._meta.pk.name
    queries = [
        {"q": str(row.pk)}, {"q": world.mark}, {"q": world.account.lp_account_id}, {"q": world.installation.client_id},
        {"q": world.brand.slug}, {"q": "%"}, {"q": "\x00"}, {"q": "'\""}, {"q": "x" * 10_000},
        {"brand": str(world.brand.pk)}, {"brand__id__exact": str(world.brand.pk)}, {"brand": "x"},
        {f"{key}__in": str(row.pk)}, {f"{key}__exact": str(row.pk)}, {"id": str(row.pk)},
        {"_to_field": "name"}, {"_to_field": "sealed", "_popup": "1"}, {"_to_field": key, "_popup": "1"},
        {"o": "1.2.-3"}, {"o": "999"}, {"p": "1"}, {"p": "99999"}, {"p": "-1"}, {"all": "1"}, {"e": "1"},
        {"_facets": "1"},
        {"_changelist_filters": "q=x"}, {"_source_model": "x"}, {"installation__secrets__sealed__startswith": "a"},
    ]  # fmt: skip
    for name in ("account", "installation", "channel", "consumer", "conversation", "delivery", "message", "lane"):
        target = next((one for one in world.rows if one._meta.model_name.endswith(name)), None)
        queries += [{name: str(target.pk)}, {f"{name}__id__exact": str(target.pk)}, {f"{name}_id": str(target.pk)}]
    return queries


@of_models
def test_a_row_is_found_by_its_id_alone(stage, model):
    """`_to_field` would tell whether a value exists in a column."""
    for ruled in pages_of(model, Rule.ROW):
        for part in (one for one in stage.parts if one.may_enter):
            for world in stage.worlds:
                for column in sorted({one.name for one in model._meta.concrete_fields} - {model._meta.pk.name}):
                    value = getattr(world.row_of(model), column)
                    if not isinstance(value, str) or not value or "/" in value:
                        continue
                    url = ruled.route.url(object_id=value)
                    answer = stage.ask(part, "get", url, {"_to_field": column, "_popup": "1"})
                    assert answer.status_code in (301, 302, 400, 403, 404), (part.name, url)


def test_autocompletion_offers_nothing_of_another_brand(stage):
    every = [
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
        {"app_label": "knox", "model_name": "authtoken", "field_name": "user"},
    ]
    for part in stage.parts:
        for asked in [*every, *odd]:
            for term in ("", *(world.mark[:5] for world in stage.worlds)):
                answer = stage.ask(part, "get", "/admin/autocomplete/", {**asked, "term": term})
                if not part.may_enter:
                    assert is_sent_to_sign_in(answer)
                else:
                    assert answer.status_code in (200, 403, 404), asked


# --- pages about no row ----------------------------------------------------------------------------------------------


def test_pages_about_no_row_show_everybody_their_own(stage):
    before = state_of_everything()
    plain = ["/admin/", "/admin/search/?s=amber", "/admin/search/?s=birch&extended=1", "/admin/password_change/",
             "/admin/password_change/done/", "/admin/jsi18n/", "/admin/nonsense/",
             "/admin/access/nonsense/"]  # fmt: skip
    labels = sorted({model._meta.app_label for model in admin.site._registry})
    for part in stage.parts:
        for url in [*plain, *(f"/admin/{label}/" for label in labels)]:
            answer = stage.ask(part, "get", url)
            assert answer.status_code in (200, 302, 404), (part.name, url)
            if part.may_enter:
                assert not is_sent_to_sign_in(answer), (part.name, url)
            elif "jsi18n" not in url:
                assert is_sent_to_sign_in(answer), (part.name, url)
        for world in stage.worlds:
            for row in world.rows:
                kind = ContentType.objects.get_for_model(row)
                answer = stage.ask(part, "get", f"/admin/r/{kind.pk}/{row.pk}/")
                assert answer.status_code in (302, 403, 404), (part.name, row)
    assert state_of_everything() == before


def test_the_way_in_tells_nothing(stage):
    anonymous = stage.parts[0]
    stage.ask(anonymous, "get", "/admin/login/")
    for world in stage.worlds:
        with undone():
            answers = [
                stage.ask(anonymous, "post", "/admin/login/", {"username": name, "password": "wrong"})
                for name in (world.owner.username, "nobody-of-this-name")
            ]
        texts = [
            told_by(answer).replace(world.owner.username, "#").replace("nobody-of-this-name", "#") for answer in answers
        ]
        assert [answer.status_code for answer in answers] == [200, 200]
        assert shape_of(answers[0])[0] == shape_of(answers[1])[0]
        assert len(texts[0]) - len(texts[1]) in range(-8, 9)


def test_public_addresses_tell_nothing_of_any_brand(stage):
    for ruled in RULED:
        if ruled.rule is Rule.PUBLIC:
            for part in stage.parts:
                answer = stage.ask(part, "get", ruled.route.url())
                assert answer.status_code in (200, 503), (part.name, ruled.route.text)
                stranger = Part(name="anybody", user=None, sees=())
                stage.judge(stranger, answer, asked="", label=ruled.route.text)


# --- programs --------------------------------------------------------------------------------------------------------


def test_keys_open_the_rows_of_their_owners_brands(stage):
    before = state_of_everything()
    for part in stage.parts:
        for ruled in (one for one in RULED if one.rule in (Rule.API_LIST, Rule.API_ROW)):
            if ruled.rule is Rule.API_LIST:
                ask_list(stage, part, ruled)
            else:
                ask_row(stage, part, ruled)
    assert state_of_everything() == before


def ask_list(stage: Stage, part: Part, ruled: Ruled) -> None:
    url = ruled.route.url()
    answer = stage.ask(part, "get", url, by_key=True)
    if part.user is None:
        assert answer.status_code == 401
        return
    found = {row["id"] for row in answer.json()["results"]}
    wanted = {str(row.pk) for world in part.sees for row in world.rows if type(row) is ruled.model}
    assert found == wanted, (part.name, url)
    for world in stage.worlds:
        for name, row in (("brand", world.brand), ("account", world.account), ("channel", world.channel)):
            narrowed = stage.ask(part, "get", url, {name: str(row.pk)}, by_key=True)
            if narrowed.status_code == 200:
                assert bool(narrowed.json()["results"]) == (world in part.sees), (part.name, url, name)


def ask_row(stage: Stage, part: Part, ruled: Ruled) -> None:
    missing = stage.ask(part, "get", ruled.route.url(pk=new_id()), by_key=True)
    for world in stage.worlds:
        url = ruled.route.url(pk=world.row_of(ruled.model).pk)
        answer = stage.ask(part, "get", url, by_key=True)
        if part.user is None:
            assert answer.status_code == 401
        elif world in part.sees:
            assert answer.json()["id"] == str(world.row_of(ruled.model).pk)
        else:
            assert answer.status_code == 404
            assert shape_of(answer) == shape_of(missing)


def test_the_api_changes_nothing_for_anybody(stage):
    before = state_of_everything()
    for part in stage.parts:
        for ruled in (one for one in RULED if one.rule in (Rule.API_LIST, Rule.API_ROW)):
            url = ruled.route.url(pk=stage.amber.row_of(ruled.model).pk)
            for method in ("post", "put", "patch", "delete", "options"):
                answer = stage.ask(part, method, url, {"state": "CLOSED"}, by_key=True, content_type="application/json")
                assert answer.status_code == (401 if part.user is None else 405), (part.name, method, url)
    assert state_of_everything() == before


def test_a_session_opens_no_list_of_the_api_and_a_key_no_page(stage):
    for part in stage.parts:
        for ruled in RULED:
            if ruled.rule is Rule.API_LIST:
                assert stage.ask(part, "get", ruled.route.url()).status_code == 401
            elif ruled.rule is Rule.LIST:
                assert is_sent_to_sign_in(stage.ask(part, "get", ruled.route.url(), by_key=True))
