"""Who finds what: every id of two brands, asked by everybody, as a program and on the page."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from access.models import User
from audit.models import AuditEntry
from connector_site.find.lookups import LOOKUPS
from core.ids import new_id
from installations.models import Channel
from tests.access.matrix import Part, Stage, shape_of, state_of, state_of_everything, undone
from tests.access.pages import RULED, is_sent_to_sign_in
from tests.access.route_rules import Rule
from tests.factories import World
from webhooks.models import Event

pytestmark = pytest.mark.django_db

((FIND,), (PAGE,), (TRACES,)) = (
    [one.route.url() for one in RULED if one.rule is rule] for rule in (Rule.API_FIND, Rule.FIND_PAGE, Rule.API_TRACES)
)
JSON = "application/json"


def terms_of(world: World) -> Iterator[str]:
    """Everything by which something of a brand can be asked for, and some by which nothing can."""
    yield world.consumer.channel_consumer_id
    yield f"other:{world.consumer.channel_consumer_id}"
    yield world.consumer.lp_consumer_id
    yield world.conversation.lp_conversation_id
    yield f"dialog-open-{world.mark}"
    yield world.from_consumer.channel_message_id
    yield f"p-{world.mark}"
    yield f"req-{world.mark}"
    yield f"corr-{world.mark}"
    yield from (world.mark, world.brand.slug, world.account.lp_account_id, world.installation.client_id)
    for model in (*{lookup.model for lookup in LOOKUPS}, User, Channel, Event):
        yield str(world.row_of(model).pk)  # type: ignore[union-attr]


def terms(stage: Stage, part: Part, world: World) -> list[str]:
    """All of them for auditors; for others some, as who finds what does not hang on the role."""
    return list(terms_of(world))[:: 1 if part in stage.lookers else 4]


def test_everybody_finds_what_is_theirs_and_nothing_else(stage: Stage) -> None:
    before = state_of_everything()
    found_any = set()
    for part in stage.parts:
        for world in stage.worlds:
            own_ids = {str(row.pk) for row in world.rows}
            with undone():
                for term in terms(stage, part, world):
                    answer = stage.ask(part, "post", FIND, {"term": term}, by_key=True, content_type=JSON)
                    if part.user is None:
                        assert answer.status_code == 401
                        continue
                    found = answer.json()["found"]  # type: ignore[attr-defined]
                    if world in part.sees:
                        found_any |= {one["kind"] for one in found}
                        assert {one["id"] for one in found} <= own_ids, (part.name, term)
                    else:
                        assert found == [], (part.name, term)
                assert_only_the_trail_grew(stage, part)
        assert state_of_everything() == before
    assert found_any == {lookup.kind for lookup in LOOKUPS}


def assert_only_the_trail_grew(stage: Stage, part: Part) -> None:
    asked = AuditEntry.objects.filter(action="find.asked")
    assert {entry.brand_id for entry in asked} <= {world.brand.pk for world in part.sees}


def test_the_page_shows_everybody_what_is_theirs_and_nothing_else(stage: Stage) -> None:
    strangers = [part for part in stage.parts if not part.may_enter]
    for part in [*strangers, *stage.lookers]:
        with undone():
            hidden = [world for world in stage.worlds if world not in part.sees]
            before = [state_of(world) for world in hidden]
            nothing = shape_of(stage.ask(part, "post", PAGE, {"term": "nothing"}))
            assert is_sent_to_sign_in(stage.ask(part, "get", PAGE)) == (not part.may_enter)
            for world in stage.worlds:
                for term in list(terms_of(world))[::3]:
                    answer = stage.ask(part, "post", PAGE, {"term": term})
                    if world in part.sees:
                        assert answer.status_code == 200
                    elif part.may_enter:
                        told = shape_of(answer)
                        assert told[2].replace(term, "#").replace("nothing", "#") == nothing[2].replace("nothing", "#")
                    else:
                        assert is_sent_to_sign_in(answer)
            assert [state_of(world) for world in hidden] == before


def test_a_correlation_id_leads_to_the_messages_of_ones_own_brands(stage: Stage) -> None:
    before = state_of_everything()
    for part in stage.parts:
        for world in stage.worlds:
            for term in (f"corr-{world.mark}", str(new_id())):
                answer = stage.ask(part, "get", TRACES, {"correlation_id": term}, by_key=True)
                if part.user is None:
                    assert answer.status_code == 401
                else:
                    found = answer.json()["messages"]  # type: ignore[attr-defined]
                    assert bool(found) == (world in part.sees and term.startswith("corr-"))
    assert state_of_everything() == before


def test_a_session_finds_nothing_over_the_api_and_a_key_nothing_on_the_page(stage: Stage) -> None:
    for part in stage.parts:
        assert stage.ask(part, "post", FIND, {"term": "x"}, content_type=JSON).status_code == 401
        assert stage.ask(part, "get", TRACES, {"correlation_id": "x"}).status_code == 401
        assert is_sent_to_sign_in(stage.ask(part, "post", PAGE, {"term": "x"}, by_key=True))
