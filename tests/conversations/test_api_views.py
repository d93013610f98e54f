"""The REST lists of conversations and messages: what they tell, how they page, what they refuse."""

from __future__ import annotations

import re
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from access.models import Role
from conversations.models import Conversation, ConversationState, Message, MessageStatus
from core.ids import made_at, new_id
from tests.access.keys import Program
from tests.factories import World, make_superuser, make_two_brands, make_user

pytestmark = pytest.mark.django_db

CONVERSATIONS = "/api/v1/conversations/"
MESSAGES = "/api/v1/messages/"


@pytest.fixture
def worlds() -> tuple[World, World]:
    return make_two_brands()


@pytest.fixture
def amber(worlds) -> World:
    return worlds[0]


@pytest.fixture
def birch(worlds) -> World:
    return worlds[1]


@pytest.fixture
def program(amber) -> Program:
    return Program(amber.auditor)


def add_messages(world: World, count: int) -> list[uuid.UUID]:
    """More messages of a brand; their ids, newest first."""
    rows = [
        Message(
            brand=world.brand, consumer=world.consumer, conversation=world.conversation, channel=world.channel,
            direction="TO_LIVEPERSON", sender_role="CONSUMER", status=MessageStatus.SENT,
            occurred_at=datetime.now(UTC), channel_message_id=f"more-{new_id()}",
        )
        for _ in range(count)
    ]  # fmt: skip
    Message.objects.bulk_create(rows)
    return [row.pk for row in reversed(rows)]


def ids_of(answer) -> list[uuid.UUID]:
    return [uuid.UUID(row["id"]) for row in answer["results"]]


def walk(program: Program, path: str, **parameters) -> list[uuid.UUID]:
    """All ids of a list, page by page, as a program follows `next`."""
    answer = program.read(path, **parameters)
    found = ids_of(answer)
    while answer["next"]:
        answer = program.read(answer["next"])
        found += ids_of(answer)
    return found


# --- what is told ----------------------------------------------------------------------------------------------------


def test_a_conversation_tells_its_facts_and_related_ids(program, amber):
    told = program.read(f"{CONVERSATIONS}{amber.conversation.pk}/")
    assert told["id"] == str(amber.conversation.pk)
    assert told["state"] == "OPEN"
    assert told["brand"] == str(amber.brand.pk)
    assert told["account"] == str(amber.account.pk)
    assert told["installation"] == str(amber.installation.pk)
    assert told["channel"] == str(amber.channel.pk)
    assert told["consumer"] == str(amber.consumer.pk)
    assert told["lp_conversation_id"] == amber.conversation.lp_conversation_id


def test_a_message_tells_its_facts_and_related_ids(program, amber):
    told = program.read(f"{MESSAGES}{amber.from_agent.pk}/")
    assert told["direction"] == "TO_CHANNEL"
    assert told["status"] == "SENT"
    assert told["conversation"] == str(amber.conversation.pk)
    assert told["account"] == str(amber.account.pk)
    assert told["lp_sequence"] == 2


def test_nothing_that_was_said_is_told(program):
    told = str(program.read(MESSAGES)) + str(program.read(CONVERSATIONS))
    for words in ("Words of", "text", "attachments", "quick_replies", "Ada", "+1"):
        assert words not in told


def test_times_are_utc_and_say_so(program):
    for path in (CONVERSATIONS, MESSAGES):
        for row in program.read(path)["results"]:
            times = {name: value for name, value in row.items() if name.endswith("_at") and value}
            assert times
            for value in times.values():
                assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", value), value


# --- whose -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [CONVERSATIONS, MESSAGES])
def test_a_key_sees_the_brands_of_its_owner_only(worlds, path):
    model = Conversation if path == CONVERSATIONS else Message
    amber, birch = worlds
    of_amber = set(model.objects.filter(brand=amber.brand).values_list("pk", flat=True))
    everything = set(model.objects.values_list("pk", flat=True))
    assert set(walk(Program(amber.operator), path)) == of_amber
    assert set(walk(Program(make_user("all", role=Role.AUDITOR)), path)) == everything
    assert set(walk(Program(make_superuser()), path)) == everything
    assert walk(Program(make_user("nobody")), path) == []
    assert of_amber != everything


@pytest.mark.parametrize("path", [CONVERSATIONS, MESSAGES])
def test_an_id_of_another_brand_answers_like_one_that_does_not_exist(program, birch, path):
    other = birch.conversation.pk if path == CONVERSATIONS else birch.from_agent.pk
    answers = [program.get(f"{path}{row_id}/") for row_id in (other, new_id())]
    assert [answer.status_code for answer in answers] == [404, 404]
    bodies = [{name: value for name, value in answer.json().items() if name != "correlation_id"} for answer in answers]
    assert bodies[0] == bodies[1]
    assert [sorted(answer.headers) for answer in answers][0] == sorted(answers[1].headers)


@pytest.mark.parametrize("name", ["brand", "account", "channel", "consumer"])
def test_filtering_by_ids_of_another_brand_finds_what_an_unknown_id_finds(program, birch, name):
    other = birch.brand if name == "brand" else getattr(birch, name)
    for row_id in (other.pk, new_id()):
        assert program.read(CONVERSATIONS, **{name: row_id}) == {"next": None, "results": []}
        assert program.read(MESSAGES, **{name: row_id}) == {"next": None, "results": []}


