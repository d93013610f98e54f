"""What the lists tell of a row: facts, chosen by the reader, with the addresses of the rows that it belongs to."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar, TypeVar

from django.db.models import Model, URLField
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.reverse import reverse

from access.rest.errors import BadParameter
from core.ids import made_at

FIELDS = "fields"
_ALWAYS = ("id",)

RowT = TypeVar("RowT", bound=Model)


class FactsSerializer(serializers.ModelSerializer[RowT]):
    """
    A row's facts. `created_at` is read from the id, which the lists are ordered by.

    Its Meta may name `links`: the name of a link to the API's list and the path to the id there, such as
    {"account": ("account", "channel.account_id")}; and `on_request`: members that are told only to who asks for them.
    """

    # An address that may be left empty is a text to whoever reads it: "" is no address.
    serializer_field_mapping: ClassVar[Any] = {
        **serializers.ModelSerializer.serializer_field_mapping,
        URLField: serializers.CharField,
    }

    created_at = serializers.SerializerMethodField(help_text="When it was stored here.")
    links = serializers.SerializerMethodField(help_text="Addresses of this row and of those that it belongs to.")

    def get_created_at(self, row: RowT) -> datetime | None:
        return made_at(row.pk)

    def get_field_names(self, *args: Any) -> list[str]:
        return [*super().get_field_names(*args), "links"]

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        fields = super().get_fields()
        if self._is_inside_another():
            hidden = ("links", *on_request(type(self)))
            return {name: field for name, field in fields.items() if name not in hidden}
        if "fields" not in self.context:  # for the OpenAPI document: all of them
            return fields
        wanted = self.context["fields"] or [name for name in fields if name not in on_request(type(self))]
        return {name: field for name, field in fields.items() if name in wanted or name in _ALWAYS}

    def include_extra_kwargs(self, kwargs: Any, extra_kwargs: Any) -> Any:
        """Keep of a read-only field that it may be empty: the document has to say so of fields with few words."""
        may_be_empty = kwargs.get("allow_blank", False)
        chosen = super().include_extra_kwargs(kwargs, extra_kwargs)
        return {**chosen, "allow_blank": True} if may_be_empty else chosen

    @extend_schema_field({"type": "object", "additionalProperties": {"type": "string", "format": "uri"}})
    def get_links(self, row: RowT) -> dict[str, str]:
        known: dict[str, tuple[str, str]] = getattr(self.Meta, "links", {})
        own = self.context["view"].basename
        ids = {"self": (own, row.pk)} | {name: (to, at_end_of(path, row)) for name, (to, path) in known.items()}
        return {name: f"{self._address(to)}{row_id}/" for name, (to, row_id) in ids.items() if row_id is not None}

    def _address(self, basename: str) -> str:
        """Of a list; looked up once for all rows of a page."""
        addresses: dict[str, str] = self.context["addresses"]
        if basename not in addresses:
            addresses[basename] = reverse(f"{basename}-list", request=self.context["request"])
        return addresses[basename]

    def _is_inside_another(self) -> bool:
        holder = self.parent
        return holder is not None and not (isinstance(holder, serializers.ListSerializer) and holder.parent is None)


def links_to(*names: str) -> dict[str, tuple[str, str]]:
    """Links to rows that a row points to itself, each by the name of its list."""
    return {name: (name, f"{name}_id") for name in names}


def at_end_of(path: str, row: Any) -> Any:
    """The value at the end of a dotted path, such as channel.account_id; None where the path breaks off."""
    for name in path.split("."):
        row = getattr(row, name, None)
    return row


def on_request(serializer: type[FactsSerializer[Any]]) -> tuple[str, ...]:
    """The members that are told only to who asks for them."""
    return tuple(getattr(serializer.Meta, "on_request", ()))


def chosen_fields(request: Request, serializer: type[FactsSerializer[Any]]) -> frozenset[str] | None:
    """
    What `fields=id,status` asks for; None where it does not stand there.

    Raises BadParameter for a name that these rows do not have.
    """
    given = request.query_params.get(FIELDS)
    if given is None:
        return None
    known = serializer().fields
    chosen = given.split(",")
    for name in chosen:
        if name not in known:
            raise BadParameter(f"{FIELDS}: There is no member {name[:60]!r}. Known here: {', '.join(known)}.")
    return frozenset(chosen)


__all__ = ["FIELDS", "FactsSerializer", "at_end_of", "chosen_fields", "links_to", "on_request"]
