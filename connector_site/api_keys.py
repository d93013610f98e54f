"""Making, finding and revoking API keys. A key belongs to a person and sees what that person sees, or less."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from knox.crypto import hash_token
from knox.models import AuthToken
from knox.settings import CONSTANTS

from access.models import ApiKey, Brand, User
from access.resources import RESOURCES
from access.rest.authentication import KEY_LIFE_MAX
from access.rules import AllBrands, Verb, brands_of, brands_opened_by
from audit import api as audit
from core.actor import Actor
from core.errors import ConfigurationError

PREFIX = str(settings.REST_KNOX["TOKEN_PREFIX"])
USUAL_NAME = "key"
PREFIX_LENGTH: int = CONSTANTS.TOKEN_KEY_LENGTH
_LONGEST_NAME: int = ApiKey._meta.get_field("name").max_length or 0
_LEAST_OWN_CHARS = 4  # of the random part, in what names a key


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """
    What a key shall open.

    brands: none means all that its owner sees. resources: by their names in the API; none means all.
    """

    name: str = USUAL_NAME
    brands: Collection[Brand] = ()
    resources: Collection[str] = ()
    may_read_content: bool = False
    may_operate: bool = False


@dataclass(frozen=True, kw_only=True)
class NewKey:
    """secret: the key itself, shown once; what is stored is a digest."""

    row: ApiKey
    secret: str = field(repr=False)


@transaction.atomic
def create(*, owner: User, days: int, actor: Actor, wanted: Wanted | None = None) -> NewKey:
    """
    Make a key.

    Raises ConfigurationError for a life that is too long, for an owner who may not sign in, and for what the key would
    not open anyway: brands that its owner does not see, resources that there are not, acts that its owner may not do.
    """
    wanted = wanted or Wanted()
    if not 1 <= days <= KEY_LIFE_MAX.days:
        raise ConfigurationError(f"A key lives from 1 to {KEY_LIFE_MAX.days} days. Make a new one before it ends.")
    if not owner.is_active:
        raise ConfigurationError(f"{owner.get_username()} may not sign in, so a key of theirs would open nothing.")
    check(wanted, owner)
    token, secret = AuthToken.objects.create(user=owner, expiry=timedelta(days=days))
    key = ApiKey.objects.create(
        owner=owner,
        token=token,
        name=wanted.name.strip(),
        prefix=token.token_key,
        resources=sorted(set(wanted.resources)),
        may_read_content=wanted.may_read_content,
        may_operate=wanted.may_operate,
        expires_at=token.expiry,
    )
    key.brands.set(wanted.brands)
    audit.record("api_key.created", actor=actor, subject=key, brand_id=_trail_of(key), data=_facts_of(key))
    return NewKey(row=key, secret=secret)


@transaction.atomic
def revoke(key: ApiKey, *, actor: Actor, reason: str = "") -> None:
    """
    End a key: its digest goes, its row stays. Every request after this one is refused.

    Raises ConfigurationError when it was revoked before.
    """
    fresh = ApiKey.objects.select_for_update(of=("self",)).select_related("owner", "token").get(pk=key.pk)
    if fresh.revoked_at is not None:
        raise ConfigurationError("This key was revoked before.")
    token, fresh.token, fresh.revoked_at = fresh.token, None, timezone.now()
    fresh.save(update_fields=["token", "revoked_at"])
    if token is not None:
        token.delete()
    audit.record(
        "api_key.revoked", actor=actor, subject=fresh, brand_id=_trail_of(fresh), data=_facts_of(fresh), reason=reason
    )


def find(beginning: str) -> ApiKey:
    """
    The one key that begins like this and was not revoked; the whole of a key is taken as well.

    Raises ConfigurationError where none or several begin like this.
    """
    if not beginning.startswith(PREFIX) or len(beginning) < len(PREFIX) + _LEAST_OWN_CHARS:
        raise ConfigurationError(
            f"A key is named by its beginning: {PREFIX} and at least {_LEAST_OWN_CHARS} characters after it."
        )
    keys = ApiKey.objects.filter(revoked_at=None).select_related("owner")
    found = list(keys.filter(token_id=hash_token(beginning))) or list(
        keys.filter(prefix__startswith=beginning[:PREFIX_LENGTH])[:2]
    )
    if len(found) != 1:
        raise ConfigurationError(
            "Several keys begin like this. Give more of the key."
            if found
            else "No key begins like this, or it has been revoked already."
        )
    return found[0]


def check(wanted: Wanted, owner: User) -> None:
    """Raises ConfigurationError for what a key of this person cannot be made for."""
    name = wanted.name.strip()
    if not 1 <= len(name) <= _LONGEST_NAME or not name.isprintable():
        raise ConfigurationError(f"Give the key a name of 1 to {_LONGEST_NAME} characters that says what it is for.")
    if unknown := sorted(set(wanted.resources) - set(RESOURCES)):
        raise ConfigurationError(f"There is no resource {unknown[0]!r}. There are: {', '.join(RESOURCES)}.")
    _check_brands(wanted, owner, Verb.VIEW, "see")
    if wanted.may_operate:
        _check_brands(wanted, owner, Verb.OPERATE, "operate")
        if brands_of(owner, verb=Verb.OPERATE) == frozenset():
            raise ConfigurationError(f"{owner.get_username()} may not operate any brand, so no key of theirs may.")


def _check_brands(wanted: Wanted, owner: User, verb: Verb, word: str) -> None:
    allowed = brands_of(owner, verb=verb)
    for brand in wanted.brands:
        if not isinstance(allowed, AllBrands) and brand.pk not in allowed:
            raise ConfigurationError(
                f"{owner.get_username()} may not {word} {brand.slug}, so a key of theirs may not either. "
                "Give them a role there first, in the admin."
            )


def _trail_of(key: ApiKey) -> uuid.UUID | None:
    """The brand in whose trail a key stands: the one that it is limited to, or that its owner sees; else none."""
    reach = key.brand_ids or brands_opened_by(key)
    if isinstance(reach, AllBrands) or len(reach) != 1:
        return None
    (brand_id,) = reach
    return brand_id


def _facts_of(key: ApiKey) -> dict[str, object]:
    return {
        "owner": key.owner.get_username(),
        "prefix": key.prefix,
        "brands": sorted(key.brands.values_list("slug", flat=True)),
        "resources": key.resources,
        "content": key.may_read_content,
        "operate": key.may_operate,
        "expires_at": key.expires_at.isoformat(),
    }
