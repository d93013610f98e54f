"""Sends whose outcome is unknown: what settles them, and what is done where nothing does."""

from __future__ import annotations

from typing import Any

import pytest

from conversations.models import Dispatch, DispatchState, Lane, MessageStatus
from core.actor import COMMAND
from installations import editing
from installations.models import AppInstallation, UnknownPolicy
from tests.conversations.servers import Got
from tests.conversations.stand import ADA, Stand, forget_caches, in_thread

BEN = "+15550111"


@pytest.fixture
def open_stand(stand: Stand) -> Stand:
    """Ada and Ben have open conversations, everything is echoed and told."""
    stand.says("Hello", consumer=ADA)
    stand.says("Hello", consumer=BEN)
    stand.settle()
    return stand


def policy(choice: str) -> None:
    AppInstallation.objects.update(unknown_policy=choice)
    forget_caches()


def the(text: str) -> Dispatch:
    return Dispatch.objects.select_related("message", "lane").get(message__content__text=text)


def lose_answer(stand: Stand, *, times: int = 1) -> None:
    """LivePerson does what it is asked, and its answer never comes."""
    stand.faults({"on": "send", "do": "lose_answer", "times": times})


def lose_request(stand: Stand) -> None:
    """The request is cut off before LivePerson has done anything; from here that looks the same."""
    stand.faults({"on": "send", "do": "reset", "times": 1})


def says(stand: Stand, text: str, *, consumer: str = ADA) -> None:
    stand.says(text, consumer=consumer)
    stand.work()


def without_echo_of(*texts: str) -> Any:
    """Loses the notifications that hold one of these texts."""
    return lambda got: not any(text in got.body.decode() for text in texts)


def is_echo(got: Got) -> bool:
    return b'"CONSUMER"' in got.body and b"ContentEvent" in got.body


# --- the echo ---------------------------------------------------------------------------------------------------------


def test_the_echo_of_an_accepted_text_is_noted(open_stand: Stand) -> None:
    says(open_stand, "once")
    open_stand.deliver()
    open_stand.work()

    dispatch = the("once")
    assert dispatch.echo_sequence == dispatch.lp_sequence
    assert dispatch.resolution == "answer"


def test_an_echo_that_comes_before_the_answer_is_the_same_text(open_stand: Stand) -> None:
    open_stand.deliver_at_once()
    open_stand.faults({"on": "send", "do": "delay", "seconds": 0.4, "times": 1})
    says(open_stand, "once")

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


# --- without evidence ------------------------------------------------------------------------------------------------


def test_a_refused_text_is_sent_again_after_a_pause_and_marked(open_stand: Stand) -> None:
    open_stand.faults({"on": "send", "do": "status", "status": 500, "times": 1})
    says(open_stand, "again")
    assert the("again").state == DispatchState.UNKNOWN
    open_stand.pass_time(4)
    open_stand.work()
    assert open_stand.heard(consumer=ADA) == ["Hello"], "LivePerson asks for five seconds"

    open_stand.pass_time(10)
    open_stand.work()

    dispatch = the("again")
    assert (dispatch.state, dispatch.possible_duplicate) == (DispatchState.SENT, True)
    assert open_stand.heard(consumer=ADA) == ["Hello", "again"]


def test_an_unanswered_text_is_decided_after_thirty_seconds(open_stand: Stand) -> None:
    policy(UnknownPolicy.PARK)
    lose_request(open_stand)
    says(open_stand, "in doubt")

    open_stand.pass_time(25)
    open_stand.work()
    assert the("in doubt").state == DispatchState.UNKNOWN
    open_stand.pass_time(6)
    open_stand.work()

    assert the("in doubt").state == DispatchState.PARKED


@pytest.mark.parametrize("fault", ["reset", "garbage"])
def test_whatever_leaves_it_open_whether_it_arrived_is_unknown(open_stand: Stand, fault: str) -> None:
    open_stand.faults({"on": "send", "do": fault, "times": 1})
    says(open_stand, "in doubt")

    dispatch = the("in doubt")
    assert (dispatch.state, dispatch.error_code) == (DispatchState.UNKNOWN, "unanswered")
    assert dispatch.attempts.get().outcome == "UNANSWERED"
    assert dispatch.message.status == MessageStatus.QUEUED


def test_parked_is_for_a_person_and_the_lane_goes_on(open_stand: Stand) -> None:
    policy(UnknownPolicy.PARK)
    lose_request(open_stand)
    says(open_stand, "in doubt")
    open_stand.says("after it")
    open_stand.pass_time(31)

    open_stand.work()

    assert the("in doubt").state == DispatchState.PARKED
    assert open_stand.heard(consumer=ADA) == ["Hello", "after it"]


