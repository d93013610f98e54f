"""The REST API's list of deliveries."""

from __future__ import annotations

from typing import Any

from django.db.models import Prefetch, QuerySet
from django_filters import FilterSet
from drf_spectacular.utils import extend_schema, extend_schema_view

from access.models import Brand
from access.rest.filters import CreatedAfter, CreatedBefore, IdOf, OneOf
from access.rest.views import BrandScopedList
from installations.models import AppInstallation, Channel
from webhooks.models import Delivery, DeliveryState, Event
from webhooks.serializers import DeliverySerializer, DeliveryWithEventsSerializer


class DeliveryFilters(FilterSet):
    brand = IdOf("brand_id", Brand)
    installation = IdOf("installation_id", AppInstallation)
    channel = IdOf("channel_id", Channel)
    state = OneOf(DeliveryState, help_text="Where it stands.")
    created_after = CreatedAfter()
    created_before = CreatedBefore()


@extend_schema_view(
    list=extend_schema(summary="Deliveries, newest first"),
    retrieve=extend_schema(summary="One delivery with its events", responses=DeliveryWithEventsSerializer),
)
class DeliveryList(BrandScopedList):
    """Every authentic HTTP request that arrived, from LivePerson and from channels. Bodies are not told here."""

    resource = "deliveries"
    queryset = Delivery.objects.all()
    serializer_class = DeliverySerializer
    filterset_class = DeliveryFilters

    def get_serializer_class(self) -> type[DeliverySerializer]:
        return DeliveryWithEventsSerializer if self.action == "retrieve" else DeliverySerializer

    def get_queryset(self) -> QuerySet[Any]:
        rows = super().get_queryset()
        if self.action != "retrieve":
            return rows
        return rows.prefetch_related(Prefetch("events", Event.objects.order_by("index")))
