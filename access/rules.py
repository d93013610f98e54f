"""
The one rule of who may see and do what.

Everything that shows or changes rows asks here: querysets, admin pages, choices, actions and API lists alike. A row of
a brand that a person does not belong to does not exist for them.
"""

from __future__ import annotations

import enum
import uuid
from typing import Any, TypeVar

from django.contrib.auth.models import AnonymousUser
from django.db import models

from access.models import ApiKey, Membership, Role, User

ModelT = TypeVar("ModelT", bound=models.Model)
Person = User | AnonymousUser


class Verb(enum.Enum):
    """What somebody wants to do; each names the roles that may."""

    VIEW = frozenset({Role.OWNER, Role.OPERATOR, Role.AUDITOR})
    OPERATE = frozenset({Role.OWNER, Role.OPERATOR})
    OWN = frozenset({Role.OWNER})


class AllBrands:
    """Stands for every brand, those added later too."""


ALL_BRANDS = AllBrands()


def brands_of(person: Person, *, verb: Verb = Verb.VIEW) -> AllBrands | frozenset[uuid.UUID]:
    """The brands in which a person may do this; one who asks by a key, in those alone that the key opens as well."""
    if not isinstance(person, User) or not person.is_active:
        return frozenset()
    own = _own_brands_of(person, verb)
    return own if person.key is None else _opened_by(person.key, own, verb)


def _own_brands_of(person: User, verb: Verb) -> AllBrands | frozenset[uuid.UUID]:
    if person.is_superuser:
        return ALL_BRANDS
    roles = {role.value for role in verb.value}
    brand_ids = {m.brand_id for m in _memberships_of(person) if m.role in roles}
    return ALL_BRANDS if None in brand_ids else frozenset(b for b in brand_ids if b)


def brands_opened_by(key: ApiKey) -> AllBrands | frozenset[uuid.UUID]:
    """The brands that a key sees, by its owner's roles as they are now."""
    return _opened_by(key, _own_brands_of(key.owner, Verb.VIEW), Verb.VIEW)


def _opened_by(key: ApiKey, own: AllBrands | frozenset[uuid.UUID], verb: Verb) -> AllBrands | frozenset[uuid.UUID]:
    # What an owner alone may do is done by a person who is there.
    if verb is Verb.OWN or (verb is Verb.OPERATE and not key.may_operate):
        return frozenset()
    if not key.brand_ids:
        return own
    return key.brand_ids if isinstance(own, AllBrands) else own & key.brand_ids


def limit(queryset: models.QuerySet[ModelT], person: Person, *, verb: Verb = Verb.VIEW) -> models.QuerySet[ModelT]:
    """
    The rows of a queryset that belong to brands in which the person may do this.

    Raises TypeError for a model that does not say where its brand is: nothing is shown by omission.
    """
    path = brand_path_of(queryset.model)
    brands = brands_of(person, verb=verb)
    if isinstance(brands, AllBrands):
        return queryset
    return queryset.filter(**{f"{path}__in": brands})


def may(person: Person, verb: Verb, row: models.Model | None = None) -> bool:
    """Whether a person may do this to a row; without a row, whether in any brand at all."""
    brands = brands_of(person, verb=verb)
    if isinstance(brands, AllBrands):
        return True
    if row is None:
        return bool(brands)
    return brand_id_of(row) in brands


def brand_path_of(model: type[models.Model]) -> str:
    """The lookup that leads from a model to its brand. Raises TypeError where a model has none."""
    path: Any = getattr(model, "brand_path", None)
    if not isinstance(path, str):
        raise TypeError(f"{model.__name__} does not say which brand its rows belong to (brand_path).")
    return path


def brand_id_of(row: models.Model) -> uuid.UUID | None:
    """The id of the brand that a row belongs to; None for a row of the whole site."""
    path = brand_path_of(type(row))
    if path == "pk":
        return row.pk
    brand_id: uuid.UUID | None = getattr(row, f"{path}_id")
    return brand_id


def _memberships_of(person: User) -> list[Membership]:
    # Kept on the person object, which lives as long as one request: an admin page asks dozens of times.
    known: list[Membership] | None = getattr(person, "_known_memberships", None)
    if known is None:
        known = list(Membership.objects.filter(user=person))
        person._known_memberships = known  # type: ignore[attr-defined]
    return known
