"""What rows have in common when the REST API tells of them: facts, related ids, times."""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypeVar

from django.db.models import Model
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from core.ids import made_at

RowT = TypeVar("RowT", bound=Model)


class FactsSerializer(serializers.ModelSerializer[RowT]):
    """A row's facts. `created_at` is read from the id, which the lists are ordered by."""

    created_at = serializers.SerializerMethodField(help_text="When it was stored here.")

    def get_created_at(self, row: RowT) -> datetime | None:
        return made_at(row.pk)


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
