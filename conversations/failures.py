"""The tries of a connector that lately failed: of each of its channels the newest sends, and no further."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.dispatch import receiver

from conversations.models import Direction, Outcome, Step
from core.ids import NO_ID, first_id_at
from installations.failures import Failure
from installations.models import AppInstallation, Channel
from installations.signals import failures_asked

_LOOKED_BACK = timedelta(days=7)
_CHANNELS = 20
_SENDS = 300
_TRIES_OF_ONE = 5
_TRIES = 100

# One of two: the index of the channel is walked, however silent the channel is; see access.newest.along.
# Limits inside, so that no plan walks through all tries.
# A send that was accepted at its first try has none that failed; those are passed over without a look at their tries.
_FAILED = """
    SELECT send.id, send.channel_id, attempt.started_at, send.direction, attempt.step, attempt.error_code,
           attempt.detail, attempt.http_status
    FROM (SELECT id FROM installations_channel WHERE {} = %s ORDER BY id DESC LIMIT %s) channel
    CROSS JOIN LATERAL (
        SELECT id, channel_id, direction, state, attempt_count FROM conversations_dispatch
        WHERE channel_id = ANY(ARRAY[channel.id, '{nobody}'::uuid]) AND id >= %s ORDER BY channel_id, id DESC LIMIT %s
    ) send
    CROSS JOIN LATERAL (
        SELECT id, started_at, step, error_code, detail, http_status FROM conversations_attempt
        WHERE dispatch_id = send.id AND finished_at IS NOT NULL AND outcome <> %s ORDER BY id DESC LIMIT %s
    ) attempt
    WHERE send.state <> 'SENT' OR send.attempt_count > 1
    ORDER BY attempt.id DESC LIMIT %s
"""
_OF_INSTALLATION, _OF_CHANNEL = _FAILED.format("installation_id", nobody=NO_ID), _FAILED.format("id", nobody=NO_ID)


@receiver(failures_asked)
def tell_of_failures(*, row: AppInstallation | Channel, now: datetime, **_: Any) -> list[Failure]:
    statement = _OF_CHANNEL if isinstance(row, Channel) else _OF_INSTALLATION
    values: list[Any] = [
        row.pk,
        _CHANNELS,
        first_id_at(now - _LOOKED_BACK),
        _SENDS,
        Outcome.ACCEPTED,
        _TRIES_OF_ONE,
        _TRIES,
    ]
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
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
