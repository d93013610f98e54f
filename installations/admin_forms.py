"""The forms behind accounts, app installations and channels. What is wrong is said beside the field, as a sentence."""

from __future__ import annotations

import re
from typing import Any, ClassVar

from django import forms
from django.conf import settings
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminPasswordWidget,
    UnfoldAdminTextInputWidget,
)

from access.admin_fresh import FreshForm
from adapters.base import ChannelAdapter, ConfigField
from installations.connectors import domain_api_trouble
from installations.editing import has_been_used, version_of
from installations.models import Account, AppInstallation, Channel, default_features
from liveperson.send_api import FEATURES

_SECRET_ATTRS = {"autocomplete": "new-password", "spellcheck": "false"}


def secret_field(**options: Any) -> forms.CharField:
    """A field whose value goes in and never comes out again, not even after an error."""
    return forms.CharField(
        max_length=4096, widget=UnfoldAdminPasswordWidget(attrs=_SECRET_ATTRS, render_value=False), **options
    )


class ConnectorForm(FreshForm):
    version_of = staticmethod(version_of)


class AccountForm(ConnectorForm):
    domain_api = forms.URLField(
        label="Domain API",
        required=False,
        assume_scheme="https",
        widget=UnfoldAdminTextInputWidget(attrs={"inputmode": "url"}),
        help_text="Scheme and host of the Domain API, where it is not LivePerson's own; normally empty.",
    )

    class Meta:
        model = Account
        fields = ("brand", "lp_account_id", "name", "domain_api")
        error_messages = {
            "lp_account_id": {"unique": "This account is on this site already; an account belongs to one brand."}
        }

    def clean_domain_api(self) -> str:
        given: str = self.cleaned_data["domain_api"].rstrip("/")
        if given and (trouble := domain_api_trouble(given)):
            raise forms.ValidationError(trouble)
        return given


class InstallationForm(ConnectorForm):
    first_secret = secret_field(
        label="Client secret",
        help_text="As LivePerson shows it beside the client id. It is stored encrypted and never shown again.",
    )
    features = forms.MultipleChoiceField(
        label="Features",
        required=False,
        choices=[(name, name.replace("_", " ").capitalize()) for name in FEATURES],
        initial=default_features,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text="What the connector announces to LivePerson. Without Multi dialog there is no survey.",
    )

    class Meta:
        model = AppInstallation
        fields = (
            "account", "client_id", "name", "signature_policy", "unknown_policy", "features", "campaign_id",
            "engagement_id", "skill_id",
        )  # fmt: skip
        labels = {"unknown_policy": "When an outcome stays unknown", "signature_policy": "Signatures accepted"}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.instance._state.adding:
            self.fields.pop("first_secret", None)

    def clean_client_id(self) -> str:
        given: str = self.cleaned_data["client_id"].strip()
        if not re.fullmatch(r"[0-9A-Za-z][0-9A-Za-z-]{7,63}", given):
            raise forms.ValidationError("The client id is the UUID that LivePerson gave to the app installation.")
        return given

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        account, client_id = cleaned.get("account"), cleaned.get("client_id")
        account_id = account.pk if account else self.instance.account_id
        if account_id and client_id:
            same = AppInstallation.objects.filter(account=account_id, client_id__iexact=client_id)
            if same.exclude(pk=self.instance.pk).exists():
                self.add_error("client_id", "This client id is in this account already.")
        if bool(cleaned.get("campaign_id")) != bool(cleaned.get("engagement_id")):
            missing = "engagement_id" if cleaned.get("campaign_id") else "campaign_id"
            self.add_error(missing, "LivePerson takes campaign and engagement together: enter both or none.")
        return cleaned


