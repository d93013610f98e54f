"""A message's way from end to end: complete, bounded, in a fixed number of statements, and nobody else's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from audit import api as audit
from connector_site.trace.rows import MOST_ATTEMPTS, MOST_MESSAGES, MOST_OF_OTHERS
from conversations.models import Attempt, Dispatch, Lane, Message, MessageContent
from core.actor import COMMAND
from core.ids import new_id
from tests.access.keys import Program
from tests.connector_site.plans import hide_statistics
from tests.factories import World, make_two_brands
from webhooks.models import Delivery, DeliveryBody, Event

pytestmark = pytest.mark.django_db


def trace(program: Program, message: Message) -> dict[str, Any]:
    told: dict[str, Any] = program.read(f"/api/v1/messages/{message.pk}/trace/")
    return told


def add_attempts(dispatch: Dispatch, count: int) -> None:
    first = Attempt.objects.filter(dispatch=dispatch).latest("id")
    facts = {"brand_id": first.brand_id, "dispatch": dispatch, "step": first.step, "fence": 7, "outcome": "REFUSED"}
    rows = [Attempt(**facts, started_at=first.started_at, finished_at=first.started_at) for _ in range(count)]
    Attempt.objects.bulk_create(rows)


def add_dispatch(near: Message, place: int, **values: Any) -> Dispatch:
    given = {"kind": "TEXT", "state": "QUEUED", "payload": {}, **values}
    lane = Lane.objects.get(consumer=near.consumer, direction=near.direction)
    return Dispatch.objects.create(
        brand_id=near.brand_id, lane=lane, position=place, conversation=near.conversation, **given
    )


def test_a_trace_holds_every_row_that_tells_of_the_message(amber: World, program: Program) -> None:
    brought = Event.objects.get(message_id=amber.from_agent.pk).delivery
    (sent,) = Dispatch.objects.filter(message=amber.from_agent)
    receipt = add_dispatch(
        amber.from_agent, 9, kind="RECEIPT", state="SENT",
        payload={"dialog_id": amber.from_agent.lp_dialog_id, "sequences": [1, 2], "status": "READ"},
    )  # fmt: skip
    add_dispatch(amber.from_agent, 10, kind="RECEIPT", payload={"dialog_id": "another", "sequences": [2]})
    act = audit.record("dispatch.resolved_as_sent", actor=COMMAND, subject=sent)

    told = trace(program, amber.from_agent)

    assert told["id"] == told["message"]["id"] == str(amber.from_agent.pk)
    assert told["delivery"] == str(brought.pk)
    assert [one["id"] for one in told["deliveries"]] == [str(brought.pk)]
    assert told["deliveries"][0]["has_body"]
    assert told["deliveries"][0]["secret"] == str(brought.secret_id)
    assert [(one["outcome"], one["delivery"]) for one in told["events"]] == [("APPLIED", str(brought.pk))]
    assert [one["id"] for one in told["dispatches"]] == [str(sent.pk)]
    (tried,) = told["dispatches"][0]["attempts"]
    assert (tried["outcome"], tried["http_status"], tried["elapsed_ms"]) == ("ACCEPTED", 200, 42)
    assert [one["id"] for one in told["receipts"]] == [str(receipt.pk)]
    assert [one["id"] for one in told["acts"]] == [str(act.pk)]
    assert told["more"] == []


def test_steps_stand_in_the_order_of_time_and_say_how_long_each_took(amber: World, program: Program) -> None:
    start = datetime(2026, 11, 22, 8, tzinfo=UTC)
    (sent,) = Dispatch.objects.filter(message=amber.from_agent)
    event = Event.objects.get(message_id=amber.from_agent.pk)

    def after(milliseconds: int) -> datetime:
        return start + timedelta(milliseconds=milliseconds)

    Delivery.objects.filter(pk=event.delivery_id).update(received_at=start, processed_at=after(40))
    Event.objects.filter(pk=event.pk).update(at=after(30))
    Message.objects.filter(pk=amber.from_agent.pk).update(
        created_at=after(35), delivered_at=after(1_300), read_at=after(61_300)
    )
    Dispatch.objects.filter(pk=sent.pk).update(created_at=after(36), finished_at=after(300))
    sent.attempts.update(started_at=after(100), finished_at=after(290))

    told = trace(program, amber.from_agent)

    assert [(one["what"], one["since_previous_ms"]) for one in told["steps"]] == [
        ("delivery.received", None), ("event.applied", 30), ("message.stored", 5), ("dispatch.queued", 1),
        ("delivery.processed", 4), ("attempt.started", 60), ("attempt.accepted", 190), ("dispatch.sent", 10),
        ("message.delivered", 1_000), ("message.read", 60_000),
    ]  # fmt: skip
    assert told["summary"] == {
        "received_at": "2026-11-22T08:00:00Z",
        "applied_at": "2026-11-22T08:00:00.035000Z",
        "sent_at": "2026-11-22T08:00:00.300000Z",
        "delivered_at": "2026-11-22T08:00:01.300000Z",
        "read_at": "2026-11-22T08:01:01.300000Z",
        "received_to_applied_ms": 35,
        "applied_to_sent_ms": 265,
        "sent_to_delivered_ms": 1_000,
        "delivered_to_read_ms": 60_000,
        "received_to_delivered_ms": 1_300,
    }
    for step in told["steps"]:
        assert step["sentence"].endswith(".")
        assert program.get(step["link"]).json()["id"] == step["id"]


def test_what_causes_stands_before_what_it_causes_where_one_turn_did_both(amber: World, program: Program) -> None:
    moment = datetime(2026, 11, 22, 8, tzinfo=UTC)
    (sent,) = Dispatch.objects.filter(message=amber.from_agent)
    Delivery.objects.update(received_at=moment - timedelta(seconds=1), processed_at=moment - timedelta(seconds=1))
    Event.objects.update(at=moment - timedelta(seconds=1))
    Message.objects.filter(pk=amber.from_agent.pk).update(created_at=moment, delivered_at=moment, read_at=None)
    # The clock of the turn was read before the row of the dispatch was written.
    Dispatch.objects.filter(pk=sent.pk).update(created_at=moment, finished_at=moment)
    sent.attempts.update(started_at=moment - timedelta(milliseconds=3), finished_at=moment)

    steps = [one["what"] for one in trace(program, amber.from_agent)["steps"]]

    assert steps[-6:] == [
        "message.stored", "dispatch.queued", "attempt.started", "attempt.accepted", "dispatch.sent",
        "message.delivered",
    ]  # fmt: skip


def test_a_trace_holds_no_words(amber: World) -> None:
    for may_read_content in (False, True):
        program = Program(amber.auditor, may_read_content=may_read_content)
        for message in Message.objects.all():
            text = program.get(f"/api/v1/messages/{message.pk}/trace/").content.decode()
            assert "Words of" not in text
            assert amber.consumer.channel_consumer_id not in text
            assert f"answer {amber.mark}" not in text


def test_a_message_without_any_send_has_a_trace(amber: World, program: Program) -> None:
    note = Message.objects.get(audience="STAFF")
    told = trace(program, note)
    assert (told["dispatches"], told["receipts"], told["deliveries"], told["delivery"]) == ([], [], [], None)
    assert [step["what"] for step in told["steps"]] == ["message.stored"]
    assert told["summary"]["sent_at"] is None
    assert told["summary"]["received_to_applied_ms"] is None


def test_facts_stay_where_body_and_words_have_gone(amber: World, program: Program) -> None:
    now = amber.from_agent.created_at
    DeliveryBody.objects.all().delete()
    MessageContent.objects.all().delete()
    Message.objects.filter(pk=amber.from_agent.pk).update(removed_at=now, removed_by="RETENTION")
    told = trace(program, amber.from_agent)
    assert not told["deliveries"][0]["has_body"]
    assert "message.words_removed" in [step["what"] for step in told["steps"]]
    assert told["dispatches"]


def test_a_text_of_many_parts_is_sent_when_its_last_part_is(amber: World, program: Program) -> None:
    message = amber.from_consumer
    for place in range(3):
        state = "SENT" if place < 2 else "SENDING"
        end = message.created_at + timedelta(seconds=place) if place < 2 else None
        add_dispatch(
            message, 20 + place, message=message, state=state, finished_at=end, payload={"part": place, "of": 3}
        )
    told = trace(program, message)
    assert len(told["dispatches"]) == 4
    assert told["summary"]["sent_at"] is None
    assert any("part 3 of 3" in step["sentence"] for step in told["steps"])

    last = message.created_at + timedelta(seconds=9)
    Dispatch.objects.filter(message=message, state="SENDING").update(state="SENT", finished_at=last)
    assert trace(program, message)["summary"]["applied_to_sent_ms"] == 9_000


def test_a_trace_takes_as_many_statements_for_one_attempt_as_for_many(amber: World, program: Program) -> None:
    def statements() -> int:
        with CaptureQueriesContext(connection) as asked:
            trace(program, amber.from_consumer)
        return len(asked)

    few = statements()
    (sent,) = Dispatch.objects.filter(message=amber.from_consumer)
    add_attempts(sent, 19)
    for place in range(20):
        add_dispatch(amber.from_consumer, 30 + place, message=amber.from_consumer)
        add_dispatch(amber.from_consumer, 60 + place, kind="RECEIPT",
                     payload={"message_ids": [amber.from_consumer.channel_message_id]})  # fmt: skip
        audit.record("dispatch.resent", actor=COMMAND, subject=sent)
    assert statements() == few
    # Besides what the key itself costs.
    assert few <= 12


def test_of_very_many_attempts_the_newest_are_told_and_that_there_are_more(amber: World, program: Program) -> None:
    (sent,) = Dispatch.objects.filter(message=amber.from_consumer)
    add_attempts(sent, 5_000)
    for _ in range(MOST_OF_OTHERS + 1):
        audit.record("dispatch.resent", actor=COMMAND, subject=sent)
    answer = program.get(f"/api/v1/messages/{amber.from_consumer.pk}/trace/")
    told = answer.json()
    assert sorted(told["more"]) == ["acts", "attempts"]
    newest = Attempt.objects.order_by("-id").values_list("pk", flat=True)[:MOST_ATTEMPTS]
    assert {one["id"] for one in told["dispatches"][0]["attempts"]} == {str(one) for one in newest}
    assert len(answer.content) < 1_000_000


def test_a_hidden_message_reads_like_one_that_does_not_exist() -> None:
    amber, birch = make_two_brands()
    program = Program(amber.auditor)
    hidden, missing = (program.get(f"/api/v1/messages/{one}/trace/") for one in (birch.from_agent.pk, new_id()))
    assert hidden.status_code == missing.status_code == 404
    assert {**hidden.json(), "correlation_id": ""} == {**missing.json(), "correlation_id": ""}


def test_rows_of_another_brand_that_name_the_message_are_not_told() -> None:
    """None should; the trace shows the reader's own brands whatever a row says."""
    amber, birch = make_two_brands()
    Event.objects.filter(brand=birch.brand).update(message_id=amber.from_agent.pk)
    Dispatch.objects.filter(brand=birch.brand).update(message=amber.from_agent)
    Attempt.objects.filter(brand=birch.brand).update(dispatch=Dispatch.objects.filter(message=amber.from_agent)[0])
    assert (
        birch.mark not in Program(amber.auditor).get(f"/api/v1/messages/{amber.from_agent.pk}/trace/").content.decode()
    )


