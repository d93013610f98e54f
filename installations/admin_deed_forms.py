"""What the deeds on connectors ask for: secrets, and the manifest that LivePerson has."""

from __future__ import annotations

from typing import Any

from django import forms
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget, UnfoldBooleanWidget

from access.admin_deeds import NothingToFillIn
from adapters.registry import get_adapter
from installations import rotation
from installations.admin_forms import secret_field, secrets_of_adapter, sentence_case
from installations.manifests import MOST_CHARACTERS
from installations.models import AppInstallation, Channel


class ClientSecretForm(NothingToFillIn):
    secret = secret_field(
        label="Client secret",
        help_text="As LivePerson shows it. LivePerson is asked whether it takes it. The older one stays valid until it "
        "is retired.",
    )
    anyway = forms.BooleanField(
        label="Add it even if LivePerson does not take it yet",
        required=False,
        widget=UnfoldBooleanWidget,
        help_text="For a secret that LivePerson will use only later.",
    )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        assert isinstance(self.row, AppInstallation)
        if trouble := rotation.trouble_with_another(self.row):
            raise forms.ValidationError(trouble)
        return cleaned


class ChannelSecretForm(NothingToFillIn):
    name = forms.ChoiceField(label="Which secret", widget=UnfoldAdminSelectWidget)
    secret = secret_field(label="Secret", required=False)

    def __init__(self, *args: Any, row: Channel, **kwargs: Any) -> None:
        super().__init__(*args, row=row, **kwargs)
        self.adapter = get_adapter(row.type)
        declared = secrets_of_adapter(self.adapter)
        name = self.fields["name"]
        assert isinstance(name, forms.ChoiceField)
        name.choices = [(one.name, sentence_case(one.label)) for one in declared]
        if len(declared) == 1:
            name.initial, name.widget = declared[0].name, forms.HiddenInput()
        can_make = bool(self.adapter.new_secret())
        self.fields["secret"].required = not can_make
        self.fields["secret"].help_text = (
            "Leave it empty to have one made; it is then shown once." if can_make else "As the provider shows it."
        )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        assert isinstance(self.row, Channel)
        if trouble := rotation.trouble_with_another(self.row, name=cleaned.get("name", "")):
            raise forms.ValidationError(trouble)
        given = str(cleaned.get("secret") or "").strip()
        if given and (trouble := self.adapter.check_secret(given.encode(), name=cleaned.get("name", ""))):
            self.add_error("secret", trouble)
        return cleaned


class CompareForm(NothingToFillIn):
    """What LivePerson has: pasted, or read with the session of somebody who administers the account there."""

    manifest = forms.CharField(
        label="The manifest, as LivePerson shows it",
        required=False,
        max_length=MOST_CHARACTERS,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 12, "spellcheck": "false"}),
        help_text="JSON, of this app installation or a list of several. A client secret in it is not kept.",
    )
    bearer = secret_field(
        label="Or the token of an administrator's session at LivePerson",
        required=False,
        help_text="With it LivePerson is asked for the manifest this once. It is not kept.",
    )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if not self.errors and bool(cleaned.get("manifest")) == bool(cleaned.get("bearer")):
            raise forms.ValidationError("Give one of the two: the manifest, or the token.")
        if not str(cleaned.get("bearer") or "").isascii() or not str(cleaned.get("bearer") or "").isprintable():
            self.add_error("bearer", "A token has letters, digits and signs only, without blanks or line breaks.")
        return cleaned
