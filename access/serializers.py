"""What the REST API tells of brands."""

from __future__ import annotations

from access.models import Brand
from access.rest.serializers import FactsSerializer


class BrandSerializer(FactsSerializer[Brand]):
    class Meta:
        model = Brand
        fields = ("id", "slug", "name", "retention_days", "held_at", "created_at")
        read_only_fields = fields


__all__ = ["BrandSerializer"]
