"""App installations: is the connector well, and what LivePerson and the operator need from each other."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.safestring import SafeString

from access.admin_base import acting
from access.admin_deeds import Deed, Told
from access.templatetags.readable import chip, moment
from adapters.registry import get_adapter
from core.actor import Actor
from core.errors import ConfigurationError
from installations import editing, manifests, rotation, services
from installations.admin_connector import STATE_DEEDS, STATE_TONES, ConnectorAdmin
from installations.admin_deed_forms import ClientSecretForm, CompareForm
from installations.admin_filters import INSTALLATION_FILTERS
from installations.admin_forms import InstallationForm
from installations.admin_rotation import RetireForm, rotation_url
from installations.arrivals import last_arrivals
from installations.findings import Verdict
from installations.models import AppInstallation, State
from installations.onboarding import liveperson_webhook_url, manifest_of
from installations.verdicts import verdict_of


def _test(row: AppInstallation, given: dict[str, Any], actor: Actor) -> Told:
    tested = services.test_connection(row, actor=actor)
    return Told(sentence=tested.test_detail, is_good=bool(tested.test_passed))


def _compare(row: AppInstallation, given: dict[str, Any], actor: Actor) -> Told:
    try:
        if given["bearer"]:
            found = manifests.compare_read(row, bearer=given["bearer"], actor=actor)
        else:
            found = manifests.compare_pasted(row, text=given["manifest"], actor=actor)
    except ConfigurationError as refusal:
        again = reverse("admin:installations_appinstallation_do", args=[row.pk, "compare-manifest"])
        return Told(sentence=str(refusal), is_good=False, url=again)
    if not found:
        return Told(sentence="The manifest that LivePerson has is as it should be.")
    return Told(sentence="The manifest that LivePerson has is to be changed: see what differs.", is_good=False)


def _add_secret(row: AppInstallation, given: dict[str, Any], actor: Actor) -> Told:
    url = rotation_url(row)
    try:
        if given["anyway"]:
            rotation.begin_unasked(row, secret=given["secret"], actor=actor)
            return Told(sentence="Added. LivePerson was not asked about it.", url=url)
        tested = rotation.begin(row, secret=given["secret"], actor=actor)
    except ConfigurationError as refusal:
        again = reverse("admin:installations_appinstallation_do", args=[row.pk, "add-secret"])
        return Told(sentence=str(refusal), is_good=False, url=again)
    if tested.has_passed:
        return Told(sentence="Added: LivePerson takes it.", url=url)
    return Told(sentence=f"Added, but LivePerson could not be asked about it. {tested.detail}", url=url)


def _retire_secret(row: AppInstallation, given: dict[str, Any], actor: Actor) -> Told:
    services.retire_client_secret(given["secret"], actor=actor)
    return Told(sentence="Retired: webhooks that it signs are refused from now on.", url=rotation_url(row))


@admin.register(AppInstallation)
class AppInstallationAdmin(ConnectorAdmin):
    empty_text = "An app installation holds the credentials of a connector. Add its LivePerson account first."
    deliveries_by = "installation"
    form = InstallationForm
    deeds = (
        Deed(
            name="test",
            label="Test connection",
            icon="network_check",
            explain="Asks LivePerson for a token with each valid client secret, and remembers how it went.",
            run=_test,
            at_once=True,
        ),
        *STATE_DEEDS,
        Deed(
            name="compare-manifest",
            label="Compare the manifest",
            icon="difference",
            explain="Says what the manifest that LivePerson has lacks: kinds of notification, the address, how long "
            "LivePerson keeps what it cannot deliver. Nothing is changed there.",
            run=_compare,
            form=CompareForm,
        ),
        Deed(
            name="add-secret",
            label="Add client secret",
            icon="key",
            explain="Adds a secret beside the one that is valid, so that a rotation needs no pause.",
            run=_add_secret,
            form=ClientSecretForm,
        ),
        Deed(
            name="retire-secret",
            label="Retire a client secret",
            icon="key_off",
            explain="Webhooks that it signs are refused from then on, and no token is asked for with it. "
            "The last valid one cannot be retired.",
            run=_retire_secret,
            form=RetireForm,
            tone="danger",
        ),
    )

    list_display = ("title", "state_chip", "account", "brand", "tested")
    list_filter = INSTALLATION_FILTERS
    list_select_related = ("brand", "account")
    search_fields = ("client_id", "name")
    search_help_text = "Part of the name or client id, or our id"
    change_form_outer_before_template = "admin/installations/installation_top.html"

    @admin.display(description="Name")
    def title(self, obj: AppInstallation) -> str:
        return str(obj)

    @admin.display(description="Last test")
    def tested(self, obj: AppInstallation) -> SafeString | str:
        if obj.test_passed is None:
            return "never"
        word = chip("passed", "good") if obj.test_passed else chip("failed", "bad", obj.test_detail)
        return word + SafeString(" ") + SafeString(moment(obj.tested_at))

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        who = ["account", "client_id", "name"] + ([] if obj else ["first_secret"])
        return [
            ("Which connector" if obj is None else "Settings", {"fields": who}),
            ("Routing at LivePerson", {"fields": [("campaign_id", "engagement_id"), "skill_id"]}),
            ("Behaviour", {"fields": ["unknown_policy", "signature_policy", "features"]}),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        if obj is None:
            return ()
        # Another client id is another connector, with conversations of its own.
        return ("account",) if editing.is_untried(obj) else ("account", "client_id")

    def verdict(self, obj: AppInstallation, *, now: datetime) -> Verdict:
        return verdict_of(obj, now=now)

    def top(self, request: HttpRequest, obj: AppInstallation) -> dict[str, Any]:
        try:
            manifest = json.dumps(manifest_of(obj), indent=2)
        except ValueError as error:
            manifest = str(error)
        top = super().top(request, obj)
        return {
            **top,
            "is_new": not any(one.used_at for one in top["secrets"]),
            "channels": _lines_of(obj),
            "webhook_url": liveperson_webhook_url(obj),
            "manifest": manifest,
        }

    def store_new(self, obj: AppInstallation, *, form: forms.Form, actor: Actor) -> None:
        editing.add_installation(obj, client_secret=form.cleaned_data["first_secret"], actor=actor)

    def store_changes(self, obj: AppInstallation, *, form: forms.Form, actor: Actor) -> None:
        assert isinstance(form, InstallationForm)
        editing.change(obj, fields=form.changed_data, actor=actor, seen=form.version)

    # --- a new one ---

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        request._made_installation = obj  # type: ignore[attr-defined]
        return super().response_add(request, obj, post_url_continue)

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """The credentials of a new one are tried at once: after its transaction, which waits for nobody outside."""
        answer = super().changeform_view(request, object_id, form_url, extra_context)
        made: AppInstallation | None = getattr(request, "_made_installation", None)
        if made is not None:
            tested = services.test_connection(made, actor=acting(request))
            tell = messages.success if tested.test_passed else messages.warning
            tell(request, f"Tested: {tested.test_detail}")
        return answer


def _lines_of(row: AppInstallation) -> list[dict[str, Any]]:
    """Its channels, a line each."""
    channels = list(row.channels.all())
    heard = last_arrivals(channels)
    return [
        {
            "row": channel,
            "tone": STATE_TONES[State(channel.state)],
            "label": get_adapter(channel.type).label,
            "heard_at": heard.get(channel.pk),
        }
        for channel in channels
    ]
