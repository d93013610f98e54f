"""
Filters of lists. Each takes the values that it offers and no other; none counts, none shows another brand.

The lists of the REST API have the same ones, made from these by access.rest.filters.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar

from django.contrib.admin import SimpleListFilter
from django.contrib.admin.options import IncorrectLookupParameters
from django.db import models
from django.http import HttpRequest
from django.utils import timezone

from access.admin_base import id_in
from access.models import Brand
from access.rules import brand_path_of, limit
from core.ids import first_id_at

_MOST_CHOICES = 200


class OfferedFilter(SimpleListFilter):
    """A filter that takes only what it offers."""

    @classmethod
    def words(cls) -> list[tuple[str, str]]:
        """What it offers, value and label, where that is the same for everybody."""
        raise NotImplementedError

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return self.words()

    def queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> models.QuerySet[Any] | None:
        value = self.value()
        if value is None:
            return None
        if value not in {str(offered) for offered, _ in self.lookup_choices}:
            raise IncorrectLookupParameters
        return self.narrowed(queryset, value)

    @classmethod
    def narrowed(cls, queryset: models.QuerySet[Any], value: Any) -> models.QuerySet[Any]:
        """The rows that this value stands for."""
        raise NotImplementedError


class RowFilter(OfferedFilter):
    """Rows that point to a row of another kind; offered are those that the person may see."""

    model: ClassVar[type[models.Model]]
    lookup: ClassVar[str] = ""

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        rows = limit(self.model._default_manager.all(), request.user)[:_MOST_CHOICES]
        return [(str(row.pk), str(row)) for row in rows]

    @classmethod
    def narrowed(cls, queryset: models.QuerySet[Any], value: Any) -> models.QuerySet[Any]:
        return queryset.filter(**{cls.lookup or str(cls.parameter_name): value})


class BrandFilter(RowFilter):
    """Hidden from people of one brand."""

    title = "brand"
    parameter_name = "brand"
    model = Brand

    def has_output(self) -> bool:
        return len(self.lookup_choices) > 1

    @classmethod
    def narrowed(cls, queryset: models.QuerySet[Any], value: Any) -> models.QuerySet[Any]:
        return queryset.filter(**{brand_path_of(queryset.model): value})


class ChoiceFilter(OfferedFilter):
    """Rows with one of a field's choices."""

    choices_of_field: ClassVar[type[models.TextChoices]]

    @classmethod
    def words(cls) -> list[tuple[str, str]]:
        return [(str(value), str(label)) for value, label in cls.choices_of_field.choices]

    @classmethod
    def narrowed(cls, queryset: models.QuerySet[Any], value: Any) -> models.QuerySet[Any]:
        return queryset.filter(**{str(cls.parameter_name): value})


def choice_filter(field: str, choices: type[models.TextChoices], *, title: str = "") -> type[ChoiceFilter]:
    """A filter over the choices of a field."""
    members = {"title": title or field.replace("_", " "), "parameter_name": field, "choices_of_field": choices}
    return type(f"{choices.__name__}Filter", (ChoiceFilter,), members)


_WINDOWS = {
    "hour": ("The last hour", timedelta(hours=1)),
    "day": ("The last 24 hours", timedelta(days=1)),
    "week": ("The last 7 days", timedelta(days=7)),
    "month": ("The last 30 days", timedelta(days=30)),
}


class TimeFilter(OfferedFilter):
    """Rows of the last hours or days, by their ids: these are ordered by time, so the one index serves."""

    title = "time"
    parameter_name = "since"

    @classmethod
    def words(cls) -> list[tuple[str, str]]:
        return [(name, label) for name, (label, _) in _WINDOWS.items()]

    @classmethod
    def narrowed(cls, queryset: models.QuerySet[Any], value: Any) -> models.QuerySet[Any]:
        return queryset.filter(pk__gte=first_id_at(timezone.now() - cls.span_of(value)))

    @classmethod
    def span_of(cls, value: str) -> timedelta:
        """How far back from now it reaches."""
        return _WINDOWS[value][1]


class LinkFilter(SimpleListFilter):
    """What a link of ours asked for; seen only while it is in use, so that it can be taken off again."""

    title = "shown only"
    lookup: ClassVar[str] = ""

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        value = self.value()
        return [(str(value), f"this {self.title}")] if value else []

    def queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> models.QuerySet[Any] | None:
        value = self.value()
        if value is None:
            return None
        wanted = id_in(value)
        if wanted is None:
            raise IncorrectLookupParameters
        return self.narrowed(queryset, wanted)

    @classmethod
    def narrowed(cls, queryset: models.QuerySet[Any], value: Any) -> models.QuerySet[Any]:
        """The rows that point to this one."""
        return queryset.filter(**{cls.lookup or str(cls.parameter_name): value})


def link_filter(parameter: str, *, title: str, lookup: str = "") -> type[LinkFilter]:
    """A filter that only links set: rows that point to one row, named by its id."""
    return type(
        f"{parameter.title()}LinkFilter",
        (LinkFilter,),
        {"title": title, "parameter_name": parameter, "lookup": lookup or f"{parameter}_id"},
    )
