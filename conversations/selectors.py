"""What pages ask about conversations and the outbox, each question with its price in mind."""

from __future__ import annotations

import uuid
from collections.abc import Collection

from django.db import connection
from django.db.models import QuerySet

from conversations.models import Dispatch, DispatchKind
from conversations.models.outbox import LIVE_STATES

TROUBLED_STATES = ("UNKNOWN", "PARKED", "DEAD", "FAILED")
# Of these somebody makes an end: they are few, or it is enough to know that there are many.
UNSETTLED_STATES = ("UNKNOWN", "PARKED", "DEAD")
MOST_UNSETTLED = 100

# Each count walks the partial index dispatch_troubled, and no further than it is told.
_ONE = "(SELECT count(*) FROM (SELECT 1 FROM conversations_dispatch WHERE brand_id = b.id AND state = '{}' LIMIT %s) t)"
_UNSETTLED = "SELECT b.id, {} FROM access_brand b WHERE b.id = ANY(%s)".format(  # noqa: S608 -- constants of ours
    ", ".join(_ONE.format(state) for state in UNSETTLED_STATES)
)


def count_unsettled(brand_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, dict[str, int]]:
    """Of each brand: state to how many dispatches are in it, counted no further than MOST_UNSETTLED."""
    if not brand_ids:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(_UNSETTLED, [*[MOST_UNSETTLED] * len(UNSETTLED_STATES), list(brand_ids)])
        return {row[0]: dict(zip(UNSETTLED_STATES, row[1:], strict=True)) for row in cursor.fetchall()}


def accounts_that_may_open() -> QuerySet[Dispatch, uuid.UUID]:
    """Accounts in which an opening has been begun and has not come to an end: LivePerson may know more than we do."""
    begun = Dispatch.objects.filter(kind=DispatchKind.OPEN, state__in=LIVE_STATES).exclude(step="")
    return begun.values_list("lane__account_id", flat=True)
