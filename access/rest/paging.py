"""Pages of a list: newest first, continued after the last id seen, so that rows which arrive meanwhile move nothing."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from typing import Any

from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

from access import cursors, newest
from access.cursors import Place
from access.newest import Listing, Page
from access.rest.errors import BadParameter
from access.rest.facts import FIELDS


class NewestFirst(BasePagination):
    """
    Pages by id, which grows with time. Nothing is ever counted; see access.newest.

    A cursor holds the id of the last row that its page looked at; see access.cursors.
    """

    page_size = 100
    max_page_size = 500
    cursor_parameter = "cursor"
    page_size_parameter = "page_size"

    def read(self, listing: Listing, request: Request, *, fitting: Callable[[Sequence[Any]], int] = len) -> Page:
        """
        The page that was asked for. Raises BadParameter for a cursor or a size that cannot be used.

        fitting: how many of its rows, from the first one on, can be told together.
        """
        size, cursor = self._size(request), request.query_params.get(self.cursor_parameter)
        page = newest.read(listing, below=None if cursor is None else self.open(cursor, request), size=size)
        page = page.first(fitting(page.rows))
        self._next_url = None
        if page.next_below is not None:
            sealed = self.seal(page.next_below, request)
            self._next_url = replace_query_param(request.build_absolute_uri(), self.cursor_parameter, sealed)
        return page

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
                    "description": "Address of the next, older page; null on the last one. "
                    "A page may be short, even empty, and have a next one.",
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

    def seal(self, last_id: uuid.UUID, request: Request) -> str:
        """The cursor that continues after this row."""
        return cursors.seal(last_id, self._place(request))

    def open(self, cursor: str, request: Request) -> uuid.UUID:
        """The row that a cursor continues after. Raises BadParameter."""
        last_id = cursors.unseal(cursor, self._place(request))
        if last_id is None:
            raise BadParameter(
                f"{self.cursor_parameter}: This cursor is not of this list with these filters and this key. "
                "Start again without it."
            )
        return last_id

    def _place(self, request: Request) -> Place:
        own = (self.cursor_parameter, self.page_size_parameter, FIELDS)
        filters = [(name, value) for name, value in request.query_params.items() if name not in own]
        return Place(path=request.path, reader_id=str(request.user.pk), filters=filters)
