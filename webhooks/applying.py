"""
From a stored delivery to its effects: split into events, drop what was seen, apply the rest in order.

One transaction a delivery. Whether an event of LivePerson concerns us is decided here: notifications come for every
conversation of the account, other connectors' too.
"""

from __future__ import annotations

import hashlib
import uuid
from datetime import datetime, timedelta

import structlog
from django.db import DatabaseError, InterfaceError, connection, transaction
from django.utils import timezone

from adapters.base import content_of
from adapters.registry import get_adapter
from conversations.models import Conversation
from conversations.services.agent_side import adopt_conversation
from conversations.services.effects import Effect
from core.database import refuses_row
from core.errors import BodyUnusable
from core.events import (
    ChannelEvent,
    ChatStateChanged,
    ConversationChanged,
    DialogEvent,
    EventUnknown,
    EventUnreadable,
    LivePersonEvent,
)
from core.ids import made_at
from webhooks import erasure, inboxes, ledger
from webhooks.handlers import apply_channel_event, apply_liveperson_event
from webhooks.inboxes import Lease
from webhooks.ledger import Claim
from webhooks.models import Delivery, DeliveryBody, DeliveryState, Event, EventOutcome, Inbox
from webhooks.parsers import parse_liveperson

logger = structlog.get_logger(__name__)

MAX_STARTS = 3
FOREIGN_AFTER = timedelta(seconds=60)
_CHAT_STATE_SAME_S = 5
# LivePerson tries for three days at most. Source: developers.liveperson.com/connector-api-webhooks-retry-policy.html
_REPEATED_WITHIN = timedelta(days=3, hours=1)
# What arrived before its conversation was known waits at most so long after the opening.
_RECENT = FOREIGN_AFTER + timedelta(seconds=10)
# Deliveries of which a start was counted, and which the database kept from being applied: their starts are given back
# as soon as it can be reached. Should this process end before that, one start too many stays counted.
_owed: list[uuid.UUID] = []


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
                _apply(delivery, lease)
            return True
        except LeaseLost:
            return False
        except Exception as error:
            if _is_database_away(error):
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


class LeaseLost(Exception):
    """Another worker has the inbox by now, or has applied this delivery: everything is rolled back."""


def _apply(delivery: Delivery, lease: Lease) -> None:
    now = timezone.now()
    raw = bytes(delivery.body.raw)
    try:
        if delivery.installation is not None:
            changes = parse_liveperson(raw)
            _apply_from_liveperson(delivery, changes, now)
            is_empty = not changes
        else:
            assert delivery.channel is not None
            events = get_adapter(delivery.channel.type).parse_inbound(raw, delivery.body.headers)
            _apply_from_channel(delivery, events, now)
            is_empty = not events
    except BodyUnusable as error:
        _finish(delivery, lease, state=DeliveryState.QUARANTINED, detail=error.detail, now=now)
        return
    # A notification without a change leaves no event: this tells it from one whose events got lost.
    detail = "It holds no change." if is_empty else ""
    _finish(delivery, lease, state=DeliveryState.PROCESSED, detail=detail, now=now)


def _finish(delivery: Delivery, lease: Lease, *, state: str, detail: str, now: datetime) -> None:
    """The end of a delivery, if it is still this worker's to end. Raises LeaseLost."""
    held = Inbox.objects.filter(pk=lease.inbox_id, fence=lease.fence)
    ended = Delivery.objects.filter(pk=delivery.pk, state=DeliveryState.STORED, inbox__in=held).update(
        state=state, processed_at=now, detail=detail[:300]
    )
    if not ended:
        raise LeaseLost


def _apply_from_channel(delivery: Delivery, events: list[ChannelEvent], now: datetime) -> None:
    assert delivery.channel is not None
    rows = []
    for index, event in enumerate(events):
        row = _event_row(delivery, index, type(event).__name__, event.identity, now)
        seen = Claim.FIRST
        if ledger.is_lasting(event):
            seen = _claim(delivery, event.identity, content_of(event), now)
        if seen is Claim.FIRST:
            effect = apply_channel_event(
                channel=delivery.channel, event=event, correlation_id=str(delivery.pk), now=now
            )
            _set(row, effect)
        else:
            row.outcome = EventOutcome[seen.name]
        rows.append(row)
    Event.objects.bulk_create(rows)


