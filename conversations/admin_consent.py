"""
On which channels a consumer is reached, and whether they want to be.

Consent is not asked for here: people write first, and channels say when somebody has left, blocked us or opted out. So
it is read from what the channels have answered.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from conversations.models import Consumer, Direction, Dispatch, DispatchState, Message
from core.errors import ConsumerGone
from installations.models import Channel

_MOST_LOOKED_AT = 200


@dataclass(kw_only=True)
class Reached:
    """One channel. Each moment is the newest of what was looked at; None: not among it."""

    channel: Channel
    is_current: bool
    wrote_at: datetime | None = None
    taken_at: datetime | None = None
    left_at: datetime | None = None

    @property
    def has_left(self) -> bool:
        """Whether the channel's refusal is the newest thing known: who writes again wants to be answered."""
        others = [at for at in (self.wrote_at, self.taken_at) if at is not None]
        return self.left_at is not None and all(at < self.left_at for at in others)


def channels_of(consumer: Consumer) -> Sequence[Reached]:
    """The channels of a consumer's newest messages and sends, the current one first; three statements."""
    said = Message.objects.filter(consumer=consumer).order_by("-id")
    sends = Dispatch.objects.filter(consumer=consumer).order_by("-id")
    wrote = [one for one in said[:_MOST_LOOKED_AT] if one.direction == Direction.TO_LIVEPERSON and not one.is_test]
    tried = [one for one in sends[:_MOST_LOOKED_AT] if one.direction == Direction.TO_CHANNEL]
    ids = {consumer.channel_id, *(one.channel_id for one in wrote), *(one.channel_id for one in tried)}
    reached: dict[uuid.UUID, Reached] = {
        row.pk: Reached(channel=row, is_current=row.pk == consumer.channel_id)
        for row in Channel.objects.filter(pk__in=ids)
    }
    for message in wrote:
        of = reached[message.channel_id]
        of.wrote_at = of.wrote_at or message.created_at
    for dispatch in tried:
        of = reached[dispatch.channel_id]
        if dispatch.state == DispatchState.SENT:
            of.taken_at = of.taken_at or dispatch.finished_at
        elif dispatch.error_code == ConsumerGone.code:
            of.left_at = of.left_at or dispatch.finished_at
    return sorted(reached.values(), key=lambda one: (not one.is_current, one.channel.name))


__all__ = ["Reached", "channels_of"]
