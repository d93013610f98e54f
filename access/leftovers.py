"""What keys leave behind that is of no use any more. Each function removes one batch, in the caller's transaction."""

from __future__ import annotations

from datetime import datetime, timedelta

from knox.models import AuthToken

from access.models import KeptAnswer
from core.ids import first_id_at

# A program that has heard nothing repeats its request within minutes.
ANSWERS_ARE_KEPT_FOR = timedelta(days=1)


def forget_answers(*, now: datetime, at_most: int) -> int:
    """Forget what acts by keys were answered a day ago; returns how many."""
    old = KeptAnswer.objects.filter(pk__lt=first_id_at(now - ANSWERS_ARE_KEPT_FOR)).order_by("pk")[:at_most]
    return KeptAnswer.objects.filter(pk__in=old.values("pk")).delete()[0]


def forget_ended_keys(*, now: datetime, at_most: int) -> int:
    """Remove the digests of keys whose time is over; their rows stay. Returns how many."""
    ended = list(AuthToken.objects.filter(expiry__lt=now).order_by("pk").values_list("pk", flat=True)[:at_most])
    AuthToken.objects.filter(pk__in=ended).delete()
    return len(ended)
