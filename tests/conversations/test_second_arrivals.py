"""What was sent again and then turns out to have arrived the first time, or twice."""

from __future__ import annotations

from conversations.models import DispatchState, MessageStatus
from installations.models import UnknownPolicy
from tests.conversations.evidence import BEN, lose_answer, lose_request, policy, says, the
from tests.conversations.servers import Got
from tests.conversations.stand import ADA, Stand, in_thread


def arrive_unknown(stand: Stand, text: str) -> list[Got]:
    """LivePerson has it and we do not know, though of a later text we do. Returns what tells of it, held back."""
    lose_answer(stand)
    says(stand, text)
    says(stand, "later", consumer=BEN)
    waiting = stand.pending()
    stand._delivered += len(waiting)
    held_back = [got for got in waiting if text.encode() in got.body]
    for got in waiting:
        if got not in held_back:
            stand.hand_over(got)
    stand.work()
    return held_back


def arrive_twice(stand: Stand) -> list[Got]:
    """It is sent again. Returns what tells of the first arrival."""
    held_back = arrive_unknown(stand, "doubled")
    stand.pass_time(31)
    stand.work()
    return held_back


def test_a_first_try_that_turns_up_after_all_is_recorded_as_a_duplicate(open_stand: Stand) -> None:
    first = arrive_twice(open_stand)
    assert open_stand.heard(consumer=ADA) == ["Hello", "doubled", "doubled"]

    open_stand.deliver()
    for got in first:
        open_stand.hand_over(got)
    open_stand.work()

    dispatch = the("doubled")
    assert (dispatch.state, dispatch.possible_duplicate) == (DispatchState.SENT, True)
    assert dispatch.duplicate_seen_at is not None


def test_it_is_recorded_as_well_when_the_first_echo_comes_first(open_stand: Stand) -> None:
    first = arrive_twice(open_stand)

    for got in first:
        open_stand.hand_over(got)
    open_stand.deliver()
    open_stand.work()

    assert the("doubled").duplicate_seen_at is not None


def test_it_is_recorded_when_the_first_echo_comes_while_the_second_try_is_under_way(open_stand: Stand) -> None:
    first = arrive_unknown(open_stand, "doubled")
    open_stand.pass_time(31)

    with open_stand.answers_held("send"):
        worker = in_thread(open_stand.work)
        open_stand.simulator_waits_for("send", count=5)
        for got in first:
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
    echo = arrive_unknown(open_stand, "once")
    open_stand.faults({"on": "send", "do": "status", "status": 429, "times": 1})
    open_stand.pass_time(31)
    open_stand.work()  # to be sent again, but asked to slow down
    assert the("once").state == DispatchState.QUEUED

    for got in echo:
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
