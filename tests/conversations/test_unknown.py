"""What is done about a send in doubt where no echo settles it."""

from __future__ import annotations

import pytest

from conversations.models import DispatchState, MessageStatus
from core.actor import COMMAND
from installations import editing
from installations.models import UnknownPolicy
from tests.conversations.evidence import BEN, is_echo, lose_answer, lose_request, policy, says, the
from tests.conversations.stand import ADA, Stand


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
