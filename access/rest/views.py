"""The base of every resource of the REST API: read-only, limited to what the reader may see."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Any, ClassVar

from django.db.models import Model, QuerySet
from django.http import Http404, HttpResponseBase
from django.utils.cache import get_conditional_response
from django_filters import FilterSet
from django_filters.rest_framework import DjangoFilterBackend
from django_filters.utils import translate_validation
from rest_framework import mixins, status, viewsets
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from access import newest, refusals, rules
from access.newest import Asked, Listing, Walks
from access.rest.facts import FIELDS, FactsSerializer, chosen_fields
from access.rest.filters import ById, IdOf, narrow_by
from access.rest.paging import NewestFirst
from access.rest.parameters import check_parameters
from access.rest.schema import ListSchema


class _NoOverride:
    URL_FORMAT_OVERRIDE = None


class ByHeader(DefaultContentNegotiation):
    """The Accept header alone chooses the form; `?format=` is an unknown parameter like any other."""

    settings: Any = _NoOverride


class NeverKept(APIView):
    """What is told may be personal, and another's a moment later: no cache keeps it."""

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        answer = super().finalize_response(request, response, *args, **kwargs)
        answer["Cache-Control"] = "no-store"
        return answer


class StrictView(NeverKept):
    """Refuses parameters that it does not know. A subclass says which these are, and which resource it belongs to."""

    resource: ClassVar[str]
    http_method_names = ["get", "head"]
    content_negotiation_class = ByHeader

    def takes(self) -> Iterable[str]:
        """The query parameters that this address knows."""
        raise NotImplementedError

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        # Another method is refused as such, whatever comes with it.
        if str(request.method).lower() in self.http_method_names:
            check_parameters(request, list(self.takes()))


class BrandScopedList(StrictView, mixins.RetrieveModelMixin, viewsets.GenericViewSet[Any]):
    """
    A list, and one row by its id. A row of a brand that the reader does not see does not exist.

    A subclass names its resource, queryset, serializer_class and filterset_class; its model says where its brand is.
    walks: the indexes that lead through its table.
    batch: how many rows an export of all of them reads at once.
    """

    queryset: QuerySet[Any]
    serializer_class: type[FactsSerializer[Any]]
    filterset_class: ClassVar[type[FilterSet]]
    walks: ClassVar[Walks] = Walks()
    batch: ClassVar[int] = 1_000
    lookup_value_converter = "uuid"
    pagination_class = NewestFirst
    filter_backends = (DjangoFilterBackend,)
    schema = ListSchema()

    def list(self, request: Request) -> Response:
        """One page."""
        paginator = NewestFirst()
        page = paginator.read(self.listing(), request, fitting=self.fitting)
        return paginator.get_paginated_response(self.get_serializer(page.rows, many=True).data)

    def fitting(self, rows: Sequence[Any]) -> int:
        """How many of the rows of a page, from the first one on, can be told together; the rest is the next page's."""
        return len(rows)

    def listing(self) -> Listing:
        """All rows that the reader asked for. Raises ValidationError for a value that a filter cannot use."""
        filterset = self.filterset_class(self.request.query_params, self.queryset.all(), request=self.request)
        if not filterset.is_valid():
            raise translate_validation(filterset.errors)
        given = [name for name in filterset.filters if name in self.request.query_params]
        asked = [_asked(filterset, name) for name in given]
        return newest.listing_of(self.queryset.all(), asked, walks=self.walks, reader=self.request.user)

    def get_queryset(self) -> QuerySet[Model]:
        if getattr(self, "swagger_fake_view", False):
            return self.queryset.none()
        return rules.limit(self.queryset.all(), self.request.user)

    def get_object(self) -> Any:
        try:
            return super().get_object()
        except Http404:
            refusals.note(self.request.user, self.queryset.model, self.kwargs[self.lookup_field], self.request)
            raise

    def get_serializer_class(self) -> type[FactsSerializer[Any]]:
        return self.serializer_class

    def get_serializer_context(self) -> dict[str, Any]:
        context = {**super().get_serializer_context()}
        if not getattr(self, "swagger_fake_view", False):
            # Addresses of lists are looked up once for all rows of a page.
            context |= {"fields": chosen_fields(self.request, self.get_serializer_class()), "addresses": {}}
        return context

    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> Response:
        answer: Response = super().finalize_response(request, response, *args, **kwargs)
        if answer.status_code == status.HTTP_200_OK:
            answer.add_post_render_callback(lambda rendered: _conditional(request, rendered))
        return answer

    def takes(self) -> Iterable[str]:
        if self.action == "list":
            own = (NewestFirst.cursor_parameter, NewestFirst.page_size_parameter)
            return (*self.filterset_class.base_filters, *own, FIELDS)
        return (FIELDS,)


def _asked(filterset: FilterSet, name: str) -> Asked:
    one = filterset.filters[name]
    return Asked(
        name=name,
        value=filterset.form.cleaned_data[name],
        narrowed=lambda rows: narrow_by(filterset, [name], rows),
        is_bound=isinstance(one, ById),
        is_seen=isinstance(one, IdOf),
    )


def _conditional(request: Request, answer: HttpResponseBase) -> HttpResponseBase | None:
    """Give the answer the tag of its bytes; to somebody who has just these already, 304 without them."""
    assert isinstance(answer, Response)
    etag = f'"{sha256(answer.rendered_content).hexdigest()[:32]}"'
    answer["ETag"] = etag
    return get_conditional_response(request._request, etag=etag, response=answer)
