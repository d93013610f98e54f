"""
An erased consumer's traces in the inbox.

Bodies are bytes as they came; some cannot even be read. So those of the brand from the time in question are looked
through for the person's ids and for LivePerson's ids of the conversations, batch by batch. A body that speaks of
others too keeps their part. Digest, size and outcome of each delivery stay.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime
from functools import reduce
from operator import or_
from typing import Any

import structlog
from django.db import connection
from django.db.models import Q
from django.dispatch import receiver
from django.utils import timezone

from audit import api as audit
from audit.models import AuditEntry
from conversations.models import Erasure, Message
from conversations.services.erasure import Traces, consumer_erased, remove_words
from conversations.services.retention import BATCH
from core.actor import SYSTEM
from core.batches import batch_transaction
from core.ids import first_id_at
from installations.models import AppInstallation
from webhooks import ledger
from webhooks.dividing import part_of
from webhooks.models import Delivery, DeliveryBody, DeliveryState, Event, EventOutcome
from webhooks.tracing import Needles

logger = structlog.get_logger(__name__)

_MOST_BYTES = 8 * 1024 * 1024  # looked through in one batch


# --- at once ---------------------------------------------------------------------------------------------------------


@receiver(consumer_erased)
def erase_at_once(
    *, erasure: Erasure, traces: Traces, message_ids: list[uuid.UUID], words: Sequence[str], now: datetime, **_: Any
) -> None:
    """
    In the transaction of the erasure: what the messages' events say, and what waits to be applied.

    Applied later, it would bring the person back. A worker that applies it at this moment finds it ended, and undoes
    what it did.
    """
    needles = Needles(traces, consumer_id=erasure.pk)
    erasure.count(masked_in_trail=_mask_repairs(erasure, needles, words))
    erasure.save(update_fields=["removed"])
    _silence(Event.objects.filter(message_id__in=message_ids))
    waiting = Delivery.objects.filter(brand_id=erasure.consumer.brand_id, state=DeliveryState.STORED)
    account_id = erasure.consumer.account_id
    waiting = waiting.filter(Q(installation__account_id=account_id) | Q(channel__account_id=account_id))
    found = _found_among(waiting.values_list("pk", flat=True), needles)
    for delivery in _locked(found):
        _take_out(delivery, needles, erasure, now)


def _mask_repairs(erasure: Erasure, needles: Needles, words: Sequence[str]) -> int:
    """Who had a delivery of this person's applied again may have said whose it was."""
    entries = AuditEntry.objects.filter(brand_id=erasure.consumer.brand_id, action="delivery.reapplied")
    repaired = [uuid.UUID(one) for one in entries.values_list("subject_id", flat=True)]
    messages = Message.objects.filter(consumer_id=erasure.pk).values("pk")
    known_by = Q(message_id__in=messages) | Q(lp_conversation_id__in=needles.conversations)
    events = Event.objects.filter(known_by, delivery_id__in=repaired)
    theirs = {*events.values_list("delivery_id", flat=True), *_found_among(repaired, needles)}
    return audit.mask(subject_type="delivery", subject_ids=[str(one) for one in theirs], words=words)


# --- batch by batch --------------------------------------------------------------------------------------------------


def walk() -> Iterator[None]:
    """Work on what is under way until nothing is left to do now; each step of the iterator is one batch."""
    waits: set[uuid.UUID] = set()
    while _go_on_once(waits):
        yield


def finish() -> None:
    """The whole of it."""
    for _ in walk():
        pass


def _go_on_once(waits: set[uuid.UUID]) -> bool:
    """One batch of one erasure. waits: those that cannot go on now, added to."""
    now = timezone.now()
    with batch_transaction():
        erasure = (
            Erasure.objects.select_for_update(skip_locked=True, of=("self",))
            .filter(ended_at=None, consumer__brand__held_at=None)
            .exclude(pk__in=waits)
            .select_related("consumer")
            .order_by("begun_at")
            .first()
        )
        if erasure is None:
            return False
        if (message_ids := remove_words(erasure, now=now)) is not None:
            _silence(Event.objects.filter(message_id__in=message_ids))
            erasure.save(update_fields=["words_to", "removed"])
            return True
        batch = _next_deliveries(erasure)
        if not batch:
            _end(erasure, now)
            return True
        swept_to = _sweep(erasure, batch, now)
        if swept_to is None:
            waits.add(erasure.pk)
        else:
            erasure.swept_to = swept_to
            erasure.save(update_fields=["swept_to", "removed"])
    return True


def _next_deliveries(erasure: Erasure) -> list[uuid.UUID]:
    """Those that came before the erasure began, no more than can be looked through in a moment."""
    rows = (
        Delivery.objects.filter(
            brand_id=erasure.consumer.brand_id, pk__gt=erasure.swept_to, pk__lt=first_id_at(erasure.begun_at)
        )
        .order_by("pk")
        .values_list("pk", "size")[:BATCH]
    )
    chosen: list[uuid.UUID] = []
    total = 0
    for delivery_id, size in rows:
        total += size
        if chosen and total > _MOST_BYTES:
            break
        chosen.append(delivery_id)
    return chosen


def _sweep(erasure: Erasure, delivery_ids: list[uuid.UUID], now: datetime) -> uuid.UUID | None:
    """Returns up to where it has come; None when the first has to wait."""
    needles = Needles(Traces.from_bytes(erasure.reveal()), consumer_id=erasure.pk)
    _silence(_naming(delivery_ids, needles))
    _forget_requests(delivery_ids, needles)
    for delivery in _locked(_found_among(delivery_ids, needles)):
        if not _take_out(delivery, needles, erasure, now):
            before = [one for one in delivery_ids if one < delivery.pk]
            return before[-1] if before else None
    return delivery_ids[-1]


