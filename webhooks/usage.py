"""All of counting usage: what conversations.services.usage counts, and the bodies of deliveries."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime

from django.utils import timezone

from conversations.models import Reckoning
from conversations.services import usage
from conversations.services.portions import Source, by_id

_BODIES_STORED = Source(
    name="bodies",
    keys=by_id("webhooks_deliverybody", "delivery_id"),
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