def _apply_from_liveperson(delivery: Delivery, events: list[LivePersonEvent], now: datetime) -> None:
    rows, handled = [], dict[str, bytes]()
    for index, event in enumerate(events):
        row = _event_row(delivery, index, event.type, event.identity, now)
        row.lp_conversation_id = event.lp_conversation_id[:256]
        if event.identity in handled:
            is_same = handled[event.identity] == event.content
            row.outcome = EventOutcome.DUPLICATE if is_same else EventOutcome.CONFLICT
        else:
            _apply_one(delivery, event, row, now)
            handled[event.identity] = event.content
        rows.append(row)
    Event.objects.bulk_create(rows)


def _apply_one(delivery: Delivery, event: LivePersonEvent, row: Event, now: datetime) -> None:
    """Decide whose an event is, and apply it if it is ours and new; the row says what came of it."""
    if isinstance(event, (EventUnreadable, EventUnknown)):
        row.outcome = EventOutcome.UNREADABLE if isinstance(event, EventUnreadable) else EventOutcome.UNKNOWN_TYPE
        row.detail = getattr(event, "why", "")[:300]
        return
    assert delivery.installation is not None
    conversation = _conversation_of(delivery, event, now)
    if conversation is None:
        row.outcome = EventOutcome.WAITING
        row.account_id = delivery.installation.account_id
        return
    if conversation.channel.installation_id != delivery.installation_id:
        row.outcome = EventOutcome.IGNORED
        row.detail = "Another app installation carries this conversation."
        return
    if conversation.consumer.erased_at is not None:
        erasure.let_go(delivery, row, now=now)
        return
    if row.outcome != EventOutcome.WAITING and _known_since(conversation, now) < _RECENT:
        _apply_waiting(delivery, conversation, now)
    seen = _claim(delivery, _identity(event, delivery), event.content, now)
    if seen is not Claim.FIRST:
        row.outcome = EventOutcome[seen.name]
        return
    if _is_stale(event, delivery):
        row.outcome = EventOutcome.STALE
        row.detail = "LivePerson said it longer ago than it repeats anything."
        return
    _set(
        row,
        apply_liveperson_event(conversation=conversation, event=event, correlation_id=str(delivery.pk), now=now),
    )


def _is_stale(event: LivePersonEvent, delivery: Delivery) -> bool:
    """
    Whether an event is older than any that LivePerson still tells: somebody plays back what they once recorded.

    Compared with its arrival here, for it may have waited long to be applied.
    """
    server_at = event.server_at if isinstance(event, DialogEvent) else None
    return server_at is not None and delivery.received_at - server_at > _REPEATED_WITHIN


def _known_since(conversation: Conversation, now: datetime) -> timedelta:
    """How long we have known it, by our own clock: LivePerson's may say that it was opened long ago."""
    return now - (made_at(conversation.pk) or conversation.opened_at)


def _claim(delivery: Delivery, identity: str, content: bytes, now: datetime) -> Claim:
    return ledger.claim(
        source_id=delivery.inbox_id,
        brand_id=delivery.brand_id,
        delivery_id=delivery.pk,
        identity=identity,
        content=content,
        now=now,
    )


def _conversation_of(delivery: Delivery, event: LivePersonEvent, now: datetime) -> Conversation | None:
    assert delivery.installation is not None
    ours = Conversation.objects.filter(account_id=delivery.installation.account_id)
    ours = ours.select_related("channel", "brand", "consumer")
    known = ours.filter(lp_conversation_id=event.lp_conversation_id).first()
    if known is not None:
        return known
    if isinstance(event, ConversationChanged):
        return adopt_conversation(installation=delivery.installation, event=event, now=now)
    # Some notifications of a survey name its dialog only.
    return ours.filter(dialogs__lp_dialog_id=event.lp_dialog_id).first() if event.lp_dialog_id else None


def _apply_waiting(delivery: Delivery, conversation: Conversation, now: datetime) -> None:
    """What came before the conversation was known is applied before what comes after."""
    # Locked, because another worker may be about to apply them.
    waiting = Event.objects.select_for_update(of=("self",), skip_locked=True).filter(
        outcome=EventOutcome.WAITING,
        account_id=conversation.account_id,
        lp_conversation_id=conversation.lp_conversation_id,
        delivery__installation_id=delivery.installation_id,
    )
    for row in waiting.select_related("delivery__installation").order_by("id"):
        _apply_late_guarded(row, now)


