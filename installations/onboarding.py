"""From what LivePerson and a brand tell us to a connector that works: one call, safe to repeat."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.urls import reverse

from access.models import Brand
from adapters.base import ChannelAdapter
from adapters.registry import get_adapter
from audit import api as audit
from core.actor import Actor
from core.errors import ConfigurationError
from installations import services
from installations.connectors import client_of, domain_api_trouble, forget_connectors
from installations.models import Account, AppInstallation, Channel, validate_lp_account_id
from installations.services import Tested
from installations.signals import sending_resumed
from liveperson.installs import LONGEST_RETENTION_S, RetryByTtl, build_manifest


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a connector is to be. Empty values leave what is there."""

    brand: str
    lp_account_id: str
    client_id: str
    client_secret: str = field(default="", repr=False)
    installation_name: str = ""
    domain_api: str = ""
    channel_type: str = "custom"
    channel_name: str = ""
    channel_url: str = ""
    channel_secret: str = field(default="", repr=False)


@dataclass(frozen=True, kw_only=True)
class Onboarded:
    """What came of it. new_channel_secret: only when this call generated it, to be shown once."""

    brand: Brand
    account: Account
    installation: AppInstallation
    channel: Channel
    new_channel_secret: str = field(default="", repr=False)

    def as_json(self) -> dict[str, Any]:
        """The object that `manage.py onboard` prints."""
        told = {
            "brand": str(self.brand.pk),
            "account": str(self.account.pk),
            "installation": str(self.installation.pk),
            "channel": str(self.channel.pk),
            "liveperson_webhook_url": liveperson_webhook_url(self.installation),
            "channel_webhook_url": channel_webhook_url(self.channel),
            "manifest": manifest_of(self.installation),
        }
        return {**told, "channel_secret": self.new_channel_secret} if self.new_channel_secret else told


def liveperson_webhook_url(installation: AppInstallation) -> str:
    """Where LivePerson sends its notifications for this installation."""
    return settings.PUBLIC_BASE_URL + reverse("liveperson-webhook", kwargs={"installation_id": installation.pk})


def channel_webhook_url(channel: Channel) -> str:
    """Where the channel sends what its consumers do."""
    return settings.PUBLIC_BASE_URL + reverse("channel-webhook", kwargs={"channel_id": channel.pk, "suffix": ""})


def manifest_of(installation: AppInstallation) -> dict[str, Any]:
    """The app install manifest to hand to LivePerson."""
    slug = re.sub(r"[^a-z0-9]+", "-", str(installation).lower()).strip("-") or "connector"
    return dict(
        build_manifest(
            client_name=f"{installation.brand.slug}.{slug}"[:100],
            display_name=str(installation)[:128],
            webhook_url=liveperson_webhook_url(installation),
            retry=RetryByTtl(retention_s=LONGEST_RETENTION_S),
        )
    )


def test(wanted: Wanted) -> Tested:
    """
    Ask LivePerson for a token with the client secret that is given, and with no other. Stores nothing.

    Raises ConfigurationError for what `onboard` would refuse before it asks anybody.
    """
    _check(wanted, get_adapter(wanted.channel_type))
    account = Account.objects.filter(lp_account_id=wanted.lp_account_id).select_related("brand").first()
    if account is not None and account.brand.slug != wanted.brand:
        raise _belongs_to_another(wanted)
    known_domain_api = account.domain_api if account else ""
    client = client_of(wanted.lp_account_id, domain_api=wanted.domain_api or known_domain_api)
    return services.ask_for_token(client, client_id=wanted.client_id, secrets=[wanted.client_secret])


def onboard(wanted: Wanted, *, actor: Actor, tested: Tested | None = None) -> Onboarded:
    """
    Create or update a connector; keys are (account, client id), then (account, channel name).

    A new secret is added, none is removed. tested: what `test` found, to be remembered with the connector.

    Raises ConfigurationError with a sentence for whatever cannot be done, an account of another brand among it.
    """
    adapter = get_adapter(wanted.channel_type)
    _check(wanted, adapter)
    try:
        done = _make(wanted, adapter, actor, tested)
    except IntegrityError:
        done = _make(wanted, adapter, actor, tested)  # somebody made the same at this moment: now it is there
    forget_connectors()
    return done


def _make(wanted: Wanted, adapter: ChannelAdapter, actor: Actor, tested: Tested | None) -> Onboarded:
    with transaction.atomic():
        brand = _brand(wanted, actor)
        account = _account(wanted, brand, actor)
        installation = _installation(wanted, account, actor)
        channel, new_secret = _channel(wanted, installation, adapter, actor)
        if tested is not None:
            services.note_test(installation, tested, actor=actor)
    return Onboarded(
        brand=brand, account=account, installation=installation, channel=channel, new_channel_secret=new_secret
    )


def _check(wanted: Wanted, adapter: ChannelAdapter) -> None:
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,49}", wanted.brand):
        raise ConfigurationError("The brand is named by lower-case letters, digits and -, such as acme.")
    try:
        validate_lp_account_id(wanted.lp_account_id)
    except ValidationError as error:
        raise ConfigurationError(" ".join(error.messages)) from None
    if not re.fullmatch(r"[0-9A-Za-z][0-9A-Za-z-]{7,63}", wanted.client_id):
        raise ConfigurationError("The client id is the UUID that LivePerson gave to the app installation.")
    for what, value, most in (
        ("name of the app installation", wanted.installation_name, 128),
        ("name of the channel", wanted.channel_name, 64),
    ):
        if len(value) > most or not value.isprintable():
            raise ConfigurationError(f"The {what} is one line of at most {most} characters.")
    if wanted.domain_api and (trouble := domain_api_trouble(wanted.domain_api)):
        raise ConfigurationError(f"Domain API: {trouble}")
    config = {"url": wanted.channel_url} if wanted.channel_url else {}
    problems = adapter.check_config(config, allow_http=settings.ALLOW_PRIVATE_OUTBOUND)
    if problems:
        raise ConfigurationError(" ".join(problems.values()))
    if wanted.channel_secret and (trouble := adapter.check_secret(wanted.channel_secret.encode())):
        raise ConfigurationError(f"The channel secret cannot be used: {trouble}")


