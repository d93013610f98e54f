"""The end of a conversation: told, found out, asked for; surveys after it, and conversations that are resumed."""

from __future__ import annotations

import pytest
from django_q.models import OrmQ

from audit.models import AuditEntry
from conversations.models import Conversation, ConversationState, Dialog, Dispatch, DispatchState, Message
from conversations.services import operations
from core.actor import COMMAND
from core.ids import new_id
from installations import pausing
from tests.conversations.notifications import changed
from tests.conversations.stand import ADA, Stand, in_thread, only_conversation
from tests.waiting import wait_until


@pytest.fixture
def talking(stand: Stand) -> Stand:
    stand.says("Hello")
    stand.settle()
    return stand


def without_state(got: object) -> bool:
    return b"ExConversationChange" not in got.body  # type: ignore[attr-defined]


# --- by the agent ----------------------------------------------------------------------------------------------------


def test_the_channel_is_told_that_the_agent_has_ended_it(talking: Stand) -> None:
    talking.agent("close")
    talking.settle()

    conversation = only_conversation()
    assert (conversation.state, conversation.close_reason) == (ConversationState.CLOSED, "AGENT")
    assert conversation.closed_at is not None
    told = talking.received("conversation.closed")
    assert told == [{"conversation": str(conversation.pk), "consumer": {"id": ADA}, "reason": "AGENT"}]


def test_the_next_text_opens_another_conversation(talking: Stand) -> None:
    talking.agent("close")
    talking.settle()

    talking.says("One more thing")
    talking.settle()

    assert len(talking.at_liveperson()) == 2
    assert talking.heard(0) == ["Hello"]
    assert talking.heard(1) == ["One more thing"]


def test_a_text_that_finds_the_conversation_closed_goes_into_a_new_one(talking: Stand) -> None:
    talking.agent("close")  # its notification is still on its way
    talking.says("too late?")
    talking.work()

    assert talking.heard(0) == ["Hello"]
    assert talking.heard(1) == ["too late?"]
    first, second = Conversation.objects.order_by("id")
    assert (first.state, first.close_reason) == (ConversationState.CLOSED, "FOUND_CLOSED")
    assert Message.objects.get(content__text="too late?").conversation_id == second.pk


def test_the_late_notification_of_the_close_changes_nothing_in_the_new_one(talking: Stand) -> None:
    talking.agent("close")
    talking.says("too late?")
    talking.settle()

    first, second = Conversation.objects.order_by("id")
    assert first.state == ConversationState.CLOSED
    assert second.state == ConversationState.OPEN
    talking.says("and more")
    talking.settle()
    assert talking.heard(1) == ["too late?", "and more"]


def refused_after_its_notification(stand: Stand, agent_does: str) -> None:
    """A text on its way is told that its dialog is closed, after the notification of that has been applied."""
    stand.agent(agent_does)
    stand.says("too late?")
    with stand.answers_held("send"):
        worker = in_thread(stand.work)
        stand.simulator_waits_for("send", count=2)
        stand.deliver()
        wait_until(lambda: Conversation.objects.get().state != ConversationState.OPEN, within_s=5)
    worker.join()
    stand.settle()


def test_a_survey_that_is_known_before_the_answer_closed_stays_open(talking: Stand) -> None:
    refused_after_its_notification(talking, "survey")

    assert only_conversation().state == ConversationState.SURVEY
    assert talking.heard() == ["Hello", "too late?"]
    assert Dispatch.objects.filter(kind="OPEN").count() == 1


def test_a_close_that_is_known_before_the_answer_keeps_its_reason(talking: Stand) -> None:
    refused_after_its_notification(talking, "close")

    first, second = Conversation.objects.order_by("id")
    assert (first.state, first.close_reason) == (ConversationState.CLOSED, "AGENT")
    assert second.state == ConversationState.OPEN
    assert talking.heard(1) == ["too late?"]
    assert len(talking.received("conversation.closed")) == 1


def test_several_texts_that_find_it_closed_keep_their_order(talking: Stand) -> None:
    talking.agent("close")
    for number in range(4):
        talking.says(f"text {number}")
    talking.settle()

    assert talking.heard(1) == [f"text {number}" for number in range(4)]
    assert len(talking.at_liveperson()) == 2


def test_what_is_of_no_use_in_a_new_conversation_is_dropped(talking: Stand) -> None:
    talking.agent("say", text="Anything else?")
    talking.deliver()
    talking.agent("close")
    talking.work()  # the answer is delivered; the receipt for it finds the conversation closed
    talking.settle()

    receipt = Dispatch.objects.get(kind="RECEIPT")
    assert (receipt.state, receipt.error_code) == (DispatchState.DROPPED, "conversation_closed")
    assert len(talking.at_liveperson()) == 1


