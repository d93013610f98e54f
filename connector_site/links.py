"""Addresses of what an answer of the API speaks of. A resource that this site does not serve has none."""

from __future__ import annotations

import uuid
from functools import cache
from urllib.parse import urlencode

from django.http import HttpRequest
from django.urls import Resolver404, resolve

_API = "/api/v1"


def row_link(request: HttpRequest, resource: str, row_id: uuid.UUID | str, *more: str) -> str | None:
    """One row, or with more: what is asked about it, such as its trace."""
    if not _is_served(f"{_API}/{resource}/"):
        return None
    return request.build_absolute_uri("/".join((_API, resource, str(row_id), *more, "")))


def list_link(request: HttpRequest, resource: str, **filters: uuid.UUID | str) -> str | None:
    """A list, narrowed by these filters."""
    if not _is_served(f"{_API}/{resource}/"):
        return None
    return request.build_absolute_uri(f"{_API}/{resource}/?{urlencode(filters)}")


@cache
def _is_served(path: str) -> bool:
    try:
        resolve(path)
    except Resolver404:
        return False
    return True


__all__ = ["list_link", "row_link"]
