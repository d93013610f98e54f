"""
Who may send webhooks: installations and channels with their secrets, kept in the process for a few seconds.

A retired secret or a disabled source is refused within that time; an acknowledgement needs no query for it.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

from adapters.base import ChannelAdapter, Secret
from adapters.registry import get_adapter
from installations.connectors import channel_secrets_of
from installations.models import AppInstallation, Channel, State
from webhooks.patience import quick_transaction

KEPT_S = 3.0
_MAX_KEPT = 10_000


@dataclass(frozen=True, kw_only=True)
class InstallationSource:
    """secrets: (id, client secret), newest first. retention_days: of its brand."""

    id: uuid.UUID
    brand_id: uuid.UUID
    client_id: str
    lp_account_id: str
    signature_policy: str
    retention_days: int
    secrets: tuple[tuple[uuid.UUID, bytes], ...] = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class ChannelSource:
    """secrets: newest first."""

    id: uuid.UUID
    brand_id: uuid.UUID
    adapter: ChannelAdapter
    retention_days: int
    secrets: tuple[Secret, ...] = field(repr=False)


_kept: dict[tuple[str, uuid.UUID], tuple[float, InstallationSource | ChannelSource | None]] = {}


def installation_source(installation_id: uuid.UUID) -> InstallationSource | None:
    """An installation that may send webhooks; None for an unknown or disabled one."""
    found = _recall(installation_id, _load_installation)
    return found if isinstance(found, InstallationSource) else None


def channel_source(channel_id: uuid.UUID) -> ChannelSource | None:
    """A channel that may send webhooks; None for an unknown or disabled one."""
    found = _recall(channel_id, _load_channel)
    return found if isinstance(found, ChannelSource) else None


def forget_sources() -> None:
    """Read everything afresh."""
    _kept.clear()


def _recall(
    source_id: uuid.UUID, load: Callable[[uuid.UUID], InstallationSource | ChannelSource | None]
) -> InstallationSource | ChannelSource | None:
    # By kind as well: a stranger who asks for a channel under the installations' address must not hide the channel.
    key = (load.__name__, source_id)
    now_s = time.monotonic()
    known = _kept.get(key)
    if known and now_s - known[0] < KEPT_S:
        return known[1]
    with quick_transaction():
        source = load(source_id)
    if len(_kept) >= _MAX_KEPT:
        _kept.clear()  # a stranger tries ids
    _kept[key] = (now_s, source)
    return source


def _load_installation(installation_id: uuid.UUID) -> InstallationSource | None:
    row = (
        AppInstallation.objects.select_related("account", "brand")
        .filter(pk=installation_id)
        .exclude(state=State.DISABLED)
        .first()
    )
    if row is None:
        return None
    valid = row.secrets.filter(retired_at=None).order_by("-created_at")
    return InstallationSource(
        id=row.pk,
        brand_id=row.brand_id,
        client_id=row.client_id,
        lp_account_id=row.account.lp_account_id,
        signature_policy=row.signature_policy,
        retention_days=row.brand.retention_days,
        secrets=tuple((secret.pk, secret.reveal()) for secret in valid),
    )


def _load_channel(channel_id: uuid.UUID) -> ChannelSource | None:
    row = Channel.objects.select_related("brand").filter(pk=channel_id).exclude(state=State.DISABLED).first()
    if row is None:
        return None
    return ChannelSource(
        id=row.pk,
        brand_id=row.brand_id,
        adapter=get_adapter(row.type),
        retention_days=row.brand.retention_days,
        secrets=channel_secrets_of(row),
    )
