"""API keys: everybody makes and revokes their own; who runs the site sees those of all."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db import models
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from access.admin_base import OwnRowsAdmin
from access.admin_deeds import Deed, DeedsMixin, ReasonForm, Told
from access.models import ApiKey, Brand, User
from access.resources import RESOURCES
from access.rest.authentication import KEY_LIFE_MAX
from access.rules import Verb, limit, may
from access.templatetags.readable import chip, moment
from connector_site import api_keys
from core.actor import Actor
from core.errors import ConfigurationError

_TONES = {"valid": "good", "expired": "wait", "revoked": "bad"}
_ALL = "all of its owner"


def _revoke(row: ApiKey, given: dict[str, Any], actor: Actor) -> Told:
    api_keys.revoke(row, actor=actor, reason=given["reason"])
    return Told(sentence="Revoked. Every request with it is refused from now on.")


class KeyForm(forms.ModelForm):
    """Asks what a key shall open. What it would not open anyway is refused by the service, in its words."""

    brands = forms.ModelMultipleChoiceField(
        queryset=Brand.objects.none(),
        required=False,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text="None chosen: all brands that its owner sees, those added later too.",
    )
    resources = forms.MultipleChoiceField(
        choices=[(name, name) for name in RESOURCES],
        required=False,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text="None chosen: all.",
    )
    days = forms.IntegerField(
        min_value=1,
        max_value=KEY_LIFE_MAX.days,
        initial=KEY_LIFE_MAX.days,
        widget=UnfoldAdminIntegerFieldWidget,
        help_text=f"Until it ends by itself; at most {KEY_LIFE_MAX.days}.",
    )

    class Meta:
        model = ApiKey
        fields = ("name", "may_read_content", "may_operate")
        labels = {"may_read_content": "Reads what was said", "may_operate": "May operate"}
        widgets = {
            "name": UnfoldAdminTextInputWidget,
            "may_read_content": UnfoldBooleanSwitchWidget,
            "may_operate": UnfoldBooleanSwitchWidget,
        }

    maker: User

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        brands = self.fields["brands"]
        assert isinstance(brands, forms.ModelMultipleChoiceField)
        brands.queryset = limit(Brand.objects.all(), self.maker)
        if self.maker.is_superuser:
            self.fields["owner"] = forms.ModelChoiceField(
                queryset=User.objects.filter(is_active=True).order_by("username"),
                initial=self.maker,
                widget=UnfoldAdminSelectWidget,
                help_text="Whose key it is; it sees no more than they.",
            )
        if not may(self.maker, Verb.OPERATE):
            del self.fields["may_operate"]

    @property
    def wanted(self) -> api_keys.Wanted:
        given = self.cleaned_data
        return api_keys.Wanted(
            name=given["name"],
            brands=list(given["brands"]),
            resources=given["resources"],
            may_read_content=given["may_read_content"],
            may_operate=given.get("may_operate", False),
        )

    @property
    def owner(self) -> User:
        owner: User = self.cleaned_data.get("owner") or self.maker
        return owner

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if not self.errors:
            try:
                api_keys.check(self.wanted, self.owner)
            except ConfigurationError as error:
                raise forms.ValidationError(str(error)) from None
        return cleaned


@admin.register(ApiKey)
class ApiKeyAdmin(DeedsMixin, OwnRowsAdmin):
    """Keys of programs. Nothing of a key is changed once it is made: another is made, and the old one revoked."""

    empty_text = "A program asks the REST API with a key: of what its owner sees, as much as the key opens."
    add_verb = Verb.VIEW
    deeds = (
        Deed(
            name="revoke",
            label="Revoke",
            icon="key_off",
            explain="The next request with this key is refused. A program that still needs one must be given another.",
            run=_revoke,
            offered=lambda row: row.revoked_at is None,
            form=ReasonForm,
            verb=Verb.VIEW,
            tone="danger",
        ),
    )

    list_display = ("title", "owner", "standing", "reach", "scopes", "ends", "last_used")
    list_display_links = ("title",)
    list_select_related = ("owner",)
    search_fields = ("prefix",)
    search_help_text = "The beginning of the key, or its id"
    change_form_template = "admin/access/key.html"
    change_form_outer_before_template = "admin/access/key_top.html"

    # --- the list ---

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Any]:
        return super().get_queryset(request).prefetch_related("brands")

    def find(self, request: HttpRequest, queryset: models.QuerySet[Any], term: str) -> models.QuerySet[Any]:
        # Somebody may paste the whole of a key that they found: what is asked of the database is its beginning.
        by_prefix = queryset.filter(prefix=term[: api_keys.PREFIX_LENGTH])
        return by_prefix if by_prefix.exists() else super().find(request, queryset, term)

    @admin.display(description="Key")
    def title(self, obj: ApiKey) -> str:
        return str(obj)

    @admin.display(description="State")
    def standing(self, obj: ApiKey) -> SafeString:
        word = obj.standing_at(timezone.now())
        return chip(word.capitalize(), _TONES[word])

    @admin.display(description="Brands")
    def reach(self, obj: ApiKey) -> str:
        return ", ".join(sorted(str(brand) for brand in obj.brands.all())) or _ALL

    @admin.display(description="Opens")
    def scopes(self, obj: ApiKey) -> str:
        more = ["content"] * obj.may_read_content + ["operate"] * obj.may_operate
        return ", ".join([*(obj.resources or ["all resources"]), *more])

    @admin.display(description="Ends")
    def ends(self, obj: ApiKey) -> SafeString | str:
        return moment(obj.expires_at)

    @admin.display(description="Last used")
    def last_used(self, obj: ApiKey) -> SafeString | str:
        if obj.last_used_at is None:
            return "never"
        at = moment(obj.last_used_at)
        return format_html("{} from {}", at, obj.last_used_from) if obj.last_used_from else at

    # --- one key ---

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        if obj is not None:
            return []  # its page shows it as facts
        runs_the_site = isinstance(request.user, User) and request.user.is_superuser
        operate = ["may_operate"] if may(request.user, Verb.OPERATE) else []
        return [
            ("Which key", {"fields": [*(["owner"] if runs_the_site else []), "name", "days"]}),
            ("What it opens", {"fields": ["brands", "resources", "may_read_content", *operate]}),
        ]

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        if obj is not None:
            return super().get_form(request, obj, change, **{**kwargs, "fields": []})
        return type("Form", (KeyForm,), {"maker": request.user})

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        obj = kwargs.get("obj")
        if obj is not None:
            word = obj.standing_at(timezone.now())
            context.update(standing=word, tone=_TONES[word], reach=self.reach(obj))
        return super().render_change_form(request, context, *args, **kwargs)

    # --- a new key ---

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """All of it has been stored by the service."""

    def store_new(self, obj: ApiKey, *, form: forms.Form, actor: Actor) -> None:
        assert isinstance(form, KeyForm)
        made = api_keys.create(owner=form.owner, days=form.cleaned_data["days"], actor=actor, wanted=form.wanted)
        obj.pk = made.row.pk
        # For the answer to this request alone; the row in the database does not know it.
        obj._made = made  # type: ignore[attr-defined]

    def response_add(self, request: HttpRequest, obj: ApiKey, post_url_continue: str | None = None) -> HttpResponse:
        made: api_keys.NewKey = obj._made  # type: ignore[attr-defined]
        context = {"title": "Copy it now", "made": made}
        return self.shown_once(request, made.row, template="admin/access/key_once.html", context=context)
