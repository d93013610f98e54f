"""Results of calls whose worker has lost its lane meanwhile."""

from __future__ import annotations

import uuid

from django.db import transaction
from django.utils import timezone

from conversations.calls import Brought, Done, Job
from conversations.models import Dispatch
from conversations.settling import take_late
from conversations.turn import Turn
from core.breaker import Go
from core.errors import ConnectorError
from installations.connectors import get_connector


def late(
    dispatch: Dispatch,
    attempt_id: uuid.UUID,
    *,
    fence: int = 0,
    brought: Brought | None = None,
    error: ConnectorError | None = None,
) -> Done:
    """What such a call of this attempt brought, under the fence of then."""
    job = Job(
        dispatch=dispatch, connector=get_connector(dispatch.channel_id), upstream=None, permit=Go(), fence=fence,
        attempt_id=attempt_id, app_generation=0, correlation_id="", call=lambda: Brought(),
    )  # fmt: skip
    return Done(job=job, brought=brought, error=error, elapsed_ms=25_000)


def bring(done: Done) -> None:
    """It is written, as a worker's turn writes it."""
    with transaction.atomic():
        turn = Turn(now=timezone.now())
        take_late(turn, done)
        turn.flush()
