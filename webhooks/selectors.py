"""What pages ask about the inbox."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from datetime import datetime

from django.db import connection

from core.ids import NO_ID
from installations.secret_use import SecretUse

# Said as one of two, for the reason that access.newest.along gives: only the index of the source has this order.
_LAST = f"""
    SELECT source.id,
           (SELECT received_at FROM webhooks_delivery
            WHERE inbox_id = ANY(ARRAY[source.id, '{NO_ID}']) ORDER BY inbox_id, id DESC LIMIT 1)
    FROM unnest(%s::uuid[]) AS source(id)
"""  # noqa: S608 -- a constant of ours


USE_LOOKED_BACK = 2000
_LATELY = f"""
    SELECT secret_id, max(received_at), count(*) FILTER (WHERE received_at >= %s)
    FROM (SELECT secret_id, received_at FROM webhooks_delivery
          WHERE inbox_id = ANY(ARRAY[%s, '{NO_ID}'::uuid]) ORDER BY inbox_id, id DESC LIMIT %s) lately
    GROUP BY secret_id
"""  # noqa: S608 -- a constant of ours


def last_uses_of_secrets(source_id: uuid.UUID, *, since: datetime | None) -> dict[uuid.UUID, SecretUse]:
    """What each secret of an app installation or channel verified of its newest deliveries."""
    with connection.cursor() as cursor:
        cursor.execute(_LATELY, [since, source_id, USE_LOOKED_BACK])
        return {secret_id: SecretUse(last_at=last_at, count=count) for secret_id, last_at, count in cursor.fetchall()}


KINDS_LOOKED_BACK = 200
_KINDS = f"""
    SELECT event.type, max(lately.received_at), count(*)
    FROM (SELECT id, received_at FROM webhooks_delivery
          WHERE inbox_id = ANY(ARRAY[%s, '{NO_ID}'::uuid]) ORDER BY inbox_id, id DESC LIMIT %s) lately
    CROSS JOIN LATERAL (SELECT type FROM webhooks_event WHERE delivery_id = lately.id LIMIT 50) event
    GROUP BY event.type
"""  # noqa: S608 -- a constant of ours


def kinds_lately(source_id: uuid.UUID) -> dict[str, tuple[datetime, int]]:
    """Type of change to when it last came, and how often, in the newest deliveries of an app installation."""
    with connection.cursor() as cursor:
        cursor.execute(_KINDS, [source_id, KINDS_LOOKED_BACK])
        return {kind: (last_at, count) for kind, last_at, count in cursor.fetchall()}


def last_deliveries(source_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, datetime | None]:
    """When each of these app installations or channels last sent something authentic; None: never."""
    if not source_ids:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(_LAST, [[str(source_id) for source_id in source_ids]])
        return dict(cursor.fetchall())
