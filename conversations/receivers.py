"""What conversations do when a connector changes."""

from __future__ import annotations

import uuid
from typing import Any

from django.db.models import Q
from django.db.models.functions import Now
from django.dispatch import receiver

from conversations.models import Lane
from core import queue
from installations.models import Channel
from installations.signals import sending_resumed


@receiver(sending_resumed)
def wake_lanes(*, installation_id: uuid.UUID, channel_id: uuid.UUID | None, **_: Any) -> None:
    """What waited for a paused connector goes out."""
    channels = Q(pk=channel_id) if channel_id else Q(installation_id=installation_id)
    Lane.objects.filter(
        due_at=None,
        blocked_by__in=("installation_paused", "channel_paused"),
        consumer__channel__in=Channel.objects.filter(channels),
    ).update(due_at=Now(), blocked_by="")
    queue.ring()
