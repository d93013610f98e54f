"""Making and revoking API keys. A key belongs to a person and sees what that person sees."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from knox.models import AuthToken
from knox.settings import CONSTANTS

from access.models import ApiKey, User
from access.rest.authentication import KEY_LIFE_MAX
from audit import api as audit
from core.actor import Actor
from core.errors import ConfigurationError

PREFIX = str(settings.REST_KNOX["TOKEN_PREFIX"])
_LEAST_OWN_CHARS = 4  # of the random part, in what names a key


@dataclass(frozen=True, kw_only=True)
class NewKey:
    """key: shown once; what is stored is a digest. prefix: the beginning, which names the key from now on."""

    key: str = field(repr=False)
    prefix: str
    expires_at: datetime


@transaction.atomic
def create(*, owner: User, days: int, actor: Actor) -> NewKey:
    """Make a key. Raises ConfigurationError for a life that is too long, or an owner who may not sign in."""
    if not 1 <= days <= KEY_LIFE_MAX.days:
        raise ConfigurationError(f"A key lives from 1 to {KEY_LIFE_MAX.days} days. Make a new one before it ends.")
    if not owner.is_active:
        raise ConfigurationError(f"{owner.get_username()} may not sign in, so a key of theirs would open nothing.")
    row, key = AuthToken.objects.create(user=owner, expiry=timedelta(days=days))
    ApiKey.objects.create(owner=owner, token=row, name="key", prefix=row.token_key, expires_at=row.expiry)
    audit.record(
        "api_key.created",
        actor=actor,
        subject=owner,
        data={"prefix": row.token_key, "expires_at": row.expiry.isoformat()},
    )
    return NewKey(key=key, prefix=row.token_key, expires_at=row.expiry)


@transaction.atomic
def revoke(*, prefix: str, actor: Actor) -> str:
    """
    Revoke the one key that begins like this; returns the name of its owner.

    Raises ConfigurationError where none or several begin like this.
    """
    if not prefix.startswith(PREFIX) or len(prefix) < len(PREFIX) + _LEAST_OWN_CHARS:
        raise ConfigurationError(
            f"A key is named by its beginning: {PREFIX} and at least {_LEAST_OWN_CHARS} characters after it."
        )
    found = list(
        AuthToken.objects.select_for_update(of=("self",)).filter(
            token_key__startswith=prefix[: CONSTANTS.TOKEN_KEY_LENGTH]
        )[:2]
    )
    if len(found) != 1:
        raise ConfigurationError(
            "Several keys begin like this. Give more of the key." if found else "No key begins like this."
        )
    (row,) = found
    audit.record("api_key.revoked", actor=actor, subject=row.user, data={"prefix": row.token_key})
    row.delete()
    return str(row.user.get_username())
