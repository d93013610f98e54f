"""
When to try again: a pure function of (attempt, error), without clock, queue or database.

LivePerson asks for three tries after 5, 10 and 15 s, then for a slow outer loop.
Source: developers.liveperson.com/retry-policy-recommendations.html
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from core.errors import ConnectorError, OutcomeUnknown, RateLimited

LIVEPERSON_DELAYS_S: tuple[float, ...] = (5, 10, 15, 120, 240, 480, 960, 1800, 3600, 7200, 14400)
RETRY_AFTER_CAP_S = 900.0


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
            delay_s = max(delay_s, min(error.retry_after_s or 1.0, RETRY_AFTER_CAP_S))
        if isinstance(error, OutcomeUnknown):
            delay_s = max(delay_s, 5.0)
        return delay_s


LIVEPERSON = RetryPolicy()
CHANNEL = RetryPolicy(delays_s=(2, 5, 15, 60, 240, 900, 1800, 3600, 7200, 14400, 14400))
