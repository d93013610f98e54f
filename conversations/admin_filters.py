"""Filters of the lists of conversations and sends."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.http import HttpRequest

from access.admin_filters import OfferedFilter, RowFilter
from core import errors
from installations.models import Channel


def _codes() -> list[str]:
    """The stable codes of everything that can go wrong with a send."""
    found, left = set(), [errors.ConnectorError]
    while left:
        one = left.pop()
        found.add(one.code)
        left += one.__subclasses__()
    return sorted(found - {errors.WebhookRejected.code, errors.BodyUnusable.code})


class ErrorCodeFilter(OfferedFilter):
    title = "what went wrong"
    parameter_name = "error_code"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(code, code.replace("_", " ")) for code in _codes()]

    def narrowed(self, queryset: models.QuerySet[Any], value: str) -> models.QuerySet[Any]:
        return queryset.filter(error_code=value)


class ChannelFilter(RowFilter):
    title = "channel"
    parameter_name = "channel"
    model = Channel


class DirectionFilter(OfferedFilter):
    """Of sends, whose lane knows it."""

    title = "direction"
    parameter_name = "direction"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("TO_LIVEPERSON", "To LivePerson"), ("TO_CHANNEL", "To the channel")]

    def narrowed(self, queryset: models.QuerySet[Any], value: str) -> models.QuerySet[Any]:
        return queryset.filter(lane__direction=value)
