"""Brands, the tenants."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse

from access import services
from access.admin_base import BrandScopedAdmin
from access.admin_deeds import Deed, DeedsMixin, ReasonForm, Told
from access.admin_fresh import FreshForm
from access.models import Brand, User
from access.rules import Verb
from core.actor import Actor


def _hold(row: Brand, given: dict[str, Any], actor: Actor) -> Told:
    services.hold_brand(row, actor=actor, reason=given["reason"])
    return Told(sentence="Held: nothing of this brand is removed until the hold is lifted.")


def _lift_hold(row: Brand, given: dict[str, Any], actor: Actor) -> Told:
    services.lift_hold_of_brand(row, actor=actor, reason=given["reason"])
    return Told(sentence="The hold is lifted: what is past its day is removed within the hour.")


class BrandForm(FreshForm):
    version_of = staticmethod(services.version_of)


@admin.register(Brand)
class BrandAdmin(DeedsMixin, BrandScopedAdmin):
    """Tenants: made by those who run the site; their owners may rename them and set how long contents are kept."""

    empty_text = "A brand is a company whose consumers and agents are connected here. Everything begins with one."
    deeds: ClassVar[tuple[Deed, ...]] = (
        Deed(
            name="hold",
            label="Legal hold",
            icon="gavel",
            explain="Nothing of this brand is removed while the hold stands: neither when its retention ends, nor when "
            "somebody asks to be erased.",
            run=_hold,
            offered=lambda row: not row.is_held,
            form=ReasonForm,
            verb=Verb.OWN,
        ),
        Deed(
            name="lift-hold",
            label="Lift the legal hold",
            icon="lock_open",
            explain="What the retention has ended for is removed after it.",
            run=_lift_hold,
            offered=lambda row: row.is_held,
            form=ReasonForm,
            verb=Verb.OWN,
        ),
    )
    add_verb = change_verb = Verb.OWN
    form = BrandForm

    list_display = ("name", "slug", "retention_days", "created_at")
    ordering = ("name",)
    fields = ("name", "slug", "retention_days")
    search_fields = ("slug", "name")
    search_help_text = "Part of the name, or our id"
    change_form_outer_before_template = "admin/access/brand_top.html"

    def has_add_permission(self, request: HttpRequest) -> bool:
        return isinstance(request.user, User) and request.user.is_active and request.user.is_superuser

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        # Commands and bookmarks name a brand by it.
        return ("slug",) if obj is not None else ()

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        context["may_set_up"] = self._allows(request, Verb.OPERATE, kwargs.get("obj"))
        return super().render_change_form(request, context, *args, **kwargs)

    def store_new(self, obj: Brand, *, form: forms.Form, actor: Actor) -> None:
        services.add_brand(obj, actor=actor)

    def store_changes(self, obj: Brand, *, form: forms.Form, actor: Actor) -> None:
        assert isinstance(form, BrandForm)
        services.change_brand(obj, fields=form.changed_data, actor=actor, seen=form.version)
