"""Pages of a list: newest first, continued after the last id seen, so that rows which arrive meanwhile move nothing."""

from __future__ import annotations

import base64
import binascii
import hmac
import uuid
from typing import Any

from django.utils.crypto import salted_hmac
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

from access.rest.errors import BadParameter

_TAG_BYTES = 16


class NewestFirst(BasePagination):
    """
    Pages by id, which grows with time. Nothing is ever counted.

    A cursor holds the last id of its page and is signed for one person, one list and its filters: it cannot be made up,
    and it cannot continue another list.
    """

    page_size = 100
    max_page_size = 500
    cursor_parameter = "cursor"
    page_size_parameter = "page_size"

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any]:
        size = self._size(request)
        cursor = request.query_params.get(self.cursor_parameter)
        if cursor is not None:
            queryset = queryset.filter(pk__lt=self._open(cursor, request))
        rows = list(queryset.order_by("-pk")[: size + 1])
        self._next_url = None
        if len(rows) > size:
            sealed = self._seal(rows[size - 1].pk, request)
            self._next_url = replace_query_param(request.build_absolute_uri(), self.cursor_parameter, sealed)
        return rows[:size]

    def get_paginated_response(self, data: Any) -> Response:
        return Response({"next": self._next_url, "results": data})

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        """For the OpenAPI document."""
        return {
            "type": "object",
            "required": ["next", "results"],
            "properties": {
                "next": {
                    "type": "string",
                    "format": "uri",
                    "nullable": True,
                    "description": "Address of the next, older page; null on the last one.",
                },
                "results": schema,
            },
        }

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        """For the OpenAPI document."""
        return [
            {
                "name": self.cursor_parameter,
                "in": "query",
                "required": False,
                "description": "Continues a list; taken from `next` of the page before, with the same filters.",
                "schema": {"type": "string"},
            },
            {
                "name": self.page_size_parameter,
                "in": "query",
                "required": False,
                "description": "Rows on a page.",
                "schema": {"type": "integer", "minimum": 1, "maximum": self.max_page_size, "default": self.page_size},
            },
        ]

    def _size(self, request: Request) -> int:
        given = request.query_params.get(self.page_size_parameter)
        if given is None:
            return self.page_size
        if not (given.isascii() and given.isdigit() and len(given) <= 4 and 1 <= int(given) <= self.max_page_size):
            raise BadParameter(f"{self.page_size_parameter}: Give a whole number from 1 to {self.max_page_size}.")
        return int(given)

    def _seal(self, last_id: uuid.UUID, request: Request) -> str:
        return base64.urlsafe_b64encode(last_id.bytes + self._tag(last_id, request)).decode().rstrip("=")

    def _open(self, cursor: str, request: Request) -> uuid.UUID:
        try:
            raw = base64.b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
            last_id = uuid.UUID(bytes=raw[:-_TAG_BYTES])
        except (binascii.Error, ValueError):
            last_id, raw = uuid.UUID(int=0), b""
        if not hmac.compare_digest(raw[-_TAG_BYTES:], self._tag(last_id, request)):
            raise BadParameter(
                f"{self.cursor_parameter}: This cursor is not of this list with these filters and this key. "
                "Start again without it."
            )
        return last_id

    def _tag(self, last_id: uuid.UUID, request: Request) -> bytes:
        own = (self.cursor_parameter, self.page_size_parameter)
        filters = sorted((name, value) for name, value in request.query_params.items() if name not in own)
        bound_to = repr((request.path, str(request.user.pk), last_id.hex, filters))
        return salted_hmac("access.rest.paging", bound_to, algorithm="sha256").digest()[:_TAG_BYTES]
