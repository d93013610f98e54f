"""An export for each list of the REST API: the same rows, filters and members, all of them in one answer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.http import HttpResponse, StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework.request import Request

from access import rules
from access.models import Brand, User
from access.people import actor_of
from access.rest.errors import BadParameter
from access.rest.facts import FIELDS, on_request
from access.rest.filters import ById, OneOf, PlainId
from access.rest.paging import NewestFirst
from access.rest.views import BrandScopedList, ByHeader, NeverKept
from connector_site.exports.forms import FORMS
from connector_site.exports.reader import Watch
from connector_site.exports.slots import Slot
from connector_site.exports.stream import BATCH_OF_CONTENTS, Asked, Stream
from connector_site.exports.trail import Trail

FORM = "as"
CURSOR = NewestFirst.cursor_parameter
# A reader takes a piece of the answer within this time, or is let go.
_PIECE_MAY_TAKE_S = 60.0


class HttpVersion(BadParameter):
    """Before HTTP/1.1 an answer of unknown length ends with its connection: one that was cut would look whole."""

    default_code = "http_version"


class _FormByParameter(ByHeader):
    """The parameter says in which form the rows are told; errors are JSON."""

    def select_renderer(self, request: Any, renderers: Any, format_suffix: Any = None) -> Any:
        return renderers[0], renderers[0].media_type


class _Export(BrandScopedList):
    """What turns a list into its export."""

    content_negotiation_class = _FormByParameter
    pagination_class: Any = None  # for the OpenAPI document: there are no pages

    def takes(self) -> Iterable[str]:
        return (*self.filterset_class.base_filters, CURSOR, FIELDS, FORM)

    def list(self, request: Request) -> Any:
        """All rows from a place on. Nothing is told before everything that was asked for is known to be right."""
        form = FORMS.get(request.query_params.get(FORM, "ndjson"))
        if form is None:
            raise BadParameter(f"{FORM}: Give one of {', '.join(FORMS)}.")
        if request.META.get("SERVER_PROTOCOL") == "HTTP/1.0":
            raise HttpVersion("Ask by HTTP/1.1: by HTTP/1.0 an export that was cut would look as if it were whole.")
        cursor, cursors = request.query_params.get(CURSOR), NewestFirst()
        members = list(getattr(self.get_serializer(), "fields", ()))

        def tell(rows: list[Any]) -> list[dict[str, Any]]:
            told = self.get_serializer(rows, many=True).data
            return [{**one, CURSOR: cursors.seal(row.pk, request)} for one, row in zip(told, rows, strict=True)]

        has_contents = not set(members).isdisjoint(on_request(self.get_serializer_class()))
        asked = Asked(
            listing=self.listing(), below=None if cursor is None else cursors.open(cursor, request),
            names=[*members, CURSOR], fitting=self.fitting, tell=tell, form=form,
            batch=BATCH_OF_CONTENTS if has_contents else self.batch,
        )  # fmt: skip
        headers = {"Content-Disposition": f'attachment; filename="{self.resource}.{form.ending}"'}
        if request.method == "HEAD":
            return HttpResponse(content_type=form.content_type, headers=headers)
        return StreamingHttpResponse(self._stream(asked, request), content_type=form.content_type, headers=headers)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        # Not the list's: it makes a tag of the whole answer.
        return NeverKept.finalize_response(self, request, response, *args, **kwargs)

    def _stream(self, asked: Asked, request: Request) -> Stream:
        assert isinstance(request.user, User)
        slot = Slot()
        try:
            trail = Trail(self._brands(request), actor=actor_of(request.user, request), resource=self.resource)
            trail.begin(self._told_to_trail(request))
        except BaseException:
            slot.release()
            raise
        if "gunicorn.socket" in request.META:
            request.META["gunicorn.socket"].settimeout(_PIECE_MAY_TAKE_S)
        return Stream(asked, watch=Watch(request.user, resource=self.resource), trail=trail, slot=slot)

    def _brands(self, request: Request) -> Any:
        """Those that the rows may speak of."""
        brands = rules.limit(Brand.objects.order_by("pk"), request.user)
        named = request.query_params.get("brand")
        return list(brands if named is None else brands.filter(pk=named.strip()))

    def _told_to_trail(self, request: Request) -> dict[str, Any]:
        filters = {}
        for name, known in self.filterset_class.base_filters.items():
            if name in request.query_params:
                # Ids, times and words of ours stay as they are. What was typed freely could name somebody.
                is_ours = isinstance(known, (PlainId, ById, OneOf))
                filters[name] = request.query_params[name] if is_ours else "given"
        return {
            FORM: request.query_params.get(FORM, "ndjson"),
            "filters": filters,
            FIELDS: request.query_params.get(FIELDS, ""),
            "continued": CURSOR in request.query_params,
        }


def export_of(list_view: type[Any]) -> type[BrandScopedList]:
    """The export of a list, which is a BrandScopedList."""
    resource, serializer = list_view.resource, list_view.serializer_class
    described = extend_schema(
        operation_id=f"{resource.replace('-', '_')}_export",
        summary=f"All of {resource} in one answer",
        description=(
            "The rows of the list, the newest first, one a line. Each carries the cursor that continues after it: an "
            "answer that was cut is taken up after its last whole line."
        ),
        parameters=[
            OpenApiParameter(FORM, str, enum=list(FORMS), description="NDJSON by default."),
            OpenApiParameter(
                CURSOR, str, description="Goes on after a row; taken from that row, with the same filters."
            ),
        ],
        responses={
            (200, FORMS["ndjson"].content_type): serializer,
            (200, FORMS["csv"].content_type): OpenApiTypes.STR,
        },
    )
    members = {"__doc__": list_view.__doc__, "__module__": __name__}
    made = type(f"{list_view.__name__}Export", (_Export, list_view), members)
    return extend_schema_view(list=described)(made)
