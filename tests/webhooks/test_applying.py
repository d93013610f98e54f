"""Every recorded notification and every recorded channel event, signed, posted, applied: what became of it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from conversations.models import Conversation, ConversationState, Dialog, Direction, Dispatch, Message
from core.events import ChannelEvent
from tests.conversations.stand import ADA, Door, known_conversation
from tests.fixtures.custom.outcomes import OUTCOMES as CUSTOM
from tests.fixtures.custom.outcomes import REQUEST_ID
from tests.fixtures.liveperson.outcomes import AGENT, CONSUMER, CONVERSATION, OUTCOMES, START_MS, SURVEY, Outcome
from tests.webhooks import work
from webhooks.models import Delivery, DeliveryState, Event

FIXTURES = Path(__file__).parents[1] / "fixtures"


def apply_all() -> None:
    # Recorded long ago, they arrive as they did then: what is days old is refused.
    Delivery.objects.update(received_at=datetime.fromtimestamp(START_MS / 1000 + 3600, tz=UTC))
    work.apply_all()


@pytest.fixture
def conversation(door: Door) -> Conversation:
    """The conversation that the recorded notifications speak of, with its survey's dialog."""
    known = known_conversation(door, lp_id=CONVERSATION, lp_consumer_id=CONSUMER)
    Dialog.objects.create(conversation=known, lp_dialog_id=SURVEY, type="POST_SURVEY")
    return known


# --- LivePerson ------------------------------------------------------------------------------------------------------


def expected_outcome(outcome: Outcome) -> str:
    facts = outcome.facts
    if outcome.event == "EventUnknown":
        return "UNKNOWN_TYPE"
    if outcome.event == "EventUnreadable":
        return "UNREADABLE"
    if outcome.event == "ConversationChanged":
        return "IGNORED" if facts["change"] == "DELETE" and facts["stage_is_open"] else "APPLIED"
    if facts["is_from_consumer"]:
        return "IGNORED" if outcome.event == "RichContentPublished" else "ECHO"
    if outcome.event == "AcceptStatusChanged" and facts["status"] not in ("ACCEPT", "READ", "ACCESS"):
        return "IGNORED"
    return "APPLIED"


def expected_messages(outcomes: list[Outcome]) -> list[tuple[str, str, str, int]]:
    """kind, audience, status, sequence"""
    found = []
    for outcome in outcomes:
        facts = outcome.facts
        if outcome.event not in ("ContentPublished", "RichContentPublished") or facts["is_from_consumer"]:
            continue
        kind = "RICH" if outcome.event == "RichContentPublished" else "TEXT"
        kind = "FILE" if facts.get("attachment") else kind
        kind = "UNSUPPORTED" if facts.get("unsupported") else kind
        if facts["audience"] != "ALL":
            found.append((kind, "STAFF", "RECEIVED", facts["sequence"]))
        else:
            found.append((kind, "ALL", "FAILED" if kind == "UNSUPPORTED" else "QUEUED", facts["sequence"]))
    return found


def expected_dispatches(outcomes: list[Outcome]) -> list[tuple[str, str]]:
    """direction, kind; in the order of the changes"""
    found = []
    for outcome in outcomes:
        facts = outcome.facts
        if outcome.event == "ConversationChanged" and not facts["stage_is_open"]:
            found.append(("TO_CHANNEL", "CLOSE"))
        elif outcome.event == "ChatStateChanged" and not facts["is_from_consumer"]:
            found.append(("TO_CHANNEL", "TYPING"))
        for kind, audience, status, _ in expected_messages([outcome]):
            if status == "FAILED":
                found.append(("TO_LIVEPERSON", "RECEIPT"))
            elif audience == "ALL":
                found.append(("TO_CHANNEL", kind))
    return found


