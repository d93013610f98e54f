"""The admin's page to find something by an id. Asked by POST, so that no phone number stands in an address or a log."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib.admin import AdminSite
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.template.response import TemplateResponse
from django.urls import reverse
from unfold.widgets import UnfoldAdminTextInputWidget

from access.admin_base import acting
from access.rules import limit
from audit.models import AuditEntry
from connector_site.find import service
from connector_site.find.service import MOST_OF_A_KIND, Answer, Found
from connector_site.find.terms import BadTerm
from conversations.models import Consumer, Conversation, Dispatch, Message
from installations.models import Account, AppInstallation, Channel
from webhooks.models import Delivery


class FindForm(forms.Form):
    # What it may hold, the service says, in one sentence for every way of asking.
    term = forms.CharField(
        label="Id or phone number",
        widget=UnfoldAdminTextInputWidget(attrs={"autofocus": True, "autocomplete": "off", "spellcheck": "false"}),
        error_messages={"required": "Give what to look for: an id or a phone number."},
    )


@dataclass(frozen=True, kw_only=True)
class Kind:
    """How one kind of rows is shown. related: what naming a row reads."""

    title: str
    icon: str
    model: type[Model]
    related: tuple[str, ...] = ()

    def rows(self) -> QuerySet[Any]:
        return self.model._default_manager.select_related(*self.related)

    def url(self, row_id: uuid.UUID) -> str:
        """The page of a row."""
        return reverse(f"admin:{self.model._meta.app_label}_{self.model._meta.model_name}_change", args=[row_id])


KINDS = {
    "consumer": Kind(title="Consumers", icon="group", model=Consumer, related=("brand",)),
    "conversation": Kind(title="Conversations", icon="forum", model=Conversation, related=("brand", "consumer")),
    "message": Kind(title="Messages", icon="chat", model=Message, related=("brand", "consumer")),
    "dispatch": Kind(title="Outbox", icon="outbox", model=Dispatch, related=("brand", "consumer")),
    "delivery": Kind(title="Inbox", icon="inbox", model=Delivery, related=("brand",)),
    "account": Kind(title="LivePerson accounts", icon="domain", model=Account, related=("brand",)),
    "installation": Kind(title="App installations", icon="hub", model=AppInstallation, related=("brand",)),
    "channel": Kind(title="Channels", icon="sms", model=Channel, related=("brand",)),
    "audit-entry": Kind(title="Audit trail", icon="history", model=AuditEntry, related=("brand",)),
}


def view(request: HttpRequest, site: AdminSite) -> HttpResponse:
    """GET asks, POST answers on the same page."""
    if request.method not in ("GET", "HEAD", "POST"):
        return HttpResponseNotAllowed(["GET", "HEAD", "POST"])
    form, answer = FindForm(), None
    if request.method == "POST":
        form = FindForm(request.POST)
        answer = _ask(request, form)
    context = {
        **site.each_context(request),
        "title": "Find",
        "form": form,
        "is_answered": answer is not None,
        "groups": _groups(request, answer) if answer else [],
        "most": MOST_OF_A_KIND,
    }
    return TemplateResponse(request, "admin/find.html", context)


def _ask(request: HttpRequest, form: FindForm) -> Answer | None:
    if not form.is_valid():
        return None
    try:
        return service.find(form.cleaned_data["term"], reader=request.user, actor=acting(request))  # type: ignore[arg-type]
    except BadTerm as refusal:
        form.add_error("term", str(refusal))
        return None


def _groups(request: HttpRequest, answer: Answer) -> list[dict[str, Any]]:
    groups = []
    for name, kind in KINDS.items():
        found = [one for one in answer.found if one.kind == name]
        if found:
            groups.append({"kind": kind, "has_more": name in answer.more, "lines": _lines(request, kind, found)})
    return groups


def _lines(request: HttpRequest, kind: Kind, found: Sequence[Found]) -> list[dict[str, Any]]:
    rows = limit(kind.rows().filter(pk__in=[one.id for one in found]), request.user).in_bulk()
    return [
        {"row": rows[one.id], "name": _name_of(rows[one.id]), "url": kind.url(one.id), "why": one.why, "at": one.at}
        for one in found
        if one.id in rows
    ]


def _name_of(row: Any) -> str:
    """What a person recognises it by."""
    if isinstance(row, Conversation):
        return f"with {row.consumer}"
    if isinstance(row, Message):
        return f"{row.get_kind_display()}, {row.get_direction_display().lower()}: {row.consumer}"
    if isinstance(row, Dispatch):
        return f"{row.get_kind_display()}, {row.get_state_display().lower()}: {row.consumer}"
    return str(row)


__all__ = ["view"]
