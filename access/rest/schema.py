"""What the OpenAPI document tells of every list and row, beside what the library finds out."""

from __future__ import annotations

from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter

from access.rest.facts import FIELDS


class ListSchema(AutoSchema):
    """Of access.rest.views.BrandScopedList."""

    def get_override_parameters(self) -> list[Any]:
        view: Any = self.view
        members = list(view.get_serializer_class()().fields)
        return [
            OpenApiParameter(
                FIELDS,
                {"type": "array", "items": {"type": "string", "enum": members}, "minItems": 1},
                style="form",
                explode=False,
                description="Only these members, their names with commas between; the id is always told.",
            )
        ]
