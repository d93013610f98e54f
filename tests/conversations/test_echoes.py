"""What the echo of a text settles, and of which text it is the echo."""

from __future__ import annotations

from conversations.models import Dispatch, DispatchState, Lane, MessageStatus
from installations.models import UnknownPolicy
from tests.conversations.evidence import (
    BEN,
    lose_answer,
    lose_request,
    policy,
    says,
    says_and_is_echoed_before_the_answer,
    the,
)
from tests.conversations.stand import ADA, Stand, in_thread


def test_the_echo_of_an_accepted_text_is_noted(open_stand: Stand) -> None:
    says(open_stand, "once")
    open_stand.deliver()
    open_stand.work()

    dispatch = the("once")
    assert dispatch.echo_sequence == dispatch.lp_sequence
    assert dispatch.resolution == "answer"


def test_an_echo_that_comes_before_the_answer_is_the_same_text(open_stand: Stand) -> None:
    says_and_is_echoed_before_the_answer(open_stand, "once")

    dispatch = the("once")
    assert (dispatch.state, dispatch.resolution) == (DispatchState.SENT, "answer")
    assert dispatch.echo_sequence == dispatch.lp_sequence
    assert dispatch.duplicate_seen_at is None
    assert open_stand.heard(consumer=ADA) == ["Hello", "once"]


def test_an_echo_that_comes_before_the_answer_is_lost_settles_it_at_once(open_stand: Stand) -> None:
    open_stand.deliver_at_once()
    lose_answer(open_stand)
    says(open_stand, "once")
    open_stand.pending()
    open_stand.work()

    dispatch = the("once")
    assert (dispatch.state, dispatch.resolution) == (DispatchState.SENT, "echo")
    assert dispatch.message.status == MessageStatus.SENT
    assert open_stand.heard(consumer=ADA) == ["Hello", "once"]


def test_an_echo_that_comes_later_settles_it_then(open_stand: Stand) -> None:
    lose_answer(open_stand)
    says(open_stand, "once")
    assert the("once").state == DispatchState.UNKNOWN

    open_stand.deliver()
    open_stand.work()

    dispatch = the("once")
    assert (dispatch.state, dispatch.resolution, dispatch.possible_duplicate) == (DispatchState.SENT, "echo", False)
    assert dispatch.lp_sequence == dispatch.echo_sequence
    assert dispatch.message.lp_sequence == dispatch.lp_sequence
    assert open_stand.heard(consumer=ADA) == ["Hello", "once"]


def test_an_unknown_text_holds_its_lane_and_no_other(open_stand: Stand) -> None:
    lose_request(open_stand)
    says(open_stand, "in doubt")
    says(open_stand, "after it")
    says(open_stand, "elsewhere", consumer=BEN)

    assert open_stand.heard(consumer=ADA) == ["Hello"]
    assert open_stand.heard(consumer=BEN) == ["Hello", "elsewhere"]
    held = Lane.objects.get(pk=the("in doubt").lane_id)
    assert held.blocked_by == "unknown"
    assert held.due_at is not None


def test_equal_texts_one_after_the_other_are_told_apart(open_stand: Stand) -> None:
    lose_answer(open_stand)
    open_stand.says("ok", id="first")
    open_stand.says("ok", id="second")
    open_stand.work()
    first, second = (Dispatch.objects.filter(message__channel_message_id=id) for id in ("first", "second"))
    assert (first.get().state, second.get().state) == (DispatchState.UNKNOWN, DispatchState.QUEUED)

    open_stand.settle()

    assert (first.get().resolution, second.get().resolution) == ("echo", "answer")
    assert open_stand.heard(consumer=ADA) == ["Hello", "ok", "ok"]


def test_the_echo_of_an_earlier_equal_text_settles_nothing(open_stand: Stand) -> None:
    says(open_stand, "ok")  # its echo is late
    late = open_stand.pending()
    open_stand._delivered += len(late)
    lose_request(open_stand)
    open_stand.says("ok", id="second")
    open_stand.work()

    for got in late:
        open_stand.hand_over(got)
    open_stand.work()

    assert Dispatch.objects.get(message__channel_message_id="second").state == DispatchState.UNKNOWN


