"""Where a page of the admin stands: the links above it, its heading and the title of its tab, in the menu's words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django import template
from django.db import models
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse

from connector_site.sidebar import navigation

register = template.Library()


@dataclass(frozen=True, kw_only=True)
class Step:
    """One link on the way to a page. tab: what a tab calls it, where that is another name."""

    title: str
    url: str = ""
    tab: str = ""


@register.inclusion_tag("admin/parts/crumbs.html", takes_context=True)
def crumbs(context: template.RequestContext) -> dict[str, Any]:
    """The links that lead here, and the heading of the page."""
    *before, here = _way(context)
    return {"before": before, "here": here, "up": before[-1] if before else None}


@register.simple_tag(takes_context=True)
def tab_title(context: template.RequestContext) -> str:
    """What tells this tab from others, first. It stays in the browser's history: no consumer is named there."""
    steps = [step.tab or step.title for step in reversed(_way(context))]
    return " | ".join([*steps, str(context.get("site_title", ""))])


def _way(context: template.RequestContext) -> list[Step]:
    request, opts, title = context["request"], context.get("opts"), str(context.get("title") or "")
    if opts is None:
        return [Step(title=title)]
    place = f"admin:{opts.app_label}_{opts.model_name}"
    found = [_step_of_list(request, opts, reverse(f"{place}_changelist"))]
    row = context.get("original") or context.get("object")
    if isinstance(row, models.Model):
        name = str(context.get("row_title") or row)
        tab = str(getattr(row, "nameless", row))
        found.append(Step(title=name, url=_url(f"{place}_change", row.pk), tab=tab))
    page = (request.resolver_match and request.resolver_match.url_name) or ""
    is_of_a_row = page.endswith("_change") and not page.endswith("_password_change") and row is not None
    if not (page.endswith("_changelist") or is_of_a_row):
        found.append(Step(title=title))
    return found


def _step_of_list(request: HttpRequest, opts: Any, url: str) -> Step:
    menu = {item["link"]: item["title"] for group in navigation(request) for item in group["items"]}
    plural = str(opts.verbose_name_plural)
    return Step(title=menu.get(url) or plural[:1].upper() + plural[1:], url=url)


def _url(name: str, row_id: Any) -> str:
    try:
        return reverse(name, args=[row_id])
    except NoReverseMatch:
        return ""  # a row that is not stored yet
