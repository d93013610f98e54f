"""What a restore holds, and what of it was released by whom: the list that a person decides by."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from django.db import models

from audit.models import AuditEntry
from conversations.models import Dialog, Dispatch, DispatchState, Lane
from conversations.models.outbox import LIVE_STATES

MOST_LISTED = 500


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which held lanes; empty members narrow nothing."""

    brand: str = ""
    direction: str = ""
    ids: Collection[uuid.UUID] = ()


def held_lanes(wanted: Wanted) -> models.QuerySet[Lane]:
    """Those held at this moment, the oldest first."""
    rows = Lane.objects.filter(held_at__isnull=False)
    if wanted.brand:
        rows = rows.filter(brand__slug=wanted.brand)
    if wanted.direction:
        rows = rows.filter(direction=wanted.direction)
    if wanted.ids:
        rows = rows.filter(pk__in=wanted.ids)
    return rows.order_by("id")


def list_held(wanted: Wanted) -> dict[str, Any]:
    """Held lanes with what waits in them, and the newest releases. Ids and figures; nothing that a person said."""
    lanes = list(held_lanes(wanted).select_related("brand", "account")[: MOST_LISTED + 1])
    shown = lanes[:MOST_LISTED]
    waiting = _waiting_in(shown)
    return {
        "held": [_lane_facts(lane, waiting[lane.pk]) for lane in shown],
        "has_more": len(lanes) > MOST_LISTED,
        "released": _released(wanted),
    }


def _waiting_in(lanes: list[Lane]) -> dict[uuid.UUID, list[dict[str, Any]]]:
    rows = list(
        Dispatch.objects.filter(lane__in=lanes, state__in=LIVE_STATES)
        .select_related("lane")
        .order_by("lane_id", "position")
    )
    known: dict[tuple[uuid.UUID | None, str], int] = {
        (dialog.conversation_id, dialog.lp_dialog_id): dialog.last_sequence
        for dialog in Dialog.objects.filter(conversation__in={row.conversation_id for row in rows} - {None})
    }
    found: dict[uuid.UUID, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        found[row.lane_id].append(_dispatch_facts(row, known.get((row.conversation_id, row.lp_dialog_id))))
    return found


def _lane_facts(lane: Lane, waiting: list[dict[str, Any]]) -> dict[str, Any]:
    assert lane.held_at is not None
    return {
        "lane": str(lane.pk),
        "brand": lane.brand.slug,
        "account": lane.account.lp_account_id,
        "consumer": str(lane.consumer_id),
        "direction": lane.direction,
        "held_at": lane.held_at.isoformat(),
        "in_doubt": sum(one["in_doubt"] for one in waiting),
        "dispatches": waiting,
    }


def _dispatch_facts(row: Dispatch, last_sequence: int | None) -> dict[str, Any]:
    """sequence_in_backup and sequence_now: what the dialog has grown by since, by whomever."""
    return {
        "id": str(row.pk),
        "kind": row.kind,
        "in_doubt": row.state == DispatchState.UNKNOWN,
        "message": str(row.message_id or ""),
        "conversation": str(row.conversation_id or ""),
        "created_at": row.created_at.isoformat(),
        "sequence_in_backup": row.sequence_before,
        "sequence_now": last_sequence,
    }


def _released(wanted: Wanted) -> list[dict[str, Any]]:
    entries = AuditEntry.objects.filter(action="lane.released").select_related("brand").order_by("-id")
    if wanted.brand:
        entries = entries.filter(brand__slug=wanted.brand)
    if wanted.ids:
        entries = entries.filter(subject_id__in=[str(one) for one in wanted.ids])
    return [
        {
            "lane": entry.subject_id,
            "brand": entry.brand.slug if entry.brand else "",
            "at": entry.at.isoformat(),
            "by": entry.actor_name,
            "reason": entry.reason,
            **entry.data,
        }
        for entry in entries[:MOST_LISTED]
    ]
