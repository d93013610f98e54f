"""
Lanes: who may send what next. The only code that claims a lane, and the only one that puts a dispatch into it.

One mutex guards everything of a consumer: the consumer's row. Services lock it (lock_consumer) before they touch
anything of that consumer; workers take it for many consumers at once, but skip those that somebody else holds. So no
two ever wait for each other in a circle. The clock of leases and due times is the database's.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.contrib.postgres.functions import TransactionNow
from django.db import connection, transaction
from django.db.models import Q

from conversations.models import Consumer, Dispatch, Lane, Message
from conversations.models.outbox import LIVE_STATES
from core import restoring
from core.ids import NO_ID, new_id
from installations.models import ASLEEP_FOR, PauseScope

HELD = "held_after_restore"
IN_DOUBT = "unknown"
STEP = 1 << 20  # free places between neighbours, for openings that are put before what needs them
LEASE_S = 20


def lock_consumer(consumer_id: uuid.UUID) -> Consumer:
    """Take the mutex of a consumer until the transaction ends, and return the fresh row."""
    return Consumer.objects.select_for_update(no_key=True).get(pk=consumer_id)


def lock_consumer_if_free(consumer_id: uuid.UUID) -> bool:
    """Take the mutex of a consumer unless somebody has it at this moment; whether it was taken."""
    free = Consumer.objects.select_for_update(no_key=True, skip_locked=True).filter(pk=consumer_id)
    return free.first() is not None


def append(
    *,
    consumer: Consumer,
    direction: str,
    kind: str,
    message: Message | None = None,
    conversation_id: uuid.UUID | None = None,
    payload: dict[str, Any] | None = None,
    content_digest: bytes | None = None,
    expires_at: datetime | None = None,
    correlation_id: str = "",
) -> Dispatch:
    """Put a dispatch at the end of a consumer's lane. The caller holds the consumer's mutex."""
    lane_id, position = _next_position(consumer, direction)
    return Dispatch.objects.create(
        brand_id=consumer.brand_id,
        lane_id=lane_id,
        consumer=consumer,
        direction=direction,
        channel_id=message.channel_id if message else consumer.channel_id,
        position=position,
        kind=kind,
        message=message,
        conversation_id=conversation_id,
        payload=payload or {},
        content_digest=content_digest,
        expires_at=expires_at,
        correlation_id=correlation_id,
    )


def put_before(head: Dispatch, *, kind: str) -> Dispatch:
    """Put a new dispatch directly before the head of its lane, behind everything that has ended."""
    previous = (
        Dispatch.objects.filter(lane_id=head.lane_id, position__lt=head.position)
        .order_by("-position")
        .values_list("position", flat=True)
        .first()
    )
    # Directly behind what is there, so that there is room for many more before the same head.
    position = (head.position - STEP if previous is None else previous) + 1
    return Dispatch.objects.create(
        brand_id=head.brand_id,
        lane_id=head.lane_id,
        consumer_id=head.consumer_id,
        direction=head.direction,
        channel_id=head.channel_id,
        position=position,
        kind=kind,
        correlation_id=head.correlation_id,
    )


def waiting_dispatch(*, consumer: Consumer, direction: str, kind: str) -> Dispatch | None:
    """The last dispatch of a lane, if it is of this kind and untried: something may still be added to it."""
    last = (
        Dispatch.objects.filter(lane__consumer=consumer, lane__direction=direction, state__in=LIVE_STATES)
        .order_by("-position")
        .first()
    )
    if last is None or last.kind != kind or last.state != "QUEUED" or last.attempt_count or last.step:
        return None
    return last


def make_due(lane_ids: Collection[uuid.UUID]) -> None:
    """Have the heads of these lanes looked at now. Those that a restore holds stay held."""
    Lane.objects.filter(pk__in=list(lane_ids), held_at=None).update(due_at=TransactionNow(), blocked_by="")


def wake(*, installation_id: uuid.UUID, blocked_by: str = "", at_most: int | None = None) -> None:
    """
    Have the blocked lanes of an installation's account looked at now, or only those that one thing blocks.

    at_most: so many of them, those that were due first.

    Lanes that somebody works on at this moment are left out, so that this waits for nobody; they are looked at anyway.
    """
    blocked = Lane.objects.filter(account__installations=installation_id, held_at=None)
    blocked = blocked.filter(blocked_by=blocked_by) if blocked_by else blocked.exclude(blocked_by="")
    ids = blocked.select_for_update(skip_locked=True, of=("self",)).order_by("due_at").values_list("pk", flat=True)
    with transaction.atomic():
        make_due(list(ids[:at_most]))


_ASLEEP = ", ".join(f"'{reason}'" for reason in ASLEEP_FOR)
# Those that somebody works on at this moment are looked at anyway.
_WAKE_SLEEPING = f"""
    WITH sleeping AS (
        SELECT lane.id FROM conversations_lane lane
        WHERE lane.blocked_by IN ({_ASLEEP}) AND lane.held_at IS NULL AND lane.id > %(after)s AND {{where}}
        ORDER BY lane.id LIMIT %(at_most)s FOR NO KEY UPDATE SKIP LOCKED
    ), woken AS (
        UPDATE conversations_lane lane SET due_at = now(), blocked_by = '' FROM sleeping WHERE lane.id = sleeping.id
    )
    SELECT id FROM sleeping ORDER BY id DESC LIMIT 1
