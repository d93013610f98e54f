"""How lists are walked: complete, bounded, with members and links as asked for."""

from __future__ import annotations

import base64
import itertools
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from access import newest
from access.models import Membership, Role
from conversations.models import Message, MessageStatus
from tests.access.keys import Program
from tests.access.walks import add_messages
from tests.factories import World, make_user, make_world

pytestmark = pytest.mark.django_db

MESSAGES = "/api/v1/messages/"


def walked(program: Program, **parameters: Any) -> tuple[list[str], list[int]]:
    """The ids of all pages, and how many rows stood on each."""
    ids, sizes, address, asked = [], [], MESSAGES, parameters
    for _ in range(200):
        page = program.read(address, **asked)
        ids += [row["id"] for row in page["results"]]
        sizes.append(len(page["results"]))
        if page["next"] is None:
            return ids, sizes
        address, asked = page["next"], {}
    raise AssertionError("The list does not end.")


@pytest.fixture
def short_stretch(monkeypatch):
    monkeypatch.setattr(newest, "STRETCH", 5)


@pytest.fixture
def amber() -> World:
    return make_world(slug="amber", mark="AMBERXQJ7")


@pytest.fixture
def everybodys(amber) -> list[World]:
    """Three brands whose messages alternate."""
    worlds = [amber, make_world(slug="birch", mark="BIRCHXQJ7"), make_world(slug="cedar", mark="CEDARXQJ7")]
    for number, world in enumerate(itertools.islice(itertools.cycle(worlds), 30)):
        add_messages(world, [MessageStatus.READ if number % 4 == 0 else MessageStatus.SENT], first=number)
    return worlds


@pytest.mark.parametrize("page_size", [1, 2, 7, 500])
def test_a_rare_thing_is_found_across_short_and_empty_pages(amber, short_stretch, page_size):
    statuses = [MessageStatus.SENT] * 40
    statuses[3] = statuses[22] = statuses[23] = MessageStatus.EXPIRED
    rows = add_messages(amber, statuses)
    ids, sizes = walked(Program(amber.auditor), status="EXPIRED", page_size=page_size)
    assert ids == [str(rows[number].pk) for number in (23, 22, 3)]
    assert 0 in sizes


def test_a_page_looks_at_a_bounded_number_of_rows(amber, short_stretch):
    rows = add_messages(amber, [MessageStatus.SENT] * 40)
    page = Program(amber.auditor).read(MESSAGES, status="EXPIRED")
    assert page["results"] == []
    following = Program(amber.auditor).read(MESSAGES, page_size=6)
    assert [row["id"] for row in following["results"]] == [str(row.pk) for row in reversed(rows[-6:])]
    assert "cursor=" in page["next"]


@pytest.mark.parametrize("brands", [1, 2, 3])
@pytest.mark.parametrize("status", [None, "READ"])
@pytest.mark.parametrize("page_size", [4, 100])
def test_readers_of_some_brands_get_all_of_them_and_no_other(everybodys, short_stretch, brands, status, page_size):
    seen = everybodys[:brands]
    person = make_user("reader")
    for world in seen:
        Membership.objects.create(user=person, brand=world.brand, role=Role.AUDITOR)
    asked = {"page_size": page_size} | ({"status": status} if status else {})
    expected = Message.objects.filter(
        brand__in=[world.brand for world in seen], **({"status": status} if status else {})
    )
    ids, _ = walked(Program(person), **asked)
    assert ids == [str(row.pk) for row in expected.order_by("-pk")]


def test_a_reader_of_very_many_brands_gets_all_of_them_and_no_other(everybodys, short_stretch, monkeypatch):
    monkeypatch.setattr(newest, "MOST_BRANCHES", 1)
    person = make_user("reader")
    for world in everybodys[:2]:
        Membership.objects.create(user=person, brand=world.brand, role=Role.AUDITOR)
    ids, _ = walked(Program(person), page_size=3)
    expected = Message.objects.filter(brand__in=[world.brand for world in everybodys[:2]]).order_by("-pk")
    assert ids == [str(row.pk) for row in expected]


