"""Who asks: the person behind a request, as an actor of the trail."""

from __future__ import annotations

import ipaddress

from django.http import HttpRequest

from access.models import User
from core.actor import Actor


def actor_of(user: User, request: HttpRequest | None) -> Actor:
    """A signed-in person as an actor, with the address that they came from."""
    return Actor(kind="PERSON", id=str(user.pk), name=user.get_username(), address=address_of(request))


def address_of(request: HttpRequest | None) -> str | None:
    """The caller's address; None where there is none, as over a Unix socket. Proxies have been seen through already."""
    given = request.META.get("REMOTE_ADDR", "") if request is not None else ""
    try:
        return str(ipaddress.ip_address(given))
    except ValueError:
        return None