def _brand(wanted: Wanted, actor: Actor) -> Brand:
    brand, is_new = Brand.objects.get_or_create(slug=wanted.brand, defaults={"name": wanted.brand})
    if is_new:
        audit.record("brand.created", actor=actor, subject=brand)
    return brand


def _account(wanted: Wanted, brand: Brand, actor: Actor) -> Account:
    account = Account.objects.select_for_update().filter(lp_account_id=wanted.lp_account_id).first()
    if account is not None and account.brand_id != brand.pk:
        raise _belongs_to_another(wanted)
    if account is None:
        account = Account(brand=brand, lp_account_id=wanted.lp_account_id, domain_api=wanted.domain_api)
        _validate(account)
        account.save()
        audit.record("account.created", actor=actor, subject=account)
    elif wanted.domain_api and account.domain_api != wanted.domain_api:
        change = {"domain_api": [account.domain_api, wanted.domain_api]}
        account.domain_api = wanted.domain_api
        account.save(update_fields=["domain_api"])
        audit.record("account.changed", actor=actor, subject=account, data=change)
    return account


def _belongs_to_another(wanted: Wanted) -> ConfigurationError:
    return ConfigurationError(f"The account {wanted.lp_account_id} belongs to another brand.")


def _installation(wanted: Wanted, account: Account, actor: Actor) -> AppInstallation:
    installation = AppInstallation.objects.filter(account=account, client_id__iexact=wanted.client_id).first()
    if installation is None:
        if not wanted.client_secret:
            raise ConfigurationError("A new app installation needs its client secret.")
        installation = AppInstallation.objects.create(
            brand=account.brand, account=account, client_id=wanted.client_id, name=wanted.installation_name
        )
        audit.record("installation.created", actor=actor, subject=installation)
    elif wanted.installation_name and installation.name != wanted.installation_name:
        change = {"name": [installation.name, wanted.installation_name]}
        installation.name = wanted.installation_name
        installation.save(update_fields=["name"])
        audit.record("installation.changed", actor=actor, subject=installation, data=change)
    if wanted.client_secret:
        services.add_client_secret(installation, secret=wanted.client_secret, actor=actor)
    return installation


def _channel(
    wanted: Wanted, installation: AppInstallation, adapter: ChannelAdapter, actor: Actor
) -> tuple[Channel, str]:
    account = installation.account
    name = wanted.channel_name or adapter.type
    channel = Channel.objects.filter(account=account, name=name).first()
    if channel is None:
        channel = Channel.objects.create(
            brand=account.brand,
            account=account,
            installation=installation,
            type=adapter.type,
            name=name,
            prefix=free_prefix(account, adapter.type, name),
            config={"url": wanted.channel_url} if wanted.channel_url else {},
        )
        audit.record("channel.created", actor=actor, subject=channel)
    elif channel.type != adapter.type:
        raise ConfigurationError(f"The channel {name} exists already, with the type {channel.type}.")
    else:
        _update_channel(channel, installation, wanted.channel_url, actor)
    return channel, _channel_secret(channel, wanted.channel_secret, adapter, actor)


def _update_channel(channel: Channel, installation: AppInstallation, url: str, actor: Actor) -> None:
    change: dict[str, Any] = {}
    fields = ["config", "installation"]
    if url and channel.config.get("url") != url:
        change["url"] = [channel.config.get("url", ""), url]
        channel.config = {**channel.config, "url": url}
    if channel.installation_id != installation.pk:
        change["installation"] = [str(channel.installation_id), str(installation.pk)]
        fields += channel.moved_from(channel.installation)
        channel.installation = installation
    if change:
        channel.save(update_fields=fields)
        audit.record("channel.changed", actor=actor, subject=channel, data=change)
    if "installation" in change:
        # What waited for the former installation can go out through this one.
        sending_resumed.send(sender=Channel, installation_id=installation.pk)


def _channel_secret(channel: Channel, given: str, adapter: ChannelAdapter, actor: Actor) -> str:
    """Add the secret that was given, or make the first one; returns it only when it was made here."""
    known = channel.secrets.filter(retired_at=None)
    if given:
        if not any(row.is_same_as(given.strip().encode()) for row in known):
            services.add_channel_secret(channel, secret=given, actor=actor)
        return ""
    fresh = "" if known.exists() else adapter.new_secret()
    if fresh:
        services.add_channel_secret(channel, secret=fresh, actor=actor)
    return fresh


def free_prefix(account: Account, channel_type: str, name: str) -> str:
    """The type's name for the first channel of a type in an account, the channel's own for others."""
    taken = set(Channel.objects.filter(account=account).values_list("prefix", flat=True))
    own = re.sub(r"[^a-z0-9_-]+", "-", name.lower()).strip("-_")[:32] or channel_type
    for prefix in (channel_type, own, *(f"{own[:28]}-{number}" for number in range(2, 1000))):
        if prefix not in taken:
            return prefix
    raise ConfigurationError("There are too many channels of this name in the account.")


def _validate(account: Account) -> None:
    try:
        account.full_clean(exclude=["brand"], validate_unique=False)
    except ValidationError as error:
        raise ConfigurationError(" ".join(error.messages)) from None
