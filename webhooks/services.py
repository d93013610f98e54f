"""What a worker does: apply what has arrived, send what is due."""

from __future__ import annotations

import time
from collections.abc import Callable

from django.db import transaction
from django.utils import timezone

from conversations import lanes, waking
from conversations.drain import Drain
from core import queue, restoring
from installations import pausing
from webhooks import applying, inboxes, waiting

_LOOK_EVERY_S = 1.0


def work(*, deadline_s: float, is_stopping: Callable[[], bool] = lambda: False) -> None:
    """
    Apply deliveries and drain the lanes they make due, until nothing is left or the time is over.

    is_stopping: asked now and then; from then on nothing new is begun.
    """
    queue.answer()
    if restoring.is_unfinished():
        return
    Drain(deadline_s=deadline_s, is_stopping=is_stopping).run(feed=_Feed())
    if inboxes.has_work() or lanes.has_due_work():
        queue.ring()


class _Feed:
    """One portion a call. What waits is looked at now and then, also while there is always something to apply."""

    def __init__(self) -> None:
        self._looked_at_s = float("-inf")

    def __call__(self) -> bool:
        if restoring.is_unfinished():
            return False
        if time.monotonic() - self._looked_at_s >= _LOOK_EVERY_S:
            self._looked_at_s = time.monotonic()
            waiting.settle_waiting(now=timezone.now())
            waiting.settle_held(now=timezone.now())
        return applying.apply_some()


def sweep() -> None:
    """
    End the pauses whose time is over, and ring when something is due: retries, expired leases, lost doorbells.

    Cheap; called every second.
    """
    pausing.end_those_over()
    waking.go_on()
    if inboxes.has_work() or lanes.has_due_work() or waiting.has_waiting():
        with transaction.atomic():
            queue.ring()
