"""
From stored deliveries to their effects: claim an inbox, read its next deliveries, apply them in their order.

A portion is applied in one transaction, because each costs too much alone. Where that breaks, each is tried alone, so
that the one that breaks it is found and its neighbours are not moved.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog
from django.db import DatabaseError, InterfaceError, connection, transaction
from django.utils import timezone

from adapters.base import content_of
from adapters.registry import get_adapter
from core.database import is_away
from core.errors import BodyUnusable
from core.events import ChannelEvent, LivePersonEvent
from webhooks import inboxes, ledger
from webhooks.handlers import apply_channel_event
from webhooks.inboxes import Lease
from webhooks.ledger import Claim, Entry
from webhooks.models import Delivery, DeliveryState, Event, EventOutcome, Inbox
from webhooks.notified import Portion
from webhooks.outcomes import event_row, set_effect
from webhooks.parsers import parse_liveperson

logger = structlog.get_logger(__name__)

MAX_STARTS = 3
# Deliveries of which a start was counted, and which the database kept from being applied: their starts are given back
# as soon as it can be reached. Should this process end before that, one start too many stays counted.
_owed: list[uuid.UUID] = []


class LeaseLost(Exception):
    """Another worker has the inbox by now, or has ended one of the deliveries: everything is rolled back."""


@dataclass(frozen=True, kw_only=True)
class _Read:
    """A delivery whose body was read. unusable: why it could not be."""

    delivery: Delivery
    from_liveperson: Sequence[LivePersonEvent] = ()
    from_channel: Sequence[ChannelEvent] = ()
    unusable: str = ""

    @property
    def end(self) -> tuple[str, str]:
        """Its state after it was applied, and a remark."""
        if self.unusable:
            return DeliveryState.QUARANTINED, self.unusable[:300]
        # A notification without a change leaves no event: this tells it from one whose events got lost.
        is_empty = not (self.from_liveperson or self.from_channel)
        return DeliveryState.PROCESSED, "It holds no change." if is_empty else ""


def apply_some() -> bool:
    """Apply a batch of one inbox; False when no inbox has anything to apply."""
    _settle_debts()
    lease = inboxes.claim()
    if lease is None:
        return False
    try:
        _apply_batch(lease)
    except (DatabaseError, InterfaceError):
        _release_if_possible(lease)
        raise
    inboxes.release(lease)
    return True


def _apply_batch(lease: Lease) -> None:
    """Apply what comes next. Deliveries that were started and not ended, by no fault of theirs, were not started."""
    batch = inboxes.next_batch(lease)
    left = [delivery.pk for delivery in batch]
    try:
        # A channel's do not tell their consumers before they are applied; so these cannot be locked in one order.
        if len(batch) > 1 and batch[0].installation is not None and _apply_together(batch, lease):
            left.clear()
            return
        for delivery in batch:
            if not _apply_guarded(delivery, lease):
                return
            left.remove(delivery.pk)
    finally:
        _owed.extend(left)


def _settle_debts() -> None:
    if _owed:
        inboxes.give_back(_owed)
        _owed.clear()


def _release_if_possible(lease: Lease) -> None:
    """After an error of the database; where it is away, the lease runs out by itself."""
    try:
        if connection.connection is not None and not connection.is_usable():
            connection.close()  # the next statement makes a fresh one
        _settle_debts()
        inboxes.release(lease)
    except (DatabaseError, InterfaceError):
        pass


# --- several, or one -------------------------------------------------------------------------------------------------


def _apply_together(batch: Sequence[Delivery], lease: Lease) -> bool:
    """Apply a whole batch in one transaction; False when that did not work, and nothing was done."""
    try:
        with transaction.atomic():
            _apply(batch, lease)
        return True
    except LeaseLost:
        return False  # whether it was the lease, or one delivery that somebody ended, shows one by one
    except Exception as error:
        if is_away(error) and not _is_deadlock(error):
            raise
        logger.warning("delivery.batch.broke", deliveries=len(batch), error=type(error).__name__)
        return False


def _is_deadlock(error: Exception) -> bool:
    """One delivery alone holds one consumer only, and so is in nobody's way."""
    return getattr(error.__cause__, "sqlstate", None) == "40P01"


def _apply_guarded(delivery: Delivery, lease: Lease) -> bool:
    """Apply one delivery; an error of our own is retried, then the delivery is set aside. False: the lease is lost."""
    with structlog.contextvars.bound_contextvars(correlation_id=str(delivery.pk)):
        return _try_thrice(delivery, lease)


