"""People and their roles."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString
from unfold.forms import AdminPasswordChangeForm, UserCreationForm
from unfold.widgets import UnfoldAdminTextInputWidget

from access import services
from access.admin_base import BrandScopedAdmin, PlatformAdmin, acting
from access.admin_deeds import Deed, DeedsMixin, Told
from access.admin_filters import BrandFilter, choice_filter
from access.admin_fresh import FreshForm
from access.models import Membership, Role, User
from access.rules import Verb
from access.templatetags.readable import chip, moment
from core.actor import Actor
from core.errors import ConfigurationError


class MembershipForm(forms.ModelForm):
    """
    Gives a role to somebody named by their user name.

    A list to choose from would show everybody who works for any brand of this site.
    """

    username = forms.CharField(
        label="User name",
        max_length=150,
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off"}),
        help_text="Of somebody who can sign in here already. Those who run the site add people.",
    )

    class Meta:
        model = Membership
        fields = ("brand", "role")

    may_give_all_brands = False

    def clean_username(self) -> str:
        username: str = self.cleaned_data["username"].strip()
        user = User.objects.filter(username=username, is_active=True).first()
        if user is None:
            raise forms.ValidationError("Nobody with this user name can sign in here.")
        self.instance.user = user
        return username

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if "brand" in self.fields and cleaned.get("brand") is None and not self.may_give_all_brands:
            self.add_error("brand", "Choose the brand.")
        if not self.errors and self.instance._state.adding:
            brand = cleaned.get("brand")
            if Membership.objects.filter(user=self.instance.user, brand=brand).exists():
                self.add_error("username", "This person has a role there already. Change that one.")
        return cleaned


class RoleForm(FreshForm):
    version_of = staticmethod(services.version_of)


@admin.register(Membership)
class MembershipAdmin(BrandScopedAdmin):
    """Roles. A brand's owners give them in their brand; those in all brands are given by who runs the site."""

    empty_text = "Who runs the site sees everything without one. Give others a role in the brands that they work for."
    add_verb = change_verb = delete_verb = Verb.OWN
    form = MembershipForm

    list_display = ("person", "role", "where", "created_at")
    list_display_links = ("person",)
    list_filter = (BrandFilter, choice_filter("role", Role))
    list_select_related = ("user", "brand")
    search_fields = ("user__username",)
    search_help_text = "Part of the user name"

    @admin.display(description="Person")
    def person(self, obj: Membership) -> str:
        name = obj.user.get_full_name()
        return f"{obj.user.get_username()} ({name})" if name else obj.user.get_username()

    @admin.display(description="In")
    def where(self, obj: Membership) -> str:
        return str(obj.brand) if obj.brand else "all brands"

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and _may_touch(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and _may_touch(request, obj)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("username", "brand", "role") if obj is None else ("person", "where", "role")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return () if obj is None else ("person", "where")

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        if obj is not None:
            # Whose role it is and where stays: giving another person a role is another act.
            return super().get_form(request, obj, change, **{**kwargs, "form": RoleForm})
        runs_the_site = isinstance(request.user, User) and request.user.is_superuser
        members = {"may_give_all_brands": runs_the_site}
        return super().get_form(request, obj, change, **{**kwargs, "form": type("Form", (MembershipForm,), members)})

    def store_new(self, obj: Membership, *, form: forms.Form, actor: Actor) -> None:
        services.give_role(obj, actor=actor)

    def store_changes(self, obj: Membership, *, form: forms.Form, actor: Actor) -> None:
        assert isinstance(form, FreshForm)
        services.change_role(obj, actor=actor, seen=form.version)

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        return super().delete_view(request, object_id, {"title": "Delete role", **(extra_context or {})})

    def delete_model(self, request: HttpRequest, obj: Membership) -> None:
        services.take_role_away(obj, actor=acting(request))


def _may_touch(request: HttpRequest, obj: Membership | None) -> bool:
    """A role in all brands is changed by who runs the site alone, not by an owner of all brands."""
    if obj is None or obj.brand_id is not None:
        return True
    return isinstance(request.user, User) and request.user.is_superuser


class PersonForm(FreshForm):
    version_of = staticmethod(services.version_of)

    class Meta:
        model = User
        fields = ("username", "first_name", "last_name", "email", "is_active", "is_superuser")
        help_texts = {
            "is_active": "Without it the person cannot sign in. Nobody is deleted: the trail speaks of them.",
            "is_superuser": "Runs the whole site: all brands, adds brands and people.",
        }
        labels = {"is_superuser": "Runs the site"}

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if not (cleaned.get("is_superuser") and cleaned.get("is_active")):
            try:
                services.ensure_somebody_runs_the_site(without=self.instance)
            except ConfigurationError as error:
                raise forms.ValidationError(str(error)) from None
        return cleaned


def _end_sessions(row: User, given: dict[str, Any], actor: Actor) -> Told:
    services.end_sessions(row, actor=actor)
    return Told(sentence="Signed out everywhere: whatever they open next asks them to sign in.")


@admin.register(User)
class PersonAdmin(DeedsMixin, PlatformAdmin, DjangoUserAdmin):  # type: ignore[misc]
    """People who sign in. Nobody is deleted: a person is made inactive, and the trail keeps their name."""

    add_verb = change_verb = Verb.OWN
    deeds = (
        Deed(
            name="sign-out",
            label="Sign out everywhere",
            icon="logout",
            explain="Every session of this person ends with their next click, on whatever device. They may sign in "
            "again: take “Active” away to keep them out. Their API keys go on until they are revoked.",
            run=_end_sessions,
            verb=Verb.OWN,
            tone="danger",
        ),
    )
    form = PersonForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm

    list_display = ("username", "name", "email", "is_active", "runs_the_site", "signed_in")
    list_filter = ()
    ordering = ("username",)  # type: ignore[misc]
    filter_horizontal = ()
    search_fields = ("username", "first_name", "last_name", "email")
    search_help_text = "Part of a name or address"
    fieldsets = ((None, {"fields": ("username", "first_name", "last_name", "email", "is_active", "is_superuser")}),)
    add_fieldsets = ((None, {"fields": ("username", "password1", "password2")}),)
    change_form_outer_before_template = "admin/access/person_top.html"

    @admin.display(description="Name")
    def name(self, obj: User) -> str:
        return obj.get_full_name() or "–"

    @admin.display(description="Runs the site")
    def runs_the_site(self, obj: User) -> SafeString | str:
        return chip("runs the site", "good") if obj.is_superuser else "–"

    @admin.display(description="Last signed in")
    def signed_in(self, obj: User) -> SafeString | str:
        return moment(obj.last_login)

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        obj = kwargs.get("obj")
        context["has_a_role"] = obj is not None and Membership.objects.filter(user=obj).exists()
        return super().render_change_form(request, context, *args, **kwargs)

    def store_new(self, obj: User, *, form: forms.Form, actor: Actor) -> None:
        services.add_person(obj, actor=actor)

    def store_changes(self, obj: User, *, form: forms.Form, actor: Actor) -> None:
        assert isinstance(form, FreshForm)
        services.change_person(obj, fields=form.changed_data, actor=actor, seen=form.version)

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:
        with transaction.atomic():
            return super().user_change_password(request, id, form_url)

    def log_change(self, request: HttpRequest, obj: User, message: Any) -> None:  # type: ignore[override]
        # The library's page for a new password calls this after it has stored it, and no service of ours is asked.
        if request.resolver_match and request.resolver_match.url_name == "auth_user_password_change":
            services.record_new_password(obj, actor=acting(request))
