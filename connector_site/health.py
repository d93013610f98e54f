"""Whether the process is up, and whether the site can do its work."""

from django.db import DatabaseError, connection, transaction
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from connector_site import heartbeat


@require_safe
@never_cache
def healthz(request: HttpRequest) -> JsonResponse:
    """Answer 200 as long as this process answers at all: what restarts it must not depend on the database."""
    return JsonResponse({"status": "up"})


@require_safe
@never_cache
def readyz(request: HttpRequest) -> JsonResponse:
    """Answer 200 when the database stores and the workers are alive; else 503 and the names of what is missing."""
    try:
        missing = _missing()
    except DatabaseError:
        # Also a connection that broke: the next request makes a fresh one.
        connection.close()
        missing = ["database"]
    if missing:
        answer = JsonResponse({"status": "not ready", "missing": missing}, status=503)
        # Django logs every 5xx as an error of ours; whoever asks once a second knows the answer.
        answer._has_been_logged = True  # type: ignore[attr-defined]
        return answer
    return JsonResponse({"status": "ready"})


def _missing() -> list[str]:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = '2s'")
        cursor.execute(
            "SELECT NOT pg_is_in_recovery() AND current_setting('transaction_read_only') = 'off',"
            " current_setting('fsync') = 'on' AND current_setting('full_page_writes') = 'on'"
            " AND current_setting('synchronous_commit') <> 'off'"
        )
        can_write, is_durable = cursor.fetchone()
        age_s = heartbeat.youngest_age_s()
    missing = []
    if not can_write:
        missing.append("database: it is read-only")
    if not is_durable:
        missing.append("database: fsync, full_page_writes or synchronous_commit is off, so a stored row may be lost")
    if age_s is None or age_s > heartbeat.ALIVE_WITHIN_S:
        missing.append("workers")
    return missing
