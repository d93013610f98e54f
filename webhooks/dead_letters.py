"""Dead letters of both ways, for the command line: deliveries that were not applied, dispatches that were not sent."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

from django.db import models

from conversations.models import Dispatch, DispatchState
from conversations.services import operations
from core.actor import Actor
from webhooks import repairs
from webhooks.models import Delivery

KINDS = ("delivery", "dispatch")
MOST_LISTED = 500


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which dead letters; empty members narrow nothing."""

    brand: str = ""
    kind: str = ""
    ids: Collection[uuid.UUID] = ()


@dataclass(kw_only=True)
class Retried:
    """refused: (kind, id, why)."""

    deliveries: list[uuid.UUID] = field(default_factory=list)
    dispatches: list[uuid.UUID] = field(default_factory=list)
    refused: list[tuple[str, uuid.UUID, str]] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        return {
            "deliveries": [str(one) for one in self.deliveries],
            "dispatches": [str(one) for one in self.dispatches],
            "refused": [{"kind": kind, "id": str(one), "why": why} for kind, one, why in self.refused],
        }


def list_dead(wanted: Wanted) -> dict[str, Any]:
    """The oldest of them as JSON, and whether there are more. Ids, states and codes; nothing that a person said."""
    deliveries = list(_deliveries(wanted).select_related("brand")[: MOST_LISTED + 1])
    dispatches = list(_dispatches(wanted).select_related("brand", "lane")[: MOST_LISTED + 1])
    return {
        "deliveries": [_delivery_facts(one) for one in deliveries[:MOST_LISTED]],
        "dispatches": [_dispatch_facts(one) for one in dispatches[:MOST_LISTED]],
        "has_more": max(len(deliveries), len(dispatches)) > MOST_LISTED,
    }


def retry(wanted: Wanted, *, actor: Actor, reason: str) -> Retried:
    """Apply and send them again, oldest first; each in a transaction and with a line in the trail of its own."""
    report = Retried()
    for delivery_id in list(_deliveries(wanted).values_list("pk", flat=True)):
        if _is_done(repairs.apply_again, report, "delivery", delivery_id, actor, reason):
            report.deliveries.append(delivery_id)
    for dispatch_id in list(_dispatches(wanted).values_list("pk", flat=True)):
        if _is_done(operations.send_again, report, "dispatch", dispatch_id, actor, reason):
            report.dispatches.append(dispatch_id)
    met = {*report.deliveries, *report.dispatches, *(one for _, one, _ in report.refused)}
    why = "There is no dead letter with this id; list shows those that there are."
    report.refused += [(wanted.kind, one, why) for one in wanted.ids if one not in met]
    return report


def _is_done(
    act: Callable[..., None], report: Retried, kind: str, row_id: uuid.UUID, actor: Actor, reason: str
) -> bool:
    try:
        act(**{f"{kind}_id": row_id}, actor=actor, reason=reason)
    except (repairs.NotPossible, operations.NotPossible) as refusal:
        report.refused.append((kind, row_id, str(refusal)))
        return False
    return True


def _deliveries(wanted: Wanted) -> models.QuerySet[Delivery]:
    return _narrowed(Delivery.objects.filter(state__in=repairs.APPLICABLE), wanted, "delivery")


def _dispatches(wanted: Wanted) -> models.QuerySet[Dispatch]:
    return _narrowed(Dispatch.objects.filter(state__in=(DispatchState.DEAD, DispatchState.PARKED)), wanted, "dispatch")


def _narrowed(rows: models.QuerySet[Any], wanted: Wanted, kind: str) -> models.QuerySet[Any]:
    if wanted.kind not in ("", kind):
        return rows.none()
    if wanted.brand:
        rows = rows.filter(brand__slug=wanted.brand)
    if wanted.ids:
        rows = rows.filter(pk__in=wanted.ids)
    return rows.order_by("id")


def _delivery_facts(row: Delivery) -> dict[str, Any]:
    return {
        "id": str(row.pk),
        "brand": row.brand.slug,
        "state": row.state,
        "installation": str(row.installation_id or ""),
        "channel": str(row.channel_id or ""),
        "received_at": row.received_at.isoformat(),
        "detail": row.detail,
    }


def _dispatch_facts(row: Dispatch) -> dict[str, Any]:
    return {
        "id": str(row.pk),
        "brand": row.brand.slug,
        "state": row.state,
        "kind": row.kind,
        "direction": row.direction,
        "consumer": str(row.consumer_id),
        "message": str(row.message_id or ""),
        "created_at": row.created_at.isoformat(),
        "error_code": row.error_code,
    }