# --- by the consumer or an operator ----------------------------------------------------------------------------------


def test_the_consumer_ends_the_conversation_after_all_that_was_said(talking: Stand) -> None:
    talking.says("Thank you")
    talking.tell("conversation.closed", {"consumer": {"id": ADA}})
    talking.settle()

    assert talking.heard() == ["Hello", "Thank you"]
    assert talking.at_liveperson()[0]["state"] == "CLOSE"
    assert only_conversation().close_reason == "CONSUMER"


def test_an_operator_ends_it(talking: Stand) -> None:
    operations.ask_to_close(conversation_id=only_conversation().pk, actor=COMMAND, reason="test over")
    assert OrmQ.objects.exists(), "nobody waits for the next sweep"
    talking.settle()

    assert talking.at_liveperson()[0]["state"] == "CLOSE"
    assert AuditEntry.objects.filter(action="conversation.close_requested").get().reason == "test over"
    with pytest.raises(operations.NotPossible):
        operations.ask_to_close(conversation_id=only_conversation().pk, actor=COMMAND)


def test_operators_who_ask_for_it_end_that_conversation_and_none_that_came_after_it(talking: Stand) -> None:
    asked_for = only_conversation().pk
    pausing.pause(talking.channel, actor=COMMAND, reason="what they ask for waits")
    operations.ask_to_close(conversation_id=asked_for, actor=COMMAND)
    talking.says("One more thing")
    talking.work()
    with pytest.raises(operations.NotPossible, match="is asked already"):
        operations.ask_to_close(conversation_id=asked_for, actor=COMMAND)
    pausing.resume(talking.channel, actor=COMMAND)
    talking.settle()

    assert [one["state"] for one in talking.at_liveperson()] == ["CLOSE", "OPEN"]
    assert talking.heard(1) == ["One more thing"]
    closings = Dispatch.objects.filter(kind="CLOSE", lane__direction="TO_LIVEPERSON")
    assert [one.state for one in closings] == [DispatchState.SENT]
    assert AuditEntry.objects.filter(action="conversation.close_requested").count() == 1


def test_an_operator_ends_it_during_its_survey(surveyed: Stand) -> None:
    operations.ask_to_close(conversation_id=only_conversation().pk, actor=COMMAND)
    surveyed.settle()

    assert only_conversation().state == ConversationState.CLOSED


def test_an_end_that_failed_and_is_asked_for_again_ends_no_later_conversation(talking: Stand) -> None:
    talking.faults({"on": "send", "do": "status", "status": 400, "times": 1})
    talking.tell("conversation.closed", {"consumer": {"id": ADA}})
    talking.settle()
    closing = Dispatch.objects.get(kind="CLOSE")
    assert closing.state == DispatchState.FAILED
    talking.agent("close")
    talking.settle()
    talking.says("One more thing")
    talking.settle()

    operations.send_again(dispatch_id=closing.pk, actor=COMMAND)
    talking.settle()

    assert [one["state"] for one in talking.at_liveperson()] == ["CLOSE", "OPEN"]
    closing.refresh_from_db()
    assert (closing.state, closing.error_code) == (DispatchState.DROPPED, "dialog_closed")


def test_closing_what_is_closed_already_is_dropped(talking: Stand) -> None:
    talking.agent("close")
    talking.tell("conversation.closed", {"consumer": {"id": ADA}})
    talking.settle()

    assert Dispatch.objects.get(kind="CLOSE", lane__direction="TO_LIVEPERSON").state == DispatchState.DROPPED
    assert len(talking.at_liveperson()) == 1


def test_a_lost_answer_to_a_close_is_asked_again(talking: Stand) -> None:
    talking.faults({"on": "send", "do": "lose_answer", "times": 1})
    talking.tell("conversation.closed", {"consumer": {"id": ADA}})
    talking.work()
    assert Dispatch.objects.get(kind="CLOSE").state == DispatchState.QUEUED

    talking.pass_time(10)
    talking.settle()

    assert talking.at_liveperson()[0]["state"] == "CLOSE"


# --- surveys ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def surveyed(talking: Stand) -> Stand:
    talking.agent("join")
    talking.agent("survey")
    talking.agent("survey", text="How was it?")
    talking.settle()
    assert only_conversation().state == ConversationState.SURVEY
    return talking


