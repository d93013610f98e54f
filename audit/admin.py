"""The trail as people read it: who did what, when, from where, why."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString

from access.admin_lists import by_ids
from access.admin_records import RecordAdmin
from access.newest import Asked
from access.templatetags.readable import moment, seen
from audit.actions import ACTIONS
from audit.admin_filters import AUDIT_FILTERS, PAGES
from audit.models import AuditEntry
from audit.walks import AUDIT_WALKS
from core.ids import id_in


@admin.register(AuditEntry)
class AuditEntryAdmin(RecordAdmin):
    empty_text = "Every act on brands that you see is written down here by itself."
    list_display = ("when", "who", "what", "subject", "why", "address_")
    list_display_links = ("when",)
    list_filter = AUDIT_FILTERS
    walks = AUDIT_WALKS
    search_fields = ("subject_id",)
    search_help_text = "Id of the entry, of what it was done to, or who did it"
    page_template = "admin/audit/entry.html"

    def found(self, request: HttpRequest, term: str) -> Asked:
        wanted = id_in(term)
        if wanted is None:
            return Asked(name="actor_name", value=term, narrowed=lambda rows: rows.filter(actor_name=term))
        if self.seen_by(request).filter(pk=wanted).exists():
            return by_ids([wanted])
        return Asked(name="subject_id", value=wanted, narrowed=lambda rows: rows.filter(subject_id=str(wanted)))

    def title_of(self, obj: AuditEntry) -> str:
        return f"{obj.actor_name} {ACTIONS.get(obj.action, obj.action)}"

    def page_context(self, request: HttpRequest, obj: AuditEntry) -> dict[str, Any]:
        return {
            "sentence": ACTIONS.get(obj.action, obj.action),
            "subject_app": PAGES.get(obj.subject_type, ""),
            "changes": [_change(name, value) for name, value in obj.data.items()],
        }

    @admin.display(description="When")
    def when(self, obj: AuditEntry) -> SafeString | str:
        return moment(obj.at)

    @admin.display(description="Who")
    def who(self, obj: AuditEntry) -> SafeString:
        return seen(obj.actor_name)

    @admin.display(description="From")
    def address_(self, obj: AuditEntry) -> str:
        return obj.address or ""

    @admin.display(description="What")
    def what(self, obj: AuditEntry) -> str:
        return ACTIONS.get(obj.action, obj.action)

    @admin.display(description="To what")
    def subject(self, obj: AuditEntry) -> SafeString:
        return seen(obj.subject_name)

    @admin.display(description="Why")
    def why(self, obj: AuditEntry) -> SafeString:
        return seen(obj.reason)


def _change(name: str, value: Any) -> dict[str, Any]:
    """A fact of an entry: [before, after] where it says both."""
    if isinstance(value, list) and len(value) == 2:
        return {"name": name, "before": value[0], "after": value[1], "is_change": True}
    return {"name": name, "after": value, "is_change": False}
