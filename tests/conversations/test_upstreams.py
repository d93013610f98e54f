"""LivePerson or a channel is down: after a few calls nobody calls, nothing is used up, and all goes out afterwards."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from conversations import recovery
from conversations.lanes import make_due
from conversations.models import Dispatch, DispatchState, Lane
from core.breaker import MIN_CALLS
from core.errors import ConfigurationError
from installations.models import Upstream
from tests.conversations.stand import ADA, Stand
from tests.webhooks.work import apply_all

MANY = 2 * MIN_CALLS
PAUSE = timedelta(minutes=8)


def consumer(number: int) -> str:
    return f"consumer-{number}"


@pytest.fixture
def talking(stand: Stand) -> Stand:
    """Many consumers have open conversations."""
    for number in range(MANY):
        stand.says("Hello", consumer=consumer(number))
    stand.settle()
    return stand


def down(stand: Stand) -> None:
    stand.faults({"on": "send", "do": "status", "status": 500})


def say_all(stand: Stand, text: str) -> None:
    for number in range(MANY):
        stand.says(text, consumer=consumer(number))


def find_it_down(stand: Stand) -> None:
    """Half of them write: enough for the breaker."""
    down(stand)
    for number in range(MIN_CALLS):
        stand.says("first", consumer=consumer(number))
    stand.work()
    assert Upstream.objects.get().phase == "OPEN"


def recover(stand: Stand) -> None:
    """LivePerson is well again; as much time passes as the probe and the pauses after a refusal take."""
    stand.faults()
    for _ in range(3):
        stand.pass_time(31)
        stand.work()


def test_nobody_calls_what_does_not_answer_and_no_try_is_used_up(talking: Stand) -> None:
    find_it_down(talking)
    before = len(talking.requests("send"))

    for number in range(MIN_CALLS, MANY):
        talking.says("first", consumer=consumer(number))
    talking.work()

    assert len(talking.requests("send")) == before
    waiting = Dispatch.objects.filter(state=DispatchState.QUEUED)
    assert [one.attempt_count for one in waiting] == [0] * MIN_CALLS
    assert Lane.objects.filter(blocked_by="waiting_for_upstream").count() == MIN_CALLS


def test_one_call_finds_out_that_it_is_still_down(talking: Stand) -> None:
    find_it_down(talking)
    say_all(talking, "second")
    before = len(talking.requests("send"))

    talking.pass_time(31)
    talking.work()

    assert len(talking.requests("send")) == before + 1
    assert Upstream.objects.get().bad_probes == 1


def test_all_goes_out_in_order_when_it_answers_again(talking: Stand) -> None:
    find_it_down(talking)
    say_all(talking, "second")
    talking.work()

    recover(talking)

    assert Upstream.objects.get().phase == "CLOSED"
    for number in range(MANY):
        said = ["Hello", "first", "second"] if number < MIN_CALLS else ["Hello", "second"]
        assert talking.heard(consumer=consumer(number)) == said
    assert not Dispatch.objects.exclude(state__in=(DispatchState.SENT, DispatchState.DROPPED)).exists()


def test_all_that_waits_is_woken_when_it_answers_again_not_when_its_time_comes(talking: Stand) -> None:
    find_it_down(talking)
    for number in range(MIN_CALLS, MANY):
        talking.says("first", consumer=consumer(number))
    talking.work()
    talking.faults()
    Upstream.objects.update(probe_at=None)
    lane = Lane.objects.filter(blocked_by="waiting_for_upstream").first()
    make_due([lane.pk])

    talking.work()

    for number in range(MIN_CALLS, MANY):
        assert talking.heard(consumer=consumer(number)) == ["Hello", "first"]


def it_closes_with_one_put_off(stand: Stand, *, unknown_for_s: float, **facts: Any) -> Dispatch:
    """The breaker closes while one dispatch that LivePerson refused still has to wait for minutes."""
    find_it_down(stand)
    put_off = Dispatch.objects.filter(state=DispatchState.UNKNOWN).first()
    now = timezone.now()
    Dispatch.objects.filter(pk=put_off.pk).update(
        next_attempt_at=now + PAUSE, unknown_at=now - timedelta(seconds=unknown_for_s), **facts
    )
    Lane.objects.filter(pk=put_off.lane_id).update(due_at=now + PAUSE)
    say_all(stand, "second")
    stand.faults()
    Upstream.objects.update(probe_at=None)
    stand.work()
    assert Upstream.objects.get().phase == "CLOSED"
    put_off.refresh_from_db()
    return put_off


def test_what_was_refused_is_not_kept_by_its_own_pause_when_it_answers_again(talking: Stand) -> None:
    put_off = it_closes_with_one_put_off(talking, unknown_for_s=200)

    assert put_off.state == DispatchState.SENT
    assert talking.heard(consumer=put_off.consumer.channel_consumer_id) == ["Hello", "first", "second"]


def test_what_was_refused_just_now_is_left_time_for_its_echo(talking: Stand) -> None:
    put_off = it_closes_with_one_put_off(talking, unknown_for_s=100)

    assert put_off.state == DispatchState.UNKNOWN
    assert put_off.next_attempt_at == put_off.unknown_at + timedelta(seconds=180)
    assert put_off.lane.due_at == put_off.next_attempt_at


def test_what_was_not_answered_keeps_the_time_for_its_evidence(talking: Stand) -> None:
    put_off = it_closes_with_one_put_off(talking, unknown_for_s=200, error_code="unanswered")

    assert put_off.state == DispatchState.UNKNOWN
    assert put_off.next_attempt_at > timezone.now() + PAUSE / 2


def test_who_was_told_when_to_come_back_comes_back_then(talking: Stand) -> None:
    put_off = it_closes_with_one_put_off(talking, unknown_for_s=200, error_code="rate_limited", state="QUEUED")

    assert put_off.next_attempt_at > timezone.now() + PAUSE / 2


def test_an_upstream_that_comes_and_goes_does_not_use_up_the_tries(talking: Stand) -> None:
    just_now = timezone.now().isoformat()
    put_off = it_closes_with_one_put_off(talking, unknown_for_s=200, progress={"brought_forward_at": just_now})

    assert put_off.next_attempt_at > timezone.now() + PAUSE / 2


def test_a_connector_that_cannot_be_loaded_keeps_its_pause_and_stops_nobody(
    talking: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(channel_id: object) -> None:
        raise ConfigurationError("Its key is not in ENCRYPTION_KEYS.")

    monkeypatch.setattr(recovery, "get_connector", broken)

    put_off = it_closes_with_one_put_off(talking, unknown_for_s=200)

    assert put_off.next_attempt_at > timezone.now() + PAUSE / 2
    assert talking.heard(consumer=consumer(MANY - 1)) == ["Hello", "second"]


def test_typing_does_not_wait_for_it(talking: Stand) -> None:
    find_it_down(talking)

    talking.tell("typing.started", {"consumer": {"id": consumer(MANY - 1)}})
    talking.work()

    typing = Dispatch.objects.get(kind="TYPING")
    assert (typing.state, typing.attempt_count) == (DispatchState.DROPPED, 0)


def test_who_asks_one_lane_to_wait_is_not_called_by_the_others(stand: Stand) -> None:
    for person in (ADA, "+15550111"):
        stand.says("Hello", consumer=person)
    stand.settle()
    stand.faults({"on": "send", "do": "status", "status": 429, "headers": {"Retry-After": "20"}, "times": 1})
    stand.says("too many", consumer=ADA)
    stand.work()
    before = len(stand.requests("send"))

    stand.says("meanwhile", consumer="+15550111")
    apply_all()
    stand.pass_time(10)
    stand.work()
    assert len(stand.requests("send")) == before
    stand.pass_time(25)
    stand.work()

    assert stand.heard(consumer="+15550111")[-1] == "meanwhile"
    assert stand.heard(consumer=ADA)[-1] == "too many"
