"""Lanes that slept for a pause are looked at again once it has ended, so many at a time."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from conversations import lanes
from installations.models import Pause, PauseScope

# Of one statement; more than are sent until the next sweep.
PORTION = 2_000


def wake_portion(pause: Pause) -> None:
    """Wake the next of those that slept for it, and note how far that is. The caller holds the row of the pause."""
    woken_to = lanes.wake_sleeping(
        scope=PauseScope(pause.scope), target_id=pause.target_id, after=pause.woken_to, at_most=PORTION
    )
    if woken_to is None:
        pause.woken_at = timezone.now()
    else:
        pause.woken_to = woken_to
    pause.save(update_fields=["woken_at", "woken_to"])


def go_on() -> None:
    """Wake the next of those that slept for pauses that have ended. Called every second."""
    unfinished = Pause.objects.filter(ended_at__isnull=False, woken_at=None)
    with transaction.atomic():
        for pause in unfinished.select_for_update(skip_locked=True, of=("self",)):
            wake_portion(pause)