def test_a_cursor_does_not_tell_the_id_of_a_row_of_another_brand(everybodys, short_stretch, monkeypatch):
    monkeypatch.setattr(newest, "MOST_BRANCHES", 1)
    person = make_user("reader")
    for world in everybodys[:2]:
        Membership.objects.create(user=person, brand=world.brand, role=Role.AUDITOR)
    hidden = add_messages(everybodys[2], ["SENT"] * 20, first=1_000)
    page = Program(person).read(MESSAGES, page_size=500)
    assert not page["results"]  # so it ended at a row that the reader does not see
    cursor = page["next"].partition("cursor=")[2].partition("&")[0]
    told = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    assert not [row.pk for row in hidden if row.pk.bytes in told or row.pk.bytes[:6] in told]


def test_somebody_without_a_role_gets_an_empty_list(amber):
    assert Program(make_user("nobody")).read(MESSAGES, status="SENT") == {"next": None, "results": []}


def test_what_an_index_leads_to_takes_one_statement(amber):
    program = Program(amber.auditor)
    add_messages(amber, [MessageStatus.SENT] * 10)

    def statements(**parameters: Any) -> int:
        with CaptureQueriesContext(
            connection,
        ) as captured:
            program.read(MESSAGES, page_size=3, **parameters)
        return len([query for query in captured if "conversations_message" in query["sql"]])

    assert statements() == 1
    assert statements(since="day") == 1
    assert statements(conversation=str(amber.conversation.pk)) == 1
    assert statements(status="SENT") == 2


# --- members and links -----------------------------------------------------------------------------------------------


def test_only_the_members_asked_for_are_told(amber):
    (row, *_) = Program(amber.auditor).read(MESSAGES, fields="status,kind")["results"]
    assert sorted(row) == ["id", "kind", "status"]
    address = f"{MESSAGES}{amber.from_agent.pk}/"
    assert sorted(Program(amber.auditor).read(address, fields="links")) == ["id", "links"]


@pytest.mark.parametrize(
    "fields", ["", "text,", ",", "nothing", "status,,kind", "STATUS", "status kind", "_id", "\x00"]
)
def test_a_member_that_does_not_exist_is_refused(amber, fields):
    answer = Program(amber.auditor).get(MESSAGES, {"fields": fields})
    assert answer.status_code == 400
    assert "fields" in answer.json()["detail"]


def test_a_cursor_may_be_continued_with_other_members(amber):
    program = Program(amber.auditor)
    page = program.read(MESSAGES, page_size=1, fields="status")
    assert program.read(page["next"].replace("fields=status", "fields=kind"))["results"][0].keys() == {"id", "kind"}


def test_links_lead_to_the_rows_that_they_name(amber):
    program = Program(amber.auditor)
    row = program.read(f"{MESSAGES}{amber.from_agent.pk}/")
    assert program.read(row["links"]["self"]) == row
    assert program.read(row["links"]["conversation"])["id"] == row["conversation"]


# --- what a program has already --------------------------------------------------------------------------------------


@pytest.mark.parametrize("weak", ["", "W/"])
def test_what_has_not_changed_is_not_sent_again(amber, weak):
    program = Program(amber.auditor)
    etag = program.get(MESSAGES)["ETag"]
    again = program.get(MESSAGES, headers={"If-None-Match": f'"other", {weak}{etag}'})
    assert (again.status_code, again.content, again["ETag"]) == (304, b"", etag)
    add_messages(amber, [MessageStatus.SENT])
    assert program.get(MESSAGES, headers={"If-None-Match": etag}).status_code == 200


def test_a_tag_opens_nothing(amber):
    etag = Program(amber.auditor).get(MESSAGES)["ETag"]
    assert Client().get(MESSAGES, headers={"If-None-Match": etag}).status_code == 401
    assert Program(make_user("nobody")).get(MESSAGES, headers={"If-None-Match": etag}).status_code == 200


@pytest.mark.parametrize("address", ["/api/v1/messages", "/api/v1/schema"])
def test_an_address_without_its_last_slash_is_the_same(amber, address):
    program = Program(amber.auditor)
    assert program.get(address).content == program.get(f"{address}/").content
    assert program.post(address).status_code == 405


def test_a_hidden_row_leaves_nothing_for_a_reader_of_several_brands(everybodys):
    amber, birch, cedar = everybodys
    reader = make_user("two", role=Role.AUDITOR, brand=amber.brand)
    Membership.objects.create(user=reader, brand=birch.brand, role=Role.AUDITOR)
    for name, row in (("channel", cedar.channel), ("account", cedar.account), ("consumer", cedar.consumer)):
        assert walked(Program(reader), **{name: row.pk}) == ([], [0])