def test_white_space_at_the_end_does_not_matter_to_an_echo(open_stand: Stand) -> None:
    lose_answer(open_stand)
    says(open_stand, "once \n")
    open_stand.settle()

    assert the("once \n").resolution == "echo"


def test_the_echo_of_a_file_settles_it_too(open_stand: Stand) -> None:
    from tests.conversations.servers import Play

    open_stand.phone.files["/photo.png"] = Play(body=b"\x89PNG\r\n\x1a\n" + bytes(100))
    open_stand.faults(
        {"on": "send", "do": "delay", "seconds": 0, "times": 1}, {"on": "send", "do": "lose_answer", "times": 1}
    )
    url = open_stand.phone.url + "/photo.png"
    open_stand.says("", attachments=[{"url": url, "mime": "image/png", "name": "photo.png"}])
    open_stand.work()
    file = Dispatch.objects.get(kind="FILE")
    assert (file.state, file.step) == (DispatchState.UNKNOWN, "PUBLISH")

    open_stand.deliver()
    open_stand.work()

    file.refresh_from_db()
    assert (file.state, file.resolution) == (DispatchState.SENT, "echo")


# --- equal texts ------------------------------------------------------------------------------------------------------


def test_the_echo_of_a_text_said_again_does_not_settle_the_parked_one(open_stand: Stand) -> None:
    policy(UnknownPolicy.PARK)
    lose_request(open_stand)
    says(open_stand, "ok")
    open_stand.pass_time(31)
    open_stand.work()

    says_and_is_echoed_before_the_answer(open_stand, "ok")

    parked, again = Dispatch.objects.filter(message__content__text="ok").order_by("position")
    assert (parked.state, parked.echo_sequence) == (DispatchState.PARKED, None)
    assert (again.state, again.echo_sequence) == (DispatchState.SENT, again.lp_sequence)


def test_an_echo_taken_for_the_second_of_two_equal_texts_settles_the_first_after_all(open_stand: Stand) -> None:
    policy(UnknownPolicy.PARK)
    lose_answer(open_stand)
    says(open_stand, "ok")
    held_back = open_stand.pending()
    open_stand._delivered += len(held_back)
    open_stand.pass_time(31)
    open_stand.work()
    sends = len(open_stand.requests("send"))
    open_stand.says("ok")

    with open_stand.answers_held("send"):
        worker = in_thread(open_stand.work)
        open_stand.simulator_waits_for("send", count=sends + 1)
        for got in held_back:
            open_stand.hand_over(got)
    worker.join()
    open_stand.settle()

    first, second = Dispatch.objects.filter(message__content__text="ok").order_by("position")
    assert (first.state, first.resolution) == (DispatchState.SENT, "echo")
    assert first.lp_sequence is not None and second.lp_sequence is not None
    assert first.lp_sequence < second.lp_sequence
    assert (second.duplicate_seen_at, second.echo_sequence) == (None, second.lp_sequence)


# --- what was given up ------------------------------------------------------------------------------------------------


def test_a_text_that_was_given_up_and_arrived_after_all_counts_as_sent(open_stand: Stand) -> None:
    lose_answer(open_stand)
    says(open_stand, "given up")
    echoes = open_stand.pending()
    open_stand._delivered += len(echoes)
    says(open_stand, "later", consumer=BEN)
    open_stand.deliver()
    open_stand.work()
    open_stand.faults({"on": "send", "do": "status", "status": 400, "times": 1})
    open_stand.pass_time(31)
    open_stand.work()
    assert (the("given up").state, the("given up").message.status) == (DispatchState.FAILED, MessageStatus.FAILED)

    for got in echoes:
        open_stand.hand_over(got)
    open_stand.work()

    dispatch = the("given up")
    assert (dispatch.state, dispatch.resolution, dispatch.duplicate_seen_at) == (DispatchState.SENT, "echo", None)
    assert (dispatch.message.status, dispatch.message.error_code) == (MessageStatus.SENT, "")
