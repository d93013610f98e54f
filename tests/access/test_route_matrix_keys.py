"""The pages of API keys, in every role, about everybody's keys: each sees and revokes their own, and no other."""

from __future__ import annotations

import re
from typing import Any

import pytest

from access.models import ApiKey
from access.rules import Verb, may
from core.ids import new_id
from tests.access.matrix import Part, Stage, shape_of, state_of_everything, undone
from tests.access.pages import RULED, is_sent_to_sign_in
from tests.access.route_rules import Rule, Ruled

pytestmark = pytest.mark.django_db

OWN_RULES = (Rule.OWN_LIST, Rule.OWN_ADD, Rule.OWN_ROW, Rule.OWN_DEED)
OF_ROWS = [one for one in RULED if one.rule in (Rule.OWN_ROW, Rule.OWN_DEED)]
# What comes after the id: the page itself, its change form, its history (which is the trail), what nobody may, a deed.
_SHOWN = {"": 302, "change/": 200, "history/": 302, "delete/": 403, "do/<slug:deed_name>/": 200}
ADD = "/admin/access/apikey/add/"


def key_of(part: Part) -> ApiKey:
    return ApiKey.objects.get(owner=part.user)


def owners(stage: Stage) -> list[Part]:
    return [part for part in stage.parts if part.user is not None]


def some(stage: Stage) -> list[Part]:
    """Somebody of each brand, and who runs the site: pages are slow to make."""
    wanted = (stage.amber.auditor, stage.birch.owner, stage.parts[-1].user)
    return [part for part in stage.parts if part.user in wanted]


def address(ruled: Ruled, key_id: Any) -> str:
    return ruled.route.url(object_id=str(key_id), deed_name="revoke")


def sees(part: Part, key: ApiKey) -> bool:
    return part.may_enter and (part.runs_the_site or key.owner_id == part.user.pk)


def text_of(answer: Any) -> str:
    return answer.content.decode()


def test_all_pages_of_keys_are_asked_here():
    assert {one.rule for one in RULED if one.model is ApiKey} == set(OWN_RULES)


def test_the_list_shows_ones_own_keys(stage):
    for part in stage.parts:
        answer = stage.ask(part, "get", "/admin/access/apikey/")
        if not part.may_enter:
            assert is_sent_to_sign_in(answer)
            continue
        for owner in owners(stage):
            key = key_of(owner)
            assert (key.prefix in text_of(answer)) == sees(part, key), (part.name, owner.name)


def test_a_search_finds_ones_own_keys(stage):
    for part in (one for one in stage.parts if one.may_enter):
        for number, owner in enumerate(some(stage)):
            key = key_of(owner)
            term = (key.prefix, str(key.pk), key.prefix + "0" * 57)[number]
            answer = stage.ask(part, "get", "/admin/access/apikey/", {"q": term})
            assert (f"/admin/access/apikey/{key.pk}/" in text_of(answer)) == sees(part, key), (part.name, term)


def test_somebody_elses_key_answers_like_one_that_does_not_exist(stage):
    before = state_of_everything()
    for part in stage.parts:
        for ruled in OF_ROWS:
            for method, form in (("get", {}), ("post", {"reason": "x"})):
                missing = shape_of(stage.ask(part, method, address(ruled, new_id()), form))
                for key in (key_of(owner) for owner in some(stage)):
                    if not sees(part, key):
                        answer = stage.ask(part, method, address(ruled, key.pk), form)
                        assert shape_of(answer) == missing, (part.name, ruled.route.text, key.name)
    assert state_of_everything() == before


def test_ones_own_key_is_shown(stage):
    for part in (one for one in stage.parts if one.may_enter):
        for ruled in OF_ROWS:
            answer = stage.ask(part, "get", address(ruled, key_of(part).pk))
            assert answer.status_code == _SHOWN[ruled.route.text.partition("<path:object_id>/")[2]], ruled.route.text


