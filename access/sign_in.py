"""
Signing in: throttled by name and address together, and by address; never by name alone.

Whoever tries the passwords of somebody else from elsewhere shuts themselves out, and not that person. Nothing here
depends on whether a name exists: known and unknown names are counted, refused and told alike.
"""

from __future__ import annotations

import enum
import ipaddress
import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import reduce
from operator import and_, or_
from typing import Any

from axes.handlers.base import AxesHandler
from axes.models import AccessAttempt
from django.conf import settings
from django.db import connection
from django.db.models import Q
from django.dispatch import Signal
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.crypto import salted_hmac

from access.models import User
from access.people import address_of

COOL_OFF = timedelta(minutes=15)
# Of one name from one address. Those whose passwords are being hashed at this moment come on top: a thread each.
PER_NAME = 5
# Of all names from one address: a whole office may stand behind it.
PER_ADDRESS = 50
# One household, or one machine that is rented, has as many addresses as it likes below this.
_IPV6_NETWORK = 64
# Over a Unix socket that no proxy of ours fills in there is no address: all such callers count as one.
_NOWHERE = "0.0.0.0"  # noqa: S104


class Outcome(enum.Enum):
    """What became of an attempt to sign in that did not succeed."""

    WRONG = enum.auto()  # name and password do not fit
    LAST = enum.auto()  # the same, and no other attempt is looked at for a while
    REFUSED = enum.auto()  # not looked at


# Sent for each attempt that did not succeed: username, request, outcome.
failed = Signal()


@dataclass(frozen=True, kw_only=True)
class Asker:
    """By what attempts are counted. name: a digest; people type their password into the wrong field."""

    name: str
    network: str

    @classmethod
    def of(cls, *, username: str, request: HttpRequest) -> Asker:
        return cls(name=_digest(username), network=network_of(request))


class SignInThrottle(AxesHandler):
    """What django-axes asks before a password is looked at, and tells of what came of it."""

    def is_locked(self, request: HttpRequest, credentials: dict[str, Any] | None = None) -> bool:
        until = locked_until(Asker.of(username=_username(credentials), request=request), now=timezone.now())
        request.sign_in_again_at = until  # type: ignore[attr-defined]
        return until is not None

    def user_login_failed(
        self, sender: Any, credentials: dict[str, Any], request: HttpRequest | None = None, **kwargs: Any
    ) -> None:
        if request is None:
            return  # no sign-in of a person: those come by a request
        outcome = Outcome.REFUSED
        # What is refused does not put off the end of the waiting, or a loop would keep everybody there out for ever.
        if not request.axes_locked_out:  # type: ignore[attr-defined]
            count(Asker.of(username=_username(credentials), request=request), now=timezone.now())
            outcome = Outcome.LAST if self.is_locked(request, credentials) else Outcome.WRONG
            request.axes_locked_out = outcome is Outcome.LAST  # type: ignore[attr-defined]
        failed.send(sender=type(self), username=_username(credentials), request=request, outcome=outcome)

    def user_logged_in(self, sender: Any, request: HttpRequest, user: User, **kwargs: Any) -> None:
        """Forgets what this person failed at from here. The bound of the address stays: a thief may have an account."""
        asker = Asker.of(username=user.get_username(), request=request)
        AccessAttempt.objects.filter(username=asker.name, ip_address=asker.network).delete()

    def reset_attempts(
        self, *, ip_address: str | None = None, username: str | None = None, ip_or_username: bool = False
    ) -> int:
        """What `manage.py axes_reset` and its kin ask for: by address, by name, or all."""
        wanted = {"ip_address": ip_address, "username": _digest(username) if username else None}
        given = [Q(**{name: value}) for name, value in wanted.items() if value]
        chosen = reduce(or_ if ip_or_username else and_, given, Q())
        return AccessAttempt.objects.filter(chosen).delete()[0]

    def post_delete_access_attempt(self, instance: AccessAttempt, **kwargs: Any) -> None:
        """Asked for by the library, which calls it for each row that goes."""


def locked_until(asker: Asker, *, now: datetime) -> datetime | None:
    """When somebody may try again; None: now."""
    # Each row is a failure at least, so that those beyond the bound cannot change the answer.
    recent = (
        AccessAttempt.objects.filter(ip_address=asker.network, attempt_time__gt=now - COOL_OFF)
        .order_by("-attempt_time")
        .values_list("username", "failures_since_start", "attempt_time")[:PER_ADDRESS]
    )
    ends, total = [], 0
    for name, failures, at in recent:
        is_over_before, total = total >= PER_ADDRESS, total + failures
        if (name == asker.name and failures >= PER_NAME) or (total >= PER_ADDRESS and not is_over_before):
            ends.append(at + COOL_OFF)
    return max(ends, default=None)


_COUNT = """
    INSERT INTO axes_accessattempt (username, ip_address, attempt_time, failures_since_start,
        user_agent, http_accept, path_info, get_data, post_data)
    VALUES (%(name)s, %(network)s, %(now)s, 1, '', '', '', '', '')
    ON CONFLICT (username, ip_address, user_agent) DO UPDATE SET
        failures_since_start = CASE
            WHEN axes_accessattempt.attempt_time <= %(long_ago)s THEN 1
            ELSE axes_accessattempt.failures_since_start + 1
        END,
        attempt_time = EXCLUDED.attempt_time
"""


def count(asker: Asker, *, now: datetime) -> None:
    """One failure more; in one statement, so that two at the same moment count as two."""
    values: dict[str, str | datetime] = {"name": asker.name, "network": asker.network}
    values |= {"now": now, "long_ago": now - COOL_OFF}
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, values)


def network_of(request: HttpRequest) -> str:
    """What counts as one address: of IPv6 the network, whose lower half everybody chooses for themselves."""
    given = address_of(request)
    if given is None:
        return _NOWHERE
    address = ipaddress.ip_address(given)
    if isinstance(address, ipaddress.IPv4Address):
        return given
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, _IPV6_NETWORK), strict=False).network_address)


def wait(request: HttpRequest) -> timedelta | None:
    """How long this request was told to wait with the next attempt; None: it was not."""
    until: datetime | None = getattr(request, "sign_in_again_at", None)
    return None if until is None else max(until - timezone.now(), timedelta(seconds=1))


def sentence(left: timedelta) -> str:
    """What somebody is told who may not try at the moment."""
    minutes = math.ceil(left.total_seconds() / 60)
    return f"Too many attempts failed from where you are. Try again in {minutes} minute{'s' * (minutes != 1)}."


def answer_locked(request: HttpRequest, response: HttpResponse, credentials: Any = None) -> HttpResponse:
    """The page of the form as it is, with the status that programs understand."""
    response.status_code = settings.AXES_HTTP_RESPONSE_CODE
    response["Retry-After"] = str(math.ceil((wait(request) or COOL_OFF).total_seconds()))
    return response


def forget_attempts(*, now: datetime, at_most: int) -> int:
    """Remove what no longer counts; returns how many."""
    old = AccessAttempt.objects.filter(attempt_time__lte=now - COOL_OFF).order_by("pk")[:at_most]
    return AccessAttempt.objects.filter(pk__in=list(old.values_list("pk", flat=True))).delete()[0]


def _digest(username: str) -> str:
    return salted_hmac("access.sign_in", username).hexdigest()


def _username(credentials: dict[str, Any] | None) -> str:
    return str((credentials or {}).get("username") or "")
