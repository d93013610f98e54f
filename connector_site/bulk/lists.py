"""From a list to a preview: what was ticked, or the filters as they stand, become a job that nobody has started yet."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.contrib.admin.options import ModelAdmin
from django.db import models
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from access import refusals
from access.admin_filters import TimeFilter
from access.models import User
from access.rules import Verb, limit
from connector_site.bulk import services
from connector_site.bulk.kinds import KINDS, Kind
from connector_site.bulk.models import BulkJob
from core.ids import id_in

_MOST_TICKED = 1_000
_MOST_NOTED = 50


def begin(
    request: HttpRequest, page: ModelAdmin, queryset: models.QuerySet[Any], kind_name: str
) -> HttpResponse | None:
    """
    Make the preview and lead to it; None, with a message, where there is nothing to show.

    queryset: what the list's filters and search leave.
    """
    kind, person = KINDS[kind_name], request.user
    assert isinstance(person, User)
    try:
        if request.POST.get("select_across") == "1":
            job = _begin_matching(request, page, queryset, kind, person)
        else:
            job = _begin_ticked(request, kind, person)
    except services.BulkRefused as refusal:
        messages.warning(request, str(refusal))
        return None
    if not job.total and not job.is_at_work:
        messages.warning(request, f"“{kind.label}” is possible for nothing that matches.")
        return None
    return HttpResponseRedirect(reverse("admin:connector_site_bulkjob_change", args=[job.pk]))


def _begin_ticked(request: HttpRequest, kind: Kind, person: User) -> BulkJob:
    """Ids of other brands are left out like ids of nothing, and the brand's trail tells of them."""
    given = {found for one in request.POST.getlist("_selected_action")[:_MOST_TICKED] if (found := id_in(one))}
    theirs = set(
        limit(kind.model._default_manager.filter(pk__in=given), person, verb=Verb.OPERATE).values_list("pk", flat=True)
    )
    for row_id in sorted(given - theirs)[:_MOST_NOTED]:
        refusals.note(person, kind.model, row_id, request)
    job = services.begin_with(kind, theirs, person=person)
    if len(theirs) < len(given):
        messages.warning(request, f"Left out, because there is no such row for you to repair: {len(given - theirs)}.")
    return job


def _begin_matching(
    request: HttpRequest, page: ModelAdmin, queryset: models.QuerySet[Any], kind: Kind, person: User
) -> BulkJob:
    shown = page.get_changelist_instance(request)
    if shown.query:
        # What a search finds are a few rows, by their ids.
        return services.begin_with(kind, list(queryset.values_list("pk", flat=True)[:_MOST_TICKED]), person=person)
    filters: dict[str, str] = {}
    since: timedelta | None = None
    specs: list[Any] = list(shown.filter_specs)
    for one in specs:
        name, value = one.parameter_name, one.value()
        if value is not None and isinstance(one, TimeFilter):
            since = one.span_of(value)
        elif value is not None and name in kind.filter_names:
            filters[name] = value
    return services.begin_matching(kind, person=person, brand=_brand_in(request), filters=filters, since=since)


def _brand_in(request: HttpRequest) -> uuid.UUID | None:
    given = request.GET.get("brand")
    wanted = id_in(given) if given else None
    if given and wanted is None:
        raise services.BulkRefused("There is no such brand.")
    return wanted


__all__ = ["begin"]
