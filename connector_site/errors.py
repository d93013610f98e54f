"""Answers to what no view answered: JSON of one shape for programs, a short page for people."""

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.html import format_html

_TEXTS = {
    400: ("bad_request", "The request cannot be understood."),
    403: ("forbidden", "You may not do this."),
    404: ("not_found", "There is nothing here."),
    503: ("database_away", "The site cannot reach its database at the moment. Try again in a few seconds."),
    500: ("server_error", "Something went wrong on our side. The correlation id finds it in the logs."),
}
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title></head>
<body><h1>{title}</h1><p>{detail}</p><p><small>Correlation id: {correlation_id}</small></p></body></html>
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
    """Answer 500."""
    return _answer(request, status=500)


def database_away(request: HttpRequest) -> HttpResponse:
    """Answer 503."""
    answer = _answer(request, status=503)
    answer["Retry-After"] = "2"
    # Django would log each as an error of ours; that the database is away is logged once.
    answer._has_been_logged = True  # type: ignore[attr-defined]
    return answer


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer 403 to a form that was open for too long, or came from another site."""
    return _answer(
        request, status=403, detail="The form has expired. Go back, load the page again and repeat the step."
    )


def _answer(request: HttpRequest, *, status: int, detail: str = "") -> HttpResponse:
    code, usual = _TEXTS[status]
    facts: dict[str, Any] = {
        "code": code,
        "detail": detail or usual,
        "correlation_id": getattr(request, "correlation_id", ""),
    }
    if request.path.startswith(("/api/", "/webhooks/")):
        return JsonResponse(facts, status=status)
    page = format_html(_PAGE, title=facts["detail"], detail=f"HTTP {status}", correlation_id=facts["correlation_id"])
    return HttpResponse(page, status=status)
