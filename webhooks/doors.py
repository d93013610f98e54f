"""
By which doors what LivePerson tells of a channel's conversations comes in.

LivePerson tells every app installation of an account everything; two streams of the same would disturb each other's
order. So one counts: that of the channel's installation. When a channel has moved to another one, LivePerson tells the
former until it knows the new one's URL: what the former brought before the new one was told anything counts as well.
"""

from __future__ import annotations

import uuid

from core.ids import first_id_at
from installations.models import AppInstallation, Channel
from webhooks.models import Delivery


class Door:
    """One app installation's, for a moment: what it found is remembered."""

    def __init__(self, installation: AppInstallation) -> None:
        self._installation_id = installation.pk
        self._first_words: dict[uuid.UUID, uuid.UUID | None] = {}  # by channel

    def counts(self, channel: Channel, delivery: Delivery) -> bool:
        """Whether what this door's delivery tells of the channel's conversations is to be applied."""
        if channel.installation_id == self._installation_id:
            return True
        if channel.former_installation_id != self._installation_id:
            return False
        if channel.pk not in self._first_words:
            self._first_words[channel.pk] = _first_word(channel)
        first = self._first_words[channel.pk]
        return first is None or delivery.pk < first


def _first_word(channel: Channel) -> uuid.UUID | None:
    """The delivery by which LivePerson first told the installation anything since the channel moved to it."""
    assert channel.moved_at is not None
    told = Delivery.objects.filter(inbox_id=channel.installation_id, pk__gte=first_id_at(channel.moved_at))
    return told.order_by("pk").values_list("pk", flat=True).first()
