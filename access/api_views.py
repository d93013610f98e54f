"""The REST API's list of brands."""

from __future__ import annotations

from django_filters import FilterSet
from drf_spectacular.utils import extend_schema, extend_schema_view

from access.models import Brand
from access.rest.filters import CreatedAfter, CreatedBefore, Exactly
from access.rest.views import BrandScopedList
from access.serializers import BrandSerializer


class BrandFilters(FilterSet):
    slug = Exactly("slug", help_text="Its short name.")
    created_after = CreatedAfter()
    created_before = CreatedBefore()


@extend_schema_view(
    list=extend_schema(summary="Brands, newest first"),
    retrieve=extend_schema(summary="One brand"),
)
class BrandList(BrandScopedList):
    """Brands that the key sees: the companies whose consumers and agents this site connects."""

    resource = "brands"
    queryset = Brand.objects.all()
    serializer_class = BrandSerializer
    filterset_class = BrandFilters
