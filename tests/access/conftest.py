"""
The stage of the matrix, and its sum at the end of a run.

What needs Django is imported inside of fixtures: pytest may read this file before Django is set up.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.access.matrix import Stage

CELLS, LEAKS, UNRULED = "matrix cells", "matrix leaks", "matrix routes without a rule"


@pytest.fixture(scope="module")
def whole_stage(django_db_setup: None, django_db_blocker: Any) -> Iterator[Stage]:
    """Committed once, because it takes seconds to set up; what a test does to it is rolled back."""
    from knox.models import AuthToken

    from tests.access.matrix import make_stage
    from tests.conversations.database import empty

    with django_db_blocker.unblock():
        stage = make_stage()
    yield stage
    with django_db_blocker.unblock():
        AuthToken.objects.all().delete()
        empty()


@pytest.fixture
def stage(whole_stage: Stage, db: None, record_property: Any) -> Iterator[Stage]:
    """The stage, with the sums of one test; a test that let something leak fails."""
    whole_stage.cells, whole_stage.leaks = 0, []
    yield whole_stage
    record_property(CELLS, whole_stage.cells)
    record_property(LEAKS, len(whole_stage.leaks))
    assert not whole_stage.leaks, "\n".join(whole_stage.leaks[:20])


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """One line, from what the tests recorded; with several processes their reports carry it here."""
    sums = dict.fromkeys((CELLS, LEAKS, UNRULED), 0)
    for reports in terminalreporter.stats.values():
        for report in reports:
            if getattr(report, "when", "") == "teardown":
                for name, value in report.user_properties:
                    if name in sums:
                        sums[name] += value
    if sums[CELLS]:
        terminalreporter.write_line(
            f"route matrix: cells {sums[CELLS]}, leaks {sums[LEAKS]}, routes without a rule {sums[UNRULED]}"
        )
