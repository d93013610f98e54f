"""LivePerson accounts of a brand."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db import models
from django.http import HttpRequest

from access.admin_base import BrandScopedAdmin
from access.rules import Verb
from core.actor import Actor
from installations import editing
from installations.admin_filters import ACCOUNT_FILTERS
from installations.admin_forms import AccountForm
from installations.models import Account


@admin.register(Account)
class AccountAdmin(BrandScopedAdmin):
    add_verb = change_verb = Verb.OPERATE
    form = AccountForm

    list_display = ("lp_account_id", "name", "brand", "created_at")
    list_filter = ACCOUNT_FILTERS
    list_select_related = ("brand",)
    search_fields = ("lp_account_id",)
    search_help_text = "Account id at LivePerson, or our id"
    fields = ("brand", "lp_account_id", "name", "domain_api")
    change_form_outer_before_template = "admin/installations/account_top.html"

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        # An account belongs to one brand for good: its consumers and conversations do.
        return ("brand", "lp_account_id") if obj is not None else ()

    def find(self, request: HttpRequest, queryset: models.QuerySet[Any], term: str) -> models.QuerySet[Any]:
        by_lp_id = queryset.filter(lp_account_id=term)
        return by_lp_id if by_lp_id.exists() else super().find(request, queryset, term)

    def store_new(self, obj: Account, *, form: forms.Form, actor: Actor) -> None:
        editing.add_account(obj, actor=actor)

    def store_changes(self, obj: Account, *, form: forms.Form, actor: Actor) -> None:
        editing.change(obj, fields=form.changed_data, actor=actor)
