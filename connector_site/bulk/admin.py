"""Pages of bulk jobs: the preview, the progress, and what became of each row."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString

from access.admin_deeds import DeedsMixin
from access.admin_filters import BrandFilter, OfferedFilter, RowFilter, TimeFilter, choice_filter
from access.admin_records import RecordAdmin
from access.models import User
from access.templatetags.readable import chip, moment
from connector_site.bulk import services
from connector_site.bulk.deeds import APPROVE, DISCARD, RESUME, START, STOP, StartForm
from connector_site.bulk.gathering import MOST_ROWS
from connector_site.bulk.kinds import KINDS
from connector_site.bulk.models import BulkItem, BulkJob, BulkKind, BulkState, ItemState
from connector_site.bulk.results import Results
from connector_site.exports.slots import TooManyExports
from core.ids import made_at

_TONES = {
    "GATHERING": "wait", "READY": "wait", "WAITING": "wait", "RUNNING": "wait", "STOPPED": "bad", "DONE": "good",
    "DISCARDED": "plain",
}  # fmt: skip
_ITEM_TONES = {"WAITING": "wait", "DONE": "good", "SETTLED": "plain", "REFUSED": "bad"}
_MOST_SHOWN = 50


@admin.register(BulkJob)
class BulkJobAdmin(DeedsMixin, RecordAdmin):
    empty_text = "A job comes about where something is done to many rows at once: in the outbox or in the inbox."
    deeds = (START, APPROVE, STOP, RESUME, DISCARD)
    refusals = (*DeedsMixin.refusals, services.BulkRefused)

    list_display = ("when", "title", "state_chip", "rows", "asker", "brand_")
    list_display_links = ("when", "title")
    list_filter = (
        BrandFilter, TimeFilter, choice_filter("state", BulkState), choice_filter("kind", BulkKind, title="what")
    )  # fmt: skip
    list_select_related = ("brand", "asked_by")
    search_fields = ("id",)
    search_help_text = "Id of the job"
    page_template = "admin/bulk/job.html"

    @admin.display(description="Asked for")
    def when(self, obj: BulkJob) -> SafeString | str:
        return moment(obj.created_at)

    @admin.display(description="What")
    def title(self, obj: BulkJob) -> str:
        return obj.get_kind_display()

    @admin.display(description="State")
    def state_chip(self, obj: BulkJob) -> SafeString:
        return chip(obj.get_state_display(), _TONES[obj.state])

    @admin.display(description="Rows")
    def rows(self, obj: BulkJob) -> str:
        return f"{obj.settled:,} of {obj.total:,}" if obj.started_at else f"{obj.total:,}"

    @admin.display(description="By")
    def asker(self, obj: BulkJob) -> str:
        return obj.asked_by.get_username()

    @admin.display(description="Brand")
    def brand_(self, obj: BulkJob) -> str:
        return str(obj.brand or "several")

    # --- one job ---

    def get_urls(self) -> list[URLPattern]:
        def view(ending: str, function: Any) -> URLPattern:
            name = f"connector_site_bulkjob_{ending}"
            return path(f"<path:object_id>/{ending}/", self.admin_site.admin_view(function), name=name)

        return [view("progress", self.progress_view), view("results", self.results_view), *super().get_urls()]

    def whole(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        return rows.select_related("brand", "asked_by", "approved_by")

    def title_of(self, obj: BulkJob) -> str:
        return obj.get_kind_display()

    def deeds_for(self, request: HttpRequest, obj: Any) -> list[dict[str, Any]]:
        """Without agreeing to what one asked for oneself."""
        is_own = obj.asked_by_id == request.user.pk
        return [one for one in super().deeds_for(request, obj) if not (is_own and one["deed"] is APPROVE)]

    def page_context(self, request: HttpRequest, obj: BulkJob) -> dict[str, Any]:
        shown = self._first_rows(obj)
        buttons = self.deeds_for(request, obj)
        return {
            **self._progress_of(request, obj),
            **self._to_start(request, obj, buttons),
            "scope": _scope_of(obj),
            "shown": shown,
            "is_preview": obj.started_at is None,
            "most_shown": _MOST_SHOWN,
            "results_url": reverse("admin:connector_site_bulkjob_results", args=[obj.pk]),
        }

    def _to_start(self, request: HttpRequest, obj: BulkJob, buttons: list[dict[str, Any]]) -> dict[str, Any]:
        """The form, for who may; and whether somebody else has to agree then."""
        if not any(one["deed"] is START for one in buttons):
            return {}
        assert isinstance(request.user, User)
        alone = services.done_alone(request.user, beside=obj)
        return {
            "start_form": StartForm(row=obj),
            "start_url": self.deed_url(obj, START.name),
            "done_alone": alone,
            "needs_second": obj.total + alone > services.MOST_ALONE,
        }

    def _progress_of(self, request: HttpRequest, obj: BulkJob) -> dict[str, Any]:
        left_s = obj.left / obj.per_second if obj.state == BulkState.RUNNING else 0
        return {
            "job": obj,
            "kind": KINDS[obj.kind],
            "tone": _TONES[obj.state],
            "buttons": [one for one in self.deeds_for(request, obj) if one["deed"] is not START],
            "left_at_least": str(timedelta(seconds=round(left_s))) if left_s >= 1 else "",
            "is_own": obj.asked_by_id == request.user.pk,
            "most_alone": services.MOST_ALONE,
            "most_rows": MOST_ROWS,
            "progress_url": reverse("admin:connector_site_bulkjob_progress", args=[obj.pk]),
        }

    def _first_rows(self, obj: BulkJob) -> list[dict[str, Any]]:
        """Before the start the oldest; later those that were not done, for they need somebody."""
        items: QuerySet[BulkItem] = BulkItem.objects.filter(job=obj)
        if obj.started_at is not None:
            items = items.filter(state__in=(ItemState.REFUSED, ItemState.SETTLED))
        kind, first = KINDS[obj.kind], list(items.order_by("target_id")[:_MOST_SHOWN])
        wanted = [item.target_id for item in first]
        rows: dict[Any, Any] = kind.model._default_manager.select_related(*kind.related).in_bulk(wanted)
        name = f"admin:{kind.model._meta.app_label}_{kind.model._meta.model_name}_change"
        return [
            {
                "item": item,
                "tone": _ITEM_TONES[item.state],
                "came_at": made_at(item.target_id),
                "state": rows[item.target_id].get_state_display(),
                "line": kind.describe(rows[item.target_id]),
                "url": reverse(name, args=[item.target_id]),
            }
            for item in first
            if item.target_id in rows
        ]

    # --- parts of its page ---

    def progress_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The upper part, asked for again and again while workers go on with it; then the whole page, once."""
        obj = self.get_object(request, object_id)
        if obj is None:
            return self.missing(request)
        page = TemplateResponse(request, "admin/bulk/progress.html", self._progress_of(request, obj))
        page["Cache-Control"] = "no-store"
        if not obj.is_at_work:
            page["HX-Refresh"] = "true"
        return page

    def results_view(self, request: HttpRequest, object_id: str) -> Any:
        """What became of each row, as CSV."""
        obj = self.get_object(request, object_id)
        if obj is None:
            return self.missing(request)
        try:
            results = Results(obj)
        except TooManyExports:
            messages.warning(request, "Other exports are on their way. Ask again in a few seconds.")
            return HttpResponseRedirect(self.row_url(obj))
        headers = {"Content-Disposition": f'attachment; filename="bulk-job-{obj.pk}.csv"'}
        return StreamingHttpResponse(results, content_type="text/csv; charset=utf-8; header=present", headers=headers)


def _scope_of(job: BulkJob) -> list[dict[str, Any]]:
    """Which rows were asked for, in words: name and value, or name and moment."""
    if "filters" not in job.wanted:
        return [{"name": "Which", "value": "those that were ticked, or found by their id"}]
    known = {str(one.parameter_name): one for one in KINDS[job.kind].filters}
    told: list[dict[str, Any]] = [{"name": "Which", "value": "everything that matched"}]
    told += [
        {"name": str(known[name].title).capitalize(), "value": _said(known[name], value)}
        for name, value in job.wanted["filters"].items()
    ]
    for name, bound in (("Not before", job.wanted["since"]), ("Not after", job.wanted["until"])):
        if bound:
            told.append({"name": name, "at": datetime.fromisoformat(bound)})
    return told


def _said(one: type[Any], value: str) -> str:
    """The value of a filter as the list offers it."""
    if issubclass(one, RowFilter):
        return str(one.model._default_manager.filter(pk=value).first() or value)
    return dict(one.words()).get(value, value) if issubclass(one, OfferedFilter) else value


__all__ = ["BulkJobAdmin"]
