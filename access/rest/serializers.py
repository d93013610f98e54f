"""What rows have in common when the REST API tells of them: facts, related ids, times."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from access.rest.facts import FactsSerializer, RowT


class BrandFactsSerializer(FactsSerializer[RowT]):
    """The facts of a row that belongs to a brand."""

    brand = serializers.UUIDField(source="brand_id", help_text="Id of the brand.")


@extend_schema_field({"type": "string", "pattern": "^([0-9a-f]{2})*$"})
class Digest(serializers.Field[Any, Any, str, Any]):
    """Bytes as hexadecimal digits."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(read_only=True, **kwargs)

    def to_representation(self, value: Any) -> str:
        return bytes(value).hex()


__all__ = ["BrandFactsSerializer", "Digest", "FactsSerializer"]
