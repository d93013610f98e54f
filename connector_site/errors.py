"""Answers to what no view answered: JSON of one shape for programs, a short page for people."""

import sys
from typing import Any

import structlog
from django.db import connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template import loader
from django.utils.html import format_html

from connector_site.logs import first_line
from core.postgres.reach import is_unreachable, stores_nothing

logger = structlog.get_logger(__name__)

_TEXTS = {
    400: ("bad_request", "The request cannot be understood."),
    403: ("forbidden", "You may not do this."),
    404: ("not_found", "There is nothing here."),
    503: ("database_away", "The site cannot reach its database at the moment. Try again in a few seconds."),
    500: ("server_error", "Something went wrong on our side. The correlation id finds it in the logs."),
}
_STALE_FORM = "The form has expired. Go back, load the page again and repeat the step."
# What a person does next; the sentences above say what happened.
_NEXT = {
    400: "Open the page from the menu instead of from a bookmark, or go back and try the step again.",
    403: "Your role does not allow it. An owner of the brand, or who runs the site, can give you another one.",
    404: "The address may be mistyped, or what stood here is gone, or belongs to a brand that you do not see.",
    503: "Nothing of this request was stored. If it stays so for minutes, tell whoever runs the site.",
    500: "Look whether your step took effect before you repeat it. If it happens again, tell whoever runs the site, "
    "with the id below.",
}
_STALE_FORM_NEXT = "Nothing was stored. If it happens again and again, let the browser keep cookies of this site."
_PLAIN = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title></head>
<body><h1>{title}</h1><p>{next}</p><p><small>HTTP {status}. Correlation id: {correlation_id}</small></p></body></html>
"""


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Answer 400."""
    return _answer(request, status=400)


def forbidden(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Answer 403."""
    return _answer(request, status=403)


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Answer 404."""
    return _answer(request, status=404)


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer 500, or 503 where what went wrong is the database: middleware that asks it has no other answer."""
    error = sys.exception()
    away = without_database(request, error) if isinstance(error, Exception) else None
    return away or _answer(request, status=500)


def without_database(request: HttpRequest, error: Exception) -> HttpResponse | None:
    """Answer 503 to what needs a database that is away; None where the error is another one."""
    if not (is_unreachable(error) or stores_nothing(error)):
        return None
    connection.close()  # the next request makes a fresh one
    logger.warning("request.database_away", reason=first_line(error))
    answer = _answer(request, status=503)
    answer["Retry-After"] = "2"
    # Django would log each as an error of ours; that the database is away is logged once.
    answer._has_been_logged = True  # type: ignore[attr-defined]
    return answer


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer 403 to a form that was open for too long, or came from another site."""
    return _answer(request, status=403, detail=_STALE_FORM, next_step=_STALE_FORM_NEXT)


def _answer(request: HttpRequest, *, status: int, detail: str = "", next_step: str = "") -> HttpResponse:
    code, usual = _TEXTS[status]
    facts: dict[str, Any] = {
        "code": code,
        "detail": detail or usual,
        "correlation_id": getattr(request, "correlation_id", ""),
    }
    if request.path.startswith(("/api/", "/webhooks/")):
        return JsonResponse(facts, status=status)
    page = _page(
        status=status,
        title=facts["detail"],
        next=next_step or _NEXT[status],
        correlation_id=facts["correlation_id"],
    )
    return HttpResponse(page, status=status)


def _page(**shown: Any) -> str:
    """Needs no database and no person who is signed in; where even a template is too much, it is plain."""
    try:
        return loader.render_to_string("error.html", shown)
    except Exception:
        logger.exception("errors.page_failed")
        return format_html(_PLAIN, **shown)
