"""The two doors for webhooks: guard, one call, answer."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping

import structlog
from django.conf import settings
from django.db import DatabaseError, InterfaceError
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from rest_framework.exceptions import MethodNotAllowed
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core.errors import BodyUnusable, ConfigurationError, WebhookRejected
from core.reading import BodyRefused, read_body
from webhooks import receiving

logger = structlog.get_logger(__name__)


class _OneFormat(BaseContentNegotiation):
    """Whatever format the sender would like, by Accept or ?format=: a delivery is not refused for its answer's sake."""

    def select_parser(self, request: Request, parsers: Iterable[BaseParser]) -> BaseParser:
        return next(iter(parsers))

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        renderer = next(iter(renderers))
        return renderer, str(renderer.media_type)


class WebhookView(APIView):
    """Signed by the sender, so neither session nor key is asked for; every refusal has the same shape."""

    authentication_classes = ()
    permission_classes = ()
    content_negotiation_class = _OneFormat
    http_method_names = ["post"]

    def handle_exception(self, exc: Exception) -> Response:
        if isinstance(exc, BodyRefused):
            return self._refuse(exc.status, "body_refused", exc.detail)
        if isinstance(exc, BodyUnusable):
            return self._refuse(400, exc.code, exc.detail, field=exc.field)
        if isinstance(exc, WebhookRejected):
            # One answer for an unknown id, a disabled one and a wrong signature: it tells a stranger nothing.
            logger.info("webhook.rejected", reason=exc.detail)
            return self._refuse(401, "webhook_rejected", "The request is not authentic.")
        if isinstance(exc, (DatabaseError, InterfaceError, ConfigurationError)):
            # The latter: a secret whose key is missing. The sender is not at fault and must not give up.
            reason = str(exc) if isinstance(exc, ConfigurationError) else ""  # ours; a database's may quote rows
            logger.error("webhook.not_stored", error=type(exc).__name__, reason=reason)
            return self._refuse(503, "not_stored", "The request was not stored. Send it again.")
        if isinstance(exc, MethodNotAllowed):
            return self._refuse(405, "method_not_allowed", "Send webhooks by POST.")
        return super().handle_exception(exc)

    def _refuse(self, status: int, code: str, detail: str, **more: str) -> Response:
        correlation_id = structlog.contextvars.get_contextvars().get("correlation_id", "")
        return Response({"code": code, "detail": detail, "correlation_id": correlation_id, **more}, status=status)


class LivePersonWebhook(WebhookView):
    """LivePerson's notifications."""

    def post(self, request: Request, installation_id: uuid.UUID) -> Response:
        received = receiving.receive_from_liveperson(
            installation_id=installation_id,
            body=read_body(request._request),
            headers=_headers(request),
            now=timezone.now(),
        )
        return Response({"delivery": str(received.delivery_id)})


class ChannelWebhook(WebhookView):
    """What a channel sends: its consumers' messages, typing, receipts."""

    def post(self, request: Request, channel_id: str, suffix: str = "") -> Response:
        received = receiving.receive_from_channel(
            channel_id=uuid.UUID(channel_id),
            suffix=suffix,
            method="POST",
            body=read_body(request._request),
            headers=_headers(request),
            now=timezone.now(),
            url=settings.PUBLIC_BASE_URL + request.get_full_path(),
        )
        if received.problem is not None:
            raise received.problem
        if received.is_duplicate:
            return Response({"duplicate": True})
        return Response({"delivery": str(received.delivery_id)})


@csrf_exempt
def nowhere(request: HttpRequest) -> HttpResponse:
    """Every other address is not found; without this a path that lacks its slash is redirected, and the POST lost."""
    raise Http404


def _headers(request: Request) -> Mapping[str, str]:
    return {name.lower(): value for name, value in request.headers.items()}
