"""
What people add to connectors and change about them. Each function is one transaction with its record in the trail.

Rows come checked from a form; who may do it was asked before.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from django.db import models, transaction
from django.db.models import Q

from access import newest
from adapters.registry import get_adapter
from audit import api as audit
from core.actor import Actor
from core.changes import changes_between, facts_of, fingerprint
from core.errors import ConfigurationError
from installations import services
from installations.connectors import forget_connectors
from installations.models import Account, AppInstallation, Channel, ChannelSecret
from installations.onboarding import free_prefix
from installations.signals import sending_resumed

_ACCOUNT_FACTS = ("lp_account_id", "name", "domain_api")
_INSTALLATION_FACTS = (
    "account", "client_id", "name", "signature_policy", "unknown_policy", "features", "campaign_id", "engagement_id",
    "skill_id",
)  # fmt: skip
_CHANNEL_FACTS = ("account", "installation", "type", "name", "prefix", "shares_prefix", "config")
_CHANGED: dict[type[models.Model], str] = {
    Account: "account.changed",
    AppInstallation: "installation.changed",
    Channel: "channel.changed",
}


@transaction.atomic
def add_account(account: Account, *, actor: Actor) -> None:
    """Add a LivePerson account to a brand."""
    account.save(force_insert=True)
    audit.record("account.created", actor=actor, subject=account, data=facts_of(account, _ACCOUNT_FACTS))


@transaction.atomic
def add_installation(installation: AppInstallation, *, client_secret: str, actor: Actor) -> None:
    """Add an app installation with its first client secret."""
    installation.brand_id = installation.account.brand_id
    installation.save(force_insert=True)
    data = facts_of(installation, _INSTALLATION_FACTS)
    audit.record("installation.created", actor=actor, subject=installation, data=data)
    services.add_client_secret(installation, secret=client_secret, actor=actor)


@transaction.atomic
def add_channel(channel: Channel, *, secrets: Mapping[str, str], actor: Actor) -> dict[str, str]:
    """
    Add a channel to its app installation, with its secrets by name.

    An empty secret is made here where the adapter makes them; what was made is returned, to be shown this once.
    """
    adapter = get_adapter(channel.type)
    channel.account = channel.installation.account
    channel.brand_id = channel.account.brand_id
    channel.prefix = channel.prefix or free_prefix(channel.account, channel.type, channel.name)
    channel.save(force_insert=True)
    audit.record("channel.created", actor=actor, subject=channel, data=facts_of(channel, _CHANNEL_FACTS))
    made = {name: adapter.new_secret() for name, given in secrets.items() if not given}
    for name, secret in {**secrets, **made}.items():
        if secret:
            services.add_channel_secret(channel, secret=secret, actor=actor, name=name)
    return {name: secret for name, secret in made.items() if secret}


def version_of(row: Account | AppInstallation | Channel) -> str:
    """Names what of a row people change, as it is now: another name after each change."""
    facts = {Account: _ACCOUNT_FACTS, AppInstallation: _INSTALLATION_FACTS, Channel: _CHANNEL_FACTS}[type(row)]
    return fingerprint(row, facts)


@transaction.atomic
def change(row: Account | AppInstallation | Channel, *, fields: Collection[str], actor: Actor, seen: str = "") -> None:
    """
    Store those fields of a row, as they stand on the row that is given.

    seen: the version that the change was made from; where it is given, the row must still have it.

    Raises ConfigurationError for a channel's prefix and an id of LivePerson's that are in use, and where somebody has
    changed the row since.
    """
    before = type(row).objects.select_for_update().get(pk=row.pk)
    if seen and version_of(before) != seen:
        raise ConfigurationError("Somebody has changed this just now. Look at it, then change it again.")
    changes = changes_between(before, row, fields)
    if not changes:
        return
    if isinstance(row, Channel) and "prefix" in changes and has_been_used(row):
        raise ConfigurationError("The prefix begins the ids of consumers that LivePerson knows already: it stays.")
    if not isinstance(before, Channel) and {"lp_account_id", "client_id"} & set(changes) and not is_untried(before):
        raise ConfigurationError("LivePerson has accepted its id, or a channel is there: the id stays.")
    stored = list(changes)
    if isinstance(row, Channel) and isinstance(before, Channel) and "installation" in changes:
        stored += row.moved_from(before.installation)
    row.save(update_fields=stored)
    audit.record(_CHANGED[type(row)], actor=actor, subject=row, data=changes)
    forget_connectors()
    if isinstance(row, Channel) and "installation" in changes:
        # What waits for the paused app installation that it had can go out through this one.
        sending_resumed.send(sender=Channel, installation_id=row.installation_id)
    if isinstance(row, AppInstallation) and "unknown_policy" in changes:
        # What the old policy held is decided by the new one.
        sending_resumed.send(sender=AppInstallation, installation_id=row.pk)


def is_untried(row: Account | AppInstallation) -> bool:
    """Whether nothing can have gone through it yet, so that an id of LivePerson's that was mistyped may be mended."""
    its_own = Q(account=row) if isinstance(row, Account) else Q(pk=row.pk)
    under_it = Q(account=row) if isinstance(row, Account) else Q(installation=row)
    was_accepted = AppInstallation.objects.filter(its_own, test_passed=True).exists()
    return not was_accepted and not Channel.objects.filter(under_it).exists()


def has_been_used(channel: Channel) -> bool:
    """Whether anything but its own secrets points to a channel: consumers, messages, deliveries."""
    return any(_points_to(relation, channel) for relation in Channel._meta.get_fields(include_hidden=True))


def _points_to(relation: Any, channel: Channel) -> bool:
    if not relation.auto_created or not relation.one_to_many or relation.related_model is ChannelSecret:
        return False
    rows = newest.along(relation.related_model._base_manager.all(), relation.field.attname, channel.pk)
    return bool(rows.values_list("pk")[:1])
