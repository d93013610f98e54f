"""Filters of the trail's list, of the admin's and of the API's alike."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.db import models

from access.admin_filters import BrandFilter, LinkFilter, OfferedFilter, TimeFilter, choice_filter
from audit.actions import ACTIONS
from audit.api import WHOLE_SITE
from audit.models import ActorKind

# Subject types that have a page of their own: model name to app label.
PAGES = {
    "brand": "access",
    "user": "access",
    "membership": "access",
    "apikey": "access",
    "account": "installations",
    "appinstallation": "installations",
    "channel": "installations",
    "consumer": "conversations",
    "conversation": "conversations",
    "message": "conversations",
    "dispatch": "conversations",
    "delivery": "webhooks",
}
_WITHOUT_A_PAGE = ("lane", "auditentry", WHOLE_SITE)


class ActionFilter(OfferedFilter):
    title = "what was done"
    parameter_name = "action"

    @classmethod
    def words(cls) -> list[tuple[str, str]]:
        return list(ACTIONS.items())

    @classmethod
    def narrowed(cls, queryset: models.QuerySet[Any], value: Any) -> models.QuerySet[Any]:
        return queryset.filter(action=value)


class ActorFilter(LinkFilter):
    """Set by the page of an entry."""

    title = "actor"
    parameter_name = "actor"
    lookup = "actor_id"


class SubjectFilter(LinkFilter):
    """Set by the History button of every page."""

    title = "subject"
    parameter_name = "subject_id"
    lookup = "subject_id"


class SubjectTypeFilter(OfferedFilter):
    title = "kind of subject"
    parameter_name = "subject_type"

    @classmethod
    def words(cls) -> list[tuple[str, str]]:
        named = [(name, str(apps.get_model(app, name)._meta.verbose_name)) for name, app in PAGES.items()]
        return named + [(name, name) for name in _WITHOUT_A_PAGE]

    @classmethod
    def narrowed(cls, queryset: models.QuerySet[Any], value: Any) -> models.QuerySet[Any]:
        return queryset.filter(subject_type=value)


AUDIT_FILTERS = (
    BrandFilter,
    TimeFilter,
    choice_filter("actor_kind", ActorKind, title="kind of actor"),
    ActorFilter,
    ActionFilter,
    SubjectTypeFilter,
    SubjectFilter,
)
