"""Pausing by forms: the deeds that a brand, a connector, a channel and a consumer have, and the list of all pauses."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import models
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from access.admin_base import acting
from access.admin_deeds import Deed, DeedsMixin, OptionalReasonForm, ReasonForm, Told
from access.admin_filters import BrandFilter, OfferedFilter, choice_filter
from access.admin_records import RecordAdmin
from access.rules import AllBrands, Verb, brands_of
from access.templatetags.readable import chip, moment, seen
from core import visible_text
from core.actor import Actor
from installations import paused, pausing
from installations.models import Pause, PausedDirection, PauseScope, State

_FORMATS = ("%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S")
_DAY_MIN = 24 * 60
_NEAR = timedelta(days=1_000)


class PauseForm(ReasonForm):
    """Of a row, or of the whole platform where there is none. Offered are the directions in which it is not paused."""

    direction = forms.ChoiceField(
        label="What is to wait",
        choices=PausedDirection.choices,
        required=False,
        widget=UnfoldAdminSelectWidget,
        help_text="Webhooks are stored in any case, and answered as ever.",
    )
    # How far the reader's clock is ahead of UTC at that time; filled in by the page's script, which knows it.
    until_offset = forms.IntegerField(
        required=False, min_value=-_DAY_MIN, max_value=_DAY_MIN, initial=0, widget=forms.HiddenInput
    )
    until = forms.DateTimeField(
        label="Until (may stay empty)",
        required=False,
        input_formats=_FORMATS,
        widget=UnfoldAdminTextInputWidget(attrs={"type": "datetime-local", "data-in-own-zone": ""}),
        help_text=mark_safe(
            "In the time zone <b data-zone>UTC</b>. It ends by itself at that time; empty: when somebody resumes it."
        ),
    )
    field_order = ("direction", "reason", "until_offset", "until")

    def __init__(self, *args: Any, row: models.Model | None, **kwargs: Any) -> None:
        super().__init__(*args, row=row, **kwargs)
        where = "Stands on the pages of whatever waits for it" if row else "Every brand reads it on its pages"
        self.fields["reason"].help_text = f"{where}, and it stays in the audit trail."
        left = paused.directions_left(row)
        field = self.fields["direction"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [(one.value, one.label) for one in left]
        field.required = PausedDirection.BOTH not in left

    def clean_direction(self) -> PausedDirection:
        return PausedDirection(self.cleaned_data["direction"] or PausedDirection.BOTH)

    def clean_until(self) -> datetime | None:
        until: datetime | None = self.cleaned_data["until"]
        if until is None:
            return None
        # What lies years away is refused as it stands: moved, it might be no date any more.
        if abs(until - timezone.now()) < _NEAR:
            until -= timedelta(minutes=self.cleaned_data.get("until_offset") or 0)
        if until <= timezone.now():
            raise forms.ValidationError(format_html("That time is over: it is {} now.", moment(timezone.now())))
        return until


def _pause(row: Any, given: dict[str, Any], actor: Actor) -> Told:
    pausing.pause(row, actor=actor, reason=given["reason"], direction=given["direction"], until=given["until"])
    until = moment(given["until"]) if given["until"] else "somebody resumes it"
    told = "Paused until {}. Webhooks are still stored; what is under way ends, and nothing more is begun."
    return Told(sentence=format_html(told, until))


def _resume(row: Any, given: dict[str, Any], actor: Actor) -> Told:
    pausing.resume(row, actor=actor, reason=given["reason"])
    return Told(sentence=_RESUMED)


def _end(row: Pause, given: dict[str, Any], actor: Actor) -> Told:
    pausing.end(row.pk, actor=actor, reason=given["reason"])
    return Told(sentence=_RESUMED)


_RESUMED = "Resumed. What has waited goes out in its order, unless another pause covers it."


def _may_be_paused(row: Any) -> bool:
    if getattr(row, "state", "") == State.DISABLED or getattr(row, "erased_at", None) is not None:
        return False
    return bool(paused.directions_left(row))


PAUSE = Deed(
    name="pause",
    label="Pause",
    icon="pause",
    explain="Nothing more is sent of it. Webhooks are stored, so nothing is lost; what waits keeps its order and uses "
    "up no attempt.",
    run=_pause,
    offered=_may_be_paused,
    form=PauseForm,
)
RESUME = Deed(
    name="resume",
    label="Resume",
    icon="play_arrow",
    explain="Ends every pause that was put on it. What has waited goes out in its order, the accounts in turn.",
    run=_resume,
    offered=lambda row: getattr(row, "state", "") == State.PAUSED or bool(paused.pauses_on(row)),
    form=OptionalReasonForm,
    tone="main",
)


_PLATFORM = replace(PAUSE, label="Pause the whole platform")


class InForceFilter(OfferedFilter):
    title = "state"
    parameter_name = "state"

    @classmethod
    def words(cls) -> list[tuple[str, str]]:
        return [("in_force", "In force"), ("ended", "Ended")]

    @classmethod
    def narrowed(cls, queryset: models.QuerySet[Any], value: Any) -> models.QuerySet[Any]:
        return queryset.filter(ended_at__isnull=value == "in_force")


@admin.register(Pause)
class PauseAdmin(DeedsMixin, RecordAdmin):
    """What is and was paused. The whole platform is paused here, by those who operate in all brands."""

    empty_text = "Everything goes out. A brand, an app installation, a channel or a consumer is paused on its own page."
    add_verb = Verb.OPERATE
    show_add_link = False  # what there is to add has a button of its own, with its name
    deeds = (
        Deed(
            name="resume",
            label="Resume",
            icon="play_arrow",
            explain="Ends this pause. What has waited goes out in its order, unless another pause covers it.",
            run=_end,
            offered=lambda row: row.is_in_force,
            form=OptionalReasonForm,
            tone="main",
        ),
    )
    list_display = ("what", "state_chip", "which", "since", "ends", "who", "why")
    list_display_links = ("what",)
    list_filter = (InForceFilter, choice_filter("scope", PauseScope), BrandFilter)
    list_select_related = ("brand",)
    list_before_template = "admin/installations/pauses_before.html"
    page_template = "admin/installations/pause.html"

    def has_add_permission(self, request: HttpRequest) -> bool:
        return isinstance(brands_of(request.user, verb=Verb.OPERATE), AllBrands)

    # --- the list ---

    @admin.display(description="What")
    def what(self, obj: Pause) -> SafeString:
        return seen(obj.subject_and_brand)

    @admin.display(description="State")
    def state_chip(self, obj: Pause) -> SafeString:
        return chip("in force", "wait") if obj.is_in_force else chip("ended")

    @admin.display(description="Direction")
    def which(self, obj: Pause) -> str:
        return str(obj.get_direction_display())

    @admin.display(description="Since")
    def since(self, obj: Pause) -> SafeString | str:
        return moment(obj.began_at)

    @admin.display(description="Until")
    def ends(self, obj: Pause) -> SafeString | str:
        return moment(obj.ended_at or obj.until) if obj.ended_at or obj.until else "it is resumed"

    @admin.display(description="By")
    def who(self, obj: Pause) -> SafeString:
        return seen(obj.by_name or "–")

    @admin.display(description="Why")
    def why(self, obj: Pause) -> SafeString:
        return seen(obj.reason)

    # --- one ---

    def title_of(self, obj: Pause) -> str:
        return visible_text.visible(obj.subject_and_brand)

    def page_context(self, request: HttpRequest, obj: Pause) -> dict[str, Any]:
        return {"buttons": self.deeds_for(request, obj), "url": paused.url_of(obj)}

    # --- the platform ---

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """GET asks, POST pauses the whole platform."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        listed = reverse("admin:installations_pause_changelist")
        if not paused.directions_left(None):
            messages.warning(request, "The whole platform is paused already.")
            return HttpResponseRedirect(listed)
        form = PauseForm(request.POST if request.method == "POST" else None, row=None)
        if request.method == "POST" and form.is_valid():
            return self._pause_platform(request, form, listed)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": _PLATFORM.label,
            "row_url": listed,
            "deed": _PLATFORM,
            "form": form,
        }
        return TemplateResponse(request, "admin/deed.html", context)

    def _pause_platform(self, request: HttpRequest, form: forms.Form, listed: str) -> HttpResponse:
        try:
            told = _PLATFORM.run(None, form.cleaned_data, acting(request))
        except pausing.NotPossible as refusal:
            messages.error(request, str(refusal))
        else:
            messages.success(request, told.sentence)
        return HttpResponseRedirect(listed)
