"""Receipts, typing and choices, both ways: statuses only climb, and what waits together travels together."""

from __future__ import annotations

from typing import Any

import pytest

from conversations.models import Direction, Dispatch, DispatchState, Message, MessageStatus
from tests.conversations.notifications import receipt
from tests.conversations.servers import Play
from tests.conversations.stand import ADA, Stand, in_thread, only_conversation
from tests.waiting import wait_until


@pytest.fixture
def talking(stand: Stand) -> Stand:
    stand.says("Hello", id="m-1")
    stand.settle()
    return stand


def first() -> Message:
    return Message.objects.get(channel_message_id="m-1")


def answer() -> Message:
    return Message.objects.get(direction=Direction.TO_CHANNEL)


def report(stand: Stand, status: str, **more: Any) -> Any:
    sent = stand.received()[-1]
    return stand.tell("message.status", {"id": sent["id"], "status": status, **more})


def receipts_at_liveperson(stand: Stand) -> list[tuple[str, list[int]]]:
    events = stand.at_liveperson()[0]["events"]
    return [
        (one["status"], one["sequenceList"])
        for one in events
        if one["type"] == "AcceptStatusEvent" and one["role"] == "CONSUMER"
    ]


# --- the agent's receipts --------------------------------------------------------------------------------------------


def test_what_the_agent_received_and_read_climbs_and_the_channel_is_told_of_reading(talking: Stand) -> None:
    talking.agent("accept")
    talking.settle()
    assert first().status == MessageStatus.DELIVERED
    assert talking.received("message.read") == []

    talking.agent("read")
    talking.settle()
    assert first().status == MessageStatus.READ
    assert talking.received("message.read")[0]["ids"] == ["m-1"]


def test_a_late_receipt_changes_nothing(talking: Stand) -> None:
    talking.agent("read")
    talking.settle()
    talk = talking.lp_conversation_id

    talking.notify(receipt(talk, 90, "ACCEPT", first().lp_sequence))
    talking.work()

    assert first().status == MessageStatus.READ


def test_a_receipt_that_comes_before_our_answer_counts(talking: Stand) -> None:
    """LivePerson may tell that the text was read before it has answered the request that brought it."""
    talking.deliver_at_once()
    talking.says("quickly read", id="m-2")
    with talking.answers_held("send"):
        worker = in_thread(talking.work)
        talking.simulator_waits_for("send", count=2)
        talking.agent("read")
        talking.pending()
    worker.join()
    talking.work()

    message = Message.objects.get(channel_message_id="m-2")
    assert message.status == MessageStatus.READ
    assert talking.received("message.read")[-1]["ids"] == ["m-1", "m-2"]


def test_reading_several_messages_is_told_once(talking: Stand) -> None:
    talking.says("two", id="m-2")
    talking.says("three", id="m-3")
    talking.settle()

    talking.agent("read")
    talking.settle()

    assert [one["ids"] for one in talking.received("message.read")] == [["m-1", "m-2", "m-3"]]


def test_read_receipts_that_wait_for_the_channel_travel_together(talking: Stand) -> None:
    talk = talking.lp_conversation_id
    talking.says("two", id="m-2")
    talking.settle()
    sequences = Message.objects.order_by("id").values_list("lp_sequence", flat=True)

    for number, sequence in enumerate(sequences):
        talking.notify(receipt(talk, 90 + number, "READ", sequence))
    talking.work()

    assert [one["ids"] for one in talking.received("message.read")] == [["m-1", "m-2"]]


def test_a_receipt_for_something_unknown_is_no_error(talking: Stand) -> None:
    talking.notify(receipt(talking.lp_conversation_id, 90, "READ", 4711))
    talking.work()

    assert talking.received("message.read") == []


# --- the channel's receipts ------------------------------------------------------------------------------------------


def test_liveperson_is_told_what_the_consumer_has_read(talking: Stand) -> None:
    talking.agent("say", text="It leaves today.")
    talking.settle()
    report(talking, "read")
    talking.settle()

    sequence = answer().lp_sequence
    assert answer().status == MessageStatus.READ
    assert receipts_at_liveperson(talking) == [("ACCEPT", [sequence]), ("READ", [sequence])]


def test_a_status_of_the_channel_only_climbs(talking: Stand) -> None:
    talking.agent("say", text="It leaves today.")
    talking.settle()
    report(talking, "read")
    report(talking, "delivered")
    report(talking, "read")
    report(talking, "failed")
    talking.settle()

    assert answer().status == MessageStatus.READ
    assert [status for status, _ in receipts_at_liveperson(talking)] == ["ACCEPT", "READ"]


