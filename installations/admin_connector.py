"""What the pages of app installations and of channels have in common: is it well, what can be done, what went wrong."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.safestring import SafeString

from access.admin_base import BrandScopedAdmin
from access.admin_deeds import Deed, OptionalReasonForm, ReasonForm, Told
from access.rules import Verb
from access.templatetags.readable import chip
from core.actor import Actor
from installations import services
from installations.admin_pause import PAUSE, RESUME
from installations.admin_rotation import RotationMixin, rotation_url
from installations.admin_verdict import verdict_context
from installations.failures import failures_of
from installations.findings import Verdict
from installations.models import State
from installations.secret_use import secrets_of_row
from installations.traffic import charts_of

STATE_TONES = {State.ACTIVE: "good", State.PAUSED: "wait", State.DISABLED: "bad"}


def _enable(row: Any, given: dict[str, Any], actor: Actor) -> Told:
    services.enable(row, actor=actor, reason=given["reason"])
    return Told(sentence="Active. What has waited goes out in its order.")


def _disable(row: Any, given: dict[str, Any], actor: Actor) -> Told:
    services.disable(row, actor=actor, reason=given["reason"])
    return Told(sentence="Disabled. Nothing is sent, and its webhooks are refused.")


STATE_DEEDS = (
    RESUME,
    Deed(
        name="enable",
        label="Enable",
        icon="power_settings_new",
        explain="Takes webhooks again and sends again. What has waited goes out in its order.",
        run=_enable,
        offered=lambda row: row.state == State.DISABLED,
        form=OptionalReasonForm,
        tone="main",
    ),
    PAUSE,
    Deed(
        name="disable",
        label="Disable",
        icon="block",
        explain="Stops sending and refuses webhooks. What is refused is lost once the other side stops repeating it.",
        run=_disable,
        offered=lambda row: row.state != State.DISABLED,
        form=ReasonForm,
        tone="danger",
    ),
)


class ConnectorAdmin(RotationMixin, BrandScopedAdmin):
    """Subclasses say how a row is judged, and what else stands above its form."""

    add_verb = change_verb = Verb.OPERATE

    def verdict(self, obj: Any, *, now: datetime) -> Verdict:
        raise NotImplementedError

    @admin.display(description="State")
    def state_chip(self, obj: Any) -> SafeString:
        return chip(obj.get_state_display(), STATE_TONES[State(obj.state)], obj.state_reason)

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        obj = kwargs.get("obj")
        if obj is not None:
            context.update(self.top(request, obj))
        return super().render_change_form(request, context, *args, **kwargs)

    def top(self, request: HttpRequest, obj: Any) -> dict[str, Any]:
        """What stands above the form."""
        buttons, now = self.deeds_for(request, obj), timezone.now()
        urls = {button["deed"].name: button["url"] for button in buttons}
        may_change = self.has_change_permission(request, obj)
        return {
            **verdict_context(self.verdict(obj, now=now), buttons=buttons, row_id=obj.pk, may_change=may_change),
            "state_word": "" if obj.state == State.ACTIVE else obj.get_state_display(),
            "state_tone": STATE_TONES[State(obj.state)],
            "secrets": secrets_of_row(obj),
            "add_secret_url": urls.get("add-secret", ""),
            "retire_secret_url": urls.get("retire-secret", ""),
            "compare_url": urls.get("compare-manifest", ""),
            "rotation_url": rotation_url(obj),
            "failures": failures_of(obj, now=now),
            "charts": charts_of(obj),
            "may_change": may_change,
        }


__all__ = ["STATE_DEEDS", "STATE_TONES", "ConnectorAdmin"]
