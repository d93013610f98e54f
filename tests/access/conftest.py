"""Prints the sum of the matrix at the end of a run."""

from __future__ import annotations

from typing import Any

CELLS, LEAKS, UNRULED = "matrix cells", "matrix leaks", "matrix routes without a rule"


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """One line, from what the tests recorded; with several processes their reports carry it here."""
    sums = dict.fromkeys((CELLS, LEAKS, UNRULED), 0)
    reports = [report for group in terminalreporter.stats.values() for report in group if hasattr(report, "when")]
    for report in reports:
        if report.when == "teardown":
            for name, value in report.user_properties:
                if name in sums:
                    sums[name] += value
    if sums[CELLS]:
        terminalreporter.write_line(
            f"route matrix: cells {sums[CELLS]}, leaks {sums[LEAKS]}, routes without a rule {sums[UNRULED]}"
        )
