"""What an operator does by hand: sent again, dropped, resolved; each once, and each in the trail."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from audit.models import AuditEntry
from conversations.models import Dispatch, DispatchState, Lane, MessageStatus
from conversations.services import operations
from conversations.services.operations import NotPossible
from core.actor import Actor
from core.ids import new_id
from installations.models import AppInstallation, UnknownPolicy
from tests.conversations.stand import Stand, forget_caches, in_thread

EVE = Actor(kind="PERSON", id="7", name="eve")


@pytest.fixture
def talking(stand: Stand) -> Stand:
    stand.says("Hello")
    stand.settle()
    return stand


def the(text: str) -> Dispatch:
    return Dispatch.objects.select_related("message").get(message__content__text=text)


@pytest.fixture
def failed(talking: Stand) -> Stand:
    talking.faults({"on": "send", "do": "status", "status": 400, "times": 1})
    talking.says("rejected")
    talking.work()
    return talking


@pytest.fixture
def parked(talking: Stand) -> Stand:
    AppInstallation.objects.update(unknown_policy=UnknownPolicy.PARK)
    forget_caches()
    talking.faults({"on": "send", "do": "reset", "times": 1})
    talking.says("in doubt")
    talking.work()
    talking.pass_time(31)
    talking.work()
    assert the("in doubt").state == DispatchState.PARKED
    return talking


def test_what_failed_is_sent_again(failed: Stand) -> None:
    operations.send_again(dispatch_id=the("rejected").pk, actor=EVE, reason="they mended it")
    failed.work()

    dispatch = the("rejected")
    assert (dispatch.state, dispatch.possible_duplicate) == (DispatchState.SENT, False)
    assert dispatch.message.status == MessageStatus.SENT
    assert failed.heard() == ["Hello", "rejected"]


def test_it_goes_before_what_still_waits(failed: Stand) -> None:
    failed.faults({"on": "send", "do": "status", "status": 429, "times": 1})
    failed.says("waits")
    failed.work()

    operations.send_again(dispatch_id=the("rejected").pk, actor=EVE)
    failed.pass_time(10)
    failed.work()

    assert failed.heard() == ["Hello", "rejected", "waits"]


def test_what_was_in_doubt_is_marked_when_it_is_sent_again(parked: Stand) -> None:
    operations.send_again(dispatch_id=the("in doubt").pk, actor=EVE)
    parked.work()

    dispatch = the("in doubt")
    assert (dispatch.state, dispatch.possible_duplicate) == (DispatchState.SENT, True)


def test_sending_again_twice_at_once_is_sending_once(failed: Stand) -> None:
    outcomes: list[str] = []

    def again() -> None:
        try:
            operations.send_again(dispatch_id=the("rejected").pk, actor=EVE)
            outcomes.append("done")
        except NotPossible:
            outcomes.append("not possible")

    for thread in [in_thread(again) for _ in range(4)]:
        thread.join()
    failed.work()

    assert sorted(outcomes) == ["done"] + ["not possible"] * 3
    assert failed.heard() == ["Hello", "rejected"]
    assert AuditEntry.objects.filter(action="dispatch.resent").count() == 1


def test_what_was_sent_cannot_be_sent_again(talking: Stand) -> None:
    with pytest.raises(NotPossible, match="It is sent: only parked, dead, failed or unknown is resent"):
        operations.send_again(dispatch_id=the("Hello").pk, actor=EVE)


def test_a_text_that_gave_up_reopening_may_reopen_again(talking: Stand) -> None:
    talking.agent("close")
    talking.settle()
    talking.faults({"on": "send", "do": "status", "status": 400, "times": 1})
    talking.says("rejected")
    talking.work()
    Dispatch.objects.filter(pk=the("rejected").pk).update(progress={"reopenings": 3})
    talking.agent("close")

    operations.send_again(dispatch_id=the("rejected").pk, actor=EVE)
    talking.work()

    assert the("rejected").state == DispatchState.SENT
    assert talking.heard() == ["rejected"]


def test_what_is_dropped_lets_its_lane_go_on(talking: Stand) -> None:
    AppInstallation.objects.update(unknown_policy=UnknownPolicy.HOLD)
    forget_caches()
    talking.faults({"on": "send", "do": "reset", "times": 1})
    talking.says("in doubt")
    talking.says("after it")
    talking.work()
    talking.pass_time(31)
    talking.work()

    operations.drop(dispatch_id=the("in doubt").pk, actor=EVE, reason="said by phone")
    talking.work()

    dispatch = the("in doubt")
    assert (dispatch.state, dispatch.resolution) == (DispatchState.DROPPED, "person")
    assert (dispatch.message.status, dispatch.message.error_code) == (MessageStatus.FAILED, "dropped")
    assert talking.heard() == ["Hello", "after it"]


def test_what_is_resolved_as_sent_lets_its_lane_go_on(talking: Stand) -> None:
    talking.faults({"on": "send", "do": "lose_answer", "times": 1})
    talking.says("arrived")
    talking.says("after it")
    talking.work()

    operations.resolve_as_sent(dispatch_id=the("arrived").pk, actor=EVE)
    talking.work()

    dispatch = the("arrived")
    assert (dispatch.state, dispatch.resolution) == (DispatchState.SENT, "person")
    assert dispatch.message.status == MessageStatus.SENT
    assert talking.heard() == ["Hello", "arrived", "after it"]


@pytest.mark.parametrize("act", [operations.drop, operations.resolve_as_sent, operations.send_again])
def test_nothing_is_done_to_what_is_under_way(talking: Stand, act: object) -> None:
    talking.says("under way")
    from webhooks.applying import apply_some

    apply_some()
    Dispatch.objects.filter(pk=the("under way").pk).update(state=DispatchState.SENDING)
    Lane.objects.update(leased_until=timezone.now() + timedelta(seconds=20))

    with pytest.raises(NotPossible):
        act(dispatch_id=the("under way").pk, actor=EVE)  # type: ignore[operator]
    assert not AuditEntry.objects.filter(action__startswith="dispatch.").exists()


def test_every_act_is_in_the_trail_with_its_reason(parked: Stand) -> None:
    operations.resolve_as_sent(dispatch_id=the("in doubt").pk, actor=EVE, reason="seen in the workspace")

    entry = AuditEntry.objects.get(action="dispatch.resolved_as_sent")
    assert (entry.actor_name, entry.reason, entry.data) == ("eve", "seen in the workspace", {"state": "PARKED"})
    assert entry.subject_id == str(the("in doubt").pk)
    assert entry.brand_id == parked.onboarded.brand.pk


def test_an_unknown_dispatch_is_an_error_of_the_caller(db: None) -> None:
    with pytest.raises(Dispatch.DoesNotExist):
        operations.drop(dispatch_id=new_id(), actor=EVE)
