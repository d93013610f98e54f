"""
Every page of the admin, in every role, about rows of two brands: the right answer, and nothing of a hidden brand.

The routes are taken from the URL resolver and the admin's own list of pages, so that whatever is added is covered; a
route that tests/access/route_rules.py does not speak of fails here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib import admin
from django.db import models
from django.http import HttpResponseBase
from django.test import Client

from connector_site.invariants import all_invariants, check
from tests.access.conftest import UNRULED
from tests.access.forms import fields_of, filled_in, forgeries, has_something_to_fill_in
from tests.access.matrix import Part, Stage, shape_of, state_of, state_of_everything, undone
from tests.access.pages import (
    ABSENT,
    PAGES,
    ROW_RULES,
    addresses,
    is_sent_to_sign_in,
    models_with,
    pages_of,
    shows,
    what_an_owner_would_send,
)
from tests.access.route_rules import Rule, Ruled, rule_of
from tests.access.routes import Route, all_routes
from tests.conversations.database import without_the_guard
from tests.factories import World

pytestmark = pytest.mark.django_db

MODELS = models_with(*PAGES)
of_models = pytest.mark.parametrize("model", MODELS, ids=[model._meta.label for model in MODELS])


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


@pytest.mark.parametrize(
    "text", ["admin/access/brand/<path:object_id>/export/", "api/v1/messages/<uuid:pk>/text/", "api/v2/x/", "debug/"]
)
def test_a_route_that_is_new_has_no_rule(text):
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
    of_amber, of_birch, everything = state_of(amber), state_of(birch), state_of_everything()
    for model in {type(row) for row in birch.rows}:
        row = birch.row_of(model)
        with undone(), without_the_guard():
            # Not by the model's own manager: that of the trail refuses.
            models.QuerySet(model).filter(pk=row.pk).update(**_another_value(row))
            assert state_of(amber) == of_amber, row
            assert state_of(birch) != of_birch, row
            assert state_of_everything() != everything, row


def _another_value(row: models.Model) -> dict[str, Any]:
    for one in row._meta.concrete_fields:
        if isinstance(one, (models.CharField, models.TextField)) and not one.unique:
            return {one.name: "another"[: one.max_length]}
        if isinstance(one, (models.IntegerField, models.BinaryField)) and not one.primary_key:
            return {one.name: b"another" if isinstance(one, models.BinaryField) else 99}
    raise AssertionError(f"Nothing of {row} can be changed.")


# --- looking ---------------------------------------------------------------------------------------------------------


@of_models
def test_pages_are_shown_to_those_who_may_see_them(stage, model):
    before = state_of_everything()
    for part in stage.parts:
        for ruled in pages_of(model, Rule.LIST, Rule.ADD):
            assert_right_list(part, ruled, stage.ask(part, "get", ruled.route.url()))
        for ruled in pages_of(model, *ROW_RULES):
            missing = [shape_of(stage.ask(part, "get", url)) for url in addresses(ruled, ABSENT)]
            for world in stage.worlds:
                answers = [(url, stage.ask(part, "get", url)) for url in addresses(ruled, world)]
                if world in part.sees:
                    for url, answer in answers:
                        assert_right_row(part, ruled, world, answer, url)
                else:
                    assert [shape_of(answer) for _, answer in answers] == missing, (part.name, ruled.route.text)
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
    assert not is_sent_to_sign_in(answer), told
    if url.endswith("/nonsense/"):
        assert answer.status_code == 404, told
    elif ruled.rule is Rule.ROW:
        assert answer.status_code in (200, 301, 302), told
        if answer.status_code == 200:
            assert shows(answer, world, ruled.model), told
    else:
        assert answer.status_code in ((200, 302, 403) if part.may_change else (403,)), told


# --- trying to change ------------------------------------------------------------------------------------------------


@of_models
def test_those_who_only_look_change_nothing(stage, model):
    """Auditors, of their own brand too, and people without a role: with the very forms that an owner would send."""
    before = state_of_everything()
    for ruled in pages_of(model, *PAGES):
        for url in addresses(ruled, stage.amber):
            form = what_an_owner_would_send(stage, url, of=stage.amber)
            for part in (one for one in stage.parts if not one.may_change):
                with undone():
                    for method in ("post", "put", "patch", "delete"):
                        answer = stage.ask(part, method, url, form if method == "post" else {})
                        told = (part.name, method, url, answer.status_code)
                        assert answer.status_code in (302, 403, 404, 405) or ruled.rule in (Rule.LIST, Rule.ROW), told
                    assert state_of_everything() == before, (part.name, url)


@of_models
def test_nobody_changes_rows_of_another_brand(stage, model):
    before = state_of_everything()
    for part in (one for one in stage.parts if one.may_change and not one.runs_the_site):
        world = stage.other(part.sees[0])
        for ruled in pages_of(model, *ROW_RULES):
            for url, gone in zip(addresses(ruled, world), addresses(ruled, ABSENT), strict=True):
                form = what_an_owner_would_send(stage, url, of=world)
                with undone():
                    missing = shape_of(stage.ask(part, "post", gone, form))
                    assert shape_of(stage.ask(part, "post", url, form)) == missing, (part.name, url)
                    assert state_of_everything() == before, (part.name, url)


@of_models
def test_ids_of_another_brand_in_a_form_have_no_effect(stage, model):
    links = [one for one in all_invariants() if one.name.startswith("one_")]
    for part in stage.workers:
        own, other = part.sees[0], stage.other(part.sees[0])
        before = state_of(other)
        for ruled in pages_of(model, Rule.ADD, Rule.ROW, Rule.DEED):
            for url, page in forms_of(stage, part, own, ruled):
                for data in forgeries(fields_of(page.content), model, own, other):
                    with undone():
                        stage.follow(part, stage.ask(part, "post", url, data))
                        assert state_of(other) == before, (part.name, url)
                        assert check(links) == [], (part.name, url, data)


@of_models
def test_the_same_forms_with_ids_of_their_own_brand_are_taken(stage, model):
    """Otherwise the test before would prove nothing: any form would be refused."""
    for part in stage.workers:
        own = part.sees[0]
        before = state_of(own)
        for ruled in pages_of(model, Rule.ADD, Rule.ROW):
            for url, page in forms_of(stage, part, own, ruled):
                fields = fields_of(page.content)
                if has_something_to_fill_in(fields):
                    with undone():
                        answer = stage.ask(part, "post", url, filled_in(fields, own))
                        # A page that shows a fresh secret once comes in place of the redirect.
                        assert answer.status_code == 302 or state_of(own) != before, (part.name, url)


def forms_of(stage: Stage, part: Part, own: World, ruled: Ruled) -> Iterator[tuple[str, Any]]:
    """The pages of a route with forms that somebody is shown about their own brand."""
    secrets = [str(row.pk) for row in own.rows if hasattr(row, "seal_context")]
    for url in addresses(ruled, own):
        page: Any = stage.ask(part, "get", url)
        if page.status_code != 200 or page.streaming:
            continue
        text = page.content.decode()
        if ruled.rule is not Rule.DEED:
            yield url, page
            # A page may ask first of what kind the new row is to be.
            for link in {one.split('"')[0] for one in text.split('href="')[1:] if one.startswith("?")}:
                yield url + link, stage.ask(part, "get", url + link)
        elif any(secret in text for secret in secrets):
            # A deed without a choice of rows has nothing to forge, and some call the outside.
            yield url, page


@of_models
def test_rows_of_another_brand_cannot_be_selected_for_an_action(stage, model):
    page = admin.site._registry[model]
    names = {
        "delete_selected",
        *(name for _, name, _ in page._get_base_actions()),
        *dict(admin.site.actions),
        "nonsense",
    }
    for part in stage.workers:
        other = stage.other(part.sees[0])
        ids = [str(row.pk) for row in other.rows if type(row) is model]
        before = state_of(other)
        for ruled in pages_of(model, Rule.LIST):
            for name in sorted(names):
                with undone():
                    for more in ({}, {"select_across": "1"}, {"post": "yes"}, {"_save": "1", "form-0-id": ids[0]}):
                        data = {"action": name, "_selected_action": ids, "index": "0", **more}
                        stage.follow(part, stage.ask(part, "post", ruled.route.url(), data))
                    assert state_of(other) == before, (part.name, name)


@of_models
def test_forms_without_the_token_against_forgery_are_refused(stage, model):
    client = Client(enforce_csrf_checks=True, raise_request_exception=False)
    client.force_login(stage.parts[-1].user)
    before = state_of_everything()
    for ruled in pages_of(model, *PAGES):
        for url in addresses(ruled, stage.amber):
            form = what_an_owner_would_send(stage, url, of=stage.amber)
            form.pop("csrfmiddlewaretoken", None)
            stage.cells += 1
            assert client.post(url, form).status_code == 403, url
    assert state_of_everything() == before


# --- pages for those who run the site --------------------------------------------------------------------------------


def test_pages_for_those_who_run_the_site_are_for_nobody_else(stage):
    before = state_of_everything()
    everybody = [one for one in stage.parts if not one.runs_the_site]
    for model in models_with(Rule.PLATFORM):
        for ruled in pages_of(model, Rule.PLATFORM):
            about = [*stage.worlds, ABSENT] if ruled.route.parameters else [ABSENT]
            for url in {url for world in about for url in addresses(ruled, world)}:
                for part in everybody:
                    with undone():
                        for method in ("get", "post", "delete"):
                            answer = stage.ask(part, method, url, {"is_superuser": "on", "password1": "x" * 20})
                            told = (part.name, method, url, answer.status_code)
                            assert answer.status_code in (302, 403, 404, 405), told
                            assert part.may_enter or is_sent_to_sign_in(answer), told
                        assert state_of_everything() == before, (part.name, url)
                assert stage.ask(stage.parts[-1], "get", url).status_code in (200, 302, 403, 404), url