def settle_waiting(*, now: datetime) -> None:
    """Apply what has waited for a conversation that is known by now, and call foreign what has waited too long."""
    for row in _now_known():
        with transaction.atomic():
            locked = (
                Event.objects.select_for_update(of=("self",), skip_locked=True)
                .filter(pk=row, outcome=EventOutcome.WAITING)
                .select_related("delivery__installation")
                .first()
            )
            if locked is not None:
                _apply_late_guarded(locked, now)
    _call_foreign(now)


def has_waiting() -> bool:
    """Whether an event waits to see whose it is."""
    return Event.objects.filter(outcome=EventOutcome.WAITING).exists()


def _now_known() -> list[uuid.UUID]:
    known = Event.objects.raw(
        """
        SELECT event.id FROM webhooks_event event
        JOIN conversations_conversation conversation
          ON conversation.account_id = event.account_id
         AND conversation.lp_conversation_id = event.lp_conversation_id
        WHERE event.outcome = 'WAITING' ORDER BY event.id LIMIT 200
        """
    )
    return [row.pk for row in known]


def _apply_late_guarded(row: Event, now: datetime) -> None:
    """What breaks here must stop neither the others that wait nor the delivery that made them known."""
    try:
        with transaction.atomic():
            _apply_late(row, now)
        return
    except Exception as error:
        if _is_database_away(error):
            raise
        kind = type(error).__name__
    logger.error("event.apply.broke", event_id=str(row.pk), error=kind)
    Event.objects.filter(pk=row.pk).update(
        outcome=EventOutcome.UNREADABLE, detail=f"An error of our own: {kind}.", at=now
    )


def _is_database_away(error: Exception) -> bool:
    """Whether nothing is wrong with the row: the database was lost, too slow, or chose another transaction."""
    return isinstance(error, (DatabaseError, InterfaceError)) and not refuses_row(error)


def _apply_late(row: Event, now: datetime) -> None:
    body = DeliveryBody.objects.filter(pk=row.delivery_id).first()
    row.at = now
    if body is None:
        row.outcome, row.detail = EventOutcome.UNREADABLE, "Its body has been deleted."
    else:
        event = parse_liveperson(bytes(body.raw))[row.index]
        _apply_one(row.delivery, event, row, now)
    row.save()


def _call_foreign(now: datetime) -> None:
    """Of what belongs to other connectors the digest, the size and the outcome stay; the body goes within a day."""
    with transaction.atomic():
        rows = Event.objects.filter(outcome=EventOutcome.WAITING, at__lt=now - FOREIGN_AFTER)
        delivery_ids = list(rows.values_list("delivery_id", flat=True)[:2000])
        if not delivery_ids:
            return
        rows.filter(delivery_id__in=delivery_ids).update(outcome=EventOutcome.FOREIGN, at=now)
        still_needed = Event.objects.filter(delivery_id__in=delivery_ids).exclude(outcome=EventOutcome.FOREIGN)
        kept = set(still_needed.values_list("delivery_id", flat=True))
        DeliveryBody.objects.filter(pk__in=set(delivery_ids) - kept).update(expires_on=now.date())


def _identity(event: LivePersonEvent, delivery: Delivery) -> str:
    if not isinstance(event, ChatStateChanged):
        return event.identity
    # Chat states have neither number nor time: the same one within a few seconds is the same one.
    return f"{event.identity}:{int(delivery.received_at.timestamp()) // _CHAT_STATE_SAME_S}"


def _event_row(delivery: Delivery, index: int, event_type: str, identity: str, now: datetime) -> Event:
    short = identity if len(identity) <= 600 else hashlib.sha256(identity.encode()).hexdigest()
    return Event(
        brand_id=delivery.brand_id,
        delivery=delivery,
        index=index,
        type=event_type[:64],
        identity=short,
        outcome=EventOutcome.IGNORED,
        at=now,
    )


def _set(row: Event, effect: Effect) -> None:
    row.outcome = EventOutcome[effect.kind.name]
    row.detail = effect.detail[:300]
    row.message_id = effect.message_id


def _note_break(delivery: Delivery, error: Exception) -> None:
    # The class only: the message of an error may hold what the consumer wrote.
    delivery.detail = f"An error of our own: {type(error).__name__}."
    logger.exception("delivery.apply.broke", delivery_id=str(delivery.pk), starts=delivery.start_count)
