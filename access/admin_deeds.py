"""
What a person can do to one row beside editing it: pause, send again, add a secret.

Each deed has a page of its own that says what it will do and asks what it needs. Looking at it changes nothing; the
form's POST does it, by a service.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import models
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from unfold.widgets import UnfoldAdminTextareaWidget

from access.admin_base import GuardedAdmin, acting
from access.rules import Verb
from core.actor import Actor
from core.errors import ConfigurationError


class NothingToFillIn(forms.Form):
    """A deed that only wants to be confirmed."""

    def __init__(self, *args: Any, row: models.Model | None, **kwargs: Any) -> None:
        """row: what it is done to; None: the whole site."""
        super().__init__(*args, **kwargs)
        self.row = row


def _reason(**options: Any) -> forms.CharField:
    return forms.CharField(
        max_length=300,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        help_text="Stands in the audit trail, for whoever asks later.",
        **options,
    )


class ReasonForm(NothingToFillIn):
    reason = _reason(label="Why")


class OptionalReasonForm(NothingToFillIn):
    reason = _reason(label="Why (may stay empty)", required=False)


@dataclass(frozen=True, kw_only=True)
class Told:
    """
    What became of a deed: a sentence for the next page, or a page of its own that is shown this once.

    url: of the next page, where that is not the row's.
    """

    sentence: str = ""
    url: str = ""
    is_good: bool = True
    template: str = ""
    context: dict[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class Deed:
    """
    One thing to do to a row.

    name: in the address. explain: what it will do, for the page that asks. run: calls the service, in the service's own
    transaction. offered: whether it makes sense for the row as it stands. at_once: the button does it without a page
    between, for what can do no harm. facts: what it would touch, (name, value), for the page that asks.
    """

    name: str
    label: str
    icon: str
    explain: str
    run: Callable[[Any, dict[str, Any], Actor], Told]
    offered: Callable[[Any], bool] = lambda row: True
    form: type[NothingToFillIn] = NothingToFillIn
    verb: Verb = Verb.OPERATE
    tone: Literal["plain", "main", "danger"] = "plain"
    at_once: bool = False
    facts: Callable[[Any], Sequence[tuple[str, str]]] = lambda row: ()


class DeedsMixin(GuardedAdmin):
    """Gives an admin its deeds: their addresses, their buttons, their pages."""

    deeds: ClassVar[tuple[Deed, ...]] = ()
    # What a service raises, with a sentence for the person, when something cannot be done.
    refusals: ClassVar[tuple[type[Exception], ...]] = (ConfigurationError,)

    def get_urls(self) -> list[URLPattern]:
        name = f"{self.opts.app_label}_{self.opts.model_name}_do"
        view = self.admin_site.admin_view(self.deed_view)
        return [path("<path:object_id>/do/<slug:deed_name>/", view, name=name), *super().get_urls()]

    def deeds_for(self, request: HttpRequest, obj: models.Model) -> list[dict[str, Any]]:
        """The buttons of a row: those deeds that make sense now and that this person may do."""
        return [
            {"deed": deed, "url": self.deed_url(obj, deed.name)}
            for deed in self.deeds
            if deed.offered(obj) and self._allows(request, deed.verb, obj)
        ]

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        """A row that is edited has its buttons on that page, unless the page has chosen among them."""
        obj = kwargs.get("obj")
        if obj is not None and "buttons" not in context:
            context["buttons"] = self.deeds_for(request, obj)
        return super().render_change_form(request, context, *args, **kwargs)

    def deed_url(self, obj: models.Model, deed_name: str) -> str:
        return reverse(
            f"admin:{self.opts.app_label}_{self.opts.model_name}_do",
            kwargs={"object_id": obj.pk, "deed_name": deed_name},
        )

    def deed_view(self, request: HttpRequest, object_id: str, deed_name: str) -> HttpResponse:
        """GET asks, POST does."""
        obj = self.get_object(request, object_id)
        if obj is None:
            return self.missing(request)
        deed = next((one for one in self.deeds if one.name == deed_name), None)
        if deed is None:
            raise Http404
        if not self._allows(request, deed.verb, obj):
            raise PermissionDenied
        if not deed.offered(obj):
            messages.warning(request, f"“{deed.label}” is not possible as things stand now.")
            return HttpResponseRedirect(self.row_url(obj))
        # A link may fill in what is to be chosen, such as which secret.
        form = deed.form(request.POST if request.method == "POST" else None, row=obj, initial=request.GET.dict())
        if request.method == "POST" and form.is_valid():
            return self._do(request, obj, deed, form)
        return self._ask(request, obj, deed, form)

    def _do(self, request: HttpRequest, obj: models.Model, deed: Deed, form: forms.Form) -> HttpResponse:
        try:
            told = deed.run(obj, form.cleaned_data, acting(request))
        except self.refusals as refusal:
            messages.error(request, str(refusal))
            return HttpResponseRedirect(self.row_url(obj))
        if told.template:
            return self.shown_once(request, obj, template=told.template, context=told.context or {})
        (messages.success if told.is_good else messages.error)(request, told.sentence)
        return HttpResponseRedirect(told.url or self.row_url(obj))

    def shown_once(
        self, request: HttpRequest, obj: models.Model, *, template: str, context: dict[str, Any]
    ) -> HttpResponse:
        """A page that holds something secret: in this answer and nowhere else."""
        page = TemplateResponse(request, template, {**self._frame(request, obj), **context})
        page["Cache-Control"] = "no-store"
        return page

    def _ask(self, request: HttpRequest, obj: models.Model, deed: Deed, form: forms.Form) -> HttpResponse:
        context = {
            **self._frame(request, obj),
            "title": deed.label,
            "deed": deed,
            "form": form,
            "facts": deed.facts(obj),
        }
        return TemplateResponse(request, "admin/deed.html", context)

    def _frame(self, request: HttpRequest, obj: models.Model) -> dict[str, Any]:
        return {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": obj,
            "row_title": self.title_of(obj),
            "row_url": self.row_url(obj),
        }
