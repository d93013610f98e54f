"""What holds for every list of the REST API: facts of rows, no secret and no words, in the same few statements."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from access.models import ApiKey, Brand, Role
from access.rest.content import MASK
from audit.models import AuditEntry
from conversations.models import Attempt, Consumer, Dispatch
from tests.access.keys import Program
from tests.access.pages import RULED
from tests.access.route_rules import Rule, Ruled
from tests.factories import World, make_two_brands, make_user, make_world
from webhooks.models import Delivery

pytestmark = pytest.mark.django_db

LISTS = [one for one in RULED if one.rule is Rule.API_LIST]
of_lists = pytest.mark.parametrize("ruled", LISTS, ids=[one.route.text for one in LISTS])


@pytest.fixture
def reader(amber: World) -> Program:
    """A program whose key may read content."""
    program = Program(amber.auditor)
    ApiKey.objects.update(may_read_content=True)
    return program


def row_of(program: Program, ruled: Ruled, world: World) -> dict[str, Any]:
    row = world.row_of(ruled.model)
    return program.read(f"{ruled.route.url()}{row.pk}/")


@of_lists
def test_a_page_of_many_rows_takes_no_more_statements_than_one_of_a_single_row(ruled: Ruled) -> None:
    make_two_brands()
    make_world(slug="cedar", mark="CEDARWPL2")
    program = Program(make_user("all", role=Role.AUDITOR))
    counts, rows = [], []
    for page_size in (1, 50):
        with CaptureQueriesContext(connection) as queries:
            rows.append(len(program.read(ruled.route.url(), page_size=page_size)["results"]))
        counts.append(len(queries))
    assert rows[0] == 1
    assert rows[1] >= 3
    assert counts[0] == counts[1]


@of_lists
def test_a_row_tells_of_itself_when_it_was_made_and_whose_it_is(program: Program, amber: World, ruled: Ruled) -> None:
    told = row_of(program, ruled, amber)
    assert datetime.fromisoformat(told["created_at"])
    if ruled.route.text != "api/v1/brands/":
        assert told["brand"] == str(amber.brand.pk)


@of_lists
def test_every_list_can_be_narrowed_to_a_period(program: Program, amber: World, ruled: Ruled) -> None:
    made = row_of(program, ruled, amber)["created_at"]
    everything = program.read(ruled.route.url())["results"]
    later = program.read(ruled.route.url(), created_after=made)["results"]
    earlier = program.read(ruled.route.url(), created_before=made)["results"]
    assert len(later) + len(earlier) == len(everything)
    assert later


@of_lists
def test_no_secret_and_no_word_stands_in_a_row(program: Program, amber: World, ruled: Ruled) -> None:
    for told in program.read(ruled.route.url())["results"]:
        text = str(told)
        for hidden in (amber.client_secret, amber.channel_secret, "eyJ.", "Words of", amber.consumer.name):
            assert hidden not in text
        assert not {"sealed", "raw", "body", "headers", "text", "payload", "progress"} & set(told)


# --- what is masked --------------------------------------------------------------------------------------------------


def test_who_a_consumer_is_is_masked_without_the_scope(program: Program, amber: World) -> None:
    told = program.read(f"/api/v1/consumers/{amber.consumer.pk}/")
    assert [told[name] for name in ("name", "channel_consumer_id", "ext_consumer_id")] == [MASK] * 3
    assert told["profile"] is None
    assert amber.consumer.channel_consumer_id not in str(told)


def test_who_a_consumer_is_is_told_with_the_scope(reader: Program, amber: World) -> None:
    told = reader.read(f"/api/v1/consumers/{amber.consumer.pk}/")
    assert told["name"] == amber.consumer.name
    assert told["channel_consumer_id"] == amber.consumer.channel_consumer_id
    assert told["ext_consumer_id"] == amber.consumer.ext_consumer_id
    assert told["profile"] == amber.consumer.profile


def test_what_is_empty_is_not_masked(program: Program, amber: World) -> None:
    gone = Consumer.objects.get(brand=amber.brand, erased_at__isnull=False)
    told = program.read(f"/api/v1/consumers/{gone.pk}/")
    assert (told["name"], told["channel_consumer_id"], told["profile"]) == ("", "", {})


def test_the_beginning_of_an_answer_is_masked_without_the_scope(program: Program, amber: World) -> None:
    attempt = Attempt.objects.filter(dispatch=amber.dead).get()
    told = program.read(f"/api/v1/attempts/{attempt.pk}/")
    assert told["answer_head"] == MASK
    assert told["detail"] == attempt.detail
    assert told["message"] == str(amber.failed.pk)


def test_a_digest_that_words_can_be_guessed_from_is_masked_without_the_scope(program: Program, amber: World) -> None:
    sent = Dispatch.objects.get(brand=amber.brand, content_digest__isnull=False)
    assert program.read(f"/api/v1/dispatches/{sent.pk}/")["content_digest"] == MASK
    assert program.read(f"/api/v1/dispatches/{amber.dead.pk}/")["content_digest"] is None


def test_what_was_masked_is_told_with_the_scope(reader: Program, amber: World) -> None:
    attempt = Attempt.objects.filter(dispatch=amber.dead).get()
    assert reader.read(f"/api/v1/attempts/{attempt.pk}/")["answer_head"] == attempt.answer_head
    sent = Dispatch.objects.get(brand=amber.brand, content_digest__isnull=False)
    digest = reader.read(f"/api/v1/dispatches/{sent.pk}/")["content_digest"]
    assert digest == bytes(sent.content_digest or b"").hex()


# --- single lists ----------------------------------------------------------------------------------------------------


def test_a_delivery_tells_what_each_of_its_events_did(program: Program, amber: World) -> None:
    delivery = Delivery.objects.get(events__outcome="HELD")
    first, held = program.read(f"/api/v1/deliveries/{delivery.pk}/")["events"]
    assert (first["index"], first["outcome"], first["message"]) == (0, "APPLIED", str(amber.from_agent.pk))
    assert (held["index"], held["outcome"], held["detail"]) == (1, "HELD", "")
    assert first["detail"] == MASK  # a channel may have said why in its own words
    assert "events" not in program.read("/api/v1/deliveries/")["results"][0]


def test_a_delivery_names_the_secret_that_verified_it_as_its_source_does(program: Program, amber: World) -> None:
    secret = amber.installation.secrets.get(retired_at=None)
    Delivery.objects.filter(installation=amber.installation).update(secret_id=secret.pk)
    (named,) = {
        one["secret"] for one in program.read("/api/v1/deliveries/", installation=amber.installation.pk)["results"]
    }
    told = program.read(f"/api/v1/installations/{amber.installation.pk}/")["secrets"]
    assert {one["id"]: one["retired_at"] is None for one in told}[named] is True
    assert all(set(one) == {"id", "created_at", "retired_at"} for one in told)


def test_a_channel_tells_the_host_it_sends_to_and_nothing_else_of_the_address(program: Program, amber: World) -> None:
    amber.channel.config = {"url": "https://user:pw@gateway.example.com/in?key=k-12345"}
    amber.channel.save()
    told = program.read(f"/api/v1/channels/{amber.channel.pk}/")
    assert told["sends_to"] == "gateway.example.com"
    assert "k-12345" not in str(told)
    for odd in ({}, {"url": ""}, {"url": 7}, {"url": "https://[::1"}):
        amber.channel.config = odd
        amber.channel.save()
        assert program.read(f"/api/v1/channels/{amber.channel.pk}/")["sends_to"] == ""


def test_a_dispatch_tells_what_it_belongs_to(program: Program, amber: World) -> None:
    told = program.read(f"/api/v1/dispatches/{amber.dead.pk}/")
    assert told["account"] == str(amber.account.pk)
    assert told["channel"] == str(amber.channel.pk)
    assert told["consumer"] == str(amber.consumer.pk)
    assert told["conversation"] == str(amber.conversation.pk)
    assert told["message"] == str(amber.failed.pk)
    assert (told["state"], told["direction"]) == ("DEAD", "TO_LIVEPERSON")


@pytest.mark.parametrize(
    ("address", "filters", "count"),
    [
        ("brands", {"slug": "amber-amberxqj7"}, 1),
        ("brands", {"slug": "amber"}, 0),
        ("accounts", {"lp_account_id": "1"}, 0),
        ("installations", {"state": "ACTIVE"}, 1),
        ("installations", {"state": "PAUSED"}, 0),
        ("channels", {"state": "ACTIVE"}, 1),
        ("deliveries", {"state": "QUARANTINED"}, 1),
        ("dispatches", {"state": "DEAD"}, 1),
        ("dispatches", {"direction": "TO_CHANNEL"}, 1),
        ("dispatches", {"kind": "OPEN"}, 1),
        ("attempts", {"outcome": "UNANSWERED"}, 1),
        ("attempts", {"step": "SEND"}, 1),
    ],
)
def test_a_filter_finds_what_it_says(program: Program, address: str, filters: dict[str, str], count: int) -> None:
    assert len(program.read(f"/api/v1/{address}/", **filters)["results"]) == count


def test_the_tries_of_a_message_are_found_by_its_id(program: Program, amber: World) -> None:
    (attempt,) = program.read("/api/v1/attempts/", message=amber.failed.pk)["results"]
    assert attempt["dispatch"] == str(amber.dead.pk)
    assert program.read("/api/v1/dispatches/", message=amber.failed.pk)["results"][0]["id"] == str(amber.dead.pk)


# --- what is read is recorded ----------------------------------------------------------------------------------------


def read_by(brand: Brand) -> list[dict[str, Any]]:
    entries = AuditEntry.objects.filter(action="content.read", brand=brand).order_by("pk")
    return list(entries.values_list("data", flat=True))


def test_who_reads_what_is_personal_stands_in_the_trail_of_each_brand(reader: Program, amber: World) -> None:
    reader.read("/api/v1/consumers/")
    (told,) = read_by(amber.brand)
    assert told["kind"] == "consumer"
    assert str(amber.consumer.pk) in told["ids"]
    assert told["count"] == len(told["ids"])
    entry = AuditEntry.objects.get(action="content.read")
    assert (entry.actor_kind, entry.subject_type) == ("KEY", "brand")


def test_who_reads_facts_alone_leaves_no_entry(reader: Program, amber: World) -> None:
    for address in ("messages", "dispatches", "brands", "channels"):
        reader.read(f"/api/v1/{address}/", fields="created_at")
    reader.read("/api/v1/consumers/", fields="lp_consumer_id")
    assert read_by(amber.brand) == []


def test_who_is_shown_masks_leaves_no_entry(program: Program, amber: World) -> None:
    for address in ("consumers", "attempts", "dispatches"):
        program.read(f"/api/v1/{address}/")
    assert read_by(amber.brand) == []


@pytest.mark.parametrize("address", ["attempts", "dispatches"])
def test_answers_and_digests_that_were_opened_are_recorded(reader: Program, amber: World, address: str) -> None:
    reader.read(f"/api/v1/{address}/")
    (told,) = read_by(amber.brand)
    assert told["kind"] == {"attempts": "attempt", "dispatches": "dispatch"}[address]


def test_an_export_of_what_is_personal_is_recorded_before_it_is_given_away(reader: Program, amber: World) -> None:
    answer: Any = reader.get("/api/v1/consumers/export/")
    parts = iter(answer.streaming_content)
    assert amber.consumer.channel_consumer_id in next(parts).decode()
    (told,) = read_by(amber.brand)
    assert str(amber.consumer.pk) in told["ids"]
    answer.close()


def test_what_cannot_be_recorded_is_not_told(reader: Program, amber: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise RuntimeError("no trail")

    monkeypatch.setattr("access.acts.tell", refuse)
    answer = reader.get("/api/v1/consumers/")
    assert answer.status_code == 500
    assert amber.consumer.channel_consumer_id not in answer.content.decode()
