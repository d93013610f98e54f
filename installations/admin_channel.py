"""Channels: how consumers reach the brand, with the settings that each kind of channel has."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from access.admin_deeds import Deed, Told
from access.admin_fresh import FreshForm
from adapters.base import ChannelAdapter
from adapters.registry import get_adapter, list_adapters
from core.actor import Actor
from core.errors import ConfigurationError
from installations import editing, rotation, services
from installations.admin_connector import STATE_DEEDS, ConnectorAdmin
from installations.admin_deed_forms import ChannelSecretForm
from installations.admin_filters import CHANNEL_FILTERS
from installations.admin_forms import channel_form, secrets_of_adapter
from installations.admin_rotation import RetireChannelSecretForm, rotation_url
from installations.channel_verdicts import verdict_of_channel
from installations.findings import Verdict
from installations.models import Channel
from installations.onboarding import channel_webhook_url

SHOWN_ONCE = "admin/installations/secret_once.html"


def _add_secret(row: Channel, given: dict[str, Any], actor: Actor) -> Told:
    adapter = get_adapter(row.type)
    secret = given["secret"].strip() or adapter.new_secret()
    rotation.begin_on_channel(row, secret=secret, actor=actor, name=given["name"])
    if given["secret"].strip():
        return Told(sentence="Added. The older one stays valid until it is retired.", url=rotation_url(row))
    return Told(template=SHOWN_ONCE, context=_once(row, {given["name"]: secret}))


def _retire_secret(row: Channel, given: dict[str, Any], actor: Actor) -> Told:
    services.retire_channel_secret(given["secret"], actor=actor)
    return Told(sentence="Retired: what it signs is refused from now on.", url=rotation_url(row))


def _once(row: Channel, made: dict[str, str]) -> dict[str, Any]:
    labels = {declared.name: declared.label for declared in get_adapter(row.type).config_fields}
    return {
        "title": "Copy this now",
        "made": [(labels.get(name, name), secret) for name, secret in made.items()],
        "webhook_url": channel_webhook_url(row),
    }


@admin.register(Channel)
class ChannelAdmin(ConnectorAdmin):
    empty_text = "A channel leads to consumers. Add one when its app installation is there."
    deliveries_by = "channel"
    deeds = (
        *STATE_DEEDS,
        Deed(
            name="add-secret",
            label="Add secret",
            icon="key",
            explain="Adds a secret beside the one that is valid, so that a rotation needs no pause.",
            run=_add_secret,
            offered=lambda row: bool(secrets_of_adapter(get_adapter(row.type))),
            form=ChannelSecretForm,
        ),
        Deed(
            name="retire-secret",
            label="Retire a secret",
            icon="key_off",
            explain="What it signs is refused from then on, and nothing is signed with it. "
            "The last valid one cannot be retired.",
            run=_retire_secret,
            form=RetireChannelSecretForm,
            tone="danger",
        ),
    )

    list_display = ("name", "state_chip", "kind", "prefix", "installation", "brand")
    list_filter = CHANNEL_FILTERS
    list_select_related = ("brand", "installation")
    search_fields = ("name",)
    search_help_text = "Part of the name, or our id"
    change_form_outer_before_template = "admin/installations/channel_top.html"

    @admin.display(description="Kind")
    def kind(self, obj: Channel) -> str:
        return get_adapter(obj.type).label

    # --- the form ---

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        if self.has_add_permission(request) and _adapter_asked(request) is None:
            context = {
                **self.admin_site.each_context(request),
                "opts": self.opts,
                "title": "Add channel",
                "adapters": list_adapters(),
                "asked": request.GET.urlencode(),
            }
            return TemplateResponse(request, "admin/installations/channel_kinds.html", context)
        return super().add_view(request, form_url, extra_context)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        adapter = get_adapter(obj.type) if obj is not None else _adapter_asked(request)
        assert adapter is not None
        return super().get_form(request, obj, change, **{**kwargs, "form": channel_form(adapter, is_new=obj is None)})

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        adapter = get_adapter(obj.type) if obj is not None else _adapter_asked(request)
        assert adapter is not None
        plain = [f"config_{one.name}" for one in adapter.config_fields if one.kind != "secret"]
        secrets = [] if obj is not None else [f"secret_{one.name}" for one in secrets_of_adapter(adapter)]
        if obj is not None and not self.has_change_permission(request, obj):
            plain = []  # somebody who only looks is shown them above, as facts
        return [
            (adapter.label if obj is None else "Settings", {"fields": ["installation", "name", *plain, *secrets]}),
            ("Consumers", {"fields": ["prefix", "shares_prefix"]}),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("prefix",) if obj is not None and editing.has_been_used(obj) else ()

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        field = super().formfield_for_foreignkey(db_field, request, **kwargs)
        if db_field.name == "installation" and field is not None:
            field.queryset = field.queryset.select_related("account")
            if (obj := _row_of(request)) is not None:
                # Conversations belong to the account: the channel may move inside it only.
                field.queryset = field.queryset.filter(account_id=obj.account_id)
        return field

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        # The choices of a field are made before the form knows its row.
        request._channel_row = self.get_object(request, object_id) if object_id else None  # type: ignore[attr-defined]
        return super().changeform_view(request, object_id, form_url, extra_context)

    def verdict(self, obj: Channel, *, now: datetime) -> Verdict:
        return verdict_of_channel(obj, now=now)

    def top(self, request: HttpRequest, obj: Channel) -> dict[str, Any]:
        adapter = get_adapter(obj.type)
        return {
            **super().top(request, obj),
            "adapter": adapter,
            "takes_secrets": bool(secrets_of_adapter(adapter)),
            "webhook_url": channel_webhook_url(obj),
            "config": [
                (one.label, obj.config.get(one.name, "")) for one in adapter.config_fields if one.kind != "secret"
            ],
        }

    # --- changes ---

    def store_new(self, obj: Channel, *, form: forms.Form, actor: Actor) -> None:
        secrets = {
            declared.name: str(form.cleaned_data.get(f"secret_{declared.name}") or "").strip()
            for declared in secrets_of_adapter(get_adapter(obj.type))
        }
        # For the answer to this request alone; the row in the database does not know it.
        obj._made_secrets = editing.add_channel(obj, secrets=secrets, actor=actor)  # type: ignore[attr-defined]

    def store_changes(self, obj: Channel, *, form: forms.Form, actor: Actor) -> None:
        fields = [name for name in form.changed_data if not name.startswith("config_")]
        assert isinstance(form, FreshForm)
        editing.change(obj, fields=[*fields, "config"], actor=actor, seen=form.version)

    def response_add(self, request: HttpRequest, obj: Channel, post_url_continue: str | None = None) -> HttpResponse:
        made: dict[str, str] = getattr(obj, "_made_secrets", {})
        if made:
            return self.shown_once(request, obj, template=SHOWN_ONCE, context=_once(obj, made))
        return super().response_add(request, obj, post_url_continue)


def _adapter_asked(request: HttpRequest) -> ChannelAdapter | None:
    """The kind of a new channel: the one in the address, or the only one there is."""
    adapters = list_adapters()
    if len(adapters) == 1:
        return adapters[0]
    try:
        return get_adapter(request.GET.get("type", ""))
    except ConfigurationError:
        return None


def _row_of(request: HttpRequest) -> Channel | None:
    return getattr(request, "_channel_row", None)
