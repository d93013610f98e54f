"""The REST API's list of brands."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema, extend_schema_view

from access.models import Brand
from access.rest.filters import Exactly, filters_like
from access.rest.views import BrandScopedList
from access.serializers import BrandSerializer


@extend_schema_view(
    list=extend_schema(summary="Brands, newest first"),
    retrieve=extend_schema(summary="One brand"),
)
class BrandList(BrandScopedList):
    """Brands that the key sees: the companies whose consumers and agents this site connects."""

    resource = "brands"
    queryset = Brand.objects.all()
    serializer_class = BrandSerializer
    filterset_class = filters_like(Brand, [], slug=Exactly("slug", help_text="Its short name."))
