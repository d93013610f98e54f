"""Who asks: programs with keys of readers of all brands, of one of each kind, and of two."""

from __future__ import annotations

from typing import Any

READERS: dict[str, tuple[str, ...]] = {
    "all brands": (),
    "big brand": ("big",),
    "small brand": ("small",),
    "two brands": ("middle", "small"),
    "gone brand": ("gone",),
}


def clients() -> dict[str, Any]:
    """A client with a fresh key for each reader."""
    from django.test import Client

    from access.models import User
    from connector_site import api_keys
    from core.actor import COMMAND

    found = {}
    for name, slugs in READERS.items():
        owner = _owner(name.replace(" ", "-"), slugs)
        wanted = api_keys.Wanted(name=f"bench {name}", may_read_content=True)
        key = api_keys.create(owner=owner, days=1, actor=COMMAND, wanted=wanted).secret
        found[name] = Client(SERVER_NAME="127.0.0.1", headers={"Authorization": f"Bearer {key}"})
        found[name].owner = User.objects.get(pk=owner.pk)
    return found


def _owner(username: str, slugs: tuple[str, ...]) -> Any:
    from access.models import Brand, Membership, Role, User

    known = User.objects.filter(username=username).first()
    if known is not None:
        return known
    if not slugs:
        return User.objects.create_superuser(username=username)
    owner = User.objects.create_user(username=username)
    for slug in slugs:
        Membership.objects.create(user=owner, brand=Brand.objects.get(slug=slug), role=Role.AUDITOR)
    return owner