def test_what_the_channel_reports_as_delivered_is_not_tried_again(talking: Stand) -> None:
    talking.phone.plays.append(Play(status=200, drop=True))  # it has taken it, and its answer is lost
    talking.agent("say", text="It leaves today.")
    talking.deliver()
    talking.work()
    waiting = Dispatch.objects.get(kind="TEXT", lane__direction="TO_CHANNEL")
    assert waiting.state == DispatchState.QUEUED

    report(talking, "delivered")
    talking.phone.default = Play(status=400)
    talking.pass_time(60)
    talking.settle()

    waiting.refresh_from_db()
    assert (waiting.state, waiting.resolution) == (DispatchState.SENT, "report")
    assert answer().status == MessageStatus.DELIVERED
    assert len(talking.received()) == 1


def test_a_delivery_that_failed_after_all_is_not_believed_once_it_was_delivered(talking: Stand) -> None:
    talking.agent("say", text="It leaves today.")
    talking.settle()

    report(talking, "failed", reason="number not in service")
    talking.settle()

    assert answer().status == MessageStatus.DELIVERED


def test_a_status_for_a_message_of_nobody_is_ignored(talking: Stand) -> None:
    for id in ("not-an-id", "01939f2e-7c1a-7b3d-8e4f-5a6b7c8d9e0f"):
        talking.tell("message.status", {"id": id, "status": "read"})
    talking.work()

    assert first().status == MessageStatus.SENT


def test_the_status_of_another_channels_message_is_not_touched(talking: Stand) -> None:
    from tests.conversations.stand import make_door

    talking.agent("say", text="It leaves today.")
    talking.settle()
    other = make_door(brand="other", account="99999998")

    other.tell("message.status", {"id": talking.received()[-1]["id"], "status": "read"})
    talking.work()

    assert answer().status == MessageStatus.DELIVERED


def test_receipts_of_one_kind_that_wait_travel_together(talking: Stand) -> None:
    talking.agent("say", text=["one", "two", "three"])
    talking.deliver()
    with talking.answers_held("send"):
        worker = in_thread(talking.work)
        wait_until(lambda: Message.objects.filter(status=MessageStatus.DELIVERED).count() == 3, within_s=6)
    worker.join()
    talking.settle()

    told = receipts_at_liveperson(talking)
    assert sorted(sequence for _, sequences in told for sequence in sequences) == [
        one.lp_sequence for one in Message.objects.filter(direction="TO_CHANNEL").order_by("lp_sequence")
    ]
    assert len(told) < 3, "some of them waited for the first one"


def test_what_cannot_be_carried_is_refused_towards_liveperson(talking: Stand) -> None:
    from tests.conversations.notifications import event

    form = {"type": "ContentEvent", "contentType": "forms/secure-invitation", "message": {"formId": "F1"}}
    talking.agent("say", text="something to refer to")
    talking.settle()
    talking.notify(event(talking.lp_conversation_id, 50, form))
    talking.settle()

    refused = Message.objects.get(kind="UNSUPPORTED")
    assert (refused.status, refused.error_code) == (MessageStatus.FAILED, "content_unsupported")
    assert ("NACK", [50]) in receipts_at_liveperson(talking)


# --- typing ----------------------------------------------------------------------------------------------------------


def chat_states(stand: Stand) -> list[str]:
    sent = [one["body"]["body"].get("event", {}) for one in stand.requests("send")]
    return [one["chatState"] for one in sent if one.get("type") == "ChatStateEvent"]


def test_the_agents_typing_reaches_the_channel(talking: Stand) -> None:
    talking.agent("typing")
    talking.settle()
    talking.agent("stop_typing")
    talking.settle()

    assert [one["on"] for one in talking.received("agent.typing")] == [True, False]


def test_the_consumers_typing_reaches_liveperson(talking: Stand) -> None:
    talking.tell("typing.started", {"consumer": {"id": ADA}})
    talking.settle()
    talking.tell("typing.stopped", {"consumer": {"id": ADA}})
    talking.settle()

    assert chat_states(talking) == ["COMPOSING", "PAUSE"]


def test_typing_that_is_told_again_is_not_sent_again(talking: Stand) -> None:
    for _ in range(3):
        talking.tell("typing.started", {"consumer": {"id": ADA}})
    talking.settle()

    assert chat_states(talking) == ["COMPOSING"]


def test_a_message_ends_the_typing_that_led_to_it(talking: Stand) -> None:
    """COMPOSING lasts until another state is sent; the text does not end it."""
    talking.tell("typing.started", {"consumer": {"id": ADA}})
    talking.settle()
    talking.says("Here it is")
    talking.settle()

    assert chat_states(talking) == ["COMPOSING", "PAUSE"]