def survey_answers(stand: Stand) -> list[str]:
    talk = stand.at_liveperson()[0]
    return [
        one["text"]
        for one in talk["events"]
        if one["dialogId"] != talk["id"] and one["role"] == "CONSUMER" and one["type"] == "ContentEvent"
    ]


def test_the_question_of_a_survey_reaches_the_consumer(surveyed: Stand) -> None:
    assert surveyed.received()[-1]["text"] == "How was it?"
    assert surveyed.received("conversation.closed") == [], "it goes on"


def test_what_the_consumer_writes_goes_into_the_survey(surveyed: Stand) -> None:
    surveyed.says("Splendid")
    surveyed.settle()

    assert survey_answers(surveyed) == ["Splendid"]
    assert len(surveyed.at_liveperson()) == 1
    dialog = Dialog.objects.get(type="POST_SURVEY")
    assert Dispatch.objects.get(message__content__text="Splendid").lp_dialog_id == dialog.lp_dialog_id


def test_sequences_of_the_survey_are_counted_apart(surveyed: Stand) -> None:
    surveyed.says("Splendid")
    surveyed.settle()

    dispatch = Dispatch.objects.get(message__content__text="Splendid")
    assert dispatch.echo_sequence == dispatch.lp_sequence
    main, survey = Dialog.objects.order_by("type")
    assert main.last_sequence != survey.last_sequence


def test_the_survey_is_told_of_no_typing(surveyed: Stand) -> None:
    before = len(surveyed.requests("send"))
    surveyed.tell("typing.started", {"consumer": {"id": ADA}})
    surveyed.settle()

    assert len(surveyed.requests("send")) == before
    assert Dispatch.objects.get(kind="TYPING", lane__direction="TO_LIVEPERSON").state == DispatchState.DROPPED


def test_the_end_of_the_survey_is_the_end_of_the_conversation(surveyed: Stand) -> None:
    surveyed.agent("close")
    surveyed.settle()

    assert only_conversation().state == ConversationState.CLOSED
    assert len(surveyed.received("conversation.closed")) == 1
    surveyed.says("Something new")
    surveyed.settle()
    assert len(surveyed.at_liveperson()) == 2


def test_a_consumer_who_leaves_a_survey_ends_the_conversation_at_liveperson(surveyed: Stand) -> None:
    surveyed.tell("conversation.closed", {"consumer": {"id": ADA}})
    surveyed.settle()

    assert surveyed.at_liveperson()[0]["stage"] == "CLOSE"
    assert only_conversation().state == ConversationState.CLOSED
    surveyed.says("Something new")
    surveyed.settle()
    assert surveyed.heard(1) == ["Something new"]


def test_a_survey_that_we_do_not_know_of_yet_takes_the_text_in_the_end(talking: Stand) -> None:
    talking.agent("join")
    talking.agent("survey")
    talking.says("Splendid")
    talking.work()  # the main dialog is closed, and another conversation cannot be opened
    talking.deliver()

    talking.pass_time(60)
    talking.settle()

    assert survey_answers(talking) == ["Splendid"]
    assert len(talking.at_liveperson()) == 1


# --- resumed ---------------------------------------------------------------------------------------------------------


def test_a_conversation_that_the_agent_resumes_takes_texts_again(talking: Stand) -> None:
    talking.agent("close")
    talking.settle()
    conversation = only_conversation()

    talking.notify_state(
        changed(conversation.lp_conversation_id, consumer="x", at=10**9 * 400, startTs=1_763_719_200_000)
    )
    talking.work()

    conversation.refresh_from_db()
    assert (conversation.state, conversation.closed_at, conversation.close_reason) == (ConversationState.OPEN, None, "")


def test_what_is_resumed_does_not_take_the_place_of_a_newer_conversation(talking: Stand) -> None:
    from webhooks.models import Event

    talking.agent("close")
    talking.settle()
    first = only_conversation()
    talking.says("Something new")
    talking.settle()

    talking.notify_state(changed(first.lp_conversation_id, consumer="x", at=10**9 * 400))
    talking.work()

    assert Event.objects.order_by("-id").first().outcome == "STALE"
    first.refresh_from_db()
    assert first.state == ConversationState.CLOSED
    assert Conversation.objects.exclude(pk=first.pk).get().is_open


def test_closing_an_unknown_conversation_is_an_error_of_the_caller(db: None) -> None:
    with pytest.raises(Conversation.DoesNotExist):
        operations.ask_to_close(conversation_id=new_id(), actor=COMMAND)
