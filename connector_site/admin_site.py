"""
The admin as a whole: who may enter, and which pages there are at all.

Only pages of ours are mounted. What libraries register (task queues, keys, groups) would show rows of every brand to
whoever holds Django's own permissions, which this site does not use.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import messages
from django.contrib.admin.models import LogEntry
from django.contrib.admin.options import ModelAdmin
from django.contrib.auth import authenticate
from django.contrib.auth.signals import user_login_failed
from django.contrib.auth.views import PasswordChangeView
from django.db import models, transaction
from django.db.models.base import ModelBase
from django.forms import ValidationError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from unfold.forms import AdminOwnPasswordChangeForm, AuthenticationForm
from unfold.sites import UnfoldAdminSite

from access import sessions, sign_in
from access.admin_base import OWN_ROWS, PLATFORM_ONLY, BrandScopedAdmin, OwnRowsAdmin, PlatformAdmin, acting
from access.rules import Verb, may
from access.services import end_sessions, record_new_password
from connector_site.bulk import lists as bulk_lists
from connector_site.find import page as find_page
from connector_site.overview import page as overview_page
from connector_site.subject_access import page as subject_access_page
from connector_site.trace import page as trace_page


class SignInForm(AuthenticationForm):
    """Lets in whoever runs the site or has a role in a brand."""

    error_messages = {
        **AuthenticationForm.error_messages,
        "invalid_login": "User name and password do not fit. Both tell capital letters from small ones.",
    }

    def confirm_login_allowed(self, user: Any) -> None:
        if not may(user, Verb.VIEW):
            # The same sentence as for a wrong password, and counted like one: it tells a stranger nothing.
            credentials = {"username": user.get_username()}
            user_login_failed.send(sender=__name__, credentials=credentials, request=self.request)
            raise self.get_invalid_login_error()

    def get_invalid_login_error(self) -> ValidationError:
        left = sign_in.wait(self.request) if self.request is not None else None
        if left is not None:
            return ValidationError(sign_in.sentence(left), code="wait")
        return super().get_invalid_login_error()


class OwnPasswordForm(AdminOwnPasswordChangeForm):
    """The old password is asked for as at the sign-in: who sits at a session that stands open has no more tries."""

    request: HttpRequest

    def clean_old_password(self) -> str:
        given: str = self.cleaned_data["old_password"]
        if authenticate(self.request, username=self.user.get_username(), password=given) is None:
            if (left := sign_in.wait(self.request)) is not None:
                raise ValidationError(sign_in.sentence(left), code="wait")
            raise ValidationError(self.error_messages["password_incorrect"], code="password_incorrect")
        return given


class ConnectorAdminSite(UnfoldAdminSite):
    login_form = SignInForm
    index_title = "Overview"

    def has_permission(self, request: HttpRequest) -> bool:
        return may(request.user, Verb.VIEW)

    def register(
        self,
        model_or_iterable: type[models.Model] | Iterable[type[models.Model]],
        admin_class: type[ModelAdmin] | None = None,
        **options: Any,
    ) -> None:
        """Mount a page of ours; what else asks to be mounted is left out."""
        asked = [model_or_iterable] if isinstance(model_or_iterable, ModelBase) else list(model_or_iterable)
        for model in asked:
            if admin_class is not None and _is_ours(model, admin_class):
                super().register(model, admin_class, **options)

    def get_urls(self) -> list[Any]:
        """Without the links by type and id: none of our rows has a page elsewhere, and a NUL in one is an error."""
        ours = [
            path("find/", self.admin_view(self.find), name="find"),
            path("sign_out_everywhere/", self.admin_view(self.sign_out_everywhere), name="sign_out_everywhere"),
            path(
                "conversations/message/<path:object_id>/timeline/",
                self.admin_view(self.timeline),
                name="message_timeline",
            ),
            path(
                "conversations/consumer/<path:object_id>/everything/",
                self.admin_view(self.everything),
                name="consumer_everything",
            ),
        ]
        return ours + [route for route in super().get_urls() if getattr(route, "name", "") != "view_on_site"]

    def find(self, request: HttpRequest) -> HttpResponse:
        """One search over everything that this person sees."""
        return find_page.view(request, self)

    def everything(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """Everything held of one consumer."""
        return subject_access_page.view(request, self, object_id)

    def timeline(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """One message from end to end."""
        return trace_page.view(request, self, object_id)

    def begin_together(
        self, request: HttpRequest, page: ModelAdmin, queryset: models.QuerySet[Any], kind: str
    ) -> HttpResponse | None:
        """A preview of what would be done to many rows of a list; called by the list's actions."""
        return bulk_lists.begin(request, page, queryset, kind)

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        return super().index(request, {**overview_page.context(request), **(extra_context or {})})

    def app_index(
        self, request: HttpRequest, app_label: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponseRedirect:
        """Whoever shortens an address: what there is stands in the menu."""
        return HttpResponseRedirect(reverse("admin:index"))

    def search(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        """The library's search over names of pages: our sidebar does without it."""
        raise Http404

    def password_change(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        with transaction.atomic():
            response = PasswordChangeView.as_view(
                form_class=type("Form", (OwnPasswordForm,), {"request": request}),
                success_url=reverse("admin:password_change_done"),
                extra_context={**self.each_context(request), **(extra_context or {})},
            )(request)
            assert isinstance(response, HttpResponse)
            if request.method == "POST" and response.status_code == 302:
                record_new_password(request.user, actor=acting(request))  # type: ignore[arg-type]
        return response

    def sign_out_everywhere(self, request: HttpRequest) -> HttpResponse:
        """GET asks, POST ends every session of this person, the one that asks for it too."""
        if request.method != "POST":
            context = {**self.each_context(request), "title": "Sign out everywhere"}
            return TemplateResponse(request, "admin/sign_out_everywhere.html", context)
        end_sessions(request.user, actor=acting(request))  # type: ignore[arg-type]
        sessions.end(request)
        messages.success(request, "You are signed out everywhere.")
        return HttpResponseRedirect(reverse("admin:login"))

    def get_log_entries(self, request: HttpRequest) -> models.QuerySet[LogEntry]:
        """Not kept: the trail is."""
        return LogEntry.objects.none()


def _is_ours(model: type[models.Model], admin_class: type[ModelAdmin]) -> bool:
    if issubclass(admin_class, PlatformAdmin):
        return model._meta.label in PLATFORM_ONLY
    if issubclass(admin_class, OwnRowsAdmin):
        return model._meta.label in OWN_ROWS
    return issubclass(admin_class, BrandScopedAdmin)