class ChannelForm(ConnectorForm):
    """Grows a field for each setting of the adapter: `config_<name>`, and on a new channel `secret_<name>`."""

    adapter: ClassVar[ChannelAdapter]

    class Meta:
        model = Channel
        fields = ("installation", "name", "prefix", "shares_prefix")
        labels = {"installation": "App installation", "shares_prefix": "Shares its prefix"}
        help_texts = {
            "prefix": "Begins the ids of its consumers at LivePerson, such as sms in sms:+15550100. Leave it empty to "
            "have one chosen. It cannot be changed once a consumer has written.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.instance.type = self.adapter.type
        if "prefix" in self.fields:
            self.fields["prefix"].required = False
        for declared in self.adapter.config_fields:
            if declared.kind != "secret":
                stored = self.instance.config.get(declared.name, "")
                self.fields[f"config_{declared.name}"].initial = stored

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        self._check_config(cleaned)
        self._check_secrets(cleaned)
        if cleaned.get("installation"):
            self._check_neighbours(cleaned)
        return cleaned

    def _check_config(self, cleaned: dict[str, Any]) -> None:
        config = {
            declared.name: str(cleaned.get(f"config_{declared.name}") or "").strip()
            for declared in self.adapter.config_fields
            if declared.kind != "secret"
        }
        given = {name: value for name, value in config.items() if value}
        problems = self.adapter.check_config(given, allow_http=settings.ALLOW_PRIVATE_OUTBOUND)
        for name, sentence in problems.items():
            self.add_error(f"config_{name}", sentence)
        kept = {name: value for name, value in self.instance.config.items() if name not in config}
        self.instance.config = {**kept, **given}

    def _check_secrets(self, cleaned: dict[str, Any]) -> None:
        for declared in secrets_of_adapter(self.adapter):
            given = str(cleaned.get(f"secret_{declared.name}") or "").strip()
            if given and (trouble := self.adapter.check_secret(given.encode(), name=declared.name)):
                self.add_error(f"secret_{declared.name}", trouble)

    def _check_neighbours(self, cleaned: dict[str, Any]) -> None:
        account = cleaned["installation"].account
        others = Channel.objects.filter(account=account).exclude(pk=self.instance.pk)
        if cleaned.get("name") and others.filter(name=cleaned["name"]).exists():
            self.add_error("name", "Another channel of this account has this name.")
        prefix = cleaned.get("prefix") or ("" if self.instance._state.adding else self.instance.prefix)
        shares = cleaned.get("shares_prefix", self.instance.shares_prefix)
        if prefix and not shares and others.filter(prefix=prefix, shares_prefix=False).exists():
            field = "prefix" if "prefix" in self.fields else "shares_prefix"
            self.add_error(field, "Another channel of this account has this prefix. Choose another, or share it.")

    def clean_prefix(self) -> str:
        given: str = self.cleaned_data["prefix"].strip()
        if not self.instance._state.adding and given != self.instance.prefix:
            if not given:
                raise forms.ValidationError("Enter the prefix.")
            if has_been_used(self.instance):
                raise forms.ValidationError("LivePerson knows consumers under this prefix already: it stays.")
        return given


def channel_form(adapter: ChannelAdapter, *, is_new: bool) -> type[ChannelForm]:
    """The form of a channel of this type."""
    members: dict[str, Any] = {"adapter": adapter}
    for declared in adapter.config_fields:
        if declared.kind != "secret":
            members[f"config_{declared.name}"] = _config_field(declared)
        elif is_new:
            members[f"secret_{declared.name}"] = _secret_field(declared, adapter)
    return type("ChannelForm", (ChannelForm,), members)


def secrets_of_adapter(adapter: ChannelAdapter) -> list[ConfigField]:
    """The settings of an adapter that are secrets."""
    return [declared for declared in adapter.config_fields if declared.kind == "secret"]


def _config_field(declared: ConfigField) -> forms.CharField:
    attrs = {"inputmode": "url"} if declared.kind == "url" else {}
    return forms.CharField(
        label=sentence_case(declared.label),
        help_text=declared.help,
        required=declared.required,
        max_length=2000,
        widget=UnfoldAdminTextInputWidget(attrs=attrs),
    )


def _secret_field(declared: ConfigField, adapter: ChannelAdapter) -> forms.CharField:
    can_make = bool(adapter.new_secret())
    hint = "Leave it empty to have one made; it is then shown once." if can_make else "It is never shown again."
    return secret_field(
        label=sentence_case(declared.label),
        help_text=f"{declared.help} {hint}",
        required=declared.required and not can_make,
    )


def sentence_case(label: str) -> str:
    return label[:1].upper() + label[1:]