def _try_thrice(delivery: Delivery, lease: Lease) -> bool:
    if delivery.start_count > MAX_STARTS:
        logger.error("delivery.given_up", delivery_id=str(delivery.pk), starts=delivery.start_count)
        delivery.detail = "Workers ended while they applied it."
        _set_aside(delivery)
        return True
    while True:
        try:
            with transaction.atomic():
                _apply([delivery], lease)
            return True
        except LeaseLost:
            return False
        except Exception as error:
            if is_away(error):
                raise
            _note_break(delivery, error)
        if delivery.start_count >= MAX_STARTS:
            _set_aside(delivery)
            return True
        delivery.start_count += 1
        Delivery.objects.filter(pk=delivery.pk).update(start_count=delivery.start_count)


def _set_aside(delivery: Delivery) -> None:
    Delivery.objects.filter(pk=delivery.pk, state=DeliveryState.STORED).update(
        state=DeliveryState.DEAD, detail=delivery.detail[:300], processed_at=timezone.now()
    )


def _note_break(delivery: Delivery, error: Exception) -> None:
    # The class only: the message of an error may hold what the consumer wrote.
    delivery.detail = f"An error of our own: {type(error).__name__}."
    logger.exception("delivery.apply.broke", delivery_id=str(delivery.pk), starts=delivery.start_count)


# --- in one transaction ----------------------------------------------------------------------------------------------


def _apply(deliveries: Sequence[Delivery], lease: Lease) -> None:
    """Apply deliveries of one inbox. Raises LeaseLost when they are not this worker's to apply."""
    now = timezone.now()
    read = [_read(delivery) for delivery in deliveries]
    installation = deliveries[0].installation
    if installation is not None:
        together = [(one.delivery, one.from_liveperson) for one in read]
        portion = Portion(installation, together, gap_wait_s=lease.gap_wait_s, now=now)
        for one in read:
            with structlog.contextvars.bound_contextvars(correlation_id=str(one.delivery.pk)):
                portion.apply(one.delivery, one.from_liveperson)
        portion.flush()
    else:
        for one in read:
            with structlog.contextvars.bound_contextvars(correlation_id=str(one.delivery.pk)):
                _apply_from_channel(one.delivery, one.from_channel, now)
    _finish(read, lease, now=now)


def _read(delivery: Delivery) -> _Read:
    raw = bytes(delivery.body.raw)
    try:
        if delivery.channel is None:
            return _Read(delivery=delivery, from_liveperson=parse_liveperson(raw))
        adapter = get_adapter(delivery.channel.type)
        return _Read(delivery=delivery, from_channel=adapter.parse_inbound(raw, delivery.body.headers))
    except BodyUnusable as error:
        return _Read(delivery=delivery, unusable=error.detail)


def _finish(read: Sequence[_Read], lease: Lease, *, now: datetime) -> None:
    """The end of deliveries, if they are still this worker's to end."""
    by_end: dict[tuple[str, str], list[uuid.UUID]] = defaultdict(list)
    for one in read:
        by_end[one.end].append(one.delivery.pk)
    held = Inbox.objects.filter(pk=lease.inbox_id, fence=lease.fence)
    for (state, detail), ids in by_end.items():
        ended = Delivery.objects.filter(pk__in=ids, state=DeliveryState.STORED, inbox__in=held).update(
            state=state, processed_at=now, detail=detail
        )
        if ended != len(ids):
            raise LeaseLost


def _apply_from_channel(delivery: Delivery, events: Sequence[ChannelEvent], now: datetime) -> None:
    assert delivery.channel is not None
    lasting = [event for event in events if ledger.is_lasting(event)]
    claims = ledger.claim(
        source_id=delivery.inbox_id,
        brand_id=delivery.brand_id,
        entries=[
            Entry(delivery_id=delivery.pk, identity=event.identity, content=content_of(event)) for event in lasting
        ],
        now=now,
    )
    known = {id(event): claim for event, claim in zip(lasting, claims, strict=True)}
    rows = []
    for index, event in enumerate(events):
        row = event_row(delivery, index, type(event).__name__, event.identity, now)
        seen = known.get(id(event), Claim.FIRST)
        if seen is Claim.FIRST:
            effect = apply_channel_event(
                channel=delivery.channel, event=event, correlation_id=str(delivery.pk), now=now
            )
            set_effect(row, effect)
        else:
            row.outcome = EventOutcome[seen.name]
        rows.append(row)
    Event.objects.bulk_create(rows)