@pytest.mark.parametrize("name", OUTCOMES)
def test_each_recorded_notification_has_its_outcome_and_a_repeat_has_none(
    door: Door, conversation: Conversation, name: str
) -> None:
    raw = (FIXTURES / "liveperson" / f"{name}.json").read_bytes()

    assert door.notify_raw(raw).status_code == 200
    apply_all()

    outcomes = OUTCOMES[name]
    delivery = Delivery.objects.get()
    assert delivery.state == DeliveryState.PROCESSED
    events = list(Event.objects.order_by("index"))
    assert [one.outcome for one in events] == [expected_outcome(one) for one in outcomes]
    assert [one.type for one in events] == [one.facts["type"] for one in outcomes]
    messages = list(Message.objects.order_by("lp_sequence"))
    assert [(one.kind, one.audience, one.status, one.lp_sequence) for one in messages] == expected_messages(outcomes)
    queued = Dispatch.objects.order_by("created_at")
    assert [(one.direction, one.kind) for one in queued] == expected_dispatches(outcomes)

    door.notify_raw(raw)
    apply_all()

    assert (Message.objects.count(), Dispatch.objects.count()) == (len(messages), len(expected_dispatches(outcomes)))
    again = Event.objects.exclude(delivery=delivery)
    assert {one.outcome for one in again} <= {"DUPLICATE", "UNKNOWN_TYPE", "UNREADABLE"}


@pytest.mark.parametrize("name", [name for name in OUTCOMES if name.startswith(("content_event", "rich_content"))])
def test_what_was_said_is_kept_as_it_was_said(door: Door, conversation: Conversation, name: str) -> None:
    door.notify_raw((FIXTURES / "liveperson" / f"{name}.json").read_bytes())
    apply_all()

    for outcome in OUTCOMES[name]:
        message = Message.objects.filter(lp_sequence=outcome.facts.get("sequence")).first()
        if message is None:
            assert not expected_messages([outcome])
            continue
        facts, content = outcome.facts, message.content
        assert content.text == facts["text"]
        assert [(one["title"], one["text"], one["metadata"]) for one in content.quick_replies] == [
            (one["title"], one["text"], one["metadata"]) for one in facts["choices"]
        ]
        attachment = facts.get("attachment")
        assert content.attachments == ([attachment] if attachment else [])
        assert message.sender_role == facts["role"]
        assert message.lp_dialog_id == facts["lp_dialog_id"]
        assert message.conversation_id == conversation.pk


@pytest.mark.parametrize("name", [name for name in OUTCOMES if name.startswith("conversation_change")])
def test_each_recorded_change_leaves_the_conversation_in_its_state(
    door: Door, conversation: Conversation, name: str
) -> None:
    door.notify_raw((FIXTURES / "liveperson" / f"{name}.json").read_bytes())
    apply_all()

    facts = OUTCOMES[name][0].facts
    known = Conversation.objects.get()
    if not facts["stage_is_open"]:
        assert known.state == ConversationState.CLOSED
        assert known.close_reason == facts["close_reason"]
        assert known.closed_at == facts["ended_at"] or facts["ended_at"] is None
    else:
        assert known.state == (ConversationState.OPEN if facts["state_is_open"] else ConversationState.SURVEY)
        assert known.closed_at is None
    if facts["change"] == "UPSERT":
        assert known.skill_id == facts["skill_id"]
        assert known.agent_ids == [person for person, role in facts["participants"] if role == "ASSIGNED_AGENT"]
    for dialog in facts["dialogs"]:
        stored = Dialog.objects.filter(conversation=known, lp_dialog_id=dialog["lp_dialog_id"]).first()
        if dialog["type"] == "OTHER":
            assert stored is None
        else:
            assert stored is not None
            assert stored.is_open == dialog["is_open"]


def test_every_recorded_notification_is_in_the_table() -> None:
    assert {path.stem for path in (FIXTURES / "liveperson").glob("*.json")} == set(OUTCOMES)


def test_a_survey_question_that_does_not_name_its_conversation_finds_it(door: Door, conversation: Conversation) -> None:
    name = "content_event__survey_question_without_conversation_id"
    door.notify_raw((FIXTURES / "liveperson" / f"{name}.json").read_bytes())
    apply_all()

    assert Message.objects.get().conversation_id == conversation.pk