def test_of_typing_that_waits_only_the_last_word_is_sent(talking: Stand) -> None:
    talking.tell("typing.started", {"consumer": {"id": ADA}})
    talking.tell("typing.stopped", {"consumer": {"id": ADA}})
    talking.tell("typing.started", {"consumer": {"id": ADA}})
    talking.settle()

    assert chat_states(talking) == ["COMPOSING"]


def test_typing_of_half_a_minute_ago_is_dropped(talking: Stand) -> None:
    talking.tell("typing.started", {"consumer": {"id": ADA}})
    from webhooks.applying import apply_some

    apply_some()
    talking.pass_time(31)
    talking.settle()

    typing = Dispatch.objects.get(kind="TYPING")
    assert (typing.state, typing.error_code) == (DispatchState.DROPPED, "expired")
    assert chat_states(talking) == []


@pytest.mark.parametrize("fault", [{"do": "reset"}, {"do": "status", "status": 429}, {"do": "status", "status": 500}])
def test_typing_that_fails_is_dropped_and_holds_nothing(talking: Stand, fault: dict[str, Any]) -> None:
    talking.faults({"on": "send", "times": 1, **fault})
    talking.tell("typing.started", {"consumer": {"id": ADA}})
    talking.work()
    talking.says("after it")
    talking.pass_time(2)  # who says 429 is not called by anybody for a second
    talking.work()

    assert Dispatch.objects.filter(kind="TYPING").order_by("position").first().state == DispatchState.DROPPED
    assert talking.heard() == ["Hello", "after it"]


# --- choices ---------------------------------------------------------------------------------------------------------

REPLIES = {
    "type": "quickReplies",
    "itemsPerRow": 2,
    "replies": [
        {
            "type": "button",
            "title": "Yes",
            "click": {
                "metadata": [{"type": "ExternalId", "id": "again-yes"}],
                "actions": [{"type": "publishText", "text": "Yes, please"}],
            },
        },
        {"type": "button", "title": "No", "click": {"actions": [{"type": "publishText", "text": "No"}]}},
    ],
}


@pytest.fixture
def asked(talking: Stand) -> Stand:
    talking.agent("say", text="Shall we send it again?", quickReplies=REPLIES)
    talking.settle()
    return talking


def choose(stand: Stand, number: int, **more: Any) -> None:
    offered = stand.received()[-1]["quick_replies"][number]
    stand.tell("quick_reply.chosen", {"id": "q-1", "consumer": {"id": ADA}, "choice": offered["id"], **more})


def test_choices_reach_the_channel(asked: Stand) -> None:
    sent = asked.received()[-1]

    assert [(one["title"], one["text"]) for one in sent["quick_replies"]] == [("Yes", "Yes, please"), ("No", "No")]


def test_a_choice_is_two_requests_with_the_choices_own_metadata(asked: Stand) -> None:
    choose(asked, 0)
    asked.settle()

    metadata = [{"type": "ExternalId", "id": "again-yes"}]
    action, text = [one["body"] for one in asked.requests("send") if one["body"].get("metadata") is not None]
    assert action["body"]["event"]["status"] == "ACTION"
    assert action["body"]["event"]["sequenceList"] == [answer().lp_sequence]
    assert text["body"]["event"]["message"] == "Yes, please"
    assert action["metadata"] == text["metadata"] == metadata
    assert asked.heard() == ["Hello", "Yes, please"]


def test_a_choice_told_again_is_one_choice(asked: Stand) -> None:
    choose(asked, 0)
    choose(asked, 0)
    asked.settle()

    assert asked.heard() == ["Hello", "Yes, please"]


def test_a_choice_without_metadata_is_sent_without(asked: Stand) -> None:
    choose(asked, 1)
    asked.settle()

    assert asked.heard() == ["Hello", "No"]


def test_a_choice_that_was_never_offered_is_ignored(asked: Stand) -> None:
    for number, choice in enumerate(("nonsense", "01939f2e-7c1a-7b3d-8e4f-5a6b7c8d9e0f.0", ".", "x.y")):
        asked.tell("quick_reply.chosen", {"id": f"q-{number}", "consumer": {"id": ADA}, "choice": choice})
    asked.settle()

    assert asked.heard() == ["Hello"]


def test_a_choice_that_was_offered_to_somebody_else_is_ignored(asked: Stand) -> None:
    offered = asked.received()[-1]["quick_replies"][0]
    asked.tell("quick_reply.chosen", {"id": "q-1", "consumer": {"id": "ben"}, "choice": offered["id"]})
    asked.settle()

    assert asked.heard() == ["Hello"]
    assert only_conversation().consumer.channel_consumer_id == ADA
