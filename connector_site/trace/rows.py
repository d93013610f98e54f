"""
All rows that tell of one message, in a fixed number of statements, however many there are.

Of each kind the newest are read, and whether there are more. Every statement is limited to what the reader sees.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from django.db.models import Exists, Model, OuterRef, Q, QuerySet
from django.db.models.expressions import RawSQL

from access.rules import Person, limit
from audit.actions import ACTIONS
from audit.models import AuditEntry
from conversations.models import Attempt, Direction, Dispatch, DispatchKind, Message
from core.ids import first_id_at, id_in
from webhooks.models import Delivery, DeliveryBody, Event, EventOutcome

RowT = TypeVar("RowT", bound=Model)

MOST_ATTEMPTS = 500
MOST_OF_OTHERS = 100
MOST_MESSAGES = 50
_DEEDS = ["delivery.reapplied", *(action for action in ACTIONS if action.startswith("dispatch."))]
# A receipt may wait for so long, and take along what is told about a message that came after it.
_RECEIPTS_WAIT = timedelta(days=1)
_RECEIPTS_LOOKED_AT = 2_000

# The newest of each dispatch, by the index that begins with the dispatch: one statement, whatever each of them has.
_NEWEST_ATTEMPTS = """
    SELECT newest.id FROM unnest(%s::uuid[]) AS dispatch (id) CROSS JOIN LATERAL (
        SELECT attempt.id FROM conversations_attempt attempt WHERE attempt.dispatch_id = dispatch.id
        ORDER BY attempt.id DESC LIMIT %s) AS newest
"""


@dataclass(frozen=True, kw_only=True)
class Rows:
    """
    What tells of one message; each sequence oldest first.

    receipts: dispatches that tell one side what became of it on the other. more: the kinds of which only the newest
    were read.
    """

    message: Message
    deliveries: Sequence[Delivery]
    events: Sequence[Event]
    dispatches: Sequence[Dispatch]
    receipts: Sequence[Dispatch]
    attempts: Sequence[Attempt]
    acts: Sequence[AuditEntry]
    more: Sequence[str]

    @property
    def bringing(self) -> Delivery | None:
        """The delivery that brought the message; None where it is not known any more."""
        by_id = {one.pk: one for one in self.deliveries}
        applied = [one.delivery_id for one in self.events if one.outcome == EventOutcome.APPLIED]
        # What an event makes carries the id of the delivery.
        carried = id_in(self.message.correlation_id)
        return next((by_id[one] for one in (carried, *applied) if one in by_id), None)


@dataclass(frozen=True, kw_only=True)
class Carrying:
    """messages: the newest, newest first."""

    messages: Sequence[Message]
    has_more: bool


def carrying(correlation_id: str, reader: Person) -> Carrying:
    """The messages that carry a correlation id. Ordered by time, so that the index of these ids leads to them."""
    rows = Message.objects.filter(~Q(correlation_id=""), correlation_id=correlation_id).select_related("channel")
    found = list(limit(rows, reader).order_by("-created_at", "-pk")[: MOST_MESSAGES + 1])
    return Carrying(messages=found[:MOST_MESSAGES], has_more=len(found) > MOST_MESSAGES)


def read(message_id: uuid.UUID, reader: Person) -> Rows | None:
    """None where there is no such message, or not for this reader."""
    message = limit(Message.objects.select_related("channel", "conversation"), reader).filter(pk=message_id).first()
    if message is None:
        return None
    events, more_events = _newest(limit(Event.objects.filter(message_id=message.pk), reader))
    dispatches, more_dispatches = _newest(_sends(Q(message_id=message.pk), reader))
    receipts, more_receipts = _newest(_receipts_about(message, reader))
    sends = [one.pk for one in (*dispatches, *receipts)]
    deliveries = _deliveries(message, events, reader)
    attempts, more_attempts = _newest(_attempts(sends, reader), most=MOST_ATTEMPTS)
    acts, more_acts = _newest(_acts(sends, [one.pk for one in deliveries], reader))
    more = {
        "events": more_events,
        "dispatches": more_dispatches,
        "receipts": more_receipts,
        "attempts": more_attempts,
        "acts": more_acts,
    }
    return Rows(
        message=message,
        deliveries=deliveries,
        events=events,
        dispatches=dispatches,
        receipts=receipts,
        attempts=attempts,
        acts=acts,
        more=[kind for kind, is_more in more.items() if is_more],
    )


def _newest(rows: QuerySet[RowT], *, most: int = MOST_OF_OTHERS) -> tuple[list[RowT], bool]:
    found = list(rows.order_by("-pk")[: most + 1])
    return list(reversed(found[:most])), len(found) > most


def _sends(which: Q, reader: Person) -> QuerySet[Dispatch]:
    return limit(Dispatch.objects.filter(which), reader).select_related("channel")


def _receipts_about(message: Message, reader: Person) -> QuerySet[Dispatch]:
    """Receipts name messages by what the other side calls them: by sequences, or by the channel's ids."""
    if message.direction == Direction.TO_CHANNEL:
        about = Q(payload__sequences__contains=[message.lp_sequence], payload__dialog_id=message.lp_dialog_id)
        is_named = message.lp_sequence is not None
    else:
        about = Q(payload__message_ids__contains=[message.channel_message_id])
        is_named = bool(message.channel_message_id)
    if message.conversation_id is None or not is_named:
        return Dispatch.objects.none()
    looked_at = Dispatch.objects.filter(
        conversation_id=message.conversation_id,
        kind=DispatchKind.RECEIPT,
        pk__gte=first_id_at(message.created_at - _RECEIPTS_WAIT),
    )
    nearest = looked_at.order_by("pk").values("pk")[:_RECEIPTS_LOOKED_AT]
    return _sends(about & Q(pk__in=nearest), reader)


def _deliveries(message: Message, events: Sequence[Event], reader: Person) -> list[Delivery]:
    wanted = {one.delivery_id for one in events}
    if (carried := id_in(message.correlation_id)) is not None:
        wanted.add(carried)
    rows = limit(Delivery.objects.filter(pk__in=wanted), reader)
    has_body = Exists(DeliveryBody.objects.filter(pk=OuterRef("pk")))
    return list(rows.annotate(has_body=has_body).order_by("pk"))


def _attempts(dispatch_ids: Sequence[uuid.UUID], reader: Person) -> QuerySet[Attempt]:
    newest = RawSQL(_NEWEST_ATTEMPTS, [list(dispatch_ids), MOST_ATTEMPTS + 1])  # noqa: S611 -- a constant of ours
    return limit(Attempt.objects.filter(pk__in=newest), reader).select_related("dispatch")


def _acts(sends: Sequence[uuid.UUID], deliveries: Sequence[uuid.UUID], reader: Person) -> QuerySet[AuditEntry]:
    """What was done to these; who only looked, or was refused a look, is not a part of the message's story."""
    on_sends = Q(subject_type="dispatch", subject_id__in=[str(one) for one in sends])
    on_deliveries = Q(subject_type="delivery", subject_id__in=[str(one) for one in deliveries])
    return limit(AuditEntry.objects.filter(on_sends | on_deliveries, action__in=_DEEDS), reader)


__all__ = ["MOST_ATTEMPTS", "MOST_MESSAGES", "MOST_OF_OTHERS", "Rows", "carrying", "read"]