def test_held_holds_the_lane_for_as_long_as_it_takes(open_stand: Stand) -> None:
    policy(UnknownPolicy.HOLD)
    lose_request(open_stand)
    says(open_stand, "in doubt")
    open_stand.says("after it")
    for _ in range(3):
        open_stand.pass_time(3600)
        open_stand.work()

    assert the("in doubt").state == DispatchState.UNKNOWN
    assert open_stand.heard(consumer=ADA) == ["Hello"]


def test_what_one_policy_held_is_decided_by_the_next_one(open_stand: Stand) -> None:
    policy(UnknownPolicy.HOLD)
    lose_request(open_stand)
    says(open_stand, "in doubt")
    open_stand.pass_time(31)
    open_stand.work()
    installation = open_stand.installation

    installation.unknown_policy = UnknownPolicy.PARK
    editing.change(installation, fields=["unknown_policy"], actor=COMMAND)
    open_stand.work()

    assert the("in doubt").state == DispatchState.PARKED


def test_a_held_lane_goes_on_when_the_echo_comes_after_all(open_stand: Stand) -> None:
    policy(UnknownPolicy.HOLD)
    lose_answer(open_stand)
    says(open_stand, "in doubt")
    open_stand.says("after it")
    open_stand.pass_time(3600)
    open_stand.work()

    open_stand.deliver()
    open_stand.work()

    assert the("in doubt").resolution == "echo"
    assert open_stand.heard(consumer=ADA) == ["Hello", "in doubt", "after it"]


def test_automatic_sends_again_when_the_echo_of_a_later_send_has_been_seen(open_stand: Stand) -> None:
    lose_request(open_stand)
    says(open_stand, "in doubt")
    says(open_stand, "later", consumer=BEN)
    open_stand.deliver()
    open_stand.pass_time(31)

    open_stand.work()

    dispatch = the("in doubt")
    assert (dispatch.state, dispatch.possible_duplicate) == (DispatchState.SENT, True)
    assert open_stand.heard(consumer=ADA) == ["Hello", "in doubt"]


def test_automatic_parks_when_no_later_echo_has_been_seen(open_stand: Stand) -> None:
    lose_request(open_stand)
    says(open_stand, "in doubt")
    says(open_stand, "later", consumer=BEN)
    open_stand.deliver(lambda got: not is_echo(got))
    open_stand.pass_time(31)

    open_stand.work()

    assert the("in doubt").state == DispatchState.PARKED
    assert open_stand.heard(consumer=ADA) == ["Hello"]


def test_the_echo_of_something_sent_before_it_shows_nothing(open_stand: Stand) -> None:
    """Queued later, sent earlier: its echo was on its way before ours was due."""
    open_stand.faults({"on": "send", "do": "status", "status": 500, "times": 1})
    says(open_stand, "in doubt")  # has to wait a little …
    open_stand.faults()
    says(open_stand, "overtakes", consumer=BEN)
    open_stand.deliver()
    open_stand.work()
    lose_request(open_stand)
    open_stand.pass_time(10)
    open_stand.work()  # … and is sent after all that
    assert the("in doubt").state == DispatchState.UNKNOWN
    open_stand.pass_time(31)

    open_stand.work()

    assert the("in doubt").state == DispatchState.PARKED


# --- a second arrival ------------------------------------------------------------------------------------------------


def arrive_twice(stand: Stand) -> None:
    """LivePerson has it, we do not know; so it is sent again."""
    lose_answer(stand)
    says(stand, "doubled")
    says(stand, "later", consumer=BEN)
    waiting = stand.pending()
    stand._delivered += len(waiting)
    for got in waiting:
        if b"doubled" not in got.body:
            stand.hand_over(got)
    stand.work()
    stand.pass_time(31)
    stand.work()
    stand.held_back = [got for got in waiting if b"doubled" in got.body]  # type: ignore[attr-defined]


def test_a_first_try_that_turns_up_after_all_is_recorded_as_a_duplicate(open_stand: Stand) -> None:
    arrive_twice(open_stand)
    assert open_stand.heard(consumer=ADA) == ["Hello", "doubled", "doubled"]

    open_stand.deliver()
    for got in open_stand.held_back:  # type: ignore[attr-defined]
        open_stand.hand_over(got)
    open_stand.work()

    dispatch = the("doubled")
    assert (dispatch.state, dispatch.possible_duplicate) == (DispatchState.SENT, True)
    assert dispatch.duplicate_seen_at is not None


def test_it_is_recorded_as_well_when_the_first_echo_comes_first(open_stand: Stand) -> None:
    arrive_twice(open_stand)

    for got in open_stand.held_back:  # type: ignore[attr-defined]
        open_stand.hand_over(got)
    open_stand.deliver()
    open_stand.work()

    assert the("doubled").duplicate_seen_at is not None


