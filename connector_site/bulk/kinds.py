"""The acts that a job can do: to which rows, in which order, what is foreseen, and the service that does it to one."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Model, QuerySet

from access.admin_filters import TimeFilter
from connector_site.bulk.models import BulkKind
from conversations.admin_filters import DISPATCH_FILTERS
from conversations.models import ConversationState, Dispatch
from conversations.services import operations
from core.actor import Actor
from webhooks import repairs
from webhooks.admin_filters import DELIVERY_FILTERS
from webhooks.models import Delivery, DeliveryBody

NotPossible = (operations.NotPossible, repairs.NotPossible)


@dataclass(frozen=True, kw_only=True)
class Foreseen:
    """One row as it stands before the job: where it belongs in the order, and what is to be expected of it."""

    target_id: uuid.UUID
    brand_id: uuid.UUID
    lane_id: uuid.UUID
    position: int
    came_at: datetime
    is_of_closed: bool = False
    is_doubtful: bool = False
    is_impossible: bool = False


@dataclass(frozen=True, kw_only=True)
class Line:
    """A row as people recognise it."""

    what: str
    whose: str
    trouble: str


@dataclass(frozen=True, kw_only=True)
class Kind:
    """
    One act.

    states: those of rows that it can be done to; every other row is settled. walked: whether an index over (brand,
    state, id) leads to the rows of a state. describe: a row as a line of a table; related: what that reads. foresee:
    what is to be expected of rows, by their ids. act: does it to one row, in the service's transaction; raises one of
    NotPossible. explain: what it will do, for the preview.
    """

    name: BulkKind
    label: str
    icon: str
    rows: str
    model: type[Model]
    filters: Sequence[type[Any]]
    states: Collection[str]
    walked: Collection[str]
    related: Sequence[str]
    describe: Callable[[Any], Line]
    foresee: Callable[[Collection[uuid.UUID]], list[Foreseen]]
    act: Callable[[uuid.UUID, Actor, str], None]
    explain: str

    def narrowed(self, rows: QuerySet[Any], filters: dict[str, str]) -> QuerySet[Any]:
        """The rows that pass these filters, by their names in the address of the list."""
        known = {str(one.parameter_name): one for one in self.filters}
        for name, value in filters.items():
            rows = known[name].narrowed(rows, value)
        return rows

    @property
    def filter_names(self) -> frozenset[str]:
        """Of filters that mean the same at any time. A span of time is kept as a bound of ids, a brand by itself."""
        return frozenset(
            str(one.parameter_name)
            for one in self.filters
            if not issubclass(one, TimeFilter) and one.parameter_name != "brand"
        )


def _foresee_resends(ids: Collection[uuid.UUID]) -> list[Foreseen]:
    return [
        _of_dispatch(
            row,
            is_doubtful=operations.may_have_arrived(row),
            is_impossible=not operations.can_be_sent_again(row),
        )
        for row in _dispatches(ids)
    ]


def _foresee_drops(ids: Collection[uuid.UUID]) -> list[Foreseen]:
    return [_of_dispatch(row, is_impossible=row.state not in operations.DROPPABLE) for row in _dispatches(ids)]


def _dispatches(ids: Collection[uuid.UUID]) -> QuerySet[Dispatch]:
    return Dispatch.objects.filter(pk__in=ids).select_related("consumer", "message", "conversation")


def _of_dispatch(row: Dispatch, **foreseen: bool) -> Foreseen:
    return Foreseen(
        target_id=row.pk,
        brand_id=row.brand_id,
        lane_id=row.lane_id,
        position=row.position,
        came_at=row.created_at,
        is_of_closed=row.conversation is not None and row.conversation.state == ConversationState.CLOSED,
        **foreseen,
    )


def _foresee_replays(ids: Collection[uuid.UUID]) -> list[Foreseen]:
    kept = set(DeliveryBody.objects.filter(pk__in=ids).values_list("pk", flat=True))
    return [
        Foreseen(
            target_id=row.pk,
            brand_id=row.brand_id,
            lane_id=row.inbox_id,
            position=0,
            came_at=row.received_at,
            is_impossible=row.state not in repairs.APPLICABLE or row.pk not in kept,
        )
        for row in Delivery.objects.filter(pk__in=ids)
    ]


def _line_of_dispatch(row: Dispatch) -> Line:
    what = f"{row.get_kind_display()}, {row.get_direction_display()}"
    return Line(what=what, whose=str(row.consumer), trouble=row.error_detail or row.error_code.replace("_", " "))


def _line_of_delivery(row: Delivery) -> Line:
    return Line(what="Delivery", whose=row.sender, trouble=row.detail)


def _send_again(row_id: uuid.UUID, actor: Actor, reason: str) -> None:
    operations.send_again(dispatch_id=row_id, actor=actor, reason=reason)


def _drop(row_id: uuid.UUID, actor: Actor, reason: str) -> None:
    operations.drop(dispatch_id=row_id, actor=actor, reason=reason)


def _apply_again(row_id: uuid.UUID, actor: Actor, reason: str) -> None:
    repairs.apply_again(delivery_id=row_id, actor=actor, reason=reason)


RESEND = Kind(
    name=BulkKind.RESEND,
    label="Send again",
    icon="send",
    rows="dispatches",
    model=Dispatch,
    filters=DISPATCH_FILTERS,
    states=operations.RESENDABLE,
    walked=operations.RESENDABLE,
    related=("consumer",),
    describe=_line_of_dispatch,
    foresee=_foresee_resends,
    act=_send_again,
    explain="Each is queued at its old place, before everything that still waits for its consumer; the oldest of a "
    "consumer goes first. Where nobody knows whether the first try arrived, it may then stand there twice, and is "
    "marked so. What goes to LivePerson for a conversation that has closed opens a new one.",
)
DROP = Kind(
    name=BulkKind.DROP,
    label="Drop",
    icon="delete",
    rows="dispatches",
    model=Dispatch,
    filters=DISPATCH_FILTERS,
    states=operations.DROPPABLE,
    walked=operations.RESENDABLE,
    related=("consumer",),
    describe=_line_of_dispatch,
    foresee=_foresee_drops,
    act=_drop,
    explain="Each is given up: it is not sent, its message counts as failed, and its lane goes on.",
)
REPLAY = Kind(
    name=BulkKind.REPLAY,
    label="Apply again",
    icon="replay",
    rows="deliveries",
    model=Delivery,
    filters=DELIVERY_FILTERS,
    states=repairs.APPLICABLE,
    walked=repairs.APPLICABLE,
    related=("installation", "channel"),
    describe=_line_of_delivery,
    foresee=_foresee_replays,
    act=_apply_again,
    explain="Each is applied as if it had arrived now, in the order in which they arrived, before all that its source "
    "sent after it and that still waits. What another delivery has brought since has no second effect.",
)
KINDS: dict[str, Kind] = {kind.name: kind for kind in (RESEND, DROP, REPLAY)}

__all__ = ["DROP", "KINDS", "REPLAY", "RESEND", "Foreseen", "Kind", "Line", "NotPossible"]
