"""What every worker does beside the sweep, a little at a time: erase, remove what is too old, count."""

from __future__ import annotations

from connector_site.bulk import services as bulk
from connector_site.rollups import counting
from core.walker import Walk, Walker
from webhooks import erasure, retention, usage


def walkers() -> list[Walker]:
    """To be called one after the other, every second. Their budgets together are less than that."""
    return [
        # What is erased does not wait. Days are what all else is kept for.
        Walker(
            Walk("erasure", erasure.walk, pause_s=0.5),
            Walk("retention", retention.walk, pause_s=600),
            Walk("bulk.previews", bulk.forget_old_previews, pause_s=600),
            budget_s=0.3,
        ),
        Walker(Walk("usage", usage.walk, pause_s=20), budget_s=0.2),
        Walker(
            Walk("rollups.forgetting", counting.forget, pause_s=600),
            Walk("rollups", counting.walk, pause_s=4),
            budget_s=0.15,
        ),
    ]


__all__ = ["walkers"]
