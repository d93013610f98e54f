"""Workers that die or are too slow: what they left behind is found, and what they bring late changes nothing."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from conversations import lanes
from conversations.calls import Brought
from conversations.models import Attempt, Dispatch, DispatchState, Lane, MessageStatus
from tests.conversations.late import bring, late
from tests.conversations.stand import ADA, Stand, in_thread
from tests.waiting import wait_until
from tests.webhooks.work import apply_all


@pytest.fixture
def talking(stand: Stand) -> Stand:
    stand.says("Hello")
    stand.settle()
    return stand


def interrupt(dispatch: Dispatch, step: str) -> Dispatch:
    """As a worker leaves it that is killed between its commit and the answer; its lease has run out."""
    now = timezone.now()
    Lane.objects.filter(pk=dispatch.lane_id).update(fence=40, leased_until=now - timedelta(seconds=1))
    facts = {"state": DispatchState.SENDING, "step": step, "attempt_count": 1}
    if step == "PUBLISH":
        talk = dispatch.consumer.conversations.get()
        facts |= {"conversation": talk, "lp_dialog_id": talk.lp_conversation_id, "sequence_before": 0}
    Dispatch.objects.filter(pk=dispatch.pk).update(**facts)
    Attempt.objects.create(
        brand_id=dispatch.brand_id, dispatch=dispatch, step=step, fence=40, started_at=now - timedelta(seconds=21)
    )
    return dispatch


def of_kind(kind: str) -> Dispatch:
    return Dispatch.objects.select_related("lane__consumer").get(kind=kind, state=DispatchState.QUEUED)


def test_an_interrupted_text_is_unknown_never_simply_sent_again(talking: Stand) -> None:
    talking.says("in doubt")
    apply_all()
    dispatch = interrupt(of_kind("TEXT"), "PUBLISH")

    talking.work()

    dispatch.refresh_from_db()
    assert (dispatch.state, dispatch.error_code) == (DispatchState.UNKNOWN, "unanswered")
    attempt = dispatch.attempts.get()
    assert (attempt.outcome, attempt.finished_at is None) == ("UNANSWERED", False)
    assert attempt.detail == "The worker ended while the request was under way."
    assert talking.heard() == ["Hello"]


def test_its_echo_may_have_come_before_anybody_noticed(talking: Stand) -> None:
    from tests.conversations.notifications import said

    talking.says("in doubt")
    apply_all()
    dispatch = interrupt(of_kind("TEXT"), "PUBLISH")
    talking.notify(said(talking.lp_conversation_id, 5, "in doubt", role="CONSUMER", who="x"))

    talking.work()

    dispatch.refresh_from_db()
    assert (dispatch.state, dispatch.resolution) == (DispatchState.SENT, "echo")


@pytest.mark.parametrize("step", ["IDENTIFY", "UPLOAD", "FETCH"])
def test_an_interrupted_step_that_shows_nothing_to_anybody_is_done_again(talking: Stand, step: str) -> None:
    talking.says("goes out")
    apply_all()
    interrupt(of_kind("TEXT"), step)

    talking.work()
    talking.pass_time(10)
    talking.work()

    assert talking.heard() == ["Hello", "goes out"]
    assert not Dispatch.objects.filter(possible_duplicate=True).exists()


def test_an_interrupted_opening_is_unknown_and_then_tried_again(stand: Stand) -> None:
    from conversations import lanes

    stand.says("Hello")
    apply_all()
    opening = lanes.put_before(of_kind("TEXT"), kind="OPEN")
    interrupt(Dispatch.objects.select_related("lane__consumer").get(pk=opening.pk), "OPEN")
    stand.work()
    assert Dispatch.objects.get(pk=opening.pk).state == DispatchState.UNKNOWN

    stand.pass_time(31)
    stand.work()

    assert stand.heard() == ["Hello"]


def test_interrupted_typing_is_dropped(talking: Stand) -> None:
    talking.tell("typing.started", {"consumer": {"id": ADA}})
    apply_all()
    dispatch = interrupt(of_kind("TYPING"), "PUBLISH")

    talking.work()

    dispatch.refresh_from_db()
    assert dispatch.state == DispatchState.DROPPED


def test_an_interrupted_receipt_or_close_is_said_again(talking: Stand) -> None:
    talking.tell("conversation.closed", {"consumer": {"id": ADA}})
    apply_all()
    interrupt(of_kind("CLOSE"), "PUBLISH")

    talking.work()
    talking.pass_time(10)
    talking.work()

    assert talking.at_liveperson()[0]["state"] == "CLOSE"


def test_what_the_channel_may_have_got_is_sent_again_under_the_same_id(talking: Stand) -> None:
    talking.agent("say", text="It leaves today.")
    talking.deliver()
    apply_all()
    dispatch = interrupt(of_kind("TEXT"), "SEND")

    talking.work()
    talking.pass_time(10)
    talking.work()

    (got,) = [one for one in talking.phone.got if one.json["type"] == "message.created"]
    assert got.headers["webhook-id"] == str(dispatch.pk)


def test_a_lane_whose_worker_died_before_it_tried_anything_goes_on(talking: Stand) -> None:
    talking.says("goes out")
    apply_all()
    lane = of_kind("TEXT").lane
    Lane.objects.filter(pk=lane.pk).update(fence=40, leased_until=timezone.now() - timedelta(seconds=1))

    talking.work()

    assert talking.heard() == ["Hello", "goes out"]


def test_a_lane_that_is_leased_is_left_alone(talking: Stand) -> None:
    talking.says("waits")
    apply_all()
    Lane.objects.update(leased_until=timezone.now() + timedelta(seconds=10))

    talking.work()

    assert talking.heard() == ["Hello"]


def test_the_late_answer_of_a_slow_worker_settles_what_another_one_took_for_unanswered(talking: Stand) -> None:
    talking.says("slow")
    dispatch_of_it = Dispatch.objects.filter(message__content__text="slow")
    with talking.answers_held("send"):
        slow = in_thread(lambda: talking.work(deadline_s=0.3))
        talking.simulator_waits_for("send", count=2)
        Lane.objects.update(leased_until=timezone.now() - timedelta(seconds=1))
        # Another worker takes the lane over.
        wait_until(dispatch_of_it.filter(state=DispatchState.UNKNOWN).exists, by=talking.work, within_s=5)
    slow.join()

    dispatch = dispatch_of_it.get()
    assert (dispatch.state, dispatch.resolution) == (DispatchState.SENT, "answer")
    attempt = dispatch.attempts.get()
    assert (attempt.outcome, attempt.error_code) == ("ACCEPTED", "late")
    talking.settle()
    dispatch.refresh_from_db()
    assert dispatch.echo_sequence == dispatch.lp_sequence
    assert talking.heard() == ["Hello", "slow"]


def test_an_early_step_that_ends_late_moves_nothing_that_has_gone_on(talking: Stand) -> None:
    """A worker was frozen while it asked for the consumer's token; another one has asked, and has published since."""
    talking.faults({"on": "send", "do": "lose_answer", "times": 1})
    talking.says("in doubt")
    talking.work()
    dispatch = Dispatch.objects.get(message__content__text="in doubt")
    assert dispatch.state == DispatchState.UNKNOWN
    frozen = lanes.read_afresh(dispatch.pk)
    frozen.step = "IDENTIFY"
    attempt = Attempt.objects.create(
        brand_id=frozen.brand_id, dispatch=frozen, step="IDENTIFY", fence=0, started_at=timezone.now()
    )

    bring(late(frozen, attempt.pk, brought=Brought(consumer_jws="x.y.z")))

    dispatch.refresh_from_db()
    assert (dispatch.state, dispatch.step) == (DispatchState.UNKNOWN, "PUBLISH")
    attempt.refresh_from_db()
    assert (attempt.outcome, attempt.error_code) == ("ACCEPTED", "late")
    talking.pass_time(31)
    talking.settle()
    assert talking.heard() == ["Hello", "in doubt"]