def test_nothing_of_a_key_is_changed_or_deleted(stage):
    before = state_of_everything()
    for part in owners(stage):
        key = key_of(part)
        for last in ("change", "delete"):
            form = {"name": "x", "owner": str(stage.parts[-1].user.pk), "may_operate": "on", "post": "yes"}
            answer = stage.ask(part, "post", f"/admin/access/apikey/{key.pk}/{last}/", form)
            assert answer.status_code in ((302, 403) if not part.may_enter else (403,)), (part.name, last)
    assert state_of_everything() == before


def test_everybody_revokes_their_own_key_with_a_reason(stage):
    for part in (one for one in stage.parts if one.may_enter):
        key = key_of(part)
        url = f"/admin/access/apikey/{key.pk}/do/revoke/"
        with undone():
            assert stage.ask(part, "post", url, {"reason": ""}).status_code == 200
            assert key_of(part).revoked_at is None
            assert stage.ask(part, "post", url, {"reason": "It stood in a log."}).status_code == 302
            assert key_of(part).revoked_at is not None
            assert stage.ask(part, "get", "/api/v1/messages/", by_key=True).status_code == 401


def test_everybody_makes_keys_for_what_they_see_and_may_do(stage):
    """Asked for every brand and for acts, whatever the form offers: a key does what the person could do themselves."""
    for part in stage.parts:
        for world in stage.worlds:
            for operates in (False, True):
                with undone():
                    form = {"name": "typed", "days": "5", "brands": [str(world.brand.pk)], "resources": ["messages"]}
                    form |= {"may_operate": "on"} if operates else {}
                    form |= {"owner": str(part.user.pk)} if part.runs_the_site else {}
                    answer = stage.ask(part, "post", ADD, form)
                    made = ApiKey.objects.filter(name="typed").first()
                    told = (part.name, world.mark, operates)
                    if not part.may_enter:
                        assert is_sent_to_sign_in(answer), told
                    assert (made is not None) == (part.may_enter and world in part.sees), told
                    if made is not None:
                        assert made.owner == part.user
                        assert made.brand_ids == {world.brand.pk}
                        assert made.may_operate == (operates and may(part.user, Verb.OPERATE)), told


def test_only_who_runs_the_site_makes_keys_for_somebody_else(stage):
    other = stage.amber.auditor
    for part in (one for one in stage.parts if one.may_enter):
        with undone():
            stage.ask(part, "post", ADD, {"name": "typed", "days": "5", "owner": str(other.pk)})
            made = ApiKey.objects.filter(name="typed").first()
            assert made is not None
            assert made.owner == (other if part.runs_the_site else part.user)


def test_who_runs_the_site_makes_no_key_that_sees_more_than_its_owner(stage):
    root, birch = stage.parts[-1], stage.birch
    for more in ({"brands": [str(birch.brand.pk)]}, {"may_operate": "on"}):
        form = {"name": "typed", "days": "5", "owner": str(stage.amber.auditor.pk), **more}
        answer = stage.ask(root, "post", ADD, form)
        assert "may not" in text_of(answer)
        assert not ApiKey.objects.filter(name="typed").exists()


def test_a_key_is_shown_once_and_works(stage):
    part = stage.workers[0]
    with undone():
        answer = stage.ask(part, "post", ADD, {"name": "typed", "days": "5"})
        (secret,) = set(re.findall(r"consite_[0-9a-f]{64}", text_of(answer)))
        assert "no-store" in answer["Cache-Control"]
        key = ApiKey.objects.get(name="typed")
        page = stage.client(part).get(f"/admin/access/apikey/{key.pk}/change/")
        assert page.status_code == 200
        assert key.prefix in text_of(page)
        assert secret not in text_of(page)
        with_it = {"Authorization": f"Bearer {secret}"}
        assert stage.client(stage.parts[0]).get("/api/v1/messages/", headers=with_it).status_code == 200


def test_forms_without_the_token_against_forgery_are_refused(stage):
    from django.test import Client

    part = stage.workers[0]
    client = Client(enforce_csrf_checks=True)
    client.force_login(part.user)
    before = state_of_everything()
    for url in (ADD, f"/admin/access/apikey/{key_of(part).pk}/do/revoke/"):
        stage.cells += 1
        assert client.post(url, {"name": "x", "days": "1", "reason": "x"}).status_code == 403
    assert state_of_everything() == before
