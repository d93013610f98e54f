"""The admin's timeline of one message: beside it in a transcript when somebody opens it, and as a page of its own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib.admin import AdminSite
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse

from access import acts
from access.admin_base import GuardedAdmin, acting
from connector_site.trace import rows as trace_rows
from connector_site.trace.steps import Step, Trace, trace_of
from conversations.admin_evidence import evidence_of
from conversations.admin_sends import Sent, sent_of
from conversations.models import Dispatch, Message
from conversations.services.operations import UNCERTAIN
from core.ids import id_in

_PAGES = {
    "deliveries": "admin:webhooks_delivery_change",
    "messages": "admin:conversations_message_change",
    "dispatches": "admin:conversations_dispatch_change",
    "audit-log": "admin:audit_auditentry_change",
}
_STAGES = (
    ("Arrived to stored", "received_to_applied_ms"),
    ("Stored to sent", "applied_to_sent_ms"),
    ("Sent to delivered", "sent_to_delivered_ms"),
    ("Delivered to read", "delivered_to_read_ms"),
    ("From end to end", "received_to_delivered_ms"),
)


def view(request: HttpRequest, site: AdminSite, object_id: str) -> HttpResponse:
    """A part of a page for htmx, a whole page for everybody else."""
    if request.method not in ("GET", "HEAD"):
        raise PermissionDenied
    page = site.get_model_admin(Message)
    assert isinstance(page, GuardedAdmin)
    wanted = id_in(object_id)
    found = trace_rows.read(wanted, request.user) if wanted else None
    if found is None:
        page._note_refusal(request, object_id)
        return page.missing(request)
    # An answer's beginning may hold what was said.
    acts.tell_once("message.content_read", actor=acting(request), subject=found.message)
    is_part = request.headers.get("HX-Request") == "true"
    context = {} if is_part else {**site.each_context(request), "opts": Message._meta, "title": "Timeline"}
    template = "admin/conversations/timeline.html" if is_part else "admin/conversations/timeline_page.html"
    answer = TemplateResponse(request, template, {**context, **_told(trace_of(found))})
    answer["Cache-Control"] = "no-store"
    return answer


def _told(trace: Trace) -> dict[str, Any]:
    summary = vars(trace.summary)
    return {
        "original": trace.message,
        "message_url": reverse("admin:conversations_message_change", args=[trace.message.pk]),
        "stages": [(name, summary[stage]) for name, stage in _STAGES if summary[stage] is not None],
        "brought": [
            {"row": one, "events": [event for event in trace.events if event.delivery_id == one.pk]}
            for one in trace.deliveries
        ],
        "sends": _sent(trace, trace.dispatches),
        "receipts": _sent(trace, trace.receipts),
        "doubts": [evidence_of(one) for one in trace.dispatches if one.state in UNCERTAIN],
        "acts": trace.acts,
        "steps": [{"row": step, "url": _page_of(step)} for step in trace.steps],
        "more": trace.more,
    }


def _sent(trace: Trace, dispatches: Iterable[Dispatch]) -> list[Sent]:
    return [sent_of(one, attempts=trace.attempts.get(one.pk, ())) for one in dispatches]


def _page_of(step: Step) -> str:
    name = _PAGES.get(step.resource)
    return reverse(name, args=[step.id]) if name else ""


__all__ = ["view"]
