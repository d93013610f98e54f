"""A question and its answer, carried by real parts and traced from arrival to reading."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from knox.models import AuthToken

from access.models import Role
from conversations.models import Direction, Message
from tests.access.keys import Program
from tests.conversations.stand import ADA, Stand
from tests.factories import make_user


@pytest.fixture
def program(stand: Stand) -> Iterator[Program]:
    yield Program(make_user("ada", role=Role.AUDITOR))
    AuthToken.objects.all().delete()  # no table of ours: what empties the database leaves it


@pytest.fixture
def talked(stand: Stand) -> Stand:
    """The agent received and read the question, the consumer the answer."""
    stand.says("Where is my parcel?", id="m-1")
    stand.settle()
    for act in ("join", "accept", "read"):
        stand.agent(act)
        stand.settle()
    stand.agent("say", text="It leaves today.")
    stand.settle()
    stand.tell("message.status", {"id": stand.received()[-1]["id"], "status": "read"})
    stand.settle()
    return stand


def traced(program: Program, direction: Direction) -> dict[str, Any]:
    message = Message.objects.get(direction=direction)
    told: dict[str, Any] = program.read(f"/api/v1/messages/{message.pk}/trace/")
    return told


def assert_in_order(summary: dict[str, Any]) -> None:
    stages = [summary[f"{name}_at"] for name in ("received", "applied", "sent", "delivered", "read")]
    assert None not in stages
    assert stages[0] < stages[1] < stages[2] <= stages[3] < stages[4]
    assert summary["delivered_to_read_ms"] >= 0


def test_a_question_is_traced_to_the_agents_reading(talked: Stand, program: Program) -> None:
    told = traced(program, Direction.TO_LIVEPERSON)
    assert_in_order(told["summary"])
    assert [(one["type"], one["outcome"]) for one in told["events"]] == [
        ("ConsumerMessage", "APPLIED"), ("ContentEvent", "ECHO"),
        ("AcceptStatusEvent", "APPLIED"), ("AcceptStatusEvent", "APPLIED"),
    ]  # fmt: skip
    assert len(told["deliveries"]) == 4
    assert [one["state"] for one in told["dispatches"]] == ["SENT"]
    assert {one["outcome"] for one in told["dispatches"][0]["attempts"]} == {"ACCEPTED"}
    assert [(one["kind"], one["direction"]) for one in told["receipts"]] == [("RECEIPT", "TO_CHANNEL")]


def test_an_answer_is_traced_to_the_consumers_reading(talked: Stand, program: Program) -> None:
    told = traced(program, Direction.TO_CHANNEL)
    assert_in_order(told["summary"])
    assert [(one["type"], one["outcome"]) for one in told["events"]] == [
        ("ContentEvent", "APPLIED"), ("MessageStatusReported", "APPLIED"),
    ]  # fmt: skip
    assert [(one["kind"], one["direction"]) for one in told["receipts"]] == [("RECEIPT", "TO_LIVEPERSON")] * 2
    assert "It leaves today" not in str(told)


def test_everything_is_found_by_what_the_other_sides_call_it(talked: Stand, program: Program) -> None:
    def kinds(term: str) -> list[str]:
        answer = program.post("/api/v1/find/", {"term": term}, content_type="application/json")
        return [one["kind"] for one in answer.json()["found"]]

    assert kinds(ADA.replace("+1", "001 ")) == ["consumer"]
    assert kinds("m-1") == ["message"]
    assert kinds(talked.lp_conversation_id) == ["conversation"]
    assert kinds(talked.received()[-1]["id"]) == ["dispatch"]
    assert {"message", "delivery"} <= set(kinds(traced(program, Direction.TO_CHANNEL)["delivery"]))


def test_receipts_of_several_messages_time_each_of_them(stand: Stand) -> None:
    stand.says("One", id="m-1")
    stand.says("Two", id="m-2")
    stand.settle()
    stand.agent("join")
    stand.agent("read")
    stand.settle()
    assert [row.read_at is not None for row in Message.objects.all()] == [True, True]
    assert {row.status for row in Message.objects.all()} == {"READ"}