def test_a_key_that_opens_messages_alone_opens_their_traces(amber: World) -> None:
    address = f"/api/v1/messages/{amber.from_agent.pk}/trace/"
    assert Program(amber.auditor, resources=["messages"]).get(address).status_code == 200
    assert Program(amber.auditor, resources=["dispatches", "find"]).get(address).status_code == 403


def test_a_trace_takes_no_parameters_and_no_other_method(amber: World, program: Program) -> None:
    address = f"/api/v1/messages/{amber.from_agent.pk}/trace/"
    assert program.get(f"{address}?fields=id").status_code == 400
    for method in ("post", "put", "patch", "delete", "options"):
        assert getattr(program, method)(address).status_code == 405
    assert program.get(address[:-1]).status_code == 200
    assert program.get(address)["Cache-Control"] == "no-store"


# --- by correlation id -----------------------------------------------------------------------------------------------


def test_the_messages_of_one_correlation_id_are_listed_with_their_traces(amber: World, program: Program) -> None:
    told = program.read("/api/v1/trace/", correlation_id=f"corr-{amber.mark}")
    assert [one["id"] for one in told["messages"]] == [str(row.pk) for row in Message.objects.order_by("-id")]
    assert program.get(told["messages"][0]["trace"]).json()["id"] == told["messages"][0]["id"]
    assert not told["has_more"]
    assert program.read("/api/v1/trace/", correlation_id="no-such")["messages"] == []


