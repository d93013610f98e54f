"""The worker's share of counting usage: what conversations.services.usage counts, and the bodies of deliveries."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import datetime

import structlog
from django.utils import timezone

from conversations.models import Reckoning
from conversations.services import usage

logger = structlog.get_logger(__name__)

_BODIES_STORED = usage.Source(
    name="bodies",
    keys="""
        SELECT NULL::timestamptz, delivery_id FROM webhooks_deliverybody
        WHERE delivery_id > %(after_id)s AND delivery_id < %(before_id)s ORDER BY delivery_id LIMIT %(limit)s
    """,
    counts="""
        SELECT delivery.brand_id, delivery.channel_id, sum(octet_length(body.raw)) AS body_bytes
        FROM webhooks_deliverybody body JOIN webhooks_delivery delivery ON delivery.id = body.delivery_id
        WHERE body.delivery_id > %(after_id)s AND body.delivery_id <= %(to_id)s
        GROUP BY delivery.brand_id, delivery.channel_id
    """,
)
_STORED = (*usage.STORED, _BODIES_STORED)
Now = Callable[[], datetime]


def walk(*, now: Now = timezone.now) -> Iterator[None]:
    """Count everything there is to count now; each step of the iterator is one portion."""
    for reckoning in Reckoning:
        for source in usage.COUNTED:
            while usage.count_some(source, reckoning, now=now()):
                yield
            yield
    while usage.measure_some(_STORED, now=now()):
        yield
    while usage.forget_consumers():
        yield


class Counter:
    """Takes a little of a walk at a time, beside the sweep: as long as the budget lasts, whenever it is called."""

    PAUSE_S = 20.0
    AFTER_TROUBLE_S = 60.0

    def __init__(self) -> None:
        self._walk: Iterator[None] | None = None
        self._walk_from_s = 0.0

    def work(self, *, budget_s: float = 0.2) -> None:
        """Never raises: what is wrong with it must not look like a database that is away."""
        ends_at_s = time.monotonic() + budget_s
        try:
            while time.monotonic() < ends_at_s and time.monotonic() >= self._walk_from_s:
                self._step()
        except Exception as error:
            # The class only: the text of an error may quote a row.
            logger.exception("usage.failed", error=type(error).__name__)
            self._walk, self._walk_from_s = None, time.monotonic() + self.AFTER_TROUBLE_S

    def _step(self) -> None:
        self._walk = self._walk or walk()
        try:
            next(self._walk)
        except StopIteration:
            self._walk, self._walk_from_s = None, time.monotonic() + self.PAUSE_S