def test_it_is_recorded_when_the_first_echo_comes_while_the_second_try_is_under_way(open_stand: Stand) -> None:
    lose_answer(open_stand)
    says(open_stand, "doubled")
    says(open_stand, "later", consumer=BEN)
    waiting = open_stand.pending()
    open_stand._delivered += len(waiting)
    mine = [got for got in waiting if b"doubled" in got.body]
    for got in waiting:
        if got not in mine:
            open_stand.hand_over(got)
    open_stand.work()
    open_stand.pass_time(31)
    open_stand.faults({"on": "send", "do": "delay", "seconds": 0.5, "times": 1})
    from tests.conversations.stand import in_thread

    worker = in_thread(open_stand.work)
    open_stand.simulator_waits_for("send", count=5)
    for got in mine:
        open_stand.hand_over(got)
    worker.join()
    open_stand.settle()

    assert open_stand.heard(consumer=ADA) == ["Hello", "doubled", "doubled"]
    assert the("doubled").duplicate_seen_at is not None


def test_what_was_sent_again_and_arrived_once_is_no_duplicate(open_stand: Stand) -> None:
    lose_request(open_stand)
    says(open_stand, "once")
    says(open_stand, "later", consumer=BEN)
    open_stand.deliver()
    open_stand.pass_time(31)
    open_stand.settle()

    dispatch = the("once")
    assert (dispatch.possible_duplicate, dispatch.duplicate_seen_at) == (True, None)
    assert open_stand.heard(consumer=ADA) == ["Hello", "once"]


def test_an_echo_that_comes_while_it_waits_to_be_sent_again_keeps_it_from_being_sent(open_stand: Stand) -> None:
    lose_answer(open_stand)
    says(open_stand, "once")
    says(open_stand, "later", consumer=BEN)
    waiting = open_stand.pending()
    open_stand._delivered += len(waiting)
    for got in waiting:
        if b"once" not in got.body:
            open_stand.hand_over(got)
    open_stand.work()
    open_stand.faults({"on": "send", "do": "status", "status": 429, "times": 1})
    open_stand.pass_time(31)
    open_stand.work()  # to be sent again, but asked to slow down
    assert the("once").state == DispatchState.QUEUED

    for got in waiting:
        if b"once" in got.body:
            open_stand.hand_over(got)
    open_stand.work()
    open_stand.pass_time(3600)
    open_stand.work()

    dispatch = the("once")
    assert (dispatch.state, dispatch.resolution, dispatch.duplicate_seen_at) == (DispatchState.SENT, "echo", None)
    assert open_stand.heard(consumer=ADA) == ["Hello", "once"]


def test_the_echo_of_a_parked_text_settles_it(open_stand: Stand) -> None:
    policy(UnknownPolicy.PARK)
    lose_answer(open_stand)
    says(open_stand, "in doubt")
    open_stand.pass_time(31)
    open_stand.work()
    assert the("in doubt").state == DispatchState.PARKED

    open_stand.deliver()
    open_stand.work()

    dispatch = the("in doubt")
    assert (dispatch.state, dispatch.resolution) == (DispatchState.SENT, "echo")
    assert dispatch.message.status == MessageStatus.SENT
    assert dispatch.message.lp_sequence == dispatch.echo_sequence == dispatch.lp_sequence


def test_what_the_consumer_says_elsewhere_is_nobodys_echo(open_stand: Stand) -> None:
    from tests.conversations.notifications import said
    from webhooks.models import Event

    talk = open_stand.conversation_of(ADA)["id"]
    open_stand.notify(said(talk, 77, "typed on the brand's web page", role="CONSUMER", who="x"))
    open_stand.work()

    event = Event.objects.order_by("-id").first()
    assert (event.outcome, event.detail) == ("ECHO", "Said by the consumer, but not through us.")


# --- equal texts -----------------------------------------------------------------------------------------------------


def test_the_echo_of_a_text_said_again_does_not_settle_the_parked_one(open_stand: Stand) -> None:
    policy(UnknownPolicy.PARK)
    lose_request(open_stand)
    says(open_stand, "ok")
    open_stand.pass_time(31)
    open_stand.work()
    open_stand.deliver_at_once()
    open_stand.faults({"on": "send", "do": "delay", "seconds": 0.5, "times": 1})

    says(open_stand, "ok")

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
    open_stand.faults({"on": "send", "do": "delay", "seconds": 0.5, "times": 1})
    sends = len(open_stand.requests("send"))
    open_stand.says("ok")

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


# --- what was given up -----------------------------------------------------------------------------------------------


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
