"""
How things stand at this moment: each question one statement along an index, counted no further than it is told.

Nothing of this is rolled up: what waits now is few, or else it is enough to know that it is many.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection
from dataclasses import dataclass, fields
from datetime import datetime

from django.db import connection
from django.db.models import Q, QuerySet

from access.models import Brand, User
from access.rules import Verb, limit
from connector_site.bulk.models import BulkJob, BulkState
from conversations.selectors import MOST_UNSETTLED
from installations import breakers
from installations.models import ASLEEP_FOR, AppToken, Pause, State, Upstream

COUNTED_AT_MOST = 1_000
_MOST_LISTED = 50


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """
    What waits in one brand. lanes: consumers for whom something is due to be sent; since: for how long the first.

    held_up: further ones, whose next send waits for a pause to end, a host to answer, or its next try. deliveries:
    stored, and not applied yet. quarantined, dead: those that were not applied.
    """

    lanes: int = 0
    lanes_since: datetime | None = None
    held_up: int = 0
    deliveries: int = 0
    deliveries_since: datetime | None = None
    quarantined: int = 0
    dead: int = 0

    @property
    def consumers(self) -> int:
        """All for whom something is to be sent, no further than they are counted."""
        return min(self.lanes + self.held_up, COUNTED_AT_MOST)


_NOT_APPLIED = """
        (SELECT count(*) FROM (
            SELECT 1 FROM webhooks_delivery WHERE brand_id = brand.id AND state = '{}'
            LIMIT %(most_unsettled)s) not_applied)"""
_ASLEEP = ", ".join(f"'{reason}'" for reason in ASLEEP_FOR)
_WAITING = f"""
    SELECT brand.id,
        (SELECT count(*) FROM (
            SELECT 1 FROM installations_account account
            JOIN conversations_lane lane ON lane.account_id = account.id AND lane.due_at <= now()
            WHERE account.brand_id = brand.id AND lane.held_at IS NULL LIMIT %(most)s) due),
        (SELECT min(first.due_at) FROM installations_account account
         CROSS JOIN LATERAL (SELECT lane.due_at FROM conversations_lane lane
                             WHERE lane.account_id = account.id AND lane.due_at <= now() AND lane.held_at IS NULL
                             ORDER BY lane.due_at LIMIT 1) first
         WHERE account.brand_id = brand.id),
        (SELECT count(*) FROM (
            SELECT 1 FROM conversations_lane
            WHERE brand_id = brand.id AND blocked_by IN ({_ASLEEP}) AND due_at IS NULL AND held_at IS NULL
            LIMIT %(most)s) asleep)
        + (SELECT count(*) FROM (
            SELECT 1 FROM conversations_lane
            WHERE brand_id = brand.id AND blocked_by <> '' AND due_at > now() AND held_at IS NULL
            LIMIT %(most)s) put_off),
        (SELECT count(*) FROM (
            SELECT 1 FROM webhooks_inbox inbox
            JOIN webhooks_delivery delivery ON delivery.inbox_id = inbox.id AND delivery.state = 'STORED'
            WHERE inbox.brand_id = brand.id LIMIT %(most)s) stored),
        (SELECT min(first.received_at) FROM webhooks_inbox inbox
         CROSS JOIN LATERAL (SELECT delivery.received_at FROM webhooks_delivery delivery
                             WHERE delivery.inbox_id = inbox.id AND delivery.state = 'STORED'
                             ORDER BY delivery.id LIMIT 1) first
         WHERE inbox.brand_id = brand.id),
        {", ".join(_NOT_APPLIED.format(state) for state in ("QUARANTINED", "DEAD"))}
    FROM access_brand brand WHERE brand.id = ANY(%(brands)s)
"""  # noqa: S608 -- constants of ours


def what_waits(brand_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, Waiting]:
    """Of each brand: what is due to be sent or applied, and since when."""
    if not brand_ids:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(_WAITING, {"brands": list(brand_ids), "most": COUNTED_AT_MOST, "most_unsettled": MOST_UNSETTLED})
        names = [field.name for field in fields(Waiting)]
        return {row[0]: Waiting(**dict(zip(names, row[1:], strict=True))) for row in cursor.fetchall()}


def troubled_hosts(brand_ids: Collection[uuid.UUID], *, now: datetime) -> list[Upstream]:
    """Hosts that are not called at the moment, or on trial; the first of them."""
    rows: QuerySet[Upstream] = breakers.troubled(now=now).filter(brand__in=brand_ids)
    return list(rows.select_related("installation").order_by("opened_at")[:_MOST_LISTED])


def pauses_in_force(brand_ids: Collection[uuid.UUID]) -> list[Pause]:
    """What people keep from being sent, in these brands and on the platform as a whole; the newest of them."""
    rows = Pause.objects.filter(Q(brand=None) | Q(brand__in=brand_ids), ended_at=None)
    return list(rows.select_related("brand").order_by("-id")[:_MOST_LISTED])


def jobs_for_a_second_person(reader: User, brand: Brand | None) -> list[BulkJob]:
    """Jobs that somebody else has asked for, and to which this reader may agree; the oldest of them."""
    rows = limit(BulkJob.objects.filter(state=BulkState.WAITING), reader, verb=Verb.OPERATE).exclude(asked_by=reader)
    if brand is not None:
        rows = rows.filter(brand=brand)
    return list(rows.select_related("asked_by").order_by("id")[:_MOST_LISTED])


def troubled_tokens(brand_ids: Collection[uuid.UUID]) -> list[AppToken]:
    """Tokens of active connectors that LivePerson does not renew: sends stop when they end."""
    rows = AppToken.objects.filter(
        installation__brand__in=brand_ids, installation__state=State.ACTIVE, failures__gt=0
    ).select_related("installation")
    return list(rows.order_by("expires_at")[:_MOST_LISTED])