"""  # noqa: S608 -- constants of ours
_OF_ACCOUNT = "lane.account_id = (SELECT account_id FROM installations_{} WHERE id = %(target)s)"
_SLEEPING_OF = {
    PauseScope.PLATFORM: "true",
    PauseScope.BRAND: "lane.brand_id = %(target)s",
    # Of the whole account: consumers that several channels share wait under the channel last written on.
    PauseScope.INSTALLATION: _OF_ACCOUNT.format("appinstallation"),
    PauseScope.CHANNEL: _OF_ACCOUNT.format("channel"),
    PauseScope.CONSUMER: "lane.consumer_id = %(target)s",
}


def wake_sleeping(
    *, scope: PauseScope, target_id: uuid.UUID | None, after: uuid.UUID | None, at_most: int
) -> uuid.UUID | None:
    """
    Have so many of the lanes looked at that sleep for a pause of this scope, or for another that covers them.

    after: those with greater ids. Returns the last that was found; None: there is none left.
    """
    values = {"target": target_id, "after": after or NO_ID, "at_most": at_most}
    with connection.cursor() as cursor:
        cursor.execute(_WAKE_SLEEPING.format(where=_SLEEPING_OF[scope]), values)
        row = cursor.fetchone()
    return row[0] if row else None


_NEXT_POSITION = """
    INSERT INTO conversations_lane AS lane
        (id, brand_id, account_id, consumer_id, direction, next_position, due_at, fence, blocked_by)
    VALUES (%s, %s, %s, %s, %s, %s, now(), 0, '')
    ON CONFLICT (consumer_id, direction) DO UPDATE
        SET next_position = lane.next_position + %s,
            due_at = CASE WHEN lane.held_at IS NULL THEN COALESCE(lane.due_at, now()) END
    RETURNING lane.id, lane.next_position
