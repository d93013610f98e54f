"""
Times are counted in buckets of fixed edges, so that those of any brands and hours can be added up.

A percentile is therefore known to a bucket only: what is told is the bucket's upper edge, which at least so many stayed
below. LivePerson's limits are edges, so "below 2.5 s" is exact.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping

MORE = "more"
BEYOND = 2**31
ACK_MS = (2, 5, 10, 15, 20, 30, 50, 75, 100, 150, 250, 500, 1_000, 1_500, 2_000, 2_500, 3_500, 5_000, 10_000)
THROUGH_MS = (
    50, 100, 200, 300, 500, 750, 1_000, 1_500, 2_500, 5_000, 10_000, 30_000, 60_000, 300_000, 900_000, 3_600_000,
)  # fmt: skip
# LivePerson gives a webhook up after this, and counts it as failed.
ACK_LIMIT_MS = 2_500


def label_of(elapsed_ms: float, edges: tuple[int, ...]) -> str:
    """The bucket of a time: its upper edge, which itself belongs to the next one."""
    place = bisect_right(edges, elapsed_ms)
    return str(edges[place]) if place < len(edges) else MORE


def percentile_ms(counts: Mapping[str, int], share: float) -> int | None:
    """
    The upper edge of the bucket below which this share of all stays; None where nothing was counted.

    BEYOND: it lies above all edges.
    """
    total = sum(counts.values())
    if not total:
        return None
    edges = sorted(int(label) for label in counts if label != MORE)
    passed = 0
    for edge in edges:
        passed += counts[str(edge)]
        if passed >= share * total:
            return edge
    return BEYOND


def share_within(counts: Mapping[str, int], limit_ms: int) -> float | None:
    """The share of all that stayed below a limit that is an edge; None where nothing was counted."""
    total = sum(counts.values())
    if not total:
        return None
    return sum(count for label, count in counts.items() if label != MORE and int(label) <= limit_ms) / total
