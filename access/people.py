"""Who asks: the person or the program behind a request, as an actor of the trail."""

from __future__ import annotations

import ipaddress

from django.http import HttpRequest

from access.models import User
from core.actor import Actor


def actor_of(user: User, request: HttpRequest | None) -> Actor:
    """A signed-in person, or their program with its key, as an actor, with the address that they came from."""
    if user.key is not None:
        name = f"{user.get_username()} (key {user.key.name})"
        return Actor(kind="KEY", id=str(user.key.pk), name=name, address=address_of(request))
    return Actor(kind="PERSON", id=str(user.pk), name=user.get_username(), address=address_of(request))


def address_of(request: HttpRequest | None) -> str | None:
    """The caller's address; None where there is none, as over a Unix socket. Proxies have been seen through already."""
    given = request.META.get("REMOTE_ADDR", "") if request is not None else ""
    try:
        # The name of an interface (fe80::1%eth0) says something on this machine alone, and no column takes it.
        return str(ipaddress.ip_address(given.partition("%")[0]))
    except ValueError:
        return None
