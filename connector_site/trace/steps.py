"""The rows of a trace as one list in the order of time, each step with a sentence; and how long the stages took."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from audit.actions import ACTIONS
from audit.models import AuditEntry
from connector_site.trace.rows import Rows
from conversations.models import Attempt, Dispatch, DispatchState, Message
from webhooks.models import Delivery, Event


@dataclass(frozen=True, kw_only=True)
class Step:
    """
    What happened at one moment. what: a word for programs. resource, id: the row that tells it.

    since_previous_ms: since the step before; None for the first.
    """

    at: datetime
    what: str
    sentence: str
    resource: str
    id: uuid.UUID
    since_previous_ms: int | None = None


@dataclass(frozen=True, kw_only=True)
class Summary:
    """
    When each stage was reached, and how long it took; None where it was not reached, or is not known.

    Two clocks of this site tell the times, so a stage may seem to end a little before it began.
    """

    received_at: datetime | None
    applied_at: datetime | None
    sent_at: datetime | None
    delivered_at: datetime | None
    read_at: datetime | None
    received_to_applied_ms: int | None
    applied_to_sent_ms: int | None
    sent_to_delivered_ms: int | None
    delivered_to_read_ms: int | None
    received_to_delivered_ms: int | None


@dataclass(frozen=True, kw_only=True)
class Trace:
    """The rows and what follows from them. attempts: by dispatch, oldest first."""

    message: Message
    summary: Summary
    steps: Sequence[Step]
    bringing: Delivery | None
    deliveries: Sequence[Delivery]
    events: Sequence[Event]
    dispatches: Sequence[Dispatch]
    receipts: Sequence[Dispatch]
    attempts: Mapping[uuid.UUID, Sequence[Attempt]]
    acts: Sequence[AuditEntry]
    more: Sequence[str]


def trace_of(rows: Rows) -> Trace:
    """What the rows tell, in order."""
    attempts: dict[uuid.UUID, list[Attempt]] = defaultdict(list)
    for attempt in rows.attempts:
        attempts[attempt.dispatch_id].append(attempt)
    return Trace(
        message=rows.message,
        summary=_summary_of(rows),
        steps=_steps_of(rows),
        bringing=rows.bringing,
        deliveries=rows.deliveries,
        events=rows.events,
        dispatches=rows.dispatches,
        receipts=rows.receipts,
        attempts=attempts,
        acts=rows.acts,
        more=rows.more,
    )


def _summary_of(rows: Rows) -> Summary:
    received_at = rows.bringing.received_at if rows.bringing else None
    applied_at, sent_at = rows.message.created_at, _sent_at(rows)
    delivered_at, read_at = rows.message.delivered_at, rows.message.read_at
    return Summary(
        received_at=received_at,
        applied_at=applied_at,
        sent_at=sent_at,
        delivered_at=delivered_at,
        read_at=read_at,
        received_to_applied_ms=_between(received_at, applied_at),
        applied_to_sent_ms=_between(applied_at, sent_at),
        sent_to_delivered_ms=_between(sent_at, delivered_at),
        delivered_to_read_ms=_between(delivered_at, read_at),
        received_to_delivered_ms=_between(received_at, delivered_at),
    )


def _steps_of(rows: Rows) -> list[Step]:
    found = [
        *(step for one in rows.deliveries for step in _of_delivery(one)),
        *(_of_event(one) for one in rows.events),
        *_stored(rows.message),
        *_of_sends(rows.dispatches, rows.attempts),
        *_became_of(rows.message),
        *_of_sends(rows.receipts, rows.attempts),
        *(
            Step(
                at=act.at,
                what=act.action,
                sentence=f"{act.actor_name} {ACTIONS.get(act.action, act.action)}.",
                resource="audit-log",
                id=act.pk,
            )
            for act in rows.acts
        ),
    ]
    # Of what happened at the same moment, in the order above: what causes stands before what is caused.
    found.sort(key=lambda step: step.at)
    return [
        replace(step, since_previous_ms=_between(before.at if before else None, step.at))
        for before, step in zip([None, *found], found, strict=False)
    ]


def _between(earlier: datetime | None, later: datetime | None) -> int | None:
    return None if earlier is None or later is None else (later - earlier) // timedelta(milliseconds=1)


def _sent_at(rows: Rows) -> datetime | None:
    """When the last part had gone; None before."""
    ends = [one.finished_at for one in rows.dispatches if one.state == DispatchState.SENT]
    if not ends or len(ends) < len(rows.dispatches):
        return None
    return max((end for end in ends if end is not None), default=None)


def _of_delivery(row: Delivery) -> Iterator[Step]:
    sender = "LivePerson" if row.installation_id else "The channel"

    def step(at: datetime, what: str, sentence: str) -> Step:
        return Step(at=at, what=what, sentence=sentence, resource="deliveries", id=row.pk)

    yield step(row.received_at, "delivery.received", f"{sender} sent a request of {row.size} bytes; it was stored.")
    if row.processed_at is not None:
        yield step(row.processed_at, f"delivery.{row.state.lower()}", f"The request was {row.state.lower()}.")


def _of_event(row: Event) -> Step:
    return Step(
        at=row.at,
        what=f"event.{row.outcome.lower()}",
        sentence=f"{row.type}, change {row.index + 1} of its request: {row.get_outcome_display().lower()}.",
        resource="deliveries",
        id=row.delivery_id,
    )


def _stored(row: Message) -> Iterator[Step]:
    yield _of_message(row, row.created_at, "stored", "The message was stored.")


def _became_of(row: Message) -> Iterator[Step]:
    moments = (
        (row.delivered_at, "delivered", "The other side has the message."),
        (row.read_at, "read", "The message was read."),
        (row.removed_at, "words_removed", f"Its words were removed {row.get_removed_by_display()}."),
    )
    for at, word, sentence in moments:
        if at is not None:
            yield _of_message(row, at, word, sentence)


def _of_message(row: Message, at: datetime, word: str, sentence: str) -> Step:
    return Step(at=at, what=f"message.{word}", sentence=sentence, resource="messages", id=row.pk)


def _of_sends(dispatches: Sequence[Dispatch], attempts: Sequence[Attempt]) -> Iterator[Step]:
    """Of each: that it was queued, its attempts, what became of it."""
    for row in dispatches:
        queued, *later = _of_dispatch(row)
        yield queued
        for attempt in attempts:
            if attempt.dispatch_id == row.pk:
                yield from _of_attempt(attempt, row)
        yield from later


def _of_dispatch(row: Dispatch) -> Iterator[Step]:
    """The first step is that it was queued."""
    name = _name_of(row)
    is_live = row.state in (DispatchState.QUEUED, DispatchState.SENDING, DispatchState.UNKNOWN, DispatchState.PARKED)
    settled = f", settled by: {row.resolution}" if row.resolution else ""
    trouble = f" ({row.error_code})" if row.error_code else ""
    end = f"{name}: {row.get_state_display().lower()}{trouble}{settled}."
    moments = (
        (row.created_at, "queued", f"{name}: queued."),
        (row.unknown_at, "unknown", f"{name}: whether it arrived was not known."),
        (None if is_live else row.finished_at, row.state.lower(), end),
        (row.duplicate_seen_at, "duplicate_seen", f"{name}: it turned up a second time."),
    )
    for at, word, sentence in moments:
        if at is not None:
            yield Step(at=at, what=f"dispatch.{word}", sentence=sentence, resource="dispatches", id=row.pk)


def _of_attempt(row: Attempt, dispatch: Dispatch) -> Iterator[Step]:
    name = f"{_name_of(dispatch)}: {_lower_first(row.get_step_display())}"
    # A turn that queues and begins at once reads its clock before it queues: nothing is begun before it was queued.
    begun_at = max(row.started_at, dispatch.created_at)
    yield _at_attempt(row, begun_at, "started", f"{name}, begun.")
    if row.finished_at is not None:
        ended_at = max(row.finished_at, begun_at)
        yield _at_attempt(row, ended_at, (row.outcome or "ended").lower(), f"{name}, {_outcome_of(row)}.")


def _at_attempt(row: Attempt, at: datetime, word: str, sentence: str) -> Step:
    return Step(at=at, what=f"attempt.{word}", sentence=sentence, resource="attempts", id=row.pk)


def _outcome_of(row: Attempt) -> str:
    facts = [
        f"HTTP {row.http_status}" if row.http_status else "",
        row.error_code,
        f"the other side's code {row.provider_code}" if row.provider_code else "",
        f"{row.elapsed_ms} ms" if row.elapsed_ms is not None else "",
    ]
    told = ", ".join(filter(None, facts))
    return (_lower_first(row.get_outcome_display()) or "ended") + (f" ({told})" if told else "")


def _name_of(row: Dispatch) -> str:
    name = f"{row.get_kind_display()} {_lower_first(row.get_direction_display())}"
    return f"{name}, {row.part}" if row.part else name


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]


__all__ = ["Step", "Summary", "Trace", "trace_of"]