def test_a_call_may_last_longer_than_a_lease(talking: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("conversations.drain._RENEW_EVERY_S", 0.05)
    talking.says("slow")
    with talking.answers_held("send"):
        slow = in_thread(talking.work)
        talking.simulator_waits_for("send", count=2)
        leased_until = Lane.objects.get(direction="TO_LIVEPERSON").leased_until
        wait_until(Lane.objects.filter(leased_until__gt=leased_until + timedelta(seconds=1)).exists, within_s=6)
        talking.work()
    slow.join()

    dispatch = Dispatch.objects.get(message__content__text="slow")
    assert (dispatch.state, dispatch.resolution) == (DispatchState.SENT, "answer")
    assert dispatch.attempts.get().error_code == ""


def test_each_claim_raises_the_fence(talking: Stand) -> None:
    lane = Lane.objects.get(direction="TO_LIVEPERSON")
    talking.says("one")
    talking.work()
    between = Lane.objects.get(pk=lane.pk).fence
    talking.says("two")
    talking.work()

    assert lane.fence < between < Lane.objects.get(pk=lane.pk).fence


def test_a_message_of_an_interrupted_text_still_counts_as_queued(talking: Stand) -> None:
    talking.says("in doubt")
    apply_all()
    dispatch = interrupt(of_kind("TEXT"), "PUBLISH")

    talking.work()

    assert Dispatch.objects.select_related("message").get(pk=dispatch.pk).message.status == MessageStatus.QUEUED
