"""How often a key may ask in a minute; and when, and from where, it last did."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from django.conf import settings
from django.db import connection
from django.http import HttpRequest, HttpResponse
from rest_framework.exceptions import ErrorDetail, Throttled
from rest_framework.request import Request

from access.models import ApiKey
from access.people import address_of

# One statement, so the lock on the row is held for no longer than it takes, and the count is exact over all processes.
# Who waited for that lock may come from the minute before: such a request counts in the minute that has begun. A minute
# that lies further ahead is one of a clock that was put back, and is begun anew.
_NOTE_USE = """
    UPDATE access_apikey SET
        window_count = CASE WHEN window_at BETWEEN minute AND minute + interval '1 minute'
                            THEN window_count + 1 ELSE 1 END,
        window_at = CASE WHEN window_at BETWEEN minute AND minute + interval '1 minute' THEN window_at ELSE minute END,
        last_used_at = statement_timestamp(),
        last_used_from = %(address)s
    FROM date_trunc('minute', statement_timestamp()) AS minute
    WHERE id = %(key)s AND revoked_at IS NULL
    RETURNING window_count, extract(epoch FROM window_at + interval '1 minute' - statement_timestamp())
"""


@dataclass(frozen=True, kw_only=True)
class Use:
    """One use of a key. number: which of this minute; reset_s: seconds until the next minute begins."""

    number: int
    limit: int
    reset_s: int

    @property
    def is_too_many(self) -> bool:
        return self.number > self.limit


class TooManyRequests(Throttled):
    """The key has used what it may in this minute."""

    def __init__(self, use: Use) -> None:
        super().__init__(wait=use.reset_s)
        self.detail = ErrorDetail(
            f"This key has used its {use.limit} requests of this minute. "
            f"Ask again in {use.reset_s} second{'' if use.reset_s == 1 else 's'}."
        )


def note_use(key: ApiKey, request: Request) -> Use | None:
    """Count one use of a key; None when it was revoked a moment ago. What is counted stands in the answer's headers."""
    asked: HttpRequest = request._request
    with connection.cursor() as cursor:
        cursor.execute(_NOTE_USE, {"key": key.pk, "address": address_of(asked)})
        row = cursor.fetchone()
    if row is None:
        return None
    use = Use(number=row[0], limit=settings.API_REQUESTS_PER_MINUTE, reset_s=max(1, -int(-row[1] // 1)))
    asked.use_of_key = use  # type: ignore[attr-defined]
    return use


class RateLimitHeaders:
    """Says in every answer to a key, errors too, how many requests it has left, and for how long."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._next = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self._next(request)
        use: Use | None = getattr(request, "use_of_key", None)
        if use is not None:
            response["RateLimit-Limit"] = str(use.limit)
            response["RateLimit-Remaining"] = str(max(0, use.limit - use.number))
            response["RateLimit-Reset"] = str(use.reset_s)
        return response
