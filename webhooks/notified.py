"""
LivePerson's events: whose each is, whether it is new, and what comes of it.

Notifications come for every conversation of the account, other connectors' too. What a portion of deliveries needs to
know is read and locked at once, because in a flood each of them costs too much alone.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog
from django.db import transaction
from django.db.models import Max, Q, Window

from conversations import sequences
from conversations.models import Consumer, Conversation, Dialog
from conversations.sequences import Place
from conversations.services.agent_side import adopt_conversation, mark_gap
from core.database import is_away
from core.events import (
    ChatStateChanged,
    ConversationChanged,
    DialogEvent,
    EventUnknown,
    EventUnreadable,
    LivePersonEvent,
)
from core.ids import made_at
from installations.models import AppInstallation
from webhooks import erasure, gaps, ledger
from webhooks.doors import Door
from webhooks.handlers import apply_liveperson_event
from webhooks.ledger import Claim, Entry
from webhooks.models import Delivery, DeliveryBody, Event, EventOutcome, Held
from webhooks.outcomes import event_row, set_effect
from webhooks.parsers import parse_liveperson

logger = structlog.get_logger(__name__)

FOREIGN_AFTER = timedelta(seconds=60)
_CHAT_STATE_SAME_S = 5
# LivePerson tries for three days at most. Source: developers.liveperson.com/connector-api-webhooks-retry-policy.html
_REPEATED_WITHIN = timedelta(days=3, hours=1)
# What arrived before its conversation was known waits at most so long after the opening.
_RECENT = FOREIGN_AFTER + timedelta(seconds=10)
_FOR_EVER = datetime.max.replace(tzinfo=UTC)
# Held events that one transaction applies beside its deliveries. Each costs some ten statements: without a bound what
# waits in many dialogs for a few words could take a transaction longer than a task may last.
MOST_SET_FREE = 50

Read = Sequence[tuple[Delivery, Sequence[LivePersonEvent]]]


class Portion:
    """
    Deliveries of one app installation that are applied in one transaction, in their order.

    The mutexes of all consumers whose conversations it knows are held, taken in one order.
    """

    def __init__(self, installation: AppInstallation, read: Read, *, gap_wait_s: int, now: datetime) -> None:
        """gap_wait_s: how long to hold what comes before something that was said before it; 0: not at all."""
        self._installation, self._now, self._gap_wait_s = installation, now, gap_wait_s
        self._door = Door(installation)
        self._conversations: dict[str, Conversation] = {}  # by LivePerson's id of them
        self._by_dialog: dict[str, Conversation] = {}  # by LivePerson's id of a dialog that is not the main one
        self._consumers: dict[uuid.UUID, Consumer] = {}
        self._have_waiting: set[str] = set()  # LivePerson's ids of conversations of which events may wait
        self._claims: dict[tuple[uuid.UUID, str], Claim] = {}
        self._rows: list[Event] = []
        self._held: list[Held] = []
        self._places_of_held: set[gaps.Place] = set()
        self._set_free = 0
        self._look_up([event for _, events in read for event in events])
        self._claim(read)
        self._look_at_order(read)

    # --- what it has to know ---

    def _look_up(self, events: Sequence[LivePersonEvent]) -> None:
        by_id = {event.lp_conversation_id for event in events if event.lp_conversation_id}
        ours = Conversation.objects.filter(account_id=self._installation.account_id)
        known = ours.filter(lp_conversation_id__in=by_id).values_list("lp_conversation_id", "pk", "consumer_id")
        found = {lp_id: (pk, consumer_id) for lp_id, pk, consumer_id in known}
        # Some notifications of a survey name its dialog only.
        lost = {e.lp_dialog_id for e in events if e.lp_dialog_id and e.lp_conversation_id not in found}
        dialogs = {}
        if lost:
            rows = Dialog.objects.filter(conversation__account_id=self._installation.account_id, lp_dialog_id__in=lost)
            dialogs = {
                lp_id: (pk, consumer_id)
                for lp_id, pk, consumer_id in rows.values_list(
                    "lp_dialog_id", "conversation_id", "conversation__consumer_id"
                )
            }
        places = [*found.values(), *dialogs.values()]
        self._lock({consumer_id for _, consumer_id in places})
        # Read after their consumers are locked: nobody changes them now.
        whole = Conversation.objects.filter(pk__in={pk for pk, _ in places}).select_related("channel", "brand")
        by_pk = {conversation.pk: conversation for conversation in whole}
        self._conversations = {lp_id: by_pk[pk] for lp_id, (pk, _) in found.items()}
        self._by_dialog = {lp_id: by_pk[pk] for lp_id, (pk, _) in dialogs.items()}
        self._places_of_held = gaps.places_of_held(list(by_pk))
        self._look_for_waiting()

    def _look_at_order(self, read: Read) -> None:
        """Where what arrived together is out of order, what is missing has come already: that is worth a wait."""
        new = [
            event
            for delivery, events in read
            for event in events
            if gaps.is_shown(event) and self._claims.get((delivery.pk, event.identity)) is Claim.FIRST
        ]
        if len(read) > 1 and gaps.are_turned(new):
            self._gap_wait_s = gaps.learn_filled(read[0][0], after_s=0)

    def _lock(self, consumer_ids: set[uuid.UUID]) -> None:
        rows = Consumer.objects.select_for_update(no_key=True, of=("self",)).filter(pk__in=consumer_ids)
        self._consumers |= {row.pk: row for row in rows.select_related("channel").order_by("pk")}

    def _look_for_waiting(self) -> None:
        recent = [
            lp_id
            for lp_id, conversation in self._conversations.items()
            if self._now - (made_at(conversation.pk) or conversation.opened_at) < _RECENT
        ]
        if recent:
            waiting = Event.objects.filter(
                outcome=EventOutcome.WAITING, account_id=self._installation.account_id, lp_conversation_id__in=recent
            )
            self._have_waiting = set(waiting.values_list("lp_conversation_id", flat=True))

    def _claim(self, read: Read) -> None:
        """Enter what is known to be ours into the ledger; what belongs to others never stands there."""
        by_source: dict[uuid.UUID, dict[tuple[uuid.UUID, str], Entry]] = defaultdict(dict)
        for delivery, events in read:
            for event in events:
                conversation = self._known(event)
                if conversation is None or not self._is_for_us(conversation, delivery):
                    continue
                entry = _entry(delivery, event)
                by_source[_source_of(conversation)].setdefault((delivery.pk, entry.identity), entry)
        for source_id, entries in by_source.items():
            found = self._enter(source_id, list(entries.values()))
            self._claims |= dict(zip(entries, found, strict=True))

    def _enter(self, source_id: uuid.UUID, entries: list[Entry]) -> list[Claim]:
        brand_id = self._installation.brand_id
        return ledger.claim(source_id=source_id, brand_id=brand_id, entries=entries, now=self._now)

    def _claim_of(self, delivery: Delivery, conversation: Conversation, event: LivePersonEvent) -> Claim:
        entry = _entry(delivery, event)
        known = self._claims.get((delivery.pk, entry.identity))
        return known or self._enter(_source_of(conversation), [entry])[0]

    def _known(self, event: LivePersonEvent) -> Conversation | None:
        return self._conversations.get(event.lp_conversation_id) or self._by_dialog.get(event.lp_dialog_id)

    def _is_for_us(self, conversation: Conversation, delivery: Delivery) -> bool:
        is_ours = self._door.counts(conversation.channel, delivery)
        return is_ours and self._consumers[conversation.consumer_id].erased_at is None

    # --- what comes of it ---

    def apply(self, delivery: Delivery, events: Sequence[LivePersonEvent]) -> None:
        """Apply the events of one delivery."""
        handled: dict[str, bytes] = {}
        for index, event in enumerate(events):
            row = event_row(delivery, index, event.type, event.identity, self._now)
            row.lp_conversation_id = event.lp_conversation_id[:256]
            if event.identity in handled:
                is_same = handled[event.identity] == event.content
                row.outcome = EventOutcome.DUPLICATE if is_same else EventOutcome.CONFLICT
            else:
                self.apply_one(delivery, event, row)
                handled[event.identity] = event.content
            self._rows.append(row)

    def apply_one(self, delivery: Delivery, event: LivePersonEvent, row: Event) -> None:
        """Decide whose an event is, and apply it if it is ours and new; the row says what came of it."""
        if isinstance(event, (EventUnreadable, EventUnknown)):
            is_known = isinstance(event, EventUnknown)
            row.outcome = EventOutcome.UNKNOWN_TYPE if is_known else EventOutcome.UNREADABLE
            row.detail = getattr(event, "why", "")[:300]
            return
        conversation = self._known(event) or self._adopt(event)
        if conversation is None:
            row.outcome = EventOutcome.WAITING
            row.account_id = self._installation.account_id
            return
        # What was held counted when it came.
        if row.outcome != EventOutcome.HELD and not self._door.counts(conversation.channel, delivery):
            row.outcome = EventOutcome.IGNORED
            row.detail = "Another app installation carries this conversation."
            return
        if self._consumers[conversation.consumer_id].erased_at is not None:
            erasure.let_go(delivery, row, now=self._now)
            return
        self._apply_waiting(conversation)
        claim = self._claim_of(delivery, conversation, event)
        if claim is not Claim.FIRST:
            row.outcome = EventOutcome[claim.name]
            return
        if _is_stale(event, delivery):
            row.outcome = EventOutcome.STALE
            row.detail = "LivePerson said it longer ago than it repeats anything."
            return
        if self._gap_wait_s and gaps.must_wait(conversation, event):
            row.outcome = EventOutcome.HELD
            self._held.append(gaps.held_for(row, delivery, conversation, event, wait_s=self._gap_wait_s))
            self._places_of_held.add((conversation.pk, event.lp_dialog_id))
            return
        if isinstance(event, ConversationChanged) and not event.stage_is_open:
            self._release_before_end(conversation)
        self._take_effect(delivery, conversation, event, row)
        self._go_on_with_held(delivery, conversation, event.lp_dialog_id)

    def _take_effect(self, delivery: Delivery, conversation: Conversation, event: LivePersonEvent, row: Event) -> None:
        effect = apply_liveperson_event(
            conversation=conversation,
            consumer=self._consumers[conversation.consumer_id],
            event=event,
            correlation_id=str(delivery.pk),
            now=self._now,
        )
        if effect.seen is not None and effect.seen.place is Place.LATE:
            gaps.learn_filled(delivery, after_s=effect.seen.late_s)
        if effect.seen is not None and effect.seen.place is Place.AFTER_GAP and row.outcome == EventOutcome.HELD:
            gaps.learn_in_vain(delivery)
            if effect.message_id is not None:
                mark_gap(effect.message_id)
        set_effect(row, effect)

    def flush(self) -> None:
        """Write the outcomes of what was applied so far."""
        Event.objects.bulk_create(self._rows)
        Held.objects.bulk_create(self._held)
        self._rows, self._held = [], []

    # --- what came before what was said before it ---

    def _go_on_with_held(self, delivery: Delivery, conversation: Conversation, lp_dialog_id: str) -> None:
        """What waited for this event, and has nothing else to wait for, comes behind it."""
        place = (conversation.pk, lp_dialog_id)
        if place in self._places_of_held:
            self.flush()  # some of it may have come just now
            due_by, at_most = delivery.received_at, MOST_SET_FREE - self._set_free
            freed = release_held(conversation, lp_dialog_id, due_by=due_by, now=self._now, at_most=at_most)
            self._set_free += freed.count
            if not freed.is_left:
                self._places_of_held.discard(place)

    def _release_before_end(self, conversation: Conversation) -> None:
        """The end of a conversation does not overtake what was said in it."""
        for place in [one for one in self._places_of_held if one[0] == conversation.pk]:
            self.flush()
            release_held(conversation, place[1], due_by=_FOR_EVER, now=self._now, at_most=None)
            self._places_of_held.discard(place)

    def _adopt(self, event: LivePersonEvent) -> Conversation | None:
        """A conversation of ours of which this is the first news."""
        if not isinstance(event, ConversationChanged):
            return None
        adopted = adopt_conversation(installation=self._installation, event=event, now=self._now)
        if adopted is None:
            return None
        self._lock({adopted.consumer_id})
        # An older one of the consumer has ended with it.
        for lp_id, known in self._conversations.items():
            if known.consumer_id == adopted.consumer_id:
                self._conversations[lp_id] = _whole(known.pk)
        self._conversations[event.lp_conversation_id] = whole = _whole(adopted.pk)
        self._have_waiting.add(event.lp_conversation_id)
        return whole

    def _apply_waiting(self, conversation: Conversation) -> None:
        """What came before the conversation was known is applied before what comes after."""
        if conversation.lp_conversation_id not in self._have_waiting:
            return
        self._have_waiting.discard(conversation.lp_conversation_id)
        self.flush()  # some of it may have come just now
        if apply_waiting(conversation, now=self._now):
            # They have changed its row, of which this is a copy.
            conversation.refresh_from_db(from_queryset=Conversation.objects.select_related("channel", "brand"))


def apply_waiting(conversation: Conversation, *, now: datetime) -> bool:
    """
    Apply what waits for a conversation, in the order in which it came; whether anything did.

    The caller holds the consumer's mutex, as all do that apply any of it: so nobody is in the middle of it.
    """
    # Locked, because it may be called foreign or be erased at this moment.
    rows = Event.objects.select_for_update(of=("self",)).filter(
        outcome=EventOutcome.WAITING,
        account_id=conversation.account_id,
        lp_conversation_id=conversation.lp_conversation_id,
    )
    found = list(rows.select_related("delivery__installation").order_by("id"))
    for row in found:
        apply_late(row, now=now)
    return bool(found)


def apply_late(row: Event, *, now: datetime) -> None:
    """
    Apply an event that has waited. The caller holds the consumer's mutex.

    What breaks here must stop neither the others that wait nor the delivery that made them known.
    """
    try:
        with transaction.atomic():
            _apply_late(row, now)
        return
    except Exception as error:
        if is_away(error):
            raise
        kind = type(error).__name__
    logger.error("event.apply.broke", event_id=str(row.pk), error=kind)
    Event.objects.filter(pk=row.pk).update(
        outcome=EventOutcome.UNREADABLE, detail=f"An error of our own: {kind}.", at=now
    )


def _apply_late(row: Event, now: datetime) -> None:
    body = DeliveryBody.objects.filter(pk=row.delivery_id).first()
    row.at = now
    if body is None:
        row.outcome, row.detail = EventOutcome.UNREADABLE, "Its body has been deleted."
    else:
        event = parse_liveperson(bytes(body.raw))[row.index]
        assert row.delivery.installation is not None
        alone = Portion(row.delivery.installation, [(row.delivery, [event])], gap_wait_s=0, now=now)
        # The caller goes through those that wait, in their order.
        alone._have_waiting.clear()
        alone._places_of_held.clear()
        alone.apply_one(row.delivery, event, row)
    row.save()


@dataclass(frozen=True, kw_only=True)
class SetFree:
    """
    How many held events were applied. is_left: something still is held in that dialog; has_more: and what is next has
    nothing to wait for.
    """

    count: int
    has_more: bool
    is_left: bool


def release_held(
    conversation: Conversation, lp_dialog_id: str, *, due_by: datetime, now: datetime, at_most: int | None
) -> SetFree:
    """
    Apply what is held in a dialog and has nothing to wait for any more, in its order; None: however much it is.

    due_by: what waits until then at most comes now, and all that stands before it, whatever is missing; so all that
    arrived until then has been applied. The caller holds the consumer's mutex.
    """
    rows = list(
        Held.objects.filter(conversation=conversation, lp_dialog_id=lp_dialog_id)
        .annotate(last_due=Window(Max("sequence", filter=Q(due_at__lte=due_by))))
        .select_related("event__delivery__installation")
        .order_by("sequence")[: None if at_most is None else at_most + 1]
    )
    has_given_up = False
    for count, row in enumerate(rows):
        has_gap = sequences.has_gap_before(conversation, lp_dialog_id, row.sequence)
        if has_gap and (row.last_due is None or row.sequence > row.last_due):
            return SetFree(count=count, has_more=False, is_left=True)
        if count == at_most:
            return SetFree(count=count, has_more=True, is_left=True)
        has_given_up = has_given_up or has_gap
        if not has_given_up:
            gaps.learn_filled(row.event.delivery, after_s=(min(due_by, now) - row.since).total_seconds())
        event = row.event
        row.delete()
        apply_late(event, now=now)
    return SetFree(count=len(rows), has_more=False, is_left=False)


def _whole(conversation_id: uuid.UUID) -> Conversation:
    return Conversation.objects.select_related("channel", "brand").get(pk=conversation_id)


def _source_of(conversation: Conversation) -> uuid.UUID:
    """
    Under which source the ledger knows what is told of a conversation, whichever door it comes through.

    The app installation that opened it: that one never changes, so that a repeat stays one when the channel moves.
    """
    return conversation.installation_id


def _is_stale(event: LivePersonEvent, delivery: Delivery) -> bool:
    """
    Whether an event is older than any that LivePerson still tells: somebody plays back what they once recorded.

    Compared with its arrival here, for it may have waited long to be applied.
    """
    server_at = event.server_at if isinstance(event, DialogEvent) else None
    return server_at is not None and delivery.received_at - server_at > _REPEATED_WITHIN


def _entry(delivery: Delivery, event: LivePersonEvent) -> Entry:
    identity = event.identity
    if isinstance(event, ChatStateChanged):
        # Chat states have neither number nor time: the same one within a few seconds is the same one.
        identity += f":{int(delivery.received_at.timestamp()) // _CHAT_STATE_SAME_S}"
    return Entry(delivery_id=delivery.pk, identity=identity, content=event.content)