def test_many_messages_of_one_correlation_id_are_bounded(amber: World, program: Program) -> None:
    one = amber.from_agent
    facts = {"brand": amber.brand, "consumer": amber.consumer, "channel": amber.channel, "direction": "TO_CHANNEL",
             "sender_role": "AGENT", "status": "QUEUED", "occurred_at": one.occurred_at}  # fmt: skip
    Message.objects.bulk_create(
        [Message(**facts, correlation_id="many", lp_sequence=100 + place) for place in range(MOST_MESSAGES + 1)]
    )
    with CaptureQueriesContext(connection) as asked:
        told = program.read("/api/v1/trace/", correlation_id="many")
    assert (len(told["messages"]), told["has_more"]) == (MOST_MESSAGES, True)
    assert len(asked) <= 7


@pytest.mark.parametrize("value", ["", " ", "a b", "x" * 65, "x" * 10_000, "\x00", "ü", "\ufffe", "a\r\nX: 1", "🦊"])
def test_what_is_no_correlation_id_is_refused_with_a_sentence(program: Program, value: str) -> None:
    answer = program.get("/api/v1/trace/", {"correlation_id": value})
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith("correlation_id: ")
    assert program.get("/api/v1/trace/").status_code == 400
    assert program.get("/api/v1/trace/?correlation_id=x&id=y").status_code == 400


