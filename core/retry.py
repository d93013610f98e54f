"""
When to try again: a pure function of (attempt, error), without clock, queue or database.

LivePerson asks for three tries after 5, 10 and 15 s, then for a slow outer loop.
Source: developers.liveperson.com/retry-policy-recommendations.html
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from core.errors import ConnectorError, OutcomeUnknown, RateLimited

LIVEPERSON_DELAYS_S: tuple[float, ...] = (5, 10, 15, 120, 240, 480, 960, 1800, 3600, 7200, 14400)
RETRY_AFTER_CAP_S = 900.0
RATE_LIMIT_FLOOR_S = 1.0


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """
    delays_s: nominal pause after the first, second … attempt; when they run out, the thing is dead.
    jitter: the pause is multiplied by a random factor of 1 ± jitter, so that things that failed together spread out.
    """

    delays_s: tuple[float, ...] = LIVEPERSON_DELAYS_S
    jitter: float = 0.5

    @property
    def max_attempts(self) -> int:
        return len(self.delays_s) + 1

    def next_delay_s(
        self, *, attempt: int, error: ConnectorError, uniform: Callable[[float, float], float] = random.uniform
    ) -> float | None:
        """
        Seconds to wait after the failed attempt number `attempt` (from 1), or None when it should not be tried again.

        Retry-After is a floor, capped at 15 minutes. What the other side refused waits at least 5 s.
        """
        if not error.retryable and not isinstance(error, OutcomeUnknown):
            return None
        if attempt > len(self.delays_s):
            return None
        delay_s = self.delays_s[attempt - 1] * uniform(1 - self.jitter, 1 + self.jitter)
        if isinstance(error, RateLimited):
            delay_s = max(delay_s, retry_after_floor_s(error.retry_after_s))
        if isinstance(error, OutcomeUnknown):
            delay_s = max(delay_s, 5.0)
        return delay_s


LIVEPERSON = RetryPolicy()
CHANNEL = RetryPolicy(delays_s=(2, 5, 15, 60, 240, 900, 1800, 3600, 7200, 14400, 14400))


def retry_after_floor_s(asked_s: float | None, *, least_s: float = RATE_LIMIT_FLOOR_S) -> float:
    """How long to leave the other side alone after it asked for that; None: it did not say how long."""
    return min(max(least_s, asked_s or 0.0), RETRY_AFTER_CAP_S)


def parse_retry_after(value: str | None, *, now: datetime) -> float | None:
    """
    Seconds that a Retry-After header asks for, 0 for a past time, at most 15 minutes; None when it says nothing usable.

    value: seconds or an HTTP date. Source: RFC 9110, section 10.2.3
    """
    text = (value or "").strip()[:64]
    wait_s: float | None
    try:
        wait_s = float(text)
    except ValueError:
        wait_s = _seconds_until(text, now)
    if wait_s is None or wait_s != wait_s:  # the latter is NaN
        return None
    return min(max(wait_s, 0.0), RETRY_AFTER_CAP_S)


def _seconds_until(http_date: str, now: datetime) -> float | None:
    try:
        at = parsedate_to_datetime(http_date)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return ((at if at.tzinfo else at.replace(tzinfo=UTC)) - now).total_seconds()
