"""What was said, over REST: masked without the scope, and never read without an entry in the trail."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import DatabaseError, connection
from django.test.utils import CaptureQueriesContext

from access.models import ApiKey, Role
from access.rest.content import MASK
from audit.models import AuditEntry
from conversations.models import Message, MessageContent
from conversations.services import content
from tests.access.keys import Program
from tests.conversations.test_api_views import add_messages
from tests.factories import World, make_two_brands, make_user

pytestmark = pytest.mark.django_db

MESSAGES = "/api/v1/messages/"
ASKED = {"fields": "content"}


@pytest.fixture
def worlds() -> tuple[World, World]:
    return make_two_brands()


@pytest.fixture
def amber(worlds) -> World:
    return worlds[0]


@pytest.fixture
def program(amber) -> Program:
    return Program(amber.auditor)


@pytest.fixture
def reader(amber) -> Program:
    """A program whose key may read content."""
    program = Program(amber.auditor)
    ApiKey.objects.filter(owner=amber.auditor).update(may_read_content=True)
    return program


def readings() -> list[AuditEntry]:
    return list(AuditEntry.objects.filter(action="message.content_read", actor_kind="KEY").order_by("id"))


def told(program: Program, **parameters: Any) -> dict[str, Any]:
    """By id of the message: its content."""
    return {row["id"]: row["content"] for row in program.read(MESSAGES, **ASKED, **parameters)["results"]}


def write(message: Message, **values: Any) -> None:
    MessageContent.objects.filter(pk=message.pk).update(**values)


# --- without the scope -----------------------------------------------------------------------------------------------


def test_content_is_told_to_nobody_who_does_not_ask(reader):
    assert all("content" not in row for row in reader.read(MESSAGES)["results"])
    assert readings() == []


def test_without_the_scope_it_is_told_that_something_was_said_and_not_what(program, amber):
    MessageContent.objects.filter(pk=amber.failed.pk).delete()
    found = told(program)
    assert found[str(amber.from_consumer.pk)] == MASK
    assert found[str(amber.failed.pk)] is None
    assert program.read(f"{MESSAGES}{amber.from_consumer.pk}/", **ASKED)["content"] == MASK
    assert readings() == []


def test_without_the_scope_nothing_of_it_leaves_the_database(program, amber):
    with CaptureQueriesContext(connection) as queries:
        told(program)
    asked = [one["sql"] for one in queries if "messagecontent" in one["sql"]]
    assert len(asked) == 1
    assert '"text"' not in asked[0]


# --- with it ---------------------------------------------------------------------------------------------------------


def test_what_was_said_is_told_whole(reader, amber):
    write(
        amber.from_agent,
        text="Here you are.",
        attachments=[{"url": "https://files.example/secret", "name": "a.png", "mime": "image/png"}],
        element={"type": "vertical"},
        quick_replies=[{"id": "1", "text": "Yes"}],
        metadata=[{"type": "ours"}],
    )
    row = reader.read(f"{MESSAGES}{amber.from_agent.pk}/", fields="status,content")
    assert row["content"] == {
        "text": "Here you are.",
        "attachments": [{"name": "a.png", "mime": "image/png"}],
        "structured": {"type": "vertical"},
        "quick_replies": [{"id": "1", "text": "Yes"}],
    }
    assert set(row) == {"id", "status", "content"}


def test_what_was_removed_is_null_and_no_reading(reader, amber):
    MessageContent.objects.all().delete()
    assert set(told(reader).values()) == {None}
    assert readings() == []


def test_a_page_of_contents_is_one_entry_for_each_brand(worlds):
    amber, birch = worlds
    program = Program(make_user("all", role=Role.AUDITOR))
    ApiKey.objects.update(may_read_content=True)
    found = told(program)
    assert [entry.brand_id for entry in readings()] == [amber.brand.pk, birch.brand.pk]
    for entry, world in zip(readings(), worlds, strict=True):
        read = sorted(one for one in found if found[one] and Message.objects.get(pk=one).brand_id == world.brand.pk)
        assert entry.data == {"count": len(read), "first": read[0], "last": read[-1], "ids": read}
        assert (entry.subject_type, entry.subject_id) == ("brand", str(world.brand.pk))


def test_an_entry_says_which_key_read_it_and_from_where(reader, amber):
    reader.get(MESSAGES, ASKED, headers={"x-forwarded-for": "198.51.100.7"})
    (entry,) = readings()
    assert entry.actor_id == str(ApiKey.objects.get(owner=amber.auditor).pk)
    assert entry.address == "198.51.100.7"
    assert amber.mark not in str(entry.data)


def test_every_page_is_an_entry_of_its_own(reader, amber):
    page = reader.read(MESSAGES, **ASKED, page_size=1)
    reader.read(page["next"])
    assert [entry.data["count"] for entry in readings()] == [1, 1]


def test_nothing_is_told_that_cannot_be_recorded(reader, amber, monkeypatch):
    def fail(*_: object, **__: object) -> None:
        raise DatabaseError("the trail is full")

    monkeypatch.setattr("audit.api.record", fail)
    for url in (MESSAGES, f"{MESSAGES}{amber.from_consumer.pk}/"):
        answer = reader.get(url, ASKED)
        assert answer.status_code >= 500
        assert amber.mark.encode() not in answer.content


def test_another_brands_words_are_not_told(worlds, reader):
    amber, birch = worlds
    assert reader.get(f"{MESSAGES}{birch.from_consumer.pk}/", ASKED).status_code == 404
    assert birch.mark not in str(reader.read(MESSAGES, **ASKED))
    assert {entry.brand_id for entry in readings()} == {amber.brand.pk}


def test_a_key_for_other_resources_reads_none(reader, amber):
    ApiKey.objects.filter(owner=amber.auditor).update(resources=["conversations"])
    assert reader.get(MESSAGES, ASKED).status_code == 403
    assert readings() == []


# --- how much --------------------------------------------------------------------------------------------------------


def test_a_page_ends_where_its_contents_weigh_too_much(reader, amber, monkeypatch):
    ids = add_messages(amber, 6)
    MessageContent.objects.bulk_create(
        MessageContent(message_id=one, text="x" * 1000, expires_on="2099-01-01") for one in ids
    )
    monkeypatch.setattr(content, "MOST_BYTES", 2_500)
    page = reader.read(MESSAGES, **ASKED, page_size=4)
    assert [row["id"] for row in page["results"]] == [str(one) for one in ids[:2]]
    assert readings()[-1].data["count"] == 2  # no more was read than was told
    seen = [row["id"] for row in page["results"]]
    while page["next"]:
        page = reader.read(page["next"])
        seen += [row["id"] for row in page["results"]]
    assert seen == [str(one) for one in Message.objects.filter(brand=amber.brand).values_list("pk", flat=True)]


def test_a_message_heavier_than_a_page_stands_alone(reader, amber, monkeypatch):
    monkeypatch.setattr(content, "MOST_BYTES", 1)
    write(amber.from_consumer, element={"much": "x" * 1000})
    page = reader.read(MESSAGES, **ASKED)
    assert len(page["results"]) == 1
    assert page["next"]


def test_pages_without_contents_are_not_weighed(reader, program, amber, monkeypatch):
    monkeypatch.setattr(content, "MOST_BYTES", 1)
    assert len(reader.read(MESSAGES)["results"]) == Message.objects.filter(brand=amber.brand).count()


def test_a_page_of_contents_takes_the_same_statements_however_long(reader, amber):
    counts = []
    for size in (1, 50):
        with CaptureQueriesContext(connection) as queries:
            told(reader, page_size=size)
        counts.append(len(queries))
    assert counts[0] == counts[1]
