"""When to try again: one table, each row with its formula."""

from __future__ import annotations

import pytest

from core import errors, retry
from core.retry import RetryPolicy

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
