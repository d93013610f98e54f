"""What conversations do when a connector changes."""

from __future__ import annotations

import uuid
from typing import Any

from django.dispatch import receiver

from conversations import lanes, waking
from core import queue
from installations.models import Pause
from installations.signals import pause_ended, sending_resumed


@receiver(sending_resumed)
def wake_lanes(*, installation_id: uuid.UUID, **_: Any) -> None:
    """
    What waited for a paused connector goes out, and what waited for a token.

    The whole account is looked at: consumers that several channels share wait under the channel last written on.
    """
    lanes.wake(installation_id=installation_id)
    queue.ring()


@receiver(pause_ended)
def wake_sleepers(*, pause: Pause, **_: Any) -> None:
    """What waited for a pause goes on: the first of it at once, what is more with the next sweeps."""
    waking.wake_portion(pause)
    queue.ring()
