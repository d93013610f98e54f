"""What conversations do when a connector changes."""

from __future__ import annotations

import uuid
from typing import Any

from django.dispatch import receiver

from conversations import lanes
from core import queue
from installations.signals import sending_resumed


@receiver(sending_resumed)
def wake_lanes(*, installation_id: uuid.UUID, **_: Any) -> None:
    """
    What waited for a paused connector goes out, and what waited for a token.

    The whole account is looked at: consumers that several channels share wait under the channel last written on.
    """
    lanes.wake(installation_id=installation_id)
    queue.ring()