"""


def _next_position(consumer: Consumer, direction: str) -> tuple[uuid.UUID, int]:
    values: list[Any] = [new_id(), consumer.brand_id, consumer.account_id, consumer.pk, direction, STEP, STEP]
    with connection.cursor() as cursor:
        cursor.execute(_NEXT_POSITION, values)
        row = cursor.fetchone()
    return row[0], row[1]


# Accounts take turns, oldest due first, and none gets more than its places, so that a flood of one brand does not keep
# the others waiting. The consumer's row is the mutex; a consumer in use elsewhere is looked at next time. Before a
# restore has held its lanes nobody may send.
_CLAIM = f"""
    WITH due_account AS (
        SELECT account.id, COALESCE(known.places, %(each)s) AS places
        FROM installations_account account
        LEFT JOIN unnest(%(accounts)s::uuid[], %(places)s::int[]) AS known (id, places) ON known.id = account.id
        WHERE to_regclass('{restoring.TABLE}') IS NULL AND COALESCE(known.places, %(each)s) > 0
          AND EXISTS (SELECT 1 FROM conversations_lane lane
                      WHERE lane.account_id = account.id AND lane.due_at <= now() AND lane.held_at IS NULL
                        AND (lane.leased_until IS NULL OR lane.leased_until < now()))
    ), picked AS (
        SELECT due.id FROM due_account CROSS JOIN LATERAL (
            SELECT lane.id, lane.due_at, row_number() OVER () AS turn
            FROM (SELECT lane.id, lane.due_at FROM conversations_lane lane
                  WHERE lane.account_id = due_account.id AND lane.due_at <= now() AND lane.held_at IS NULL
                    AND (lane.leased_until IS NULL OR lane.leased_until < now())
                  ORDER BY lane.due_at LIMIT LEAST(due_account.places, %(free)s)) lane
        ) due ORDER BY due.turn, due.due_at LIMIT %(free)s
    ), mine AS (
        SELECT lane.id FROM conversations_lane lane
        JOIN conversations_consumer consumer ON consumer.id = lane.consumer_id
        WHERE lane.id IN (SELECT id FROM picked) AND lane.due_at <= now() AND lane.held_at IS NULL
          AND (lane.leased_until IS NULL OR lane.leased_until < now())
        FOR NO KEY UPDATE OF lane, consumer SKIP LOCKED
    )
    UPDATE conversations_lane lane
    SET fence = lane.fence + 1, leased_until = now() + make_interval(secs => %(lease)s)
    FROM mine WHERE lane.id = mine.id
    RETURNING lane.id, lane.fence
"""  # noqa: S608 -- constants of ours


@dataclass(frozen=True, kw_only=True)
class Room:
    """How many lanes may be claimed: of all accounts together, of each, and of those that are named."""

    free: int
    each: int
    of_account: Mapping[uuid.UUID, int] = field(default_factory=dict)


def claim(room: Room) -> dict[uuid.UUID, int]:
    """Lease due lanes: lane id to fence. Their consumers' mutexes are held until the transaction ends."""
    if room.free <= 0:
        return {}
    values: dict[str, Any] = {
        "free": room.free,
        "each": room.each,
        "accounts": list(room.of_account),
        "places": list(room.of_account.values()),
        "lease": LEASE_S,
    }
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM, values)
        return dict(cursor.fetchall())


_REGAIN = """
    SELECT lane.id, lane.fence FROM conversations_lane lane
    JOIN conversations_consumer consumer ON consumer.id = lane.consumer_id
    WHERE lane.id = ANY(%s) FOR NO KEY UPDATE OF lane, consumer SKIP LOCKED
"""


def regain(lane_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, int]:
    """
    Take the mutexes of lanes that this worker leases, and tell their fences.

    Lanes whose consumer is in use elsewhere at this moment are left out: ask again. A fence other than one's own says
    that the lease was lost.
    """
    if not lane_ids:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(_REGAIN, [list(lane_ids)])
        return dict(cursor.fetchall())


def take_idle(*, installation_id: uuid.UUID, blocked_by: Collection[str], at_most: int) -> list[uuid.UUID]:
    """
    Take the mutexes of an installation's lanes that wait for a time for one of these reasons, the longest waits first.

    Lanes that somebody works on at this moment are left out.
    """
    free = Q(leased_until=None) | Q(leased_until__lt=TransactionNow())
    waiting = Lane.objects.filter(
        free,
        consumer__channel__installation=installation_id,
        blocked_by__in=blocked_by,
        due_at__gt=TransactionNow(),
        held_at=None,
    )
    mutexes = waiting.select_related("consumer").select_for_update(
        no_key=True, skip_locked=True, of=("self", "consumer")
    )
    return [lane.pk for lane in mutexes.order_by("-due_at")[:at_most]]


