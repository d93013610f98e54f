"""What is done to brands, people and roles. Each function is one transaction with its record in the trail."""

from __future__ import annotations

from collections.abc import Collection

from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from access import acts
from access.models import Brand, Membership, User
from core.actor import Actor
from core.changes import changes_between, facts_of, fingerprint
from core.errors import ConfigurationError

_BRAND_FACTS = ("slug", "name", "retention_days")
_PERSON_FACTS = ("username", "first_name", "last_name", "email", "is_active", "is_superuser")
_ROLE_FACTS = ("role",)


def version_of(row: Brand | User | Membership) -> str:
    """Names what of a row people change, as it is now: another name after each change."""
    return fingerprint(row, {Brand: _BRAND_FACTS, User: _PERSON_FACTS, Membership: _ROLE_FACTS}[type(row)])


def _check_unchanged(stored: Brand | User | Membership, seen: str) -> None:
    """seen: the version that a change was made from; empty where nobody had looked."""
    if seen and version_of(stored) != seen:
        raise ConfigurationError("Somebody has changed this just now. Look at it, then change it again.")


@transaction.atomic
def add_brand(brand: Brand, *, actor: Actor) -> None:
    """Add a tenant."""
    brand.save(force_insert=True)
    acts.tell("brand.created", actor=actor, subject=brand, data=facts_of(brand, _BRAND_FACTS))


@transaction.atomic
def change_brand(brand: Brand, *, fields: Collection[str], actor: Actor, seen: str = "") -> None:
    """
    Store those fields of a brand, as they stand on the row that is given.

    Raises ConfigurationError where somebody has changed it since it was `seen`.
    """
    before = Brand.objects.select_for_update().get(pk=brand.pk)
    _check_unchanged(before, seen)
    if changes := changes_between(before, brand, fields):
        brand.save(update_fields=list(changes))
        acts.tell("brand.changed", actor=actor, subject=brand, data=changes)


@transaction.atomic
def hold_brand(brand: Brand, *, actor: Actor, reason: str) -> None:
    """Put a legal hold on a brand: nothing of it is removed any more. Raises ConfigurationError when one stands."""
    fresh = Brand.objects.select_for_update().get(pk=brand.pk)
    if fresh.is_held:
        raise ConfigurationError("A legal hold stands on this brand already.")
    fresh.held_at, fresh.held_by, fresh.hold_reason = timezone.now(), actor.name[:150], reason[:500]
    fresh.save(update_fields=["held_at", "held_by", "hold_reason"])
    acts.tell("brand.hold_set", actor=actor, subject=fresh, reason=reason)


@transaction.atomic
def lift_hold_of_brand(brand: Brand, *, actor: Actor, reason: str) -> None:
    """Lift the hold: what is past its day is removed after it. Raises ConfigurationError when none stands."""
    fresh = Brand.objects.select_for_update().get(pk=brand.pk)
    if not fresh.is_held:
        raise ConfigurationError("No legal hold stands on this brand.")
    data = {"held_since": str(fresh.held_at), "held_by": fresh.held_by}
    fresh.held_at, fresh.held_by, fresh.hold_reason = None, "", ""
    fresh.save(update_fields=["held_at", "held_by", "hold_reason"])
    acts.tell("brand.hold_lifted", actor=actor, subject=fresh, data=data, reason=reason)


@transaction.atomic
def add_person(user: User, *, actor: Actor) -> None:
    """Add somebody who may sign in; what they may see follows from the roles they are given."""
    user.save(force_insert=True)
    acts.tell("user.created", actor=actor, subject=user, data=facts_of(user, _PERSON_FACTS))


@transaction.atomic
def change_person(user: User, *, fields: Collection[str], actor: Actor, seen: str = "") -> None:
    """
    Store those fields of a person.

    Raises ConfigurationError when nobody would be left to run the site, and where somebody has changed the person
    since they were `seen`.
    """
    # Those who run the site are locked too, all in one order: of the last two who go at once, the second has to see it.
    concerned = User.objects.filter(Q(pk=user.pk) | Q(is_superuser=True, is_active=True)).order_by("pk")
    before = {person.pk: person for person in concerned.select_for_update()}[user.pk]
    _check_unchanged(before, seen)
    if changes := changes_between(before, user, fields):
        if before.is_superuser and before.is_active and not (user.is_superuser and user.is_active):
            ensure_somebody_runs_the_site(without=user)
        user.save(update_fields=list(changes))
        acts.tell("user.changed", actor=actor, subject=user, data=changes)


def ensure_somebody_runs_the_site(*, without: User) -> None:
    """Raises ConfigurationError when this person is the last who runs the site."""
    if not User.objects.filter(is_superuser=True, is_active=True).exclude(pk=without.pk).exists():
        raise ConfigurationError("This is the last person who runs the site. Let somebody else run it first.")


@transaction.atomic
def record_new_password(user: User, *, actor: Actor) -> None:
    """Note that a password was set; the password itself is stored by whoever checked it, in the same transaction."""
    acts.tell("user.changed", actor=actor, subject=user, data={"changed": ["password"]})


@transaction.atomic
def end_sessions(user: User, *, actor: Actor) -> None:
    """Sign a person out everywhere, from the next request on. Their API keys go on."""
    User.objects.filter(pk=user.pk).update(sessions_round=F("sessions_round") + 1)
    acts.tell("user.sessions_ended", actor=actor, subject=user)


@transaction.atomic
def give_role(membership: Membership, *, actor: Actor) -> None:
    """Make somebody a member of a brand, or of all brands."""
    membership.save(force_insert=True)
    acts.tell("membership.created", actor=actor, subject=membership, data=_facts_of_membership(membership))


@transaction.atomic
def change_role(membership: Membership, *, actor: Actor, seen: str = "") -> None:
    """Give a member another role. Raises ConfigurationError where it is gone, or another one than was `seen`."""
    before = Membership.objects.select_for_update().filter(pk=membership.pk).first()
    if before is None:
        raise ConfigurationError("This role has been taken away just now.")
    _check_unchanged(before, seen)
    if changes := changes_between(before, membership, ("role",)):
        membership.save(update_fields=["role"])
        data = {**changes, "user": membership.user.get_username()}
        acts.tell("membership.changed", actor=actor, subject=membership, data=data)


@transaction.atomic
def take_role_away(membership: Membership, *, actor: Actor) -> None:
    """End a membership; of two who do it at the same moment one does."""
    if not Membership.objects.select_for_update().filter(pk=membership.pk).exists():
        return
    acts.tell("membership.deleted", actor=actor, subject=membership, data=_facts_of_membership(membership))
    membership.delete()


def _facts_of_membership(membership: Membership) -> dict[str, str | None]:
    return {
        "user": membership.user.get_username(),
        "role": membership.role,
        "brand": str(membership.brand_id) if membership.brand_id else None,
    }