def _end(erasure: Erasure, now: datetime) -> None:
    erasure.ended_at, erasure.sealed = now, None
    erasure.save()
    audit.record("consumer.erasure_ended", actor=SYSTEM, subject=erasure.consumer.nameless, data=erasure.removed)
    logger.info("consumer.erasure_ended", consumer_id=str(erasure.pk))


def _naming(delivery_ids: list[uuid.UUID], needles: Needles) -> Iterable[Event]:
    """
    Events that name the person by themselves, also where the body has gone: a chat state by LivePerson's id of them,
    a channel's event by an id that was made of theirs.
    """
    named = reduce(or_, (Q(identity__contains=one) for one in needles.telling), Q(pk=None))
    return Event.objects.filter(named, delivery_id__in=delivery_ids)


def _forget_requests(delivery_ids: list[uuid.UUID], needles: Needles) -> None:
    named = reduce(or_, (Q(request_identity__contains=one) for one in needles.telling), Q(pk=None))
    Delivery.objects.filter(named, pk__in=delivery_ids).update(request_identity="")


def let_go(delivery: Delivery, row: Event, *, now: datetime) -> None:
    """LivePerson goes on about somebody who was erased: it has no effect, and the body is removed within a day."""
    row.outcome, row.identity, row.detail = EventOutcome.IGNORED, "", "Its consumer was erased."
    DeliveryBody.objects.filter(pk=delivery.pk, expires_on__gt=now.date()).update(expires_on=now.date())


# --- one delivery ----------------------------------------------------------------------------------------------------

_FOUND = """
    SELECT body.delivery_id FROM webhooks_deliverybody body
    WHERE body.delivery_id = ANY(%s)
      AND EXISTS (SELECT 1 FROM unnest(%s::bytea[]) AS needle WHERE position(needle IN body.raw) > 0)
"""


def _found_among(delivery_ids: Iterable[uuid.UUID], needles: Needles) -> list[uuid.UUID]:
    """Those whose bodies may speak of the person: the database looks through the bytes."""
    with connection.cursor() as cursor:
        cursor.execute(_FOUND, [list(delivery_ids), needles.as_bytes])
        return [delivery_id for (delivery_id,) in cursor.fetchall()]


def _locked(delivery_ids: list[uuid.UUID]) -> list[Delivery]:
    rows = Delivery.objects.select_for_update(of=("self",)).filter(pk__in=delivery_ids)
    return list(rows.select_related("channel", "installation").order_by("pk"))


def _take_out(delivery: Delivery, needles: Needles, erasure: Erasure, now: datetime) -> bool:
    """
    Take the person out of a delivery; False when it has to be applied first, because it speaks of others too and
    cannot be divided.
    """
    body = DeliveryBody.objects.select_for_update().filter(pk=delivery.pk).first()
    if body is None:
        return True
    part = part_of(delivery, bytes(body.raw), body.headers, needles)
    if part is None:
        return True  # only a part of another id, or a word of somebody else's
    if part.rest is None and part.places is not None and delivery.state == DeliveryState.STORED:
        return False
    events = Event.objects.filter(delivery=delivery).select_related("delivery")
    _silence(events if part.places is None else events.filter(index__in=part.places))
    if part.rest is not None:
        DeliveryBody.objects.filter(pk=delivery.pk).update(raw=part.rest)
        delivery.detail = "A part of its body was erased with a consumer."
        erasure.count(parts_of_bodies=1)
    else:
        body.delete()
        delivery.detail = "Its body was erased with a consumer."
        erasure.count(delivery_bodies=1)
        if delivery.state == DeliveryState.STORED:
            delivery.state, delivery.processed_at = DeliveryState.PROCESSED, now
            delivery.detail = "It was erased with its consumer before it was applied."
    delivery.save(update_fields=["detail", "state", "processed_at"])
    return True


def _silence(events: Iterable[Event]) -> None:
    """
    Events keep their facts and lose what may name a person: a channel's ids, LivePerson's id of who typed, remarks.

    The ledger goes on knowing them, so that they stay without a second effect; it forgets what they said.
    """
    events = list(events)
    owners = {d.pk: d for d in Delivery.objects.filter(pk__in={event.delivery_id for event in events})}
    sources = _sources_of(owners.values())
    known = [event for event in events if event.identity]
    ledger.forget_contents([(one, event.identity) for event in known for one in sources[event.delivery_id]])
    speaking = [e for e in events if owners[e.delivery_id].channel_id or not e.identity.startswith(("c:", "x:"))]
    for event in speaking:
        event.identity = event.detail = ""
        if event.outcome == EventOutcome.WAITING:
            event.outcome = EventOutcome.IGNORED
    Event.objects.bulk_update(speaking, ["identity", "detail", "outcome"], batch_size=BATCH)
    Delivery.objects.filter(pk__in=[d.pk for d in owners.values() if d.channel_id]).update(request_identity="")


def _sources_of(deliveries: Collection[Delivery]) -> dict[uuid.UUID, list[uuid.UUID]]:
    """
    By delivery, under which sources the ledger may know what it brought.

    What LivePerson tells stands under the app installation that opened the conversation: any of the account's.
    """
    told_by = AppInstallation.objects.filter(
        account__installations__in={d.installation_id for d in deliveries} - {None}
    )
    of_door: dict[uuid.UUID | None, list[uuid.UUID]] = defaultdict(list)
    for door, source in told_by.values_list("account__installations", "pk").distinct():
        of_door[door].append(source)
    return {d.pk: of_door[d.installation_id] if d.installation_id else [d.inbox_id] for d in deliveries}


__all__ = ["finish", "let_go", "walk"]
