"""
The base of every admin page: one rule, access.rules, decides what is listed, opened, offered as a choice and changed.

A row of somebody else's brand answers like a row that does not exist. Lists never count: they stay fast at ten million
rows. What changes something is handed to a service, which owns the transaction and writes the trail.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from operator import or_
from typing import Any, ClassVar
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.admin import ShowFacets, display
from django.contrib.admin.widgets import RelatedFieldWidgetWrapper
from django.core.exceptions import FieldDoesNotExist, PermissionDenied
from django.db import IntegrityError, models
from django.forms import Field, Form
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from unfold.admin import ModelAdmin
from unfold.paginator import InfinitePaginator as UnfoldInfinitePaginator
from unfold.views import ChangeList

from access import refusals
from access.admin_search import SealedSearchForm, list_searched
from access.models import BrandOwned, User
from access.people import actor_of
from access.rules import AllBrands, Verb, brands_of, limit, may
from access.templatetags.readable import moment
from core.actor import Actor
from core.errors import ConfigurationError
from core.ids import id_in

# Labels of the models whose pages are for those alone who run the whole site: their rows belong to no brand.
PLATFORM_ONLY: frozenset[str] = frozenset({"access.User"})
# Labels of the models whose rows belong to people: each sees their own, who runs the site sees all.
OWN_ROWS: frozenset[str] = frozenset({"access.ApiKey"})

_MOST_PAGES = 100


def acting(request: HttpRequest) -> Actor:
    """The person who made this request, as the trail names them."""
    assert isinstance(request.user, User)
    return actor_of(request.user, request)


class InfinitePaginator(UnfoldInfinitePaginator):
    """
    Pages without a count. Ends after a while: a page far back costs the database as much as all before it.

    The name matters: the library's templates leave out the count for it.
    """

    template_name = "admin/pages.html"
    most_pages = _MOST_PAGES

    @property
    def count(self) -> int:
        return self.per_page * _MOST_PAGES


def sees_brands_of(request: HttpRequest, model: type[models.Model]) -> bool:
    """Whether rows of this model may be of several brands here: two may then bear the same name."""
    brands = brands_of(request.user)
    return issubclass(model, BrandOwned) and (isinstance(brands, AllBrands) or len(brands) > 1)


def with_brand(row: Any) -> str:
    """A row as it is offered beside those of other brands."""
    return f"{row}, {row.brand}"


class PlainChangeList(ChangeList):
    """A list in its one order: sorting by whatever the address says would read whole tables."""

    search_form_class = SealedSearchForm

    def get_ordering(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> list[Any]:
        return list(self.model_admin.get_ordering(request) or ("-pk",))


class GuardedAdmin(ModelAdmin):
    """What pages for brands and pages for the platform have in common. Subclasses answer `_allows` and `_limited`."""

    # Which of them may; None: nobody, by this way.
    view_verb: ClassVar[Verb] = Verb.VIEW
    add_verb: ClassVar[Verb | None] = None
    change_verb: ClassVar[Verb | None] = None
    delete_verb: ClassVar[Verb | None] = None
    # What stands in a list without rows: how the first one comes about.
    empty_text: ClassVar[str] = "They come by themselves, with the first messages that go through a connector."
    # Lookups that links of ours put into the address of a list, beside its filters.
    link_lookups: ClassVar[frozenset[str]] = frozenset()

    ordering = ("-id",)
    sortable_by = ()
    actions: Sequence[Any] | None = None
    list_per_page = 50
    list_max_show_all = 0
    paginator = InfinitePaginator
    show_full_result_count = False
    show_facets = ShowFacets.NEVER
    list_disable_select_all = True
    list_filter_sheet = False
    list_before_template = "admin/parts/above_list.html"
    change_form_before_template = "admin/parts/seen.html"
    compressed_fields = True
    save_as = False

    def _allows(self, request: HttpRequest, verb: Verb | None, obj: models.Model | None) -> bool:
        raise NotImplementedError

    def _limited(self, request: HttpRequest, queryset: models.QuerySet[Any], verb: Verb) -> models.QuerySet[Any]:
        raise NotImplementedError

    # --- who may ---

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self._allows(request, self.view_verb, None)

    def has_view_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return self._allows(request, self.view_verb, obj)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self._allows(request, self.add_verb, None)

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return self._allows(request, self.change_verb, obj)

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return self._allows(request, self.delete_verb, obj)

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Any]:
        return self._limited(request, super().get_queryset(request), self.view_verb)

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """By the id alone: another field would let somebody ask whether a value exists."""
        found = super().get_object(request, object_id, None)
        if found is None:
            self._note_refusal(request, object_id)
        return found

    def _note_refusal(self, request: HttpRequest, object_id: str) -> None:
        """Rows of no brand are refused to nobody but those who may not open their pages at all."""

    def to_field_allowed(self, request: HttpRequest, to_field: str) -> bool:
        return to_field == self.opts.pk.name

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Only what a filter of this list or a link of ours says: another lookup could read values letter by letter."""
        return lookup in self.link_lookups or lookup in {
            getattr(one, "parameter_name", None) for one in self.get_list_filter(request)
        }

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """The choices of a relation are limited as its lists are, to rows that the person may work with."""
        rows = kwargs.get("queryset")
        if rows is None:
            rows = db_field.remote_field.model._default_manager.all()
        kwargs["queryset"] = limit(rows, request.user, verb=self.change_verb or self.add_verb or self.view_verb)
        field: Any = super().formfield_for_foreignkey(db_field, request, **kwargs)
        if field is not None and sees_brands_of(request, field.queryset.model):
            field.queryset = field.queryset.select_related("brand")
            field.label_from_instance = with_brand
        return field

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Field | None:
        field: Field | None = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field is not None and isinstance(field.widget, RelatedFieldWidgetWrapper):
            # No pop-up windows beside a choice: each thing is added on its own page.
            field.widget = field.widget.widget
        return field

    # --- lists ---

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """A search is sent, so that nothing personal stands in an address."""
        answer: HttpResponse = list_searched(request) or super().changelist_view(request, extra_context)
        return answer

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        """A column that is a time of the row is shown like every other time: in the reader's zone, UTC in its title."""
        return [self._column_of(name) for name in super().get_list_display(request)]

    def _column_of(self, name: Any) -> Any:
        try:
            field = self.opts.get_field(name)
        except (FieldDoesNotExist, TypeError):
            return name
        return _time_column(field) if isinstance(field, models.DateTimeField) else name

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return PlainChangeList

    def get_search_results(
        self, request: HttpRequest, queryset: models.QuerySet[Any], search_term: str
    ) -> tuple[models.QuerySet[Any], bool]:
        """Exact things only, each by an index; subclasses say which."""
        term = search_term.strip()
        return (self.find(request, queryset, term) if term else queryset), False

    def find(self, request: HttpRequest, queryset: models.QuerySet[Any], term: str) -> models.QuerySet[Any]:
        """The rows that a search term names: the one with this id, else those with it in one of `search_fields`."""
        wanted = id_in(term)
        if wanted and (by_id := queryset.filter(pk=wanted)).exists():
            return by_id
        named = (models.Q(**{f"{name}__icontains": term}) for name in self.search_fields)
        return queryset.filter(reduce(or_, named, models.Q(pk__in=())))

    # --- one row ---

    def title_of(self, obj: Any) -> str:
        """What a row is called above its pages; safe to show, so without a stranger's text."""
        return str(obj)

    def _get_obj_does_not_exist_redirect(self, request: HttpRequest, opts: Any, object_id: str) -> HttpResponse:
        return self.missing(request)

    def missing(self, request: HttpRequest) -> HttpResponse:
        """The answer to an id that does not exist, or not for this person."""
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "There is nothing here",
            "list_url": reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist"),
        }
        return TemplateResponse(request, "admin/missing.html", context, status=404)

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """What was done to a row stands in the trail, and only there."""
        obj = self.get_object(request, object_id)
        if obj is None:
            return self.missing(request)
        if not self.has_view_permission(request, obj):
            raise PermissionDenied
        asked = urlencode({"subject_type": self.opts.model_name, "subject_id": str(obj.pk)})
        return HttpResponseRedirect(f"{reverse('admin:audit_auditentry_changelist')}?{asked}")

    # --- changes ---

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """Two people may store the same thing at the same moment: the second is told, and nothing of theirs is kept."""
        extra = {"show_save_and_add_another": False, "show_save_and_continue": False, **(extra_context or {})}
        try:
            answer: HttpResponse = super().changeform_view(request, object_id, form_url, extra)
        except IntegrityError:
            messages.error(request, "Somebody has stored the same thing just now. Look at it, then try again.")
        except ConfigurationError as refusal:
            messages.error(request, str(refusal))
        else:
            return answer
        return HttpResponseRedirect(request.get_full_path())

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        obj = kwargs.get("obj")
        if obj is not None and context["errors"]:
            # The form stands below what the page tells of the row, which has to be that of the row as it is stored.
            messages.error(request, "Nothing was stored. What is wrong stands above the form and in it.")
            context["original"] = self.model._default_manager.get(pk=obj.pk)
        # Of a FreshForm; who only looks is shown no form at all.
        form = context["adminform"].form
        context["seen"] = getattr(form, "seen", "") if self.has_change_permission(request, obj) else ""
        return super().render_change_form(request, context, *args, **kwargs)

    def response_post_save_add(self, request: HttpRequest, obj: Any) -> HttpResponse:
        return HttpResponseRedirect(self.row_url(obj))

    def response_post_save_change(self, request: HttpRequest, obj: Any) -> HttpResponse:
        return HttpResponseRedirect(self.row_url(obj))

    def row_url(self, obj: models.Model) -> str:
        """The page of one row."""
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", args=[obj.pk])

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if change:
            self.store_changes(obj, form=form, actor=acting(request))
        else:
            self.store_new(obj, form=form, actor=acting(request))

    def store_new(self, obj: Any, *, form: Form, actor: Actor) -> None:
        """Hand a new row to the service that adds it."""
        raise PermissionDenied

    def store_changes(self, obj: Any, *, form: Form, actor: Actor) -> None:
        """Hand the changed fields of a row to the service that stores them."""
        raise PermissionDenied

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        raise PermissionDenied

    def delete_queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> None:
        raise PermissionDenied

    # The library's own log is not kept: the trail is.
    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> None:
        return None

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> None:
        return None

    def log_deletions(self, request: HttpRequest, queryset: Any) -> None:
        return None


