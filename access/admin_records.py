"""The base of pages of records: what happened is looked at, never added, changed or deleted."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import OperationalError, connection, models, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from psycopg.errors import QueryCanceled
from unfold.views import ChangeList

from access import acts
from access.admin_base import BrandScopedAdmin, acting
from access.admin_lists import NewestChangeList, by_ids
from access.newest import Asked, Walks
from access.rules import limit
from core.ids import id_in

_LIST_MAY_TAKE_MS = 5_000
_MOST_FOUND = 200


class RecordAdmin(BrandScopedAdmin):
    """
    Pages of records: what happened is looked at, never added, changed or deleted.

    page_template shows one row; `page_context` tells it what it needs. read_action: what opening the page is in the
    trail, where it shows what somebody said; not shown unless it can be recorded. walks: the indexes that lead through
    the list.
    """

    page_template: ClassVar[str]
    read_action: ClassVar[str] = ""
    walks: ClassVar[Walks] = Walks()

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return NewestChangeList

    def find(self, request: HttpRequest, queryset: models.QuerySet[Any], term: str) -> models.QuerySet[Any]:
        return self.sought(request, term).narrowed(queryset)

    def sought(self, request: HttpRequest, term: str) -> Asked:
        """The same, looked up once for a request: what the list shows asks, and what its actions are for."""
        if not hasattr(request, "sought"):
            request.sought = self.found(request, term)  # type: ignore[attr-defined]
        known: Asked = request.sought  # type: ignore[attr-defined]
        return known

    def found(self, request: HttpRequest, term: str) -> Asked:
        """What a search term stands for, as one more filter of the list: the row with this id, or those of `named`."""
        wanted = id_in(term)
        if wanted and self.seen_by(request).filter(pk=wanted).exists():
            return by_ids([wanted])
        ways = (list(rows.values_list("pk", flat=True)[:_MOST_FOUND]) for rows in self.named(request, term))
        return by_ids(next(filter(None, ways), []))

    def named(self, request: HttpRequest, term: str) -> Iterable[models.QuerySet[Any]]:
        """What else a term may name, each way by an index; of these the first that leads to anything counts."""
        return ()

    def seen_by(self, request: HttpRequest) -> models.QuerySet[Any]:
        """All rows that this person may see, for a search to look among."""
        return limit(self.model._default_manager.all(), request.user)

    # --- one row ---

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """With what its page shows, in one statement."""
        wanted = id_in(object_id)
        found = self.whole(self.get_queryset(request)).filter(pk=wanted).first() if wanted else None
        if found is None:
            self._note_refusal(request, object_id)
        return found

    def whole(self, rows: models.QuerySet[Any]) -> models.QuerySet[Any]:
        """Rows with all that the page of one shows."""
        return rows

    # --- pages ---

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """A list that would read for too long is ended by the database, and the person asked to narrow it."""
        if request.method not in ("GET", "HEAD"):
            return super().changelist_view(request, extra_context)
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("SET LOCAL statement_timeout = %s", [_LIST_MAY_TAKE_MS])
                answer: HttpResponse = super().changelist_view(request, extra_context)
                if isinstance(answer, TemplateResponse):
                    answer.render()  # reads the rows, inside of the limit
        except OperationalError as error:
            if not isinstance(error.__cause__, QueryCanceled):
                raise
            if not request.GET:
                return self._cannot_be_read(request)
            messages.warning(request, "There is too much to look through. Choose a time or a brand as well.")
            return HttpResponseRedirect(request.path)
        return answer

    def _cannot_be_read(self, request: HttpRequest) -> HttpResponse:
        """Where there is nothing to take off: leading to the same address would go round in a circle."""
        context = {**self.admin_site.each_context(request), "opts": self.opts, "title": "The database is busy"}
        return TemplateResponse(request, "admin/busy.html", context, status=503, headers={"Retry-After": "5"})

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        obj = self.get_object(request, object_id)
        if obj is None:
            return self.missing(request)
        if request.method not in ("GET", "HEAD") or not self.has_view_permission(request, obj):
            raise PermissionDenied
        if self.read_action:
            acts.tell_once(self.read_action, actor=acting(request), subject=obj)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": obj,
            "title": self.title_of(obj),
            "row_title": self.title_of(obj),
            "media": self.media,
            **self.page_context(request, obj),
            **(extra_context or {}),
        }
        return TemplateResponse(request, self.page_template, context)

    def page_context(self, request: HttpRequest, obj: Any) -> dict[str, Any]:
        """What the page shows."""
        return {}
