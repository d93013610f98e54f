"""The outbox: what must be sent, what was tried, and what a person does where the site cannot decide."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Prefetch, QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from access.admin_deeds import Deed, DeedsMixin, ReasonForm, Told
from access.admin_records import RecordAdmin
from access.admin_together import TogetherMixin, together
from access.templatetags.readable import chip, moment, seen
from conversations.admin_evidence import evidence_of, facts_of, is_doubtful
from conversations.admin_filters import DISPATCH_FILTERS
from conversations.admin_sends import sent_of, tone_of
from conversations.models import Attempt, Dispatch, DispatchState
from conversations.models.outbox import LIVE_STATES
from conversations.services import operations
from conversations.walks import DISPATCH_WALKS
from core.actor import Actor
from core.errors import hint_of

# Part and number of parts stand with the message; the others count what the site does by itself.
_NOT_TOLD = ("part", "of", "attachment", "renewals", "refused_generation")


def _send_again(row: Dispatch, given: dict[str, Any], actor: Actor) -> Told:
    operations.send_again(dispatch_id=row.pk, actor=actor, reason=given["reason"])
    return Told(sentence="Queued again, at its old place.")


def _drop(row: Dispatch, given: dict[str, Any], actor: Actor) -> Told:
    operations.drop(dispatch_id=row.pk, actor=actor, reason=given["reason"])
    return Told(sentence="Dropped: it is not sent, and its lane goes on.")


def _mark_as_sent(row: Dispatch, given: dict[str, Any], actor: Actor) -> Told:
    operations.resolve_as_sent(dispatch_id=row.pk, actor=actor, reason=given["reason"])
    return Told(sentence="Marked as sent.")


SEND_AGAIN = Deed(
    name="send-again",
    label="Send again",
    icon="send",
    explain="Queues it at its old place, before everything that still waits for this consumer. Where nobody knows "
    "whether the first try arrived, it may then stand there twice, and is marked so.",
    run=_send_again,
    offered=operations.can_be_sent_again,
    form=ReasonForm,
    tone="main",
    facts=facts_of,
)
MARK_AS_SENT = Deed(
    name="mark-as-sent",
    label="Mark as sent",
    icon="done_all",
    explain="For when you have seen that it arrived, for example in LivePerson's workspace. Nothing is sent.",
    run=_mark_as_sent,
    offered=lambda row: row.state in operations.UNCERTAIN,
    form=ReasonForm,
    facts=facts_of,
)
DROP = Deed(
    name="drop",
    label="Drop",
    icon="delete",
    explain="Gives it up: it is not sent, its message counts as failed, and its lane goes on.",
    run=_drop,
    offered=lambda row: row.state in operations.DROPPABLE,
    form=ReasonForm,
    tone="danger",
    facts=facts_of,
)


@admin.register(Dispatch)
class DispatchAdmin(DeedsMixin, TogetherMixin, RecordAdmin):
    deeds = (SEND_AGAIN, MARK_AS_SENT, DROP)
    refusals = (*DeedsMixin.refusals, operations.NotPossible)
    actions = (together("RESEND", "Send again"), together("DROP", "Drop"))

    list_display = ("when", "kind", "direction", "state_chip", "whose", "tries", "trouble")
    list_display_links = ("when",)
    list_filter = DISPATCH_FILTERS
    walks = DISPATCH_WALKS
    list_select_related = ("consumer",)
    search_fields = ("id",)
    search_help_text = "Id, as the channel or LivePerson was told it too"
    page_template = "admin/conversations/dispatch.html"
    read_action = "message.content_read"

    @admin.display(description="Queued")
    def when(self, obj: Dispatch) -> SafeString | str:
        return moment(obj.created_at)

    @admin.display(description="State")
    def state_chip(self, obj: Dispatch) -> SafeString:
        return chip(obj.get_state_display(), tone_of(obj.state))

    @admin.display(description="Consumer")
    def whose(self, obj: Dispatch) -> SafeString:
        return seen(obj.consumer)

    @admin.display(description="Tries")
    def tries(self, obj: Dispatch) -> int:
        return obj.attempt_count

    @admin.display(description="What went wrong")
    def trouble(self, obj: Dispatch) -> SafeString:
        return seen(obj.error_detail or obj.error_code.replace("_", " "))

    # --- one ---

    def whole(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        tries = Prefetch("attempts", queryset=Attempt.objects.order_by("id"))
        return rows.select_related("lane", "consumer", "message__content", "conversation", "brand").prefetch_related(
            tries
        )

    def page_context(self, request: HttpRequest, obj: Dispatch) -> dict[str, Any]:
        return {
            "sent": sent_of(obj),
            "tone": tone_of(obj.state),
            "evidence": evidence_of(obj) if is_doubtful(obj) else None,
            "hint": "" if obj.state == DispatchState.SENT or is_doubtful(obj) else hint_of(obj.error_code),
            "is_live": obj.state in LIVE_STATES,
            "buttons": self.deeds_for(request, obj),
            "facts": [
                (name.replace("_", " "), value)
                for name, value in {**obj.payload, **obj.progress}.items()
                if name not in _NOT_TOLD
            ],
        }
