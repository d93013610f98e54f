"""
How much is generated: a fixed amount in every run of the tests, far more and by chance with LONG=1.

In a usual run nothing is left to chance: the same input every time, so that a red test is red for everybody. A failure
found by chance prints what reproduces it.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, Phase, settings

IS_LONG = os.environ.get("LONG", "") == "1"
_SLOW = [
    HealthCheck.too_slow,
    HealthCheck.data_too_large,
    HealthCheck.function_scoped_fixture,
    HealthCheck.filter_too_much,
]


def examples(usual: int, *, long: int, steps: int = 0) -> settings:
    """The settings of one generated test. steps: of one example, for machines."""
    return settings(
        max_examples=long if IS_LONG else usual,
        stateful_step_count=max(steps, 1),
        derandomize=not IS_LONG,
        database=None,
        deadline=None,
        print_blob=IS_LONG,
        suppress_health_check=_SLOW,
        phases=(Phase.explicit, Phase.generate, *((Phase.shrink,) if IS_LONG else ())),
    )
