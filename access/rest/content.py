"""
What is personal or was said, in answers of the REST API: told to keys that may read content, masked for all others.

That something stands there is told to everybody: an empty value stays empty.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from access.models import User
from access.rules import Person

MASK = "•••"


def may_read_content(reader: Person) -> bool:
    """Whether the reader's key opens what was said and who said it. Without a key nobody reads it by this way."""
    return isinstance(reader, User) and reader.key is not None and reader.key.may_read_content


def masked(text: str, context: Mapping[str, Any]) -> str:
    """The text, for a reader who may read content, or the mask. context: the serializer's."""
    return text if not text or _reads_content(context) else MASK


class Masked(serializers.CharField):
    """A text that only keys with the content scope read."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(read_only=True, **kwargs)

    def to_representation(self, value: Any) -> str:
        return masked(super().to_representation(value), self.context)


class MaskedObject(serializers.JSONField):
    """An object that only keys with the content scope read; null for all others, unless it is empty."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(read_only=True, allow_null=True, **kwargs)

    def to_representation(self, value: Any) -> Any:
        return super().to_representation(value) if not value or _reads_content(self.context) else None


@extend_schema_field({"type": "string", "nullable": True})
class MaskedDigest(serializers.Field[Any, Any, str, Any]):
    """A digest of something short enough to be guessed, in hexadecimal digits; only keys with the content scope."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(read_only=True, allow_null=True, **kwargs)

    def to_representation(self, value: Any) -> str:
        return masked(bytes(value).hex(), self.context)


def _reads_content(context: Mapping[str, Any]) -> bool:
    request = context.get("request")
    return request is not None and may_read_content(request.user)


__all__ = ["MASK", "Masked", "MaskedDigest", "MaskedObject", "masked", "may_read_content"]
