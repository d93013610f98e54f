"""Inboxes: which source's deliveries a worker may apply. One worker has a source at a time, so order is kept."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from dataclasses import dataclass

from django.db import connection, transaction
from django.db.models import F

from webhooks.models import Delivery, DeliveryState, Inbox

LEASE_S = 20
# A portion between two turns of sending: sends must not wait long for a flood that arrives.
BATCH = 30
# What is missing in a dialog is waited for while it has lately come after all, and not in vain so often since.
GAPS_FILLED_LATELY_S = 3600
MOST_IN_VAIN = 3

# A channel has moved to another app installation: what the former one brought before the new one was told anything
# comes first. Only what is older than all that the new one has to apply: so two never wait for each other.
_COMES_AFTER_FORMER = """
    EXISTS (
        SELECT 1 FROM installations_channel channel
        JOIN webhooks_delivery d ON d.inbox_id = channel.former_installation_id AND d.state = 'STORED'
        WHERE channel.installation_id = candidate.id
          AND d.id < (SELECT own.id FROM webhooks_delivery own
                      WHERE own.inbox_id = candidate.id AND own.state = 'STORED' ORDER BY own.id LIMIT 1)
          AND d.id < (SELECT own.id FROM webhooks_delivery own
                      WHERE own.inbox_id = candidate.id
                        -- The first id of a moment, as core.ids makes it.
                        AND own.id >= rpad(lpad(to_hex(ceil(extract(epoch FROM channel.moved_at) * 1000)::bigint),
                                                12, '0'), 32, '0')::uuid
                      ORDER BY own.id LIMIT 1))
"""
_HAS_TURN = f"""
    (candidate.leased_until IS NULL OR candidate.leased_until < now())
    AND EXISTS (SELECT 1 FROM webhooks_delivery d WHERE d.inbox_id = candidate.id AND d.state = 'STORED')
    AND NOT {_COMES_AFTER_FORMER}
"""  # noqa: S608 -- constants of ours
_CLAIM = f"""
    UPDATE webhooks_inbox inbox
    SET fence = inbox.fence + 1, leased_until = now() + make_interval(secs => %s)
    WHERE inbox.id = (
        SELECT candidate.id FROM webhooks_inbox candidate
        WHERE {_HAS_TURN}
        ORDER BY candidate.leased_until NULLS FIRST LIMIT 1 FOR UPDATE SKIP LOCKED)
    RETURNING inbox.id, inbox.fence,
        CASE WHEN inbox.gap_filled_at > now() - make_interval(secs => %s) AND inbox.gaps_given_up < %s
             THEN inbox.gap_wait_s ELSE 0 END
"""  # noqa: S608 -- constants of ours
# A released inbox keeps the time of its release, so that inboxes take turns.
_RELEASE = "UPDATE webhooks_inbox SET leased_until = now() - interval '1 millisecond' WHERE id = %s AND fence = %s"
_HAS_WORK = f"SELECT EXISTS (SELECT 1 FROM webhooks_inbox candidate WHERE {_HAS_TURN})"  # noqa: S608 -- constants of ours


@dataclass(frozen=True, kw_only=True)
class Lease:
    """gap_wait_s: how long to wait for what is missing in a dialog; 0 where that was of no use lately."""

    inbox_id: uuid.UUID
    fence: int
    gap_wait_s: int = 0


def claim() -> Lease | None:
    """Lease an inbox with something to apply, the one that has waited longest for its turn."""
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM, [LEASE_S, GAPS_FILLED_LATELY_S, MOST_IN_VAIN])
        row = cursor.fetchone()
    return Lease(inbox_id=row[0], fence=row[1], gap_wait_s=row[2]) if row else None


def count_waiting() -> int:
    """Deliveries that are stored and not applied yet."""
    return Delivery.objects.filter(state=DeliveryState.STORED).count()


def end_leases() -> None:
    """Nobody works on any inbox: the workers that did are those of a site that is no more."""
    Inbox.objects.update(leased_until=None, fence=F("fence") + 1)


def release(lease: Lease) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_RELEASE, [lease.inbox_id, lease.fence])


@transaction.atomic
def next_batch(lease: Lease) -> list[Delivery]:
    """
    The next deliveries to apply, their starts counted and committed before the work.

    What has been started before without coming to an end comes alone: should it kill the worker again, no neighbour
    is blamed for it.
    """
    rows = list(
        Delivery.objects.filter(inbox_id=lease.inbox_id, state=DeliveryState.STORED)
        .select_related("body", "installation", "channel__brand")
        .order_by("id")[:BATCH]
    )
    first_restarted = next((place for place, row in enumerate(rows) if row.start_count), len(rows))
    rows = rows[: max(first_restarted, 1)]
    Delivery.objects.filter(pk__in=[row.pk for row in rows]).update(start_count=F("start_count") + 1)
    for row in rows:
        row.start_count += 1
    return rows


def give_back(delivery_ids: Collection[uuid.UUID]) -> None:
    """Uncount one start of deliveries that were not applied for a reason that is not theirs."""
    Delivery.objects.filter(pk__in=delivery_ids, state=DeliveryState.STORED, start_count__gt=0).update(
        start_count=F("start_count") - 1
    )


def has_work() -> bool:
    """Whether some inbox could be claimed now."""
    with connection.cursor() as cursor:
        cursor.execute(_HAS_WORK)
        return bool(cursor.fetchone()[0])
