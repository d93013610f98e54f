"""
Filters of lists. Each takes the values that it offers and no other; none counts, none shows another brand.

The lists of the REST API have the same ones, made from these by access.rest.filters.
"""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any, ClassVar

from django.contrib.admin import SimpleListFilter
from django.contrib.admin.options import IncorrectLookupParameters
from django.db import models
from django.http import HttpRequest
from django.utils import timezone

from access import refusals
from access.admin_base import sees_brands_of, with_brand
from access.models import Brand
from access.newest import unforeseen
from access.rules import brand_path_of, limit
from core.ids import first_id_at, id_in

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

    def in_words(self) -> str:
        """What is chosen, as it stands above the list."""
        labels = {str(value): str(label) for value, label in self.lookup_choices}
        return f"{str(self.title).capitalize()}: {labels.get(str(self.value()), self.value())}"

    @classmethod
    def narrowed(cls, queryset: models.QuerySet[Any], value: Any) -> models.QuerySet[Any]:
        """The rows that this value stands for."""
        raise NotImplementedError


class RowFilter(OfferedFilter):
    """Rows that point to a row of another kind; offered are those that the person may see."""

    model: ClassVar[type[models.Model]]
    lookup: ClassVar[str] = ""

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        rows = limit(self.model._default_manager.all(), request.user)
        if sees_brands_of(request, self.model):
            return [(str(row.pk), with_brand(row)) for row in rows.select_related("brand")[:_MOST_CHOICES]]
        return [(str(row.pk), str(row)) for row in rows[:_MOST_CHOICES]]

    def queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> models.QuerySet[Any] | None:
        """Links of ours name rows that stand behind the last choice, too."""
        wanted = id_in(self.value() or "")
        if wanted is None or len(self.lookup_choices) < _MOST_CHOICES:
            return super().queryset(request, queryset)
        if not limit(self.model._default_manager.all(), request.user).filter(pk=wanted).exists():
            raise IncorrectLookupParameters
        return self.narrowed(queryset, wanted)

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
        return queryset.filter(pk__gte=unforeseen(first_id_at(timezone.now() - cls.span_of(value))))

    @classmethod
    def span_of(cls, value: str) -> timedelta:
        """How far back from now it reaches."""
        return _WINDOWS[value][1]


class LinkFilter(SimpleListFilter):
    """What a link of ours asked for; seen only while it is in use, so that it can be taken off again."""

    title = "shown only"
    lookup: ClassVar[str] = ""
    _is_hidden: bool | None = None

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        value = self.value()
        return [(str(value), f"this {self.title}")] if value else []

    def in_words(self) -> str:
        """As it stands above the list."""
        return f"This {self.title}"

    def queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> models.QuerySet[Any] | None:
        value = self.value()
        if value is None:
            return None
        wanted = id_in(value)
        if wanted is None:
            raise IncorrectLookupParameters
        if self._is_hidden is None:
            self._is_hidden = self._names_a_hidden_row(request, queryset.model, wanted)
        return queryset.none() if self._is_hidden else self.narrowed(queryset, wanted)

    @classmethod
    def narrowed(cls, queryset: models.QuerySet[Any], value: Any) -> models.QuerySet[Any]:
        """The rows that point to this one."""
        return queryset.filter(**{cls.lookup or str(cls.parameter_name): value})

    @classmethod
    def names_a_row_of(cls, model: type[models.Model]) -> type[models.Model] | None:
        """What kind of row it names in the list of this model; None where it is an id and no more."""
        field = {one.name: one for one in model._meta.get_fields()}.get(str(cls.parameter_name))
        related = None if field is None else field.related_model
        return related if isinstance(related, type) else None

    def _names_a_hidden_row(self, request: HttpRequest, model: type[models.Model], wanted: uuid.UUID) -> bool:
        """As slow for a hidden row as for one that does not exist, however many rows point to it."""
        named = self.names_a_row_of(model)
        if named is None or limit(named._default_manager.all(), request.user).filter(pk=wanted).exists():
            return False
        refusals.note(request.user, named, wanted, request)
        return True


def link_filter(parameter: str, *, title: str, lookup: str = "") -> type[LinkFilter]:
    """A filter that only links set: rows that point to one row, named by its id."""
    return type(
        f"{parameter.title()}LinkFilter",
        (LinkFilter,),
        {"title": title, "parameter_name": parameter, "lookup": lookup or f"{parameter}_id"},
    )
