"""
Long lists of the admin: walked newest first like those of the API (docs/decisions/0010-pages-that-cost-the-same.md).

A page costs the same however long the list is, and rows that arrive meanwhile move nothing. Nothing is ever counted.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.contrib.admin.views.main import PAGE_VAR
from django.db import models
from django.http import HttpRequest

from access import cursors, newest
from access.admin_base import PlainChangeList
from access.admin_filters import LinkFilter, RowFilter, TimeFilter
from access.cursors import Place
from access.newest import Asked, Listing
from core.ids import id_in


@dataclass(frozen=True, kw_only=True)
class WalkedPages:
    """Stands for a paginator in the library's templates."""

    per_page: int
    template_name: str = "admin/pages_walked.html"


class NewestChangeList(PlainChangeList):
    """
    A list that goes on after the last row seen.

    `queryset` stays what the filters and the search leave, for the actions; what is shown is walked.
    """

    def get_results(self, request: HttpRequest) -> None:
        place = Place(path=request.path, reader_id=str(request.user.pk), filters=self._asked_in_address())
        given = request.GET.get(PAGE_VAR)
        below = cursors.unseal(given, place) if given else None
        if given and below is None:
            messages.warning(request, "That place in the list is not known here. This is its beginning.")
        page = newest.read(self._listing(request), below=below, size=self.list_per_page)
        self.result_list = page.rows
        self.is_continued = below is not None
        self.is_short = page.next_below is not None and len(page.rows) < self.list_per_page
        self.looked_at = f"{newest.STRETCH:,}"
        older = cursors.seal(page.next_below, place) if page.next_below else None
        self.older_url = self.get_query_string({PAGE_VAR: older}) if older else ""
        self.newest_url = self.get_query_string()
        self._fill_in_for_templates()

    def _fill_in_for_templates(self) -> None:
        self.paginator = WalkedPages(per_page=self.list_per_page)
        # Where these are the same, the library tells neither.
        self.result_count = self.full_result_count = len(self.result_list)
        self.show_full_result_count = False
        self.show_admin_actions = True
        self.can_show_all = self.multi_page = False

    def _asked_in_address(self) -> list[tuple[str, str]]:
        return [(name, value) for name, values in self.filter_params.items() for value in values]

    def _listing(self, request: HttpRequest) -> Listing:
        # Looked up by their ids for the rows of a page: joined, PostgreSQL may read the whole of the other table.
        rows = self.model._default_manager.prefetch_related(*(self.list_select_related or ()))
        specs: list[Any] = list(self.filter_specs)
        asked = [_asked_by(one, request, self.model) for one in specs if one.value() is not None]
        if self.query.strip():
            asked.append(self.model_admin.sought(request, self.query.strip()))
        return newest.listing_of(rows, asked, walks=self.model_admin.walks, reader=request.user)


def _asked_by(one: Any, request: HttpRequest, model: type[models.Model]) -> Asked:
    """A filter in use. Its value has been checked when it was applied to the list's queryset."""
    value = one.value()
    return Asked(
        name=one.parameter_name,
        value=id_in(value) if isinstance(one, RowFilter | LinkFilter) else value,
        narrowed=lambda rows: one.queryset(request, rows),
        is_bound=isinstance(one, TimeFilter),
        is_seen=isinstance(one, RowFilter) or (isinstance(one, LinkFilter) and one.names_a_row_of(model) is not None),
    )


def by_ids(ids: Collection[uuid.UUID]) -> Asked:
    """What a search has found by an index of its own."""
    return Asked(name="q", value=ids, narrowed=lambda rows: rows.filter(pk__in=ids), is_bound=True)


__all__ = ["NewestChangeList", "WalkedPages", "by_ids"]
