"""What tests of usage share: rows made at a moment of one's choice, a whole count, and the same numbers by a query."""

from __future__ import annotations

import hashlib
import itertools
import uuid
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.db.models import Q, Sum

from conversations.models import (
    Consumer,
    Conversation,
    Direction,
    Dispatch,
    Lane,
    MediaFile,
    Message,
    Reckoning,
    RemovedFile,
    UsageConsumer,
    UsageCount,
    UsageStorage,
    UsageWalk,
)
from conversations.services.monthly_usage import COUNT_FIGURES
from core.ids import first_id_at
from core.vault import search_hash
from tests.factories import World
from webhooks.usage import walk

LONG_AGO = datetime(2025, 1, 1, tzinfo=UTC)
_numbers = itertools.count(1)


def nothing_counted() -> None:
    """Forget what the worlds say was counted."""
    for model in (UsageCount, UsageStorage, UsageConsumer, UsageWalk, RemovedFile):
        model.objects.all().delete()


def id_at(moment: datetime) -> uuid.UUID:
    """An id that was made then."""
    return uuid.UUID(int=first_id_at(moment).int | 7 << 76 | 2 << 62 | next(_numbers))


def count(*, now: datetime) -> None:
    """Both counts and the measuring, as far as they come at that moment."""
    for _ in walk(now=lambda: now):
        pass


def someone(world: World) -> Consumer:
    number = f"+49{next(_numbers)}"
    return Consumer.objects.create(
        brand=world.brand, account=world.account, channel=world.channel, ext_consumer_id=f"x:{number}",
        channel_consumer_id=number, search_hash=search_hash(number),
    )  # fmt: skip


def message(world: World, at: datetime, *, consumer: Consumer | None = None, **values: Any) -> Message:
    return Message.objects.create(
        **{
            "id": id_at(at), "brand": world.brand, "consumer": consumer or world.consumer, "channel": world.channel,
            "direction": Direction.TO_LIVEPERSON, "sender_role": "CONSUMER", "status": "SENT", "occurred_at": at,
            **values,
        }
    )  # fmt: skip


def sent(said: Message, at: datetime, **values: Any) -> Dispatch:
    """A send for a message that was accepted then."""
    lane = Lane.objects.get(consumer__brand_id=said.brand_id, direction=said.direction)
    return Dispatch.objects.create(
        **{
            "brand_id": said.brand_id, "lane": lane, "position": next(_numbers), "kind": "TEXT", "state": "SENT",
            "message": said, "finished_at": at, **values,
        }
    )  # fmt: skip


def file_of(said: Message, at: datetime, size: int) -> MediaFile:
    return MediaFile.objects.create(
        id=id_at(at), brand_id=said.brand_id, message=said, index=next(_numbers), name="a.png", mime="image/png",
        size=size, sha256=hashlib.sha256(b"").digest(), expires_on=at.date() + timedelta(days=90),
    )  # fmt: skip


def conversation(world: World, at: datetime) -> Conversation:
    return Conversation.objects.create(
        id=id_at(at), brand=world.brand, account=world.account, installation=world.installation,
        channel=world.channel, consumer=world.consumer, lp_conversation_id=f"c-{next(_numbers)}", state="CLOSED",
        opened_at=at,
    )  # fmt: skip


def asked_directly(world: World, month: date) -> dict[str, int]:
    """The figures of a month as a query over the rows themselves finds them."""
    begin = datetime(month.year, month.month, 1, tzinfo=UTC)
    end = (begin + timedelta(days=31)).replace(day=1)
    made = Q(pk__gte=first_id_at(begin), pk__lt=first_id_at(end))
    messages = Message.objects.filter(made, channel=world.channel)
    files = MediaFile.objects.filter(made, message__channel=world.channel)
    accepted = Dispatch.objects.filter(
        state="SENT", message__channel=world.channel, kind__in=["TEXT", "FILE", "RICH"],
        finished_at__gte=begin, finished_at__lt=end,
    )  # fmt: skip
    return {
        "messages_to_liveperson": messages.filter(direction="TO_LIVEPERSON").count(),
        "messages_to_channel": messages.filter(direction="TO_CHANNEL").exclude(audience="STAFF").count(),
        "private_notes": messages.filter(audience="STAFF").count(),
        "segments_to_liveperson": accepted.filter(message__direction="TO_LIVEPERSON").count(),
        "segments_to_channel": accepted.filter(message__direction="TO_CHANNEL").count(),
        "media_files": files.count(),
        "media_bytes": files.aggregate(total=Sum("size"))["total"] or 0,
        "conversations_opened": Conversation.objects.filter(made, channel=world.channel).count(),
        "consumers": messages.values("consumer").distinct().count(),
    }


def counted(world: World, month: date, reckoning: Reckoning = Reckoning.FINAL) -> dict[str, int]:
    """The figures of a month as they were counted."""
    row = UsageCount.objects.filter(channel=world.channel, month=month, reckoning=reckoning).first()
    return {name: getattr(row, name) if row else 0 for name in COUNT_FIGURES}
