"""What the OpenAPI document tells of every list and row, beside what the library finds out."""

from __future__ import annotations

from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter

from access.rest.facts import FIELDS

IDEMPOTENCY_KEY = "Idempotency-Key"


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


class ActSchema(AutoSchema):
    """Of access.rest.acting.ActView."""

    def get_override_parameters(self) -> list[Any]:
        return [
            OpenApiParameter(
                IDEMPOTENCY_KEY,
                {"type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[!-~]+$"},
                location=OpenApiParameter.HEADER,
                required=True,
                description="Names this request among those of the key. The same again within a day is answered as the "
                "first was, and done no second time.",
            )
        ]

    def get_request_serializer(self) -> Any:
        view: Any = self.view
        return view.asked_for

    def get_response_serializers(self) -> Any:
        view: Any = self.view
        return {200: view.serializer_class}
