"""
What a person can do to many rows of a list: to those that are ticked, or to everything that matches its filters.

The list only hands on what was chosen: the admin site as a whole shows a preview, and does nothing before that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db import models
from django.http import HttpRequest, HttpResponse

from access.admin_base import BrandScopedAdmin
from access.rules import Verb
from core.ids import id_in

Action = Callable[[Any, HttpRequest, models.QuerySet[Any]], HttpResponse | None]


def together(kind: str, label: str) -> Action:
    """An action of a list. kind: what the site calls it."""

    def act(page: Any, request: HttpRequest, queryset: models.QuerySet[Any]) -> HttpResponse | None:
        answer: HttpResponse | None = page.admin_site.begin_together(request, page, queryset, kind)
        return answer

    act.__name__ = f"{kind.lower()}_together"
    return admin.action(act, description=f"{label}…", permissions=["operate"])


class TogetherMixin(BrandScopedAdmin):
    """A list with such actions. A template beside it offers each for everything that matches as well."""

    list_before_template = "admin/parts/together.html"

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Asked by the library for whoever is offered the actions."""
        return self._allows(request, Verb.OPERATE, None)

    def response_action(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> HttpResponse | None:
        """What is ticked and is no id at all is left out: the library would ask the database for it."""
        post = request.POST.copy()
        ticked = filter(None, map(id_in, post.getlist(ACTION_CHECKBOX_NAME)))
        post.setlist(ACTION_CHECKBOX_NAME, [str(one) for one in ticked])
        request.POST = post  # type: ignore[assignment]
        answer: HttpResponse | None = super().response_action(request, queryset)
        return answer


__all__ = ["TogetherMixin", "together"]