class BrandScopedAdmin(GuardedAdmin):
    """Pages of rows that belong to a brand: each person sees and changes what their roles in that brand allow."""

    def _allows(self, request: HttpRequest, verb: Verb | None, obj: models.Model | None) -> bool:
        return verb is not None and may(request.user, verb, obj)

    def _limited(self, request: HttpRequest, queryset: models.QuerySet[Any], verb: Verb) -> models.QuerySet[Any]:
        return limit(queryset, request.user, verb=verb)

    def _note_refusal(self, request: HttpRequest, object_id: str) -> None:
        refusals.note(request.user, self.model, object_id, request)


class PlatformAdmin(GuardedAdmin):
    """Pages of rows that belong to no brand: for those who run the whole site. The model stands in PLATFORM_ONLY."""

    def _allows(self, request: HttpRequest, verb: Verb | None, obj: models.Model | None) -> bool:
        user = request.user
        return verb is not None and user.is_active and isinstance(user, User) and user.is_superuser

    def _limited(self, request: HttpRequest, queryset: models.QuerySet[Any], verb: Verb) -> models.QuerySet[Any]:
        return queryset if self._allows(request, verb, None) else queryset.none()


class OwnRowsAdmin(GuardedAdmin):
    """
    Pages of rows that belong to a person each, their `owner`: for whoever has a role, about what is theirs.

    Who runs the site sees those of all. The model stands in OWN_ROWS.
    """

    def _allows(self, request: HttpRequest, verb: Verb | None, obj: models.Model | None) -> bool:
        user = request.user
        if verb is None or not isinstance(user, User) or not may(user, Verb.VIEW):
            return False
        return obj is None or user.is_superuser or getattr(obj, "owner_id", None) == user.pk

    def _limited(self, request: HttpRequest, queryset: models.QuerySet[Any], verb: Verb) -> models.QuerySet[Any]:
        user = request.user
        if not self._allows(request, verb, None) or not isinstance(user, User):
            return queryset.none()
        return queryset if user.is_superuser else queryset.filter(owner=user)


def _time_column(field: models.DateTimeField) -> Callable[[models.Model], str]:
    @display(description="Added" if field.name == "created_at" else str(field.verbose_name).capitalize())
    def column(row: models.Model) -> str:
        return moment(field.value_from_object(row))

    column.__name__ = field.name
    return column


__all__ = [
    "OWN_ROWS",
    "PLATFORM_ONLY",
    "BrandScopedAdmin",
    "GuardedAdmin",
    "OwnRowsAdmin",
    "PlatformAdmin",
    "acting",
]