# --- pages -----------------------------------------------------------------------------------------------------------


def test_pages_are_newest_first_and_meet_without_gap_or_overlap(program, amber):
    add_messages(amber, 30)
    wanted = list(Message.objects.filter(brand=amber.brand).order_by("-pk").values_list("pk", flat=True))
    assert walk(program, MESSAGES, page_size=7) == wanted
    assert walk(program, MESSAGES, page_size=len(wanted)) == wanted
    assert walk(program, MESSAGES) == wanted


def test_rows_that_arrive_between_two_pages_move_nothing(program, amber):
    before = walk(program, MESSAGES)
    first = program.read(MESSAGES, page_size=2)
    add_messages(amber, 5)
    second = program.read(first["next"])
    third = program.read(second["next"])
    assert ids_of(first) + ids_of(second) + ids_of(third) == before


def test_the_last_page_names_no_next_one_even_when_it_is_full(program):
    count = len(walk(program, MESSAGES))
    assert program.read(MESSAGES, page_size=count)["next"] is None
    assert program.read(MESSAGES, page_size=count - 1)["next"] is not None


def test_a_page_is_read_with_one_statement_and_without_counting(program, amber):
    add_messages(amber, 20)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        program.read(MESSAGES, page_size=10)
    of_messages = [query["sql"] for query in queries if "conversations_message" in query["sql"]]
    assert len(of_messages) == 1
    assert "COUNT(" not in of_messages[0]
    assert "LIMIT 11" in of_messages[0]


def test_the_next_page_keeps_the_filters(program, amber):
    found = walk(program, MESSAGES, direction="TO_LIVEPERSON", page_size=1)
    assert set(found) == set(
        Message.objects.filter(brand=amber.brand, direction="TO_LIVEPERSON").values_list("pk", flat=True)
    )


def test_a_cursor_serves_one_list_with_its_filters_and_one_person_only(program, amber):
    add_messages(amber, 3)
    cursor = program.read(MESSAGES, page_size=1)["next"].partition("cursor=")[2].partition("&")[0]
    assert program.get(MESSAGES, {"cursor": cursor}).status_code == 200
    assert program.get(MESSAGES, {"cursor": cursor, "page_size": 5}).status_code == 200
    foreign = [
        program.get(CONVERSATIONS, {"cursor": cursor}),
        program.get(MESSAGES, {"cursor": cursor, "direction": "TO_CHANNEL"}),
        Program(amber.operator).get(MESSAGES, {"cursor": cursor}),
    ]
    assert [answer.status_code for answer in foreign] == [400, 400, 400]
    assert {answer.json()["code"] for answer in foreign} == {"bad_parameter"}


# --- filters ---------------------------------------------------------------------------------------------------------


def test_conversations_are_filtered_by_their_fields(program, amber):
    assert walk(program, CONVERSATIONS, state="OPEN") == [amber.conversation.pk]
    assert walk(program, CONVERSATIONS, state="CLOSED") == [amber.closed_conversation.pk]
    assert walk(program, CONVERSATIONS, state=ConversationState.SURVEY) == []
    for name in ("brand", "account", "channel", "consumer"):
        row = getattr(amber, name)
        assert len(walk(program, CONVERSATIONS, **{name: row.pk})) == 2


def test_messages_are_filtered_by_their_fields(program, amber):
    assert walk(program, MESSAGES, status="FAILED") == [amber.failed.pk]
    assert amber.from_agent.pk in walk(program, MESSAGES, direction="TO_CHANNEL")
    assert amber.from_agent.pk not in walk(program, MESSAGES, direction="TO_LIVEPERSON")
    assert walk(program, MESSAGES, conversation=amber.closed_conversation.pk) == []
    everything = walk(program, MESSAGES)
    for name in ("brand", "account", "channel", "consumer", "conversation"):
        row = getattr(amber, name)
        assert walk(program, MESSAGES, **{name: row.pk}) == everything


def test_periods_meet_without_gap_and_overlap(program, amber):
    rows = add_messages(amber, 1)
    moment = made_at(rows[0])
    middle = moment.isoformat()
    assert rows[0] in walk(program, MESSAGES, created_after=middle)
    assert rows[0] not in walk(program, MESSAGES, created_before=middle)
    later = (moment + timedelta(milliseconds=1)).isoformat()
    assert rows[0] in walk(program, MESSAGES, created_before=later)
    assert rows[0] not in walk(program, MESSAGES, created_after=later)


def test_times_with_any_zone_mean_the_same_moment(program, amber):
    moment = made_at(amber.from_agent.pk)
    from_there = program.read(MESSAGES, created_after=moment.isoformat().replace("+00:00", "Z"))
    elsewhere = (moment + timedelta(hours=2)).isoformat().replace("+00:00", "+02:00")
    assert program.read(MESSAGES, created_after=elsewhere)["results"] == from_there["results"]


def test_the_time_that_a_row_shows_finds_it_again(program, amber):
    shown = program.read(f"{CONVERSATIONS}{amber.conversation.pk}/")["created_at"]
    assert amber.conversation.pk in walk(program, CONVERSATIONS, created_after=shown)
    assert amber.conversation.pk not in walk(program, CONVERSATIONS, created_before=shown)
