"""The REST API's search."""

from __future__ import annotations

from typing import Any, ClassVar

from django.http import HttpRequest
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from access.people import actor_of
from access.rest.errors import BadParameter
from access.rest.questions import QuestionView
from connector_site.find import service
from connector_site.find.lookups import LOOKUPS
from connector_site.find.service import MOST_OF_A_KIND, Found
from connector_site.find.terms import MOST_CHARS, BadTerm
from connector_site.links import list_link, row_link

KINDS = tuple(dict.fromkeys(lookup.kind for lookup in LOOKUPS))


class FindSerializer(serializers.Serializer[Any]):
    term = serializers.CharField(
        max_length=MOST_CHARS,
        help_text="A phone number in any usual form, a person's id on a channel, an id that LivePerson or a channel "
        "gave, a correlation id, or an id of ours.",
    )


class FoundSerializer(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(choices=KINDS, help_text="What was found.")
    id = serializers.UUIDField(help_text="Id of it.")
    brand = serializers.UUIDField(allow_null=True, help_text="Id of its brand; null for an act on the whole site.")
    why = serializers.CharField(help_text="What the term is to it.")
    created_at = serializers.DateTimeField(help_text="When it was made.")
    links = serializers.DictField(
        child=serializers.URLField(), help_text="Where to read on: `self`, and what belongs to it."
    )


class AnswerSerializer(serializers.Serializer[Any]):
    found = FoundSerializer(many=True, help_text=f"The newest {MOST_OF_A_KIND} of each kind, newest first.")
    more = serializers.ListField(
        child=serializers.CharField(), help_text="Kinds of which there are more than are told."
    )


class FindView(QuestionView):
    """Finds by an id, whoever gave it. Asked by POST, so that no phone number stands in an address or a log."""

    resource: ClassVar[str] = "find"
    http_method_names = ["post"]

    @extend_schema(
        operation_id="find",
        summary="Find by a phone number or an id",
        request=FindSerializer,
        responses=AnswerSerializer,
        examples=[OpenApiExample("A phone number", value={"term": "+1 (555) 0100"}, request_only=True)],
    )
    def post(self, request: Request) -> Response:
        term = self.members("term").get("term")
        reader = self.reader_now()
        try:
            answer = service.find(term, reader=reader, actor=actor_of(reader, request._request))
        except BadTerm as refusal:
            raise BadParameter(f"term: {refusal}") from None
        found = [_told(one, request._request) for one in answer.found]
        return Response(AnswerSerializer({"found": found, "more": answer.more}).data)


def _told(one: Found, request: HttpRequest) -> dict[str, Any]:
    return {
        "kind": one.kind,
        "id": one.id,
        "brand": one.brand_id,
        "why": one.why,
        "created_at": one.at,
        "links": {"self": row_link(request, one.resource, one.id), **_further(one, request)},
    }


def _further(one: Found, request: HttpRequest) -> dict[str, str]:
    if one.kind == "consumer":
        return {
            "conversations": list_link(request, "conversations", consumer=one.id),
            "messages": list_link(request, "messages", consumer=one.id),
        }
    if one.kind == "conversation":
        return {"messages": list_link(request, "messages", conversation=one.id)}
    if one.kind == "message":
        return {"trace": row_link(request, "messages", one.id, "trace")}
    return {}


__all__ = ["FindView"]
