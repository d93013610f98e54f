"""
Filters of the lists, as strict as the rest: what is not understood is refused, never ignored.

`filters_like` makes them from the filters of the admin's list of the same rows: one declaration, two faces.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import django_filters
from django import forms
from django.contrib.admin import SimpleListFilter
from django.db.models import Model, QuerySet
from django_filters import FilterSet
from django_filters.constants import EMPTY_VALUES
from drf_spectacular.utils import extend_schema_field

from access import refusals
from access.admin_filters import LinkFilter, OfferedFilter, RowFilter, TimeFilter
from access.newest import unforeseen
from access.rules import limit
from core.ids import first_id_at

Narrowed = Callable[[QuerySet[Any], Any], QuerySet[Any]]

NOT_AN_ID = "Give an id, a UUID such as 01900000-0000-7000-8000-000000000000."
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:\d\d)", re.ASCII)


class TimeField(forms.CharField):
    """A moment in ISO 8601. It has to name its zone: a time without one means something else to every reader."""

    def to_python(self, value: Any) -> Any:
        if not value:
            return None
        try:
            if not _TIME.fullmatch(value):
                raise ValueError
            return datetime.fromisoformat(value).astimezone(UTC)
        except (ValueError, OverflowError):
            raise forms.ValidationError(
                "Give a time in ISO 8601 with its zone, such as 2026-11-21T10:00:00Z; a + reads as a space."
            ) from None


class ById(django_filters.Filter):
    """A filter that bounds the id: it narrows whatever is walked, and nothing has to be looked at for it."""


class _TimeFilter(ById):
    field_class = TimeField

    def filter(self, qs: QuerySet[Model], value: datetime | None) -> QuerySet[Model]:
        # The id carries the time at which the row was made, and the list is read in the order of ids: any period is
        # found at once, however long ago.
        return qs if value is None else qs.filter(**{f"pk__{self.lookup_expr}": unforeseen(first_id_at(value))})


@extend_schema_field(
    {"type": "string", "format": "date-time", "description": "Made at this time or later (ISO 8601, with its zone)."}
)
class CreatedAfter(_TimeFilter):
    """Rows made at this time or later."""

    def __init__(self) -> None:
        super().__init__(lookup_expr="gte")


@extend_schema_field(
    {"type": "string", "format": "date-time", "description": "Made before this time (ISO 8601, with its zone)."}
)
class CreatedBefore(_TimeFilter):
    """Rows made before this time; together with CreatedAfter, periods meet without a gap and without an overlap."""

    def __init__(self) -> None:
        super().__init__(lookup_expr="lt")


class OneOf(django_filters.ChoiceFilter):
    """One of a few words."""

    def __init__(self, words: Sequence[tuple[str, str]], *, help_text: str, narrowed: Narrowed | None = None) -> None:
        super().__init__(
            choices=words,
            help_text=help_text,
            error_messages={"invalid_choice": f"Give one of {', '.join(word for word, _ in words)}."},
        )
        self._narrowed = narrowed

    def filter(self, qs: QuerySet[Model], value: Any) -> QuerySet[Model]:
        if value in EMPTY_VALUES or self._narrowed is None:
            return super().filter(qs, value)
        return self._narrowed(qs, value)


class Exactly(django_filters.CharFilter):
    """Rows with this very value."""

    def __init__(self, field_name: str, *, help_text: str) -> None:
        super().__init__(field_name=field_name, lookup_expr="exact", strip=False, help_text=help_text)


class _Since(OneOf, ById):
    """Rows of the last hours or days."""


class PlainId(django_filters.UUIDFilter):
    """Rows that hold an id, of whatever kind."""

    def __init__(self, field_name: str, *, help_text: str, narrowed: Narrowed | None = None) -> None:
        super().__init__(
            field_name=field_name,
            help_text=help_text,
            error_messages={"invalid": NOT_AN_ID},
        )
        self._narrowed = narrowed

    def filter(self, qs: QuerySet[Model], value: uuid.UUID | None) -> QuerySet[Model]:
        if value is None or self._narrowed is None:
            return super().filter(qs, value)
        return self._narrowed(qs, value)


class IdOf(PlainId):
    """
    Rows that belong to one row of another kind.

    That row is looked for among those that the reader may see: the id of a hidden one finds nothing, and as fast as an
    id that does not exist.
    """

    def __init__(self, field_name: str, model: type[Model], *, narrowed: Narrowed | None = None) -> None:
        super().__init__(field_name, help_text=f"Id of the {model._meta.verbose_name}.", narrowed=narrowed)
        self._model = model

    def filter(self, qs: QuerySet[Model], value: uuid.UUID | None) -> QuerySet[Model]:
        if value is None:
            return qs
        request = self.parent.request
        if not limit(self._model._default_manager.all(), request.user).filter(pk=value).exists():
            refusals.note(request.user, self._model, value, request)
            return qs.none()
        return super().filter(qs, value)


def filters_like(
    model: type[Model], declared: Sequence[type[SimpleListFilter]], **more: django_filters.Filter
) -> type[FilterSet]:
    """The filters of a model's list in the admin, as those of a list of the API, with periods; `more` are added."""
    members: dict[str, Any] = {str(like.parameter_name): _like(model, like) for like in declared}
    members |= {"created_after": CreatedAfter(), "created_before": CreatedBefore()}
    # `Meta.model` stays out of it: the library would add a filter for each field.
    return type(f"{model.__name__}Filters", (FilterSet,), members | more)


def _like(model: type[Model], like: type[SimpleListFilter]) -> django_filters.Filter:
    name = str(like.parameter_name)
    if issubclass(like, RowFilter):
        return IdOf(name, like.model, narrowed=like.narrowed)
    if issubclass(like, OfferedFilter):
        kind = _Since if issubclass(like, TimeFilter) else OneOf
        return kind(like.words(), help_text=_told_of(model, like), narrowed=like.narrowed)
    if not issubclass(like, LinkFilter):
        raise TypeError(f"{like.__name__} is of no kind that a list of the API could have.")
    named = like.names_a_row_of(model)
    if named is None:
        return PlainId(name, help_text=_told_of(model, like), narrowed=like.narrowed)
    return IdOf(name, named, narrowed=like.narrowed)


def _told_of(model: type[Model], like: type[SimpleListFilter]) -> str:
    told = {one.name: getattr(one, "help_text", "") for one in model._meta.get_fields()}.get(str(like.parameter_name))
    title = str(like.title)
    return str(told or f"{title[:1].upper()}{title[1:]}.")


def narrow_by(filterset: FilterSet, names: Iterable[str], rows: QuerySet[Any]) -> QuerySet[Any]:
    """A queryset narrowed by some of the filters that were given. The set has been found valid."""
    for name in names:
        rows = filterset.filters[name].filter(rows, filterset.form.cleaned_data[name])
    return rows
