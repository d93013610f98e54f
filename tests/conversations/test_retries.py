"""Sends that certainly had no effect: spaced, bounded, and in the end listed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from conversations.models import Dispatch, DispatchState, Lane, MessageStatus
from core import retry
from tests.conversations.stand import Stand


@pytest.fixture
def talking(stand: Stand) -> Stand:
    stand.says("Hello")
    stand.settle()
    return stand


def the(text: str) -> Dispatch:
    return Dispatch.objects.select_related("message", "lane").get(message__content__text=text)


def wait_s(dispatch: Dispatch) -> float:
    """From the end of the last try to the next one."""
    ended_at = dispatch.attempts.order_by("started_at").last().finished_at
    return (dispatch.next_attempt_at - ended_at).total_seconds()


def says(stand: Stand, text: str) -> None:
    stand.says(text)
    stand.work()


def test_asked_to_slow_down_it_waits_and_goes_on(talking: Stand) -> None:
    talking.faults({"on": "send", "do": "status", "status": 429, "times": 1})
    says(talking, "patience")
    dispatch = the("patience")
    assert (dispatch.state, dispatch.error_code, dispatch.possible_duplicate) == ("QUEUED", "rate_limited", False)
    assert Lane.objects.get(pk=dispatch.lane_id).blocked_by == "rate_limited"

    talking.pass_time(10)
    talking.work()

    assert talking.heard() == ["Hello", "patience"]


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_a_floor(talking: Stand, status: int) -> None:
    talking.faults({"on": "send", "do": "status", "status": status, "headers": {"Retry-After": "120"}, "times": 1})
    says(talking, "patience")

    assert 118 < wait_s(the("patience")) <= 180
    calls = len(talking.requests("send"))
    talking.pass_time(100)
    talking.work()
    assert len(talking.requests("send")) == calls, "not one call before that time"


def test_retry_after_may_be_a_date(talking: Stand) -> None:
    at = format_datetime(datetime.now(UTC) + timedelta(seconds=200), usegmt=True)
    talking.faults({"on": "send", "do": "status", "status": 429, "headers": {"Retry-After": at}, "times": 1})
    says(talking, "patience")

    assert 190 < wait_s(the("patience")) < 310


def test_retry_after_is_believed_for_a_quarter_of_an_hour_at_most(talking: Stand) -> None:
    talking.faults({"on": "send", "do": "status", "status": 429, "headers": {"Retry-After": "1000000000"}, "times": 1})
    says(talking, "patience")

    assert wait_s(the("patience")) < 901


@pytest.mark.parametrize("value", ["soon", "-5"])
def test_a_retry_after_that_says_nothing_leaves_the_usual_pause(talking: Stand, value: str) -> None:
    talking.faults({"on": "send", "do": "status", "status": 429, "headers": {"Retry-After": value}, "times": 1})
    says(talking, "patience")

    dispatch = the("patience")
    assert dispatch.state == DispatchState.QUEUED
    assert 0 < wait_s(dispatch) <= 900


@pytest.mark.parametrize("status", [400, 413])
def test_what_liveperson_rejects_fails_at_once_and_the_lane_goes_on(talking: Stand, status: int) -> None:
    talking.faults({"on": "send", "do": "status", "status": status, "times": 1})
    talking.says("rejected")
    talking.says("after it")
    talking.work()

    dispatch = the("rejected")
    assert (dispatch.state, dispatch.error_code) == (DispatchState.FAILED, "request_rejected")
    assert (dispatch.message.status, dispatch.message.error_code) == (MessageStatus.FAILED, "request_rejected")
    assert talking.heard() == ["Hello", "after it"]


def test_what_never_succeeds_is_dead_after_the_last_try_and_the_lane_goes_on(talking: Stand) -> None:
    talking.faults({"on": "send", "do": "status", "status": 429})
    talking.says("never")
    for _ in range(retry.LIVEPERSON.max_attempts + 3):
        talking.work()
        talking.pass_time(30_000)
    talking.faults()
    says(talking, "after it")

    dispatch = the("never")
    assert (dispatch.state, dispatch.attempt_count) == (DispatchState.DEAD, retry.LIVEPERSON.max_attempts)
    assert dispatch.attempts.count() == retry.LIVEPERSON.max_attempts
    assert dispatch.finished_at is not None
    assert dispatch.message.status == MessageStatus.FAILED
    assert talking.heard() == ["Hello", "after it"]


def test_a_server_that_only_fails_is_not_asked_for_ever_either(talking: Stand) -> None:
    talking.faults({"on": "send", "do": "status", "status": 500})
    talking.says("never")
    for _ in range(retry.LIVEPERSON.max_attempts + 3):
        talking.work()
        talking.pass_time(30_000)

    assert the("never").state == DispatchState.DEAD
    assert the("never").attempts.count() == retry.LIVEPERSON.max_attempts


def test_no_try_begins_before_its_time(talking: Stand) -> None:
    talking.faults({"on": "send", "do": "status", "status": 429})
    says(talking, "patience")
    calls = len(talking.requests("send"))

    for _ in range(3):
        talking.work()

    assert len(talking.requests("send")) == calls


def test_a_waiting_head_holds_its_own_lane_only(talking: Stand) -> None:
    talking.says("Hello", consumer="ben")
    talking.settle()
    talking.faults({"on": "send", "do": "status", "status": 500, "times": 1})
    says(talking, "first")
    says(talking, "second")
    talking.says("elsewhere", consumer="ben")
    talking.work()

    assert talking.heard(consumer="+15550100") == ["Hello"]
    assert talking.heard(consumer="ben") == ["Hello", "elsewhere"]


def test_an_address_that_cannot_be_reached_is_tried_again(talking: Stand) -> None:
    from installations.models import Account
    from tests.conversations.stand import forget_caches

    Account.objects.update(domain_api="http://127.0.0.1:9")
    forget_caches()
    from installations import tokens

    tokens.forget(talking.onboarded.installation.pk)
    says(talking, "patience")
    assert the("patience").state == DispatchState.QUEUED

    Account.objects.update(domain_api=talking.simulator.url)
    forget_caches()
    talking.pass_time(20)
    talking.work()

    assert talking.heard() == ["Hello", "patience"]


def test_every_answer_of_liveperson_is_kept_with_its_attempt(talking: Stand) -> None:
    talking.faults({"on": "send", "do": "status", "status": 400, "times": 1})
    says(talking, "rejected")

    attempt = the("rejected").attempts.get()
    assert (attempt.outcome, attempt.http_status, attempt.provider_code) == ("REJECTED", 400, "BAD_REQUEST")
    assert "BAD_REQUEST" in attempt.answer_head
    assert attempt.elapsed_ms is not None
    assert "eyJ" not in attempt.answer_head + attempt.detail
