"""LivePerson accounts of a brand."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from access.admin_base import BrandScopedAdmin
from access.rules import Verb
from core.actor import Actor
from installations import editing
from installations.account_verdicts import verdict_of_account
from installations.admin_filters import ACCOUNT_FILTERS
from installations.admin_forms import AccountForm
from installations.admin_verdict import verdict_context
from installations.models import Account


@admin.register(Account)
class AccountAdmin(BrandScopedAdmin):
    empty_text = "A LivePerson account belongs to one brand. Add it before the app installations that are in it."
    add_verb = change_verb = Verb.OPERATE
    form = AccountForm

    list_display = ("lp_account_id", "name", "brand", "created_at")
    list_filter = ACCOUNT_FILTERS
    list_select_related = ("brand",)
    search_fields = ("lp_account_id", "name")
    search_help_text = "Part of the name or of LivePerson's account id, or our id"
    fields = ("brand", "lp_account_id", "name", "domain_api")
    change_form_outer_before_template = "admin/installations/account_top.html"

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        # An account belongs to one brand for good: its consumers and conversations do.
        if obj is None:
            return ()
        return ("brand",) if editing.is_untried(obj) else ("brand", "lp_account_id")

    def store_new(self, obj: Account, *, form: forms.Form, actor: Actor) -> None:
        editing.add_account(obj, actor=actor)

    def store_changes(self, obj: Account, *, form: forms.Form, actor: Actor) -> None:
        assert isinstance(form, AccountForm)
        editing.change(obj, fields=form.changed_data, actor=actor, seen=form.version)

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        obj = kwargs.get("obj")
        if obj is not None:
            stored = Account.objects.get(pk=obj.pk)  # the form may have changed the one at hand
            verdict = verdict_of_account(stored, now=timezone.now())
            may_change = self.has_change_permission(request, obj)
            context.update(verdict_context(verdict, buttons=(), row_id=obj.pk, may_change=may_change))
        return super().render_change_form(request, context, *args, **kwargs)
