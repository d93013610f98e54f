"""The REST API's list of deliveries."""

from __future__ import annotations

from typing import Any

from django.db.models import Prefetch, QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_view

from access.rest.filters import filters_like
from access.rest.views import BrandScopedList
from webhooks.admin_filters import DELIVERY_FILTERS
from webhooks.models import Delivery, Event
from webhooks.serializers import DeliverySerializer, DeliveryWithEventsSerializer
from webhooks.walks import DELIVERY_WALKS


@extend_schema_view(
    list=extend_schema(summary="Deliveries, newest first"),
    retrieve=extend_schema(summary="One delivery with its events", responses=DeliveryWithEventsSerializer),
)
class DeliveryList(BrandScopedList):
    """Every authentic HTTP request that arrived, from LivePerson and from channels. Bodies are not told here."""

    resource = "deliveries"
    queryset = Delivery.objects.all()
    serializer_class = DeliverySerializer
    filterset_class = filters_like(Delivery, DELIVERY_FILTERS)
    walks = DELIVERY_WALKS

    def get_serializer_class(self) -> type[DeliverySerializer]:
        return DeliveryWithEventsSerializer if self.action == "retrieve" else DeliverySerializer

    def get_queryset(self) -> QuerySet[Any]:
        rows = super().get_queryset()
        if self.action != "retrieve":
            return rows
        return rows.prefetch_related(Prefetch("events", Event.objects.order_by("index")))