def test_a_state_that_was_deleted_without_a_word_about_it_changes_nothing(
    door: Door, conversation: Conversation
) -> None:
    Conversation.objects.update(skill_id="8812", agent_ids=[AGENT], lp_updated_ms=0)

    door.notify_raw((FIXTURES / "liveperson" / "conversation_change__delete_without_details.json").read_bytes())
    apply_all()

    known = Conversation.objects.get()
    assert (known.state, known.skill_id, known.agent_ids) == ("OPEN", "8812", [AGENT])
    assert known.lp_updated_ms < START_MS


# --- the custom channel ----------------------------------------------------------------------------------------------


def tell_recorded(door: Door, name: str) -> Any:
    return door.tell_raw((FIXTURES / "custom" / f"{name}.json").read_bytes(), webhook_id=REQUEST_ID)


def kind_of(event: ChannelEvent) -> str:
    return type(event).__name__


@pytest.mark.parametrize("name", CUSTOM)
def test_each_recorded_event_of_a_stranger_has_its_outcome(door: Door, name: str) -> None:
    assert tell_recorded(door, name).status_code == 200
    apply_all()

    expected = "APPLIED" if kind_of(CUSTOM[name]) == "ConsumerMessage" else "IGNORED"
    event = Event.objects.get()
    assert (event.type, event.outcome) == (kind_of(CUSTOM[name]), expected)
    assert Message.objects.count() == (expected == "APPLIED")


@pytest.mark.parametrize("name", CUSTOM)
def test_each_recorded_event_within_a_conversation_has_its_outcome(door: Door, name: str) -> None:
    event = CUSTOM[name]
    known_conversation(door, consumer=event.consumer.id if event.consumer else ADA)

    tell_recorded(door, name)
    apply_all()

    queued = [(one.direction, one.kind) for one in Dispatch.objects.order_by("lane_id", "position")]
    expected: dict[str, list[tuple[str, str]]] = {
        "ConsumerTyping": [("TO_LIVEPERSON", "TYPING")] if "started" in name else [],
        "ConsumerClosed": [("TO_LIVEPERSON", "CLOSE")],
        "QuickReplyChosen": [],
        "MessageStatusReported": [],
        "ChannelEventIgnored": [],
    }
    if kind_of(event) == "ConsumerMessage":
        has_profile = bool(event.consumer and (event.consumer.name or event.consumer.profile))
        parts = (["TEXT"] if event.text else []) + ["FILE"] * len(event.attachments)
        expected["ConsumerMessage"] = [("TO_LIVEPERSON", kind) for kind in (["PROFILE"] if has_profile else []) + parts]
    assert queued == expected[kind_of(event)]


@pytest.mark.parametrize("name", [name for name in CUSTOM if name.startswith("message_received")])
def test_a_recorded_message_is_kept_as_it_was_said(door: Door, name: str) -> None:
    tell_recorded(door, name)
    apply_all()

    event = CUSTOM[name]
    message = Message.objects.select_related("content", "consumer").get()
    assert message.direction == Direction.TO_LIVEPERSON
    assert message.channel_message_id == event.message_id
    assert message.content.text == event.text
    assert [one["url"] for one in message.content.attachments] == [one.url for one in event.attachments]
    assert message.consumer.channel_consumer_id == event.consumer.id
    assert message.consumer.ext_consumer_id == f"custom:{event.consumer.id}"
    assert (message.consumer.name, message.consumer.profile) == (event.consumer.name, event.consumer.profile)
    if event.occurred_at:
        assert message.occurred_at == event.occurred_at


def test_every_recorded_channel_event_is_in_the_table() -> None:
    assert {path.stem for path in (FIXTURES / "custom").glob("*.json")} == set(CUSTOM)
    assert json.loads((FIXTURES / "custom" / "message_received__text.json").read_bytes())["type"] == "message.received"
