"""What a worker does: apply what has arrived, send what is due."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from conversations import lanes
from conversations.drain import Drain
from core import queue
from webhooks import applying, inboxes, waiting


def work(*, deadline_s: float) -> None:
    """Apply deliveries and drain the lanes they make due, until nothing is left or the time is over."""
    queue.answer()
    waiting.settle_waiting(now=timezone.now())
    Drain(deadline_s=deadline_s).run(feed=applying.apply_some)
    if inboxes.has_work() or lanes.has_due_work():
        queue.ring()


def sweep() -> None:
    """Ring when something is due: retries, expired leases, lost doorbells. Cheap; called every second."""
    if inboxes.has_work() or lanes.has_due_work() or waiting.has_waiting():
        with transaction.atomic():
            queue.ring()
