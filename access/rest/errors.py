"""Errors of the REST API: always JSON, always the same three members."""

from __future__ import annotations

from typing import Any

import structlog
from django.core.exceptions import PermissionDenied
from django.http import Http404
from rest_framework import exceptions
from rest_framework.renderers import JSONRenderer
from rest_framework.response import Response
from rest_framework.views import exception_handler

# Other words than the framework's where those do not tell the reader what to do.
_SENTENCES: dict[type[Exception], tuple[str, str]] = {
    exceptions.NotAuthenticated: ("not_authenticated", "Send an API key in the header: Authorization: Bearer <key>."),
    exceptions.PermissionDenied: ("forbidden", "You may not do this."),
    PermissionDenied: ("forbidden", "You may not do this."),
    # The words of connector_site.errors: an id of another brand answers like an address that does not exist.
    exceptions.NotFound: ("not_found", "There is nothing here."),
    Http404: ("not_found", "There is nothing here."),
    exceptions.NotAcceptable: ("not_acceptable", "This address answers in JSON: accept application/json."),
}


def answer_error(exc: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's hook. None for what is a bug: Django then logs it and answers 500 in the same shape."""
    response = exception_handler(exc, context)
    if response is None:
        return None
    code, detail = _SENTENCES.get(type(exc)) or (_code_of(exc), _sentence_of(exc))
    correlation_id = structlog.contextvars.get_contextvars().get("correlation_id", "")
    response.data = {"code": code, "detail": detail, "correlation_id": correlation_id}
    _force_json(context.get("request"))
    return response


class BadParameter(exceptions.APIException):
    """A query parameter that this address does not take, or a value that it cannot use. `detail` is the sentence."""

    status_code = 400
    default_code = "bad_parameter"


def _code_of(exc: Exception) -> str:
    if isinstance(exc, exceptions.ValidationError):
        return BadParameter.default_code
    return str(getattr(exc, "default_code", "error"))


def _sentence_of(exc: Exception) -> str:
    detail = getattr(exc, "detail", str(exc))
    if isinstance(detail, dict):
        return " ".join(f"{name}: {' '.join(str(text) for text in texts)}" for name, texts in detail.items())
    if isinstance(detail, list):
        return " ".join(str(text) for text in detail)
    return str(detail)


def _force_json(request: Any) -> None:
    # Pages and documents have renderers of their own, which have no form for an error.
    if request is not None:
        request.accepted_renderer = JSONRenderer()
        request.accepted_media_type = JSONRenderer.media_type
