"""Addresses of the API that an answer leads on to."""

from __future__ import annotations

import uuid
from urllib.parse import urlencode

from django.http import HttpRequest

_API = "/api/v1"


def row_link(request: HttpRequest, resource: str, row_id: uuid.UUID | str, *more: str) -> str:
    """One row, or with more: what is asked about it, such as its trace."""
    return request.build_absolute_uri("/".join((_API, resource, str(row_id), *more, "")))


def list_link(request: HttpRequest, resource: str, **filters: uuid.UUID | str) -> str:
    """A list, narrowed by these filters."""
    return request.build_absolute_uri(f"{_API}/{resource}/?{urlencode(filters)}")


__all__ = ["list_link", "row_link"]
