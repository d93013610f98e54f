"""The tries of a connector that lately failed: of each of its channels the newest sends, and no further."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.dispatch import receiver

from conversations.models import Direction, Outcome, Step
from conversations.newest_sends import newest_sends_of
from core.ids import first_id_at
from installations.failures import Failure
from installations.models import AppInstallation, Channel
from installations.signals import failures_asked

_LOOKED_BACK = timedelta(days=7)
_SENDS = 300
_TRIES_OF_ONE = 5
_TRIES = 100

# Limits inside, so that no plan walks through all tries.
# A send that was accepted at its first try has none that failed; those are passed over without a look at their tries.
_FAILED = """
    SELECT send.id, send.channel_id, attempt.started_at, send.direction, attempt.step, attempt.error_code,
           attempt.detail, attempt.http_status
    FROM {}
    CROSS JOIN LATERAL (
        SELECT id, started_at, step, error_code, detail, http_status FROM conversations_attempt
        WHERE dispatch_id = send.id AND finished_at IS NOT NULL AND outcome <> %(accepted)s
        ORDER BY id DESC LIMIT %(tries_of_one)s
    ) attempt
    WHERE send.state <> 'SENT' OR send.attempt_count > 1
    ORDER BY attempt.id DESC LIMIT %(tries)s
"""


@receiver(failures_asked)
def tell_of_failures(*, row: AppInstallation | Channel, now: datetime, **_: Any) -> list[Failure]:
    values: dict[str, Any] = {
        "row": row.pk,
        "since": first_id_at(now - _LOOKED_BACK),
        "newest": _SENDS,
        "accepted": Outcome.ACCEPTED,
        "tries_of_one": _TRIES_OF_ONE,
        "tries": _TRIES,
    }
    with connection.cursor() as cursor:
        cursor.execute(_FAILED.format(newest_sends_of(row)), values)
        found = cursor.fetchall()
    return [
        Failure(
            dispatch_id=dispatch_id,
            channel_id=channel_id,
            at=at,
            whither=Direction(direction).label,
            step=Step(step).label,
            cause=error_code or "unanswered",
            detail=detail,
            http_status=http_status,
        )
        for dispatch_id, channel_id, at, direction, step, error_code, detail, http_status in found
    ]
