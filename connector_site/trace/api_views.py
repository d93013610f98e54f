"""The REST API's traces."""

from __future__ import annotations

import re
import uuid
from typing import ClassVar

from django.http import Http404
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from access import refusals
from access.rest.errors import BadParameter
from access.rest.questions import QuestionView
from connector_site.trace import rows as trace_rows
from connector_site.trace.serializers import TraceListSerializer, TraceSerializer
from connector_site.trace.steps import trace_of
from conversations.models import Message

_CORRELATION_ID = re.compile(r"[!-~]{1,64}")


class TraceView(QuestionView):
    """One message from end to end. A key that opens messages opens their traces."""

    resource: ClassVar[str] = "messages"

    @extend_schema(operation_id="messages_trace", summary="One message from end to end", responses=TraceSerializer)
    def get(self, request: Request, pk: uuid.UUID) -> Response:
        found = trace_rows.read(pk, request.user)
        if found is None:
            refusals.note(request.user, Message, pk, request._request)
            raise Http404
        trace = trace_of(found)
        # Without the request's reader: what is personal is masked here whatever their key opens.
        context = {"asked": request._request, "attempts": trace.attempts}
        return Response(TraceSerializer(trace, context=context).data)


class TraceList(QuestionView):
    """The messages that carry one correlation id, each with the address of its trace."""

    resource: ClassVar[str] = "messages"
    parameters: ClassVar[tuple[str, ...]] = ("correlation_id",)

    @extend_schema(
        operation_id="trace_list",
        summary="The messages of one correlation id",
        parameters=[
            OpenApiParameter(
                "correlation_id",
                {"type": "string", "minLength": 1, "maxLength": 64, "pattern": "^[!-~]+$"},
                required=True,
                description="As it stands in a row, a log line or an error: 1 to 64 characters without spaces.",
            )
        ],
        responses=TraceListSerializer,
    )
    def get(self, request: Request) -> Response:
        correlation_id = request.query_params.get("correlation_id", "")
        if not _CORRELATION_ID.fullmatch(correlation_id):
            raise BadParameter("correlation_id: Give the id as it stands in a row, a log line or an error.")
        found = trace_rows.carrying(correlation_id, request.user)
        answer = {"correlation_id": correlation_id, "messages": found.messages, "has_more": found.has_more}
        return Response(TraceListSerializer(answer, context={"asked": request._request}).data)


__all__ = ["TraceList", "TraceView"]
