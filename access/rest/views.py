"""The base of every resource of the REST API: read-only, limited to what the reader may see."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import Model, QuerySet
from django_filters import FilterSet
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework import mixins, viewsets
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.request import Request
from rest_framework.response import Response

from access import rules
from access.rest.errors import BadParameter
from access.rest.paging import NewestFirst

_LONGEST_VALUE = 1024


class _NoOverride:
    URL_FORMAT_OVERRIDE = None


class _ByHeader(DefaultContentNegotiation):
    """The Accept header alone chooses the form; `?format=` is an unknown parameter like any other."""

    settings: Any = _NoOverride


class BrandScopedList(mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[Any]):
    """
    A list, and one row by its id. A row of a brand that the key's owner does not see does not exist.

    A subclass names its resource, queryset, serializer_class and filterset_class; its model says where its brand is.
    """

    resource: ClassVar[str]
    queryset: QuerySet[Any]
    filterset_class: ClassVar[type[FilterSet]]
    http_method_names = ["get", "head"]
    lookup_value_converter = "uuid"
    pagination_class = NewestFirst
    filter_backends = (DjangoFilterBackend,)
    content_negotiation_class = _ByHeader

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        self._check_parameters(request)

    def get_queryset(self) -> QuerySet[Model]:
        if getattr(self, "swagger_fake_view", False):
            return self.queryset.none()
        return rules.limit(self.queryset.all(), self.request.user)

    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> Response:
        answer = super().finalize_response(request, response, *args, **kwargs)
        answer["Cache-Control"] = "no-store"
        return answer

    def _check_parameters(self, request: Request) -> None:
        known: list[str] = []
        if self.action == "list":
            known = [*self.filterset_class.base_filters, NewestFirst.cursor_parameter, NewestFirst.page_size_parameter]
        for name, values in request.query_params.lists():
            if name not in known:
                usable = f"Known here: {', '.join(known)}." if known else "None is taken here."
                raise BadParameter(f"There is no parameter {name[:60]!r}. {usable}")
            if len(values) > 1:
                raise BadParameter(f"{name}: It is given more than once. Give one value.")
            if not values[0] or len(values[0]) > _LONGEST_VALUE:
                raise BadParameter(
                    f"{name}: Its value is {'too long' if values[0] else 'empty'}. Leave it out, or give one."
                )