def test_the_messages_of_another_brand_are_not_among_them() -> None:
    amber, birch = make_two_brands()
    Message.objects.update(correlation_id="shared")
    told = Program(amber.auditor).read("/api/v1/trace/", correlation_id="shared")
    assert {one["brand"] for one in told["messages"]} == {str(amber.brand.pk)}
    assert told["messages"]


def test_an_index_leads_to_what_a_trace_reads(amber: World, program: Program) -> None:
    """That the condition stands in the index, not behind it: small tables would be read whole, whatever there is."""
    with CaptureQueriesContext(connection) as asked:
        trace(program, amber.from_agent)
        trace(program, amber.from_consumer)
        program.read("/api/v1/trace/", correlation_id="x")
    reads = [one["sql"] for one in asked if any(f'FROM "{table}"' in one["sql"] for table in TABLES)]
    assert len(reads) == 15
    hide_statistics(*TABLES)
    for sql in reads:
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")
            cursor.execute(f"EXPLAIN {sql}")
            plan = "\n".join(line for (line,) in cursor.fetchall())
        assert "Seq Scan" not in plan, plan
        assert "Index Cond" in plan, plan
        for leading in ("Index Scan Backward using conversations_attempt_pkey", "Index Scan using message_brand"):
            assert leading not in plan or "Index Cond: (id = " in plan, plan


TABLES = (
    "conversations_message", "conversations_dispatch", "conversations_attempt", "webhooks_event", "webhooks_delivery",
    "audit_auditentry",
)  # fmt: skip
