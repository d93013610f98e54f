"""Opening a conversation: once, before what needs it, and what is done when LivePerson has one already."""

from __future__ import annotations

from django.utils import timezone

from conversations.models import Conversation, ConversationState, Dispatch, DispatchState, Lane, MessageStatus
from tests.conversations.stand import Stand, dispatches, in_thread, only_conversation, only_message


def openings() -> list[Dispatch]:
    return list(Dispatch.objects.filter(kind="OPEN").order_by("position"))


def test_the_opening_is_put_before_the_text_that_needs_it(stand: Stand) -> None:
    stand.says("Hello")
    stand.work()

    assert [(one.kind, one.state) for one in dispatches()] == [("OPEN", "SENT"), ("TEXT", "SENT")]
    assert Dispatch.objects.get(kind="OPEN").correlation_id == only_message().correlation_id


def test_several_texts_need_one_opening(stand: Stand) -> None:
    for number in range(4):
        stand.says(f"text {number}")
    stand.settle()

    assert len(openings()) == 1
    assert len(stand.requests("conversation")) == 1


def test_the_opening_says_where_it_is_to_be_routed(stand: Stand) -> None:
    installation = stand.installation
    installation.campaign_id, installation.engagement_id = "4711", "4712"
    installation.save()

    stand.says("Hello")
    stand.settle()

    assert stand.at_liveperson()[0]["campaignInfo"] == {"campaignId": "4711", "engagementId": "4712"}


def test_a_lost_answer_is_settled_by_the_notification_and_the_text_follows(stand: Stand) -> None:
    stand.faults({"on": "conversation", "do": "lose_answer", "times": 1})
    stand.says("Hello")
    stand.work()
    assert openings()[0].state == DispatchState.UNKNOWN

    stand.deliver()
    stand.work()

    assert (openings()[0].state, openings()[0].resolution) == (DispatchState.SENT, "echo")
    assert len(stand.at_liveperson()) == 1
    assert stand.heard() == ["Hello"]


def test_a_notification_that_outruns_the_answer_is_the_same_conversation(stand: Stand) -> None:
    stand.deliver_at_once()
    stand.says("Hello")

    with stand.answers_held("conversation"):
        worker = in_thread(stand.work)
        stand.simulator_waits_for("conversation")
        stand.pending()
    worker.join()

    assert only_conversation().lp_conversation_id == stand.lp_conversation_id
    assert openings()[0].resolution == "answer"
    assert stand.heard() == ["Hello"]


def test_an_opening_without_evidence_is_tried_again_because_liveperson_refuses_a_second_one(stand: Stand) -> None:
    stand.faults({"on": "conversation", "do": "reset", "times": 1})
    stand.says("Hello")
    stand.work()

    stand.pass_time(31)
    stand.work()

    assert len(stand.at_liveperson()) == 1
    assert stand.heard() == ["Hello"]


def test_an_open_conversation_that_we_do_not_know_is_waited_for(stand: Stand) -> None:
    stand.faults({"on": "conversation", "do": "lose_answer", "times": 1})
    stand.says("Hello")
    stand.work()
    notifications = stand.pending()
    stand.pass_time(31)
    stand.work()  # tried again: there is one already
    assert openings()[0].error_code == "conversation_already_open"
    assert only_message().status == MessageStatus.QUEUED

    stand._delivered = len(stand.liveperson_calls.got) - len(notifications)
    stand.deliver()
    stand.work()

    assert stand.heard() == ["Hello"]
    assert len(stand.at_liveperson()) == 1


def test_it_is_recognised_whatever_status_liveperson_answers(stand: Stand) -> None:
    stand.simulator.control("PATCH", f"accounts/{stand.account}", {"already_open_status": 400})
    stand.faults({"on": "conversation", "do": "lose_answer", "times": 1})
    stand.says("Hello")
    stand.work()
    stand.pass_time(31)
    stand.work()

    assert openings()[0].error_code == "conversation_already_open"
    assert openings()[0].state == DispatchState.QUEUED


def test_an_opening_that_never_succeeds_ends_with_the_text_that_needed_it(stand: Stand) -> None:
    stand.faults({"on": "conversation", "do": "status", "status": 400})
    stand.says("cannot be opened for")
    stand.work()

    assert [(one.kind, one.state) for one in dispatches()] == [("OPEN", "FAILED"), ("TEXT", "FAILED")]
    assert (only_message().status, only_message().error_code) == (MessageStatus.FAILED, "request_rejected")


def test_the_next_text_tries_an_opening_of_its_own(stand: Stand) -> None:
    stand.faults({"on": "conversation", "do": "status", "status": 400, "times": 1})
    stand.says("lost")
    stand.work()

    stand.says("goes out")
    stand.work()

    assert stand.heard() == ["goes out"]
    assert [one.state for one in openings()] == ["FAILED", "SENT"]


def test_many_failed_openings_before_one_text_never_run_out_of_places(stand: Stand) -> None:
    """Each is put between its predecessor and the text."""
    from conversations import lanes

    stand.says("Hello")
    from webhooks.applying import apply_some

    apply_some()
    text = Dispatch.objects.get()
    for _ in range(40):
        opening = lanes.put_before(text, kind="OPEN")
        Dispatch.objects.filter(pk=opening.pk).update(state=DispatchState.DROPPED, finished_at=timezone.now())

    stand.work()

    assert stand.heard() == ["Hello"]


def test_typing_and_receipts_open_nothing(stand: Stand) -> None:
    stand.tell("typing.started", {"consumer": {"id": "ada"}})
    stand.tell("conversation.closed", {"consumer": {"id": "ada"}})
    stand.work()

    assert stand.requests("conversation") == []


def test_two_workers_open_one_conversation(stand: Stand) -> None:
    stand.says("one")
    stand.says("two")
    workers = [in_thread(stand.work) for _ in range(2)]
    for worker in workers:
        worker.join()
    stand.settle()

    assert len(stand.at_liveperson()) == 1
    assert stand.heard() == ["one", "two"]


def test_a_conversation_that_was_adopted_needs_no_opening_any_more(stand: Stand) -> None:
    stand.faults(
        {"on": "conversation", "do": "lose_answer", "times": 1}, {"on": "conversation", "do": "status", "status": 503}
    )
    stand.says("Hello")
    stand.work()
    stand.pass_time(31)
    stand.work()
    stand.deliver()
    stand.faults()

    stand.pass_time(60)
    stand.work()

    assert only_conversation().state == ConversationState.OPEN
    assert stand.heard() == ["Hello"]
    assert not Lane.objects.filter(due_at__isnull=False).exists()
    assert Conversation.objects.count() == 1
