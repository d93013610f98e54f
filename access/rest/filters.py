"""Filters of the lists, as strict as the rest: what is not understood is refused, never ignored."""

from __future__ import annotations

import re
import uuid
from datetime import UTC, datetime
from typing import Any

import django_filters
from django import forms
from django.db.models import Model, QuerySet
from drf_spectacular.utils import extend_schema_field

from access.rules import limit
from core.ids import first_id_at

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
                "Give a time in ISO 8601 with its zone, such as 2026-11-21T10:00:00Z."
            ) from None


class _TimeFilter(django_filters.Filter):
    field_class = TimeField

    def filter(self, qs: QuerySet[Model], value: datetime | None) -> QuerySet[Model]:
        # The id carries the time at which the row was made, and the list is read in the order of ids: any period is
        # found at once, however long ago.
        return qs if value is None else qs.filter(**{f"pk__{self.lookup_expr}": first_id_at(value)})


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

    def __init__(self, choices: Any, *, help_text: str, field_name: str | None = None) -> None:
        words = ", ".join(value for value, _ in choices.choices)
        super().__init__(
            field_name=field_name,
            choices=choices.choices,
            help_text=help_text,
            error_messages={"invalid_choice": f"Give one of {words}."},
        )


class Exactly(django_filters.CharFilter):
    """Rows with this very value."""

    def __init__(self, field_name: str, *, help_text: str) -> None:
        super().__init__(field_name=field_name, lookup_expr="exact", strip=False, help_text=help_text)


class IdOf(django_filters.UUIDFilter):
    """
    Rows that belong to one row of another kind.

    That row is looked for among those that the reader may see: the id of a hidden one finds nothing, and as fast as an
    id that does not exist.
    """

    def __init__(self, field_name: str, model: type[Model]) -> None:
        super().__init__(
            field_name=field_name,
            help_text=f"Id of the {model._meta.verbose_name}.",
            error_messages={"invalid": "Give an id, a UUID such as 01900000-0000-7000-8000-000000000000."},
        )
        self._rows = model._default_manager.all()

    def filter(self, qs: QuerySet[Model], value: uuid.UUID | None) -> QuerySet[Model]:
        if value is None:
            return qs
        if not limit(self._rows.all(), self.parent.request.user).filter(pk=value).exists():
            return qs.none()
        return super().filter(qs, value)
