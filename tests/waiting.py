"""Waiting for what comes about by itself: in another process, or in another thread."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


def comes_about(is_so: Callable[[], Any], within_s: float = 20.0, *, by: Callable[[], Any] = lambda: None) -> bool:
    """Whether it does. by: what is done between two looks."""
    deadline = time.monotonic() + within_s
    while not is_so():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
        by()
    return True


def wait_until(is_so: Callable[[], Any], *, within_s: float = 30.0, by: Callable[[], Any] = lambda: None) -> None:
    """Fails where it does not."""
    assert comes_about(is_so, within_s=within_s, by=by), f"It did not come about within {within_s:.0f} s."
