"""
What is personal or was said, in answers of the REST API: told to keys that may read content, masked for all others.

That something stands there is told to everybody: an empty value stays empty.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from django.db import models, transaction
from django.http import HttpRequest
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from access import acts
from access.models import Brand, User
from access.people import actor_of
from access.rules import Person
from core.redaction import MASK

# Of rows: the brand, and the name of their model.
_Kind = tuple[uuid.UUID, str]


def may_read_content(reader: Person) -> bool:
    """Whether the reader's key opens what was said and who said it. Without a key nobody reads it by this way."""
    return isinstance(reader, User) and reader.key is not None and reader.key.may_read_content


def masked(text: str, context: Mapping[str, Any], row: models.Model) -> str:
    """A text of a row, for a reader who may read content, or the mask. context: the serializer's."""
    if text and _reads_content(context):
        _note_opened(context, row)
        return text
    return MASK if text else ""


class _Opened:
    """A member whose value only keys with the content scope read. That they do is recorded; see tell_opened."""

    context: Any

    def get_attribute(self, instance: models.Model) -> Any:
        value = super().get_attribute(instance)  # type: ignore[misc]
        if value and _reads_content(self.context):
            _note_opened(self.context, instance)
        return value


class Masked(_Opened, serializers.CharField):
    """A text that only keys with the content scope read."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(read_only=True, **kwargs)

    def to_representation(self, value: Any) -> str:
        return super().to_representation(value) if not value or _reads_content(self.context) else MASK


class MaskedObject(_Opened, serializers.JSONField):
    """An object that only keys with the content scope read; null for all others, unless it is empty."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(read_only=True, allow_null=True, **kwargs)

    def to_representation(self, value: Any) -> Any:
        return super().to_representation(value) if not value or _reads_content(self.context) else None


@extend_schema_field({"type": "string", "nullable": True})
class MaskedDigest(_Opened, serializers.Field[Any, Any, str, Any]):
    """A digest of something short enough to be guessed, in hexadecimal digits; only keys with the content scope."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(read_only=True, allow_null=True, **kwargs)

    def to_representation(self, value: Any) -> str:
        return bytes(value).hex() if _reads_content(self.context) else MASK


def _reads_content(context: Mapping[str, Any]) -> bool:
    request = context.get("request")
    return request is not None and may_read_content(request.user)


# --- what was opened -------------------------------------------------------------------------------------------------


def _note_opened(context: Mapping[str, Any], row: Any) -> None:
    opened: dict[_Kind, dict[str, None]] = context["request"]._request.__dict__.setdefault("opened", defaultdict(dict))
    opened[row.brand_id, row._meta.model_name][str(row.pk)] = None


def tell_opened(request: HttpRequest) -> None:
    """
    Have recorded what this request has opened so far: one entry for each brand and kind of row.

    Called before the answer, or the next part of one that is streamed, is given away.
    """
    opened: dict[_Kind, dict[str, None]] = request.__dict__.pop("opened", {})
    if opened:  # most requests open nothing, and some need no database
        _tell(opened, request)


@transaction.atomic
def _tell(opened: dict[_Kind, dict[str, None]], request: HttpRequest) -> None:
    assert isinstance(request.user, User)
    actor = actor_of(request.user, request)
    brands = Brand.objects.in_bulk({brand_id for brand_id, _ in opened})
    for (brand_id, kind), rows in sorted(opened.items(), key=str):
        data = {"kind": kind, "count": len(rows), "ids": list(rows)}
        acts.tell("content.read", actor=actor, subject=brands[brand_id], data=data)


__all__ = ["MASK", "Masked", "MaskedDigest", "MaskedObject", "masked", "may_read_content", "tell_opened"]
