"""The inbox: what arrived, what was in it, what it did."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.safestring import SafeString

from access.admin_deeds import Deed, DeedsMixin, ReasonForm, Told
from access.admin_records import RecordAdmin
from access.admin_together import TogetherMixin, together
from access.templatetags.readable import chip, moment, seen, size
from core.actor import Actor
from core.moments import in_utc
from webhooks import repairs
from webhooks.admin_filters import DELIVERY_FILTERS
from webhooks.models import Delivery, DeliveryBody, DeliveryState, EventOutcome
from webhooks.walks import DELIVERY_WALKS

_MOST_SHOWN_CHARS = 64 * 1024
_MOST_BEHIND = 100
STATE_TONES = {"STORED": "wait", "PROCESSED": "good", "QUARANTINED": "bad", "DEAD": "bad"}
_OUTCOME_TONES = {
    EventOutcome.APPLIED: "good",
    EventOutcome.ECHO: "good",
    EventOutcome.WAITING: "wait",
    EventOutcome.HELD: "wait",
    EventOutcome.CONFLICT: "bad",
    EventOutcome.UNREADABLE: "bad",
}


def _apply_again(row: Delivery, given: dict[str, Any], actor: Actor) -> Told:
    repairs.apply_again(delivery_id=row.pk, actor=actor, reason=given["reason"])
    return Told(sentence="It waits for a worker now, before all that this source sent after it and that still waits.")


def _touched(row: Delivery) -> list[tuple[str, str]]:
    """What is to be known before one is applied again."""
    body = DeliveryBody.objects.filter(pk=row.pk).only("expires_on").first()
    behind = len(Delivery.objects.filter(inbox=row.inbox_id, state=DeliveryState.STORED, pk__gt=row.pk)[:_MOST_BEHIND])
    return [
        ("From", row.sender),
        ("Arrived", in_utc(row.received_at)),
        ("What was wrong", row.detail or "–"),
        ("Body", f"kept until {body.expires_on}" if body else "deleted: there is nothing left to apply"),
        ("Waits behind it", f"{behind} or more" if behind == _MOST_BEHIND else str(behind)),
    ]


APPLY_AGAIN = Deed(
    name="apply-again",
    label="Apply again",
    icon="replay",
    explain="For when the cause has been mended. Its events are applied as if it had arrived now; what has come by "
    "another delivery since has no second effect.",
    run=_apply_again,
    offered=lambda row: row.state in repairs.APPLICABLE,
    form=ReasonForm,
    tone="main",
    facts=_touched,
)


@admin.register(Delivery)
class DeliveryAdmin(DeedsMixin, TogetherMixin, RecordAdmin):
    empty_text = (
        "They come by themselves. If LivePerson should have sent some, look at the page of the app installation."
    )
    deeds = (APPLY_AGAIN,)
    refusals = (*DeedsMixin.refusals, repairs.NotPossible)
    actions = (together("REPLAY", "Apply again"),)

    list_display = ("when", "source", "state_chip", "bytes_", "remark")
    list_display_links = ("when",)
    list_filter = DELIVERY_FILTERS
    walks = DELIVERY_WALKS
    list_select_related = ("installation", "channel")
    search_fields = ("id",)
    search_help_text = "Id of the delivery"
    page_template = "admin/webhooks/delivery.html"
    read_action = "delivery.body_read"

    @admin.display(description="Arrived")
    def when(self, obj: Delivery) -> SafeString | str:
        return moment(obj.received_at)

    @admin.display(description="From")
    def source(self, obj: Delivery) -> str:
        return obj.sender

    @admin.display(description="State")
    def state_chip(self, obj: Delivery) -> SafeString:
        return chip(obj.get_state_display(), STATE_TONES[obj.state])

    @admin.display(description="Size")
    def bytes_(self, obj: Delivery) -> str:
        return size(obj.size)

    @admin.display(description="Remark")
    def remark(self, obj: Delivery) -> SafeString:
        return seen(obj.detail)

    def whole(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        return rows.select_related("installation", "channel", "brand")

    def title_of(self, obj: Delivery) -> str:
        return f"Delivery {obj.pk}"

    def page_context(self, request: HttpRequest, obj: Delivery) -> dict[str, Any]:
        body = DeliveryBody.objects.filter(pk=obj.pk).first()
        return {
            "buttons": self.deeds_for(request, obj),
            "state_tone": STATE_TONES[obj.state],
            "sha256": bytes(obj.sha256).hex(),
            "events": [
                {
                    "row": event,
                    "tone": _OUTCOME_TONES.get(EventOutcome(event.outcome), "plain"),
                    "message_url": reverse("admin:conversations_message_change", args=[event.message_id])
                    if event.message_id
                    else "",
                }
                for event in obj.events.order_by("index")
            ],
            "body": body,
            "body_text": _readable(bytes(body.raw)) if body else "",
            "is_cut": bool(body and len(body.raw) > _MOST_SHOWN_CHARS),
        }


def _readable(raw: bytes) -> str:
    """A body as text, whatever is in it: JSON with indents, anything else byte for byte."""
    text = raw[:_MOST_SHOWN_CHARS].decode("utf-8", "backslashreplace")
    if len(raw) > _MOST_SHOWN_CHARS:
        return text
    try:
        shown = json.dumps(json.loads(raw), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return text
    # A half of a surrogate pair is a letter to JSON, and none to UTF-8.
    return shown.encode("utf-8", "backslashreplace").decode()
