"""
A connector ready for use: a channel, its installation and account, with clients and the channel's secrets revealed.

Kept in the process for a few seconds, so that a send needs no query for it; a pause or a rotation takes effect within
that time. Client secrets are not kept: they are read for each token that is asked for.
"""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, field
from functools import cache
from urllib.parse import urlsplit

from django.conf import settings
from django.db import connection

from adapters.base import ChannelAdapter, Secret
from adapters.registry import get_adapter
from core.errors import NotSent
from core.http import HttpClient, OutboundPolicy
from installations.models import AppInstallation, Channel, State
from liveperson.client import LivePersonClient
from liveperson.domains import DomainResolver

KEPT_S = 2.0


@dataclass(frozen=True, kw_only=True)
class Connector:
    """channel_secrets: newest first; never shown."""

    channel: Channel
    installation: AppInstallation
    client: LivePersonClient
    adapter: ChannelAdapter
    channel_secrets: tuple[Secret, ...] = field(repr=False)

    @property
    def blocked_by(self) -> str:
        """Why nothing may be sent through it at present; empty when it may."""
        if self.installation.state != State.ACTIVE:
            return "installation_paused"
        if self.channel.state != State.ACTIVE:
            return "channel_paused"
        return ""


_kept: dict[uuid.UUID, tuple[float, Connector]] = {}


def get_connector(channel_id: uuid.UUID) -> Connector:
    """The connector of a channel, at most a few seconds old. Raises Channel.DoesNotExist."""
    now_s = time.monotonic()
    known = _kept.get(channel_id)
    if known and now_s - known[0] < KEPT_S:
        return known[1]
    connector = _load(channel_id)
    _kept[channel_id] = (now_s, connector)
    return connector


_IS_STILL_BLOCKED = """
    SELECT installation.state <> 'ACTIVE' OR channel.state <> 'ACTIVE'
    FROM installations_channel channel
    JOIN installations_appinstallation installation ON installation.id = channel.installation_id
    WHERE channel.id = %s FOR SHARE SKIP LOCKED
"""


def is_still_blocked(connector: Connector) -> bool | None:
    """
    Whether a blocked connector is blocked at this very moment; None while somebody is changing it.

    What we keep may be older than a resume. Until the running transaction ends nobody can resume it, so that what is
    put to sleep in it is certainly found by whoever wakes the sleepers.
    """
    with connection.cursor() as cursor:
        cursor.execute(_IS_STILL_BLOCKED, [connector.channel.pk])
        row = cursor.fetchone()
    if row is not None and not row[0]:
        _kept.pop(connector.channel.pk, None)
    return bool(row[0]) if row else None


def forget_connectors() -> None:
    """Read everything afresh: after a change made by this process."""
    _kept.clear()


def client_for(installation: AppInstallation) -> LivePersonClient:
    """A client of LivePerson for one installation; connections are shared by the whole process."""
    account = installation.account
    return client_of(account.lp_account_id, domain_api=account.domain_api, features=tuple(installation.features))


def client_of(lp_account_id: str, *, domain_api: str, features: tuple[str, ...] = ()) -> LivePersonClient:
    """A client of LivePerson for an account that need not be on this site. domain_api: empty for LivePerson's own."""
    return LivePersonClient(
        http=liveperson_http(),
        domains=_domains(domain_api or settings.LIVEPERSON_DOMAIN_API),
        account_id=lp_account_id,
        features=features,
    )


def secrets_of(installation: AppInstallation) -> tuple[str, ...]:
    """The valid client secrets, newest first, revealed for use."""
    rows = installation.secrets.filter(retired_at=None).order_by("-created_at")
    return tuple(row.reveal().decode() for row in rows)


def channel_secrets_of(channel: Channel) -> tuple[Secret, ...]:
    """The valid secrets of a channel, newest first, revealed for use."""
    rows = channel.secrets.filter(retired_at=None).order_by("-created_at")
    return tuple(Secret(id=row.pk, value=row.reveal(), name=row.name) for row in rows)


def liveperson_policy() -> OutboundPolicy:
    """Which addresses may be called as LivePerson's: its own domains only."""
    return OutboundPolicy(
        host_suffixes=tuple(settings.LIVEPERSON_DOMAINS),
        allow_private=settings.ALLOW_PRIVATE_OUTBOUND,
        setting="LIVEPERSON_DOMAINS",
    )


def domain_api_trouble(url: str) -> str:
    """What is wrong with the address of a Domain API, as a sentence; nothing where it may be asked."""
    try:
        liveperson_policy().check_url(url)
    except NotSent as refusal:
        return f"This address cannot be used. {refusal.detail}"
    if urlsplit(url).path.strip("/") or "?" in url:
        return "Scheme and host only, such as https://api.liveperson.net."
    return ""


@cache
def liveperson_http() -> HttpClient:
    """The process's connections to LivePerson."""
    return HttpClient(liveperson_policy())


@cache
def channel_http() -> HttpClient:
    """The process's connections to channels: any public address."""
    return HttpClient(OutboundPolicy(host_suffixes=None, allow_private=settings.ALLOW_PRIVATE_OUTBOUND))


@cache
def _domains(base_url: str) -> DomainResolver:
    return DomainResolver(http=liveperson_http(), base_url=base_url)


def _load(channel_id: uuid.UUID) -> Connector:
    channel = Channel.objects.select_related("installation__account").get(pk=channel_id)
    return Connector(
        channel=channel,
        installation=channel.installation,
        client=client_for(channel.installation),
        adapter=get_adapter(channel.type),
        channel_secrets=channel_secrets_of(channel),
    )
