"""
Who may use which route: the table that the matrix of routes is checked against.

A route that no line speaks of fails the tests. Whoever adds one says here whose it is; the matrix then asks it in every
role, about rows of both brands.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass

from django.apps import apps
from django.contrib import admin
from django.db import models

from tests.access.routes import Route


class Rule(enum.Enum):
    PUBLIC = enum.auto()  # tells nothing of any brand
    NOWHERE = enum.auto()  # answers that there is nothing
    SIGNED = enum.auto()  # whoever signed the body acts in the brand of that secret, and in no other
    CAPABILITY = enum.auto()  # the address itself is the permission, for one thing
    SIGN_IN = enum.auto()  # the way in and out
    LEADS_TO_ADMIN = enum.auto()  # and tells nothing else
    SIGNED_IN = enum.auto()  # pages of the admin about no row: each sees there what is theirs
    API_LIST = enum.auto()
    API_ROW = enum.auto()
    API_EXPORT = enum.auto()  # a list in one answer
    API_TABLE = enum.auto()  # of sums over rows of the brands that one sees
    API_FIND = enum.auto()  # a POST that asks by a term, and changes nothing but the trail of what it finds
    FIND_PAGE = enum.auto()  # the same as a page
    API_TRACES = enum.auto()  # a GET that asks by a correlation id
    API_ACT = enum.auto()  # does something to a row: by keys made for it, of owners who may
    LIST = enum.auto()  # of rows of the brands that one sees
    ADD = enum.auto()
    ROW = enum.auto()  # shows a row to whoever sees its brand
    ROW_CHANGE = enum.auto()  # changes a row: never for auditors
    DEED = enum.auto()  # does one of an admin's `deeds` to a row: never for auditors
    PLATFORM = enum.auto()  # for those who run the site
    OWN_LIST = enum.auto()  # of rows of one's own, whatever the role; who runs the site sees those of all
    OWN_ADD = enum.auto()
    OWN_ROW = enum.auto()
    OWN_DEED = enum.auto()


# Routes by their text.
_SITE: dict[str, Rule] = {
    "": Rule.LEADS_TO_ADMIN,
    "healthz": Rule.PUBLIC,
    "readyz": Rule.PUBLIC,
    "metrics": Rule.PUBLIC,
    "api/v1/schema/": Rule.PUBLIC,
    "api/v1/docs/": Rule.PUBLIC,
    "api/v1/usage/": Rule.API_TABLE,
    "api/v1/find/": Rule.API_FIND,
    "api/v1/trace/": Rule.API_TRACES,
    "webhooks/": Rule.NOWHERE,
    "webhooks/liveperson/<uuid:installation_id>/": Rule.SIGNED,
    r"webhooks/^channels/(?P<channel_id>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/(?P<suffix>[\w./-]{0,64})$": (
        Rule.SIGNED
    ),
    "files/<str:token>": Rule.CAPABILITY,
    "admin/login/": Rule.SIGN_IN,
    "admin/logout/": Rule.SIGN_IN,
    "admin/": Rule.SIGNED_IN,
    "admin/search/": Rule.SIGNED_IN,
    "admin/find/": Rule.FIND_PAGE,
    "admin/password_change/": Rule.SIGNED_IN,
    "admin/password_change/done/": Rule.SIGNED_IN,
    "admin/sign_out_everywhere/": Rule.SIGNED_IN,
    "admin/autocomplete/": Rule.SIGNED_IN,
    "admin/jsi18n/": Rule.SIGNED_IN,
    r"admin/(?P<url>.*)$": Rule.SIGNED_IN,
}
_APP_LIST = re.compile(r"admin/\^\(\?P<app_label>[a-z_|]+\)/\$")
_API = re.compile(r"api/v1/(?P<resource>[a-z-]+)/(?P<rest>.*)")
_OF_API = {
    "": Rule.API_LIST,
    "export/": Rule.API_EXPORT,
    "<uuid:pk>/": Rule.API_ROW,
    **dict.fromkeys((f"<uuid:pk>/{act}/" for act in ("resend", "resolve", "drop", "pause", "resume")), Rule.API_ACT),
}
_ABOUT_ROWS = {"api/v1/messages/<uuid:pk>/trace/"}

# Routes of a model's admin, by what comes after admin/<app>/<model>/.
_MODEL = re.compile(r"admin/(?P<app>[a-z_]+)/(?P<model>[a-z_]+)/(?P<rest>.*)")
_OF_MODEL: dict[str, Rule] = {
    "": Rule.LIST,
    "add/": Rule.ADD,
    "<path:object_id>/": Rule.ROW,
    "<path:object_id>/change/": Rule.ROW,
    "<path:object_id>/live/": Rule.ROW,
    "<path:object_id>/timeline/": Rule.ROW,
    "<path:object_id>/everything/": Rule.ROW_CHANGE,
    "<path:object_id>/history/": Rule.ROW,
    "<path:object_id>/progress/": Rule.ROW,
    "<path:object_id>/results/": Rule.ROW,
    "<path:object_id>/delete/": Rule.ROW_CHANGE,
    "<path:object_id>/rotation/": Rule.ROW,
    "<path:object_id>/do/<slug:deed_name>/": Rule.DEED,
    "<id>/password/": Rule.PLATFORM,
}
# Models whose rows belong to no brand.
_PLATFORM_MODELS = frozenset({"access.User"})
# Models whose rows belong to a person each; nobody changes or deletes one but by a deed.
_OWN_MODELS = frozenset({"access.ApiKey"})
_OF_OWN_MODEL = {
    Rule.LIST: Rule.OWN_LIST,
    Rule.ADD: Rule.OWN_ADD,
    Rule.ROW: Rule.OWN_ROW,
    Rule.ROW_CHANGE: Rule.OWN_ROW,
    Rule.DEED: Rule.OWN_DEED,
}


@dataclass(frozen=True, kw_only=True)
class Ruled:
    """model: whose rows a route is about, where it is about some."""

    route: Route
    rule: Rule
    model: type[models.Model] | None = None


def rule_of(route: Route) -> Ruled | None:
    """What the table says of a route; None where it says nothing."""
    if rule := _SITE.get(route.text):
        return Ruled(route=route, rule=rule)
    if _APP_LIST.fullmatch(route.text):
        return Ruled(route=route, rule=Rule.SIGNED_IN)
    if (found := _API.fullmatch(route.text)) and route.text in _ABOUT_ROWS:
        return Ruled(route=route, rule=Rule.API_ROW, model=_model_of_resource(found["resource"]))
    if (found := _API.fullmatch(route.text)) and found["rest"] in _OF_API:
        return Ruled(route=route, rule=_OF_API[found["rest"]], model=_model_of_resource(found["resource"]))
    if found := _MODEL.fullmatch(route.text):
        return _rule_of_page(route, found)
    return None


def _rule_of_page(route: Route, found: re.Match[str]) -> Ruled | None:
    rule, model = _OF_MODEL.get(found["rest"]), apps.get_model(found["app"], found["model"])
    if rule is None or model not in admin.site._registry:
        return None
    if model._meta.label in _PLATFORM_MODELS:
        return Ruled(route=route, rule=Rule.PLATFORM, model=model)
    if model._meta.label in _OWN_MODELS and rule in _OF_OWN_MODEL:
        return Ruled(route=route, rule=_OF_OWN_MODEL[rule], model=model)
    if not hasattr(model, "brand_path") or rule is Rule.PLATFORM:
        return None
    return Ruled(route=route, rule=rule, model=model)


def _model_of_resource(resource: str) -> type[models.Model]:
    singular = {"deliveries": "delivery", "dispatches": "dispatch", "audit-log": "auditentry"}
    name = singular.get(resource, resource.removesuffix("s"))
    name = {"installation": "appinstallation"}.get(name, name)
    (model,) = (model for model in apps.get_models() if model._meta.model_name == name)
    return model
