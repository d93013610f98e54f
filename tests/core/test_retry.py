"""When to try again: one table, each row with its formula."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import errors, retry
from core.retry import RetryPolicy

NOW = datetime(2026, 11, 21, 10, 0, 0, tzinfo=UTC)
EXACT = RetryPolicy(jitter=0)
RATE = errors.RateLimited


@pytest.mark.parametrize(
    ("attempt", "error", "delay_s"),
    [
        (1, errors.NotSent(), 5),  # delays[0]
        (2, errors.NotSent(), 10),  # delays[1]
        (3, errors.NotSent(), 15),  # delays[2]
        (4, errors.NotSent(), 120),  # delays[3]: the slow outer loop begins
        (11, errors.NotSent(), 14400),  # delays[10]: the last
        (12, errors.NotSent(), None),  # none left
        (1, RATE(), 5),  # max(delays[0], 1 s)
        (1, RATE(retry_after_s=0), 5),  # max(delays[0], 1 s): zero says nothing
        (1, RATE(retry_after_s=60), 60),  # max(delays[0], 60)
        (5, RATE(retry_after_s=60), 240),  # max(delays[4], 60)
        (1, RATE(retry_after_s=1e9), 900),  # max(delays[0], min(1e9, 900))
        (1, errors.Refused(), 5),  # max(delays[0], 5)
        (1, errors.Unanswered(), 5),  # max(delays[0], 5)
        (1, errors.TokenExpired(), 5),  # delays[0]
        (1, errors.RequestRejected(), None),  # in vain
        (1, errors.CredentialsRejected(), None),  # in vain
        (1, errors.ConversationClosed(), None),  # not by waiting
        (1, errors.ConsumerGone(), None),  # in vain
    ],
)
def test_each_failure_has_its_pause(attempt: int, error: errors.ConnectorError, delay_s: float | None) -> None:
    assert EXACT.next_delay_s(attempt=attempt, error=error) == delay_s


@pytest.mark.parametrize("attempt", range(1, 12))
def test_a_pause_is_spread_by_half_to_either_side(attempt: int) -> None:
    nominal = retry.LIVEPERSON.delays_s[attempt - 1]

    def at(share: float) -> float | None:
        return retry.LIVEPERSON.next_delay_s(
            attempt=attempt, error=errors.NotSent(), uniform=lambda low, high: low + share * (high - low)
        )

    assert (at(0.0), at(0.5), at(1.0)) == (nominal * 0.5, nominal, nominal * 1.5)


def test_what_was_refused_waits_five_seconds_whatever_chance_says() -> None:
    policy = RetryPolicy(delays_s=(2,), jitter=0.5)

    assert policy.next_delay_s(attempt=1, error=errors.Refused(), uniform=lambda low, _: low) == 5


# --- Retry-After -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("0", 0.0),
        ("7", 7.0),
        (" 7 ", 7.0),
        ("1.5", 1.5),
        ("-5", 0.0),
        ("1e9", 900.0),
        ("99999999999999999999", 900.0),
        ("inf", 900.0),
        ("nan", None),
        ("soon", None),
        ("", None),
        (None, None),
        ("9" * 5000, 900.0),
        (format_datetime(NOW + timedelta(seconds=30), usegmt=True), 30.0),
        (format_datetime(NOW + timedelta(days=30), usegmt=True), 900.0),
        (format_datetime(NOW - timedelta(days=30), usegmt=True), 0.0),
        ("Sat, 21 Nov 2026 10:00:30 -0000", 30.0),
        ("Saturday, 21-Nov-26 10:00:30 GMT", 30.0),
        ("Sat, 21 Nov 2026 12:00:30 +0200", 30.0),
        ("-inf", 0.0),
        ("7, 8", None),
        ("7 seconds", None),
        ("\u0667", 7.0),
        ("\0", None),
        ("Sat, 99 Foo 2026 10:00:30 GMT", None),
        ("Sat, 21 Nov 99999 10:00:30 GMT", None),
    ],
)
def test_retry_after_is_read_in_both_forms_and_capped(value: str | None, expected: float | None) -> None:
    assert retry.parse_retry_after(value, now=NOW) == expected


@given(st.text() | st.from_regex(r"[A-Z][a-z]{2}, [0-9]{1,3} [A-Z][a-z]{2} [0-9]{1,6} [0-9:]{5,9} [-+A-Z0-9]{1,6}"))
def test_whatever_retry_after_says_the_pause_has_an_end(value: str) -> None:
    wait_s = retry.parse_retry_after(value, now=NOW)

    assert wait_s is None or 0 <= wait_s <= 900
    assert 1 <= retry.retry_after_floor_s(wait_s) <= 900


@pytest.mark.parametrize(
    ("asked_s", "floor_s", "login_floor_s"),
    [
        (None, 1, 5),  # absent, or garbage
        (0, 1, 5),  # zero, or a past time
        (-5, 1, 5),
        (0.2, 1, 5),
        (3, 3, 5),
        (60, 60, 60),
        (1e9, 900, 900),
        (float("inf"), 900, 900),
        (float("nan"), 1, 5),
    ],
)
def test_who_asks_us_to_slow_down_is_left_alone_for_a_while(
    asked_s: float | None, floor_s: float, login_floor_s: float
) -> None:
    assert retry.retry_after_floor_s(asked_s) == floor_s
    assert retry.retry_after_floor_s(asked_s, least_s=5) == login_floor_s
    assert RetryPolicy(delays_s=(0.1,)).next_delay_s(attempt=1, error=RATE(retry_after_s=asked_s)) == floor_s


def test_retry_after_is_a_floor_whatever_chance_says() -> None:
    delay_s = retry.CHANNEL.next_delay_s(attempt=1, error=RATE(retry_after_s=30), uniform=lambda low, _: low)

    assert delay_s == 30


@pytest.mark.parametrize("policy", [retry.LIVEPERSON, retry.CHANNEL])
def test_there_are_at_most_twelve_tries_within_a_day(policy: RetryPolicy) -> None:
    assert policy.max_attempts <= 12
    assert sum(policy.delays_s) * 1.5 < 24 * 3600


@pytest.mark.parametrize("policy", [retry.LIVEPERSON, retry.CHANNEL])
def test_things_that_failed_together_come_back_apart(policy: RetryPolicy) -> None:
    pauses = [policy.next_delay_s(attempt=4, error=errors.NotSent()) or 0 for _ in range(1000)]
    in_one_second = max(sum(int(pause) == second for pause in pauses) for second in map(int, pauses))

    assert in_one_second <= 50
