"""The admin's pages as the matrix asks for them."""

from __future__ import annotations

from django.contrib import admin
from django.db import models
from django.http import HttpResponseBase

from core.ids import new_id
from tests.access.forms import fields_of, filled_in
from tests.access.matrix import Stage, told_by
from tests.access.route_rules import Rule, Ruled, rule_of
from tests.access.routes import all_routes
from tests.factories import World

RULED = [ruled for route in all_routes() if (ruled := rule_of(route))]
ROW_RULES = (Rule.ROW, Rule.ROW_CHANGE, Rule.DEED)
PAGES = (Rule.LIST, Rule.ADD, *ROW_RULES)
ABSENT = None


def models_with(*rules: Rule) -> list[type[models.Model]]:
    """The models that have routes of these kinds."""
    found = {one.model for one in RULED if one.rule in rules and one.model is not None}
    return sorted(found, key=lambda model: model._meta.label)


def pages_of(model: type[models.Model], *rules: Rule) -> list[Ruled]:
    return [one for one in RULED if one.model is model and one.rule in rules]


def deeds_of(model: type[models.Model]) -> list[str]:
    """What its admin offers to do to one row, and something that it does not."""
    return [*(deed.name for deed in getattr(admin.site._registry[model], "deeds", ())), "nonsense"]


def addresses(ruled: Ruled, world: World | None) -> list[str]:
    """The addresses of a route about a row of this world; ABSENT: about an id that does not exist."""
    assert ruled.model is not None
    row = world.row_of(ruled.model) if world else None
    row_id = str(row.pk) if row else str(new_id())
    if "deed_name" not in ruled.route.parameters:
        return [ruled.route.url(object_id=row_id, pk=row_id, id=row_id)]
    return [ruled.route.url(object_id=row_id, deed_name=name) for name in deeds_of(ruled.model)]


def is_sent_to_sign_in(answer: HttpResponseBase) -> bool:
    return answer.status_code == 302 and "/admin/login/" in answer["Location"]


def shows(answer: HttpResponseBase, world: World, model: type[models.Model]) -> bool:
    """Whether something of the row's own brand stands there: an empty page would leak nothing."""
    row, text = world.row_of(model), told_by(answer).lower()
    assert row is not None
    return world.mark.lower() in text or str(row.pk) in text


def what_an_owner_would_send(stage: Stage, url: str, *, of: World) -> dict[str, str]:
    """The form at this address, filled in by somebody who may."""
    owner = next(part for part in stage.parts if part.user == of.owner)
    answer = stage.client(owner).get(url)
    is_page = answer.status_code == 200 and not answer.streaming
    form = filled_in(fields_of(answer.content), of) if is_page else {}
    return {"post": "yes", "reason": "a test", **form}
