"""
When the request at hand had come as a whole: before a thread was free for it.

Time that it waits for a thread is time that its sender waits. Imported by the web server before Django is loaded.
"""

from __future__ import annotations

import threading
import time

_here = threading.local()


def note(came_at: float) -> None:
    """Of the request that this thread is about to serve. came_at: by time.monotonic()."""
    _here.came_at = came_at


def take() -> float:
    """When this thread's request had come; where nobody noted it, now."""
    came_at: float | None = getattr(_here, "came_at", None)
    _here.came_at = None
    return time.monotonic() if came_at is None else came_at