_EXTEND = """
    UPDATE conversations_lane SET leased_until = now() + make_interval(secs => %s), blocked_by = '' WHERE id = ANY(%s)
"""
# Those that somebody else has locked for a moment are renewed the next time: nobody waits for anybody.
_RENEW = """
    UPDATE conversations_lane SET leased_until = now() + make_interval(secs => %s)
    WHERE id IN (
        SELECT lane.id FROM conversations_lane lane
        JOIN unnest(%s::uuid[], %s::bigint[]) AS mine (id, fence) ON lane.id = mine.id AND lane.fence = mine.fence
        FOR NO KEY UPDATE OF lane SKIP LOCKED)
"""
_RELEASE = """
    UPDATE conversations_lane SET leased_until = NULL, due_at = %s, blocked_by = %s WHERE id = %s
"""


def extend(lane_ids: Sequence[uuid.UUID]) -> None:
    """Lease lanes for one more send."""
    if lane_ids:
        with connection.cursor() as cursor:
            cursor.execute(_EXTEND, [LEASE_S, list(lane_ids)])


def renew(leases: Sequence[tuple[uuid.UUID, int]]) -> None:
    """Go on leasing lanes whose calls are still under way, (lane id, fence); what was taken over stays taken."""
    if leases:
        with connection.cursor() as cursor:
            cursor.execute(_RENEW, [LEASE_S, [lane_id for lane_id, _ in leases], [fence for _, fence in leases]])


def release(rows: Sequence[tuple[uuid.UUID, datetime | None, str]]) -> None:
    """Give lanes back: (lane id, when its head is due or None, what blocks it)."""
    if rows:
        with connection.cursor() as cursor:
            cursor.executemany(_RELEASE, [(due_at, blocked_by, lane_id) for lane_id, due_at, blocked_by in rows])


def let_go(lane_id: uuid.UUID) -> None:
    """End the hold on a lane: its head is looked at now. The caller holds the consumer's mutex."""
    Lane.objects.filter(pk=lane_id).update(held_at=None, due_at=TransactionNow(), blocked_by="")


def heads_of(lane_ids: Collection[uuid.UUID]) -> list[Dispatch]:
    """The first live dispatch of each lane, with everything that sending it needs."""
    if not lane_ids:
        return []
    return list(
        Dispatch.objects.filter(lane_id__in=list(lane_ids), state__in=LIVE_STATES)
        .order_by("lane_id", "position")
        .distinct("lane_id")
        .select_related("lane", "consumer", "message__content")
    )


def read_afresh(dispatch_id: uuid.UUID) -> Dispatch:
    """A dispatch as it stands in the database, with everything that sending it needs."""
    return Dispatch.objects.select_related("lane", "consumer", "message__content").get(pk=dispatch_id)


def has_due_work() -> bool:
    """Whether some lane could be claimed now."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT 1 FROM conversations_lane WHERE due_at <= now() AND held_at IS NULL"
            " AND (leased_until IS NULL OR leased_until < now()))"
        )
        return bool(cursor.fetchone()[0])


__all__ = [
    "HELD",
    "IN_DOUBT",
    "LEASE_S",
    "Room",
    "append",
    "claim",
    "extend",
    "has_due_work",
    "heads_of",
    "let_go",
    "lock_consumer",
    "make_due",
    "put_before",
    "read_afresh",
    "regain",
    "release",
    "renew",
    "take_idle",
    "waiting_dispatch",
    "wake",
    "wake_sleeping",
]
