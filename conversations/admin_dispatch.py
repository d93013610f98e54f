"""The outbox: what must be sent, what was tried, and what a person does where the site cannot decide."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db import models
from django.db.models import Prefetch
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.safestring import SafeString

from access.admin_base import acting, id_in
from access.admin_deeds import Deed, DeedsMixin, ReasonForm, Told
from access.admin_records import RecordAdmin
from access.rules import Verb, limit
from access.templatetags.readable import chip, moment, seen
from conversations.admin_filters import DISPATCH_FILTERS
from conversations.admin_sends import sent_of, tone_of
from conversations.models import Attempt, Dispatch, DispatchState
from conversations.services import operations
from core.actor import Actor

_MOST_AT_ONCE = 50


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
    offered=lambda row: (
        row.state in operations.RESENDABLE
        and row.consumer.erased_at is None
        and not (row.message and row.message.removed_at)
    ),
    form=ReasonForm,
    tone="main",
)
MARK_AS_SENT = Deed(
    name="mark-as-sent",
    label="Mark as sent",
    icon="done_all",
    explain="For when you have seen that it arrived, for example in LivePerson's workspace. Nothing is sent.",
    run=_mark_as_sent,
    offered=lambda row: row.state in operations.UNCERTAIN,
    form=ReasonForm,
)
DROP = Deed(
    name="drop",
    label="Drop",
    icon="delete",
    explain="Gives it up: it is not sent, its message counts as failed, and its lane goes on.",
    run=_drop,
    offered=lambda row: row.state in (*operations.RESENDABLE, DispatchState.QUEUED),
    form=ReasonForm,
    tone="danger",
)


@admin.register(Dispatch)
class DispatchAdmin(DeedsMixin, RecordAdmin):
    deeds = (SEND_AGAIN, MARK_AS_SENT, DROP)
    refusals = (*DeedsMixin.refusals, operations.NotPossible)
    actions = ("send_again_together", "drop_together")

    list_display = ("when", "kind", "direction", "state_chip", "whose", "tries", "trouble")
    list_display_links = ("when",)
    list_filter = DISPATCH_FILTERS
    list_select_related = ("consumer",)
    search_fields = ("id",)
    search_help_text = "Id, as the channel or LivePerson was told it too"
    page_template = "admin/conversations/dispatch.html"

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

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        found = super().get_object(request, object_id, from_field)
        return found and Dispatch.objects.select_related(
            "lane", "consumer", "message__content", "conversation", "brand"
        ).prefetch_related(Prefetch("attempts", queryset=Attempt.objects.order_by("id"))).get(pk=found.pk)

    def page_context(self, request: HttpRequest, obj: Dispatch) -> dict[str, Any]:
        return {
            "sent": sent_of(obj),
            "tone": tone_of(obj.state),
            "is_uncertain": obj.state in operations.UNCERTAIN
            or obj.possible_duplicate
            or obj.echo_sequence is not None,
            "buttons": self.deeds_for(request, obj),
            "facts": [
                (name.replace("_", " "), value)
                for name, value in {**obj.payload, **obj.progress}.items()
                if name not in ("part", "of")
            ],
        }

    # --- several ---

    def has_operate_permission(self, request: HttpRequest) -> bool:
        return self._allows(request, Verb.OPERATE, None)

    @admin.action(description="Send again…", permissions=["operate"])
    def send_again_together(self, request: HttpRequest, queryset: models.QuerySet[Dispatch]) -> HttpResponse | None:
        return self._together(request, SEND_AGAIN)

    @admin.action(description="Drop…", permissions=["operate"])
    def drop_together(self, request: HttpRequest, queryset: models.QuerySet[Dispatch]) -> HttpResponse | None:
        return self._together(request, DROP)

    def _together(self, request: HttpRequest, deed: Deed) -> HttpResponse | None:
        """Show what a deed would touch and ask for the reason; with a reason, do it to each that it is possible for."""
        rows = self._chosen(request)
        form = deed.form(request.POST if "reason" in request.POST else None, row=Dispatch())
        if form.is_valid():
            self._do_to_each(request, deed, rows, form.cleaned_data)
            return None
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": f"{deed.label}: {len(rows)} chosen",
            "deed": deed,
            "form": form,
            "rows": [{"sent": sent_of(row), "is_possible": deed.offered(row)} for row in rows],
            "action": request.POST.get("action", ""),
            "list_url": request.get_full_path(),
        }
        return TemplateResponse(request, "admin/conversations/together.html", context)

    def _chosen(self, request: HttpRequest) -> list[Dispatch]:
        """The rows whose boxes were ticked, and no others: of those alone that this person may repair."""
        ids = {wanted for one in request.POST.getlist("_selected_action") if (wanted := id_in(one))}
        rows = limit(Dispatch.objects.filter(pk__in=ids), request.user, verb=Verb.OPERATE)
        tries = Prefetch("attempts", queryset=Attempt.objects.order_by("id"))
        rows = rows.select_related("consumer", "message").prefetch_related(tries)
        return list(rows.order_by("id")[:_MOST_AT_ONCE])

    def _do_to_each(self, request: HttpRequest, deed: Deed, rows: list[Dispatch], given: dict[str, Any]) -> None:
        done, refused = 0, 0
        for row in rows:
            try:
                deed.run(row, given, acting(request))
                done += 1
            except self.refusals:
                refused += 1
        if done:
            messages.success(request, f"{deed.label}: done for {done}.")
        if refused:
            messages.warning(request, f"{deed.label}: not possible for {refused}, whose state has changed.")
