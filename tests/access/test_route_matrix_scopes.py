"""Keys that are limited, in every role: to brands, to resources, to reading. None opens more than its limits say."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from access.resources import RESOURCES
from access.rules import Verb, may
from core.ids import new_id
from tests.access.keys import Program
from tests.access.matrix import Part, Stage, state_of_everything, undone
from tests.access.pages import RULED
from tests.access.route_rules import Rule, Ruled
from tests.access.test_route_matrix_programs import ask_list, ask_row
from tests.factories import World

pytestmark = pytest.mark.django_db

READ = [one for one in RULED if one.rule in (Rule.API_LIST, Rule.API_ROW)]
ACTS = [one for one in RULED if one.rule is Rule.API_ACT]
SOME = ["messages", "dispatches", "audit-log"]


def resource_of(ruled: Ruled) -> str:
    return ruled.route.text.split("/")[2]


@contextmanager
def with_key(stage: Stage, part: Part, *, sees: tuple[World, ...], **wanted: Any) -> Iterator[Part]:
    """Somebody who asks by such a key. sees: the worlds whose rows the key shows."""
    limited = Part(
        name=f"{part.name} by a key limited to {wanted}", user=part.user, sees=sees, may_change=part.may_change
    )
    stage._programs[limited.name] = Program(part.user, **wanted)
    try:
        yield limited
    finally:
        del stage._programs[limited.name]


def limited_keys(stage: Stage) -> Iterator[tuple[Part, tuple[World, ...], dict[str, Any]]]:
    """Somebody of one brand, and who runs the site and so sees all, with keys for each brand that they see."""
    for part in (stage.workers[0], stage.parts[-1]):
        for world in part.sees:
            yield part, (world,), {"brands": [world.brand]}
        yield part, part.sees, {"resources": SOME}
        yield part, part.sees[:1], {"resources": SOME, "brands": [part.sees[0].brand]}


def test_limited_keys_open_what_they_are_limited_to(stage):
    for part, sees, wanted in limited_keys(stage):
        with undone(), with_key(stage, part, sees=sees, **wanted) as limited:
            before = state_of_everything()
            for ruled in READ:
                opens = resource_of(ruled) in wanted.get("resources", RESOURCES)
                if not opens:
                    assert_shut(stage, limited, ruled)
                elif ruled.rule is Rule.API_LIST:
                    ask_list(stage, limited, ruled)
                else:
                    ask_row(stage, limited, ruled)
            assert_only_refusals_were_told(before, state_of_everything())


def assert_shut(stage: Stage, limited: Part, ruled: Ruled) -> None:
    for row_id in (*(world.row_of(ruled.model).pk for world in stage.worlds), new_id()):
        answer = stage.ask(limited, "get", ruled.route.url(pk=row_id), by_key=True)
        assert answer.status_code == 403, (limited.name, ruled.route.text)
        assert answer.json()["detail"].startswith(f"This key does not open {resource_of(ruled)}. It opens ")


def assert_only_refusals_were_told(before: dict[str, str], after: dict[str, str]) -> None:
    """Who knocks at another brand's door stands in its trail; nothing else may have changed."""
    assert {table for table in after if after[table] != before[table]} <= {"audit_auditentry"}


def test_a_key_follows_its_owner_when_they_lose_what_it_was_limited_to(stage):
    """Made for both brands by somebody who sees both, and limited to one that they see no more."""
    amber, birch = stage.worlds
    part = next(one for one in stage.parts if one.name == "auditor of all brands")
    with undone(), with_key(stage, part, sees=(), brands=[birch.brand]) as limited:
        part.user.memberships.update(brand=amber.brand)
        for ruled in READ:
            (ask_list if ruled.rule is Rule.API_LIST else ask_row)(stage, limited, ruled)


# --- acts ------------------------------------------------------------------------------------------------------------


def keys_for_acts(part: Part) -> Iterator[tuple[dict[str, Any], tuple[World, ...], bool]]:
    """What a key is made for, the worlds that it shows, and whether it operates."""
    operates = may(part.user, Verb.OPERATE)
    yield {"may_operate": False}, part.sees, False
    if operates:
        yield {"may_operate": True}, part.sees, True
        yield {"may_operate": True, "brands": [part.sees[0].brand]}, part.sees[:1], True
        yield {"may_operate": True, "resources": ["messages"]}, part.sees, False


def test_acts_are_for_keys_made_for_them_in_brands_where_their_owners_may(stage):
    assert len(ACTS) == 5
    for part in (one for one in stage.parts if one.user is not None):
        for wanted, sees, operates in keys_for_acts(part):
            with undone(), with_key(stage, part, sees=sees, **wanted) as limited:
                before = state_of_everything()
                for ruled in ACTS:
                    for world in stage.worlds:
                        assert_right_act(stage, limited, ruled, world, operates=operates)
                assert_only_refusals_were_told(before, state_of_everything())


def assert_right_act(stage: Stage, part: Part, ruled: Ruled, world: World, *, operates: bool) -> None:
    url, told = ruled.route.url(pk=world.row_of(ruled.model).pk), (part.name, ruled.route.text, world.mark)
    if not operates:
        assert act(stage, part, url).status_code == 403, told
    elif world in part.sees:
        with undone():
            assert act(stage, part, url).status_code in (200, 409), told
    else:
        answer, missing = act(stage, part, url), act(stage, part, ruled.route.url(pk=new_id()))
        assert (answer.status_code, answer.json()["detail"]) == (404, missing.json()["detail"]), told


def act(stage: Stage, part: Part, url: str) -> Any:
    headers = {"Idempotency-Key": str(new_id())}
    return stage.ask(part, "post", url, {"reason": "x"}, by_key=True, content_type="application/json", headers=headers)


def test_acts_are_for_nobody_else(stage):
    """Without a key, and with a session of the admin, whatever its role."""
    before = state_of_everything()
    for part in stage.parts:
        for ruled in ACTS:
            url = ruled.route.url(pk=stage.amber.row_of(ruled.model).pk)
            assert stage.ask(part, "post", url, {"reason": "x"}, content_type="application/json").status_code == 401
    assert state_of_everything() == before
