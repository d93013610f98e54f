"""Numbers and times of the first page, as people read them."""

from __future__ import annotations

from datetime import datetime

from connector_site.models import Figure
from connector_site.overview.now import COUNTED_AT_MOST
from connector_site.rollups.buckets import BEYOND
from connector_site.rollups.series import Figures

_WAITS_LONG_S, _WAITS_TOO_LONG_S = 10.0, 60.0


def duration(elapsed_ms: float | None) -> str:
    """A time as people read it."""
    if elapsed_ms is None:
        return "–"
    if elapsed_ms < 1_000:
        return f"{elapsed_ms:.0f} ms"
    seconds = elapsed_ms / 1_000
    if seconds < 60:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.0f} min" if seconds < 3_600 else f"{seconds / 3_600:.0f} h"


def percentile(figures: Figures, figure: Figure, share: float, edges: tuple[int, ...]) -> str:
    """The bucket's upper edge, or that it lies above all edges."""
    found = figures.percentile_ms(figure, share)
    return f"over {duration(edges[-1])}" if found == BEYOND else duration(found)


def capped(count: int, at_most: int = COUNTED_AT_MOST) -> str:
    return f"{at_most:,}+" if count >= at_most else f"{count:,}"


def waited(since: datetime | None, now: datetime) -> tuple[str, str]:
    """For how long something waits, and the tone of it."""
    if since is None:
        return "", "plain"
    age_s = max(0.0, (now - since).total_seconds())
    tone = "bad" if age_s > _WAITS_TOO_LONG_S else "wait" if age_s > _WAITS_LONG_S else "plain"
    return f"for {duration(max(age_s, 1) * 1_000)}", tone
