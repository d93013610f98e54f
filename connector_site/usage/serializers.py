"""What the REST API tells of usage."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from conversations.models import UsageCount, UsageStorage
from conversations.services.monthly_usage import COUNT_FIGURES, STORAGE_FIGURES, MonthOfChannel


def _figure(model: type[UsageCount | UsageStorage], name: str) -> serializers.IntegerField:
    (field,) = (field for field in model._meta.fields if field.name == name)
    return serializers.IntegerField(source=f"figures.{name}", help_text=str(field.help_text))


class UsageSerializer(serializers.Serializer[MonthOfChannel]):
    """One channel in one month."""

    month = serializers.RegexField(r"^\d{4}-\d\d$", source="named_month", help_text="The month of UTC, as 2026-11.")
    brand = serializers.UUIDField(source="brand_id", help_text="Id of the brand.")
    channel = serializers.UUIDField(
        source="channel_id",
        allow_null=True,
        help_text="Id of the channel; null: what LivePerson sent to app installations, which several channels may use.",
    )
    is_final = serializers.BooleanField(
        help_text="Whether the month is over and counted to its end: its figures do not change any more."
    )

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        fields = super().get_fields()
        fields |= {name: _figure(UsageCount, name) for name in COUNT_FIGURES}
        fields |= {name: _figure(UsageStorage, name) for name in STORAGE_FIGURES}
        fields["storage_measured_at"] = serializers.DateTimeField(
            source="measured_at", allow_null=True, help_text="When these bytes were measured; null: not in this month."
        )
        return fields


class UsagesSerializer(serializers.Serializer[Any]):
    """All of the answer."""

    counted_to = serializers.DateTimeField(
        allow_null=True, help_text="What happened until then is in the figures; null: nothing has been counted yet."
    )
    results = UsageSerializer(source="rows", many=True)
