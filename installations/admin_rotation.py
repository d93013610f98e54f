"""The page that leads through a rotation of secrets, and the forms by which one is added and an old one retired."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldBooleanWidget

from access.admin_deeds import DeedsMixin, NothingToFillIn
from installations import rotation
from installations.models import AppInstallation, Channel, ChannelSecret, InstallationSecret, SealedSecret
from installations.secret_use import label_of, secrets_of_row


class RotationMixin(DeedsMixin):
    """Gives an admin of rows with secrets the page of their rotation. Looking at it changes nothing; its deeds do."""

    # Whose deliveries verify by them, as the list of deliveries filters them.
    deliveries_by: ClassVar[str]

    def get_urls(self) -> list[URLPattern]:
        name = f"{self.opts.app_label}_{self.opts.model_name}_rotation"
        view = self.admin_site.admin_view(self.rotation_view)
        return [path("<path:object_id>/rotation/", view, name=name), *super().get_urls()]

    def rotation_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        obj = self.get_object(request, object_id)
        if obj is None:
            return self.missing(request)
        if not self.has_view_permission(request, obj):
            raise PermissionDenied
        rotations = rotation.rotations_of(obj, now=timezone.now())
        version = rotation.version_of(rotations)
        if version == request.GET.get("seen"):
            return HttpResponse(status=204)
        urls = {button["deed"].name: button for button in self.deeds_for(request, obj)}
        listed = reverse("admin:webhooks_delivery_changelist")
        context = {
            **self._frame(request, obj),
            "title": "Rotate the secret",
            "rotations": rotations,
            "is_under_way": any(one.oldest for one in rotations),
            "version": version,
            "looked_at": timezone.now(),
            "add": urls.get("add-secret"),
            "retire": urls.get("retire-secret"),
            "test": urls.get("test"),
            "is_liveperson": isinstance(obj, AppInstallation),
            "deliveries_url": f"{listed}?{self.deliveries_by}={obj.pk}",
        }
        # The page that follows itself asks for what changes alone.
        ending = "_standing" if request.headers.get("HX-Request") else ""
        answer = TemplateResponse(request, f"admin/installations/rotation{ending}.html", context)
        answer["Cache-Control"] = "no-store"
        return answer


def rotation_url(row: AppInstallation | Channel) -> str:
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_rotation", args=[row.pk])


class RetireForm(NothingToFillIn):
    """Chooses one of the row's own valid secrets. One that may be in use wants a word more."""

    secret: forms.ModelChoiceField[SealedSecret] = forms.ModelChoiceField(
        label="Secret", queryset=InstallationSecret.objects.none(), widget=UnfoldAdminSelectWidget
    )
    anyway = forms.BooleanField(
        label="Retire it even if it is in use",
        required=False,
        widget=UnfoldBooleanWidget,
        help_text="What the other side still signs with it is refused from then on. For a secret that has leaked.",
    )
    secrets_of: ClassVar[type[SealedSecret]] = InstallationSecret
    points_to_row: ClassVar[str] = "installation"

    def __init__(self, *args: Any, row: Any, **kwargs: Any) -> None:
        super().__init__(*args, row=row, **kwargs)
        self.known = secrets_of_row(row)
        field = self.fields["secret"]
        assert isinstance(field, forms.ModelChoiceField)
        labels = {secret.row.pk: label_of(secret) for secret in self.known}
        # Of those that have a label: another one may be added before the choices are read.
        own = self.secrets_of._default_manager.filter(**{self.points_to_row: row})
        field.queryset = own.filter(pk__in=labels, retired_at=None)
        field.label_from_instance = lambda obj: labels[obj.pk]  # type: ignore[method-assign]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        chosen = next((one for one in self.known if cleaned.get("secret") and one.row.pk == cleaned["secret"].pk), None)
        if chosen is None or cleaned.get("anyway"):
            return cleaned
        warning = rotation.warning_of(chosen, self.known, now=timezone.now())
        # The last valid one cannot be retired at all: the service says so.
        if warning and len(self.known_valid) > 1:
            self.add_error("anyway", f"{warning} Wait, or tick this to retire it all the same.")
        return cleaned

    @property
    def known_valid(self) -> list[Any]:
        return [one for one in self.known if one.row.retired_at is None]


class RetireChannelSecretForm(RetireForm):
    secrets_of = ChannelSecret
    points_to_row = "channel"
