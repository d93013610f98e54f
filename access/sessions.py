"""How long somebody stays signed in: for a while without doing anything, and for a working day at the most."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.models import AnonymousUser
from django.contrib.auth.signals import user_logged_in
from django.contrib.sessions.models import Session
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

_SIGNED_IN_AT, _SEEN_AT = "signed_in_at", "seen_at"
# What is written down of somebody who clicks along: not each click.
_NOTED_EVERY_S = 60
_SIGN_IN = "/admin/login/"
_LOST = "What you had entered was not stored."


class SessionLimits:
    """Ends sessions of the admin that are too old or were left alone. Stands behind those that find the person."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._next = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Nothing but the admin has sessions: other requests are not looked at."""
        is_known = request.path_info.startswith("/admin/") and settings.SESSION_COOKIE_NAME in request.COOKIES
        if is_known and request.user.is_authenticated:
            now = timezone.now().timestamp()
            if ended := _why_ended(request, now):
                end(request)
                messages.warning(request, f"{ended} {_LOST}" if request.method == "POST" else ended)
            elif _is_done_by_a_person(request) and now - request.session[_SEEN_AT] >= _NOTED_EVERY_S:
                request.session[_SEEN_AT] = now
        elif is_known and request.method == "POST" and not request.path_info.startswith(_SIGN_IN):
            messages.warning(request, f"You are not signed in any more. {_LOST}")
        return self._next(request)


@receiver(user_logged_in)
def note_sign_in(*, request: HttpRequest, **_: Any) -> None:
    """From when on both are counted."""
    request.session[_SIGNED_IN_AT] = request.session[_SEEN_AT] = timezone.now().timestamp()


def end(request: HttpRequest) -> None:
    """Forget the session of this request, and who made it."""
    request.session.flush()
    request.user = AnonymousUser()


def forget_ended(*, now: datetime, at_most: int) -> int:
    """Remove sessions whose time is over; returns how many."""
    over = Session.objects.filter(expire_date__lt=now).order_by("expire_date")[:at_most]
    return Session.objects.filter(pk__in=list(over.values_list("pk", flat=True))).delete()[0]


def _why_ended(request: HttpRequest, now: float) -> str:
    signed_in_at, seen_at = request.session.get(_SIGNED_IN_AT), request.session.get(_SEEN_AT)
    if signed_in_at is None or seen_at is None or now - signed_in_at >= settings.SESSION_COOKIE_AGE:
        return "You have been signed in for long enough: sign in again to go on."
    if now - seen_at >= settings.SESSION_IDLE_S:
        return "You were signed out because nothing was done for a while. Sign in again to go on."
    return ""


def _is_done_by_a_person(request: HttpRequest) -> bool:
    """Not what a page asks by itself: one that follows a conversation would keep its reader signed in for ever."""
    return request.method not in ("GET", "HEAD") or request.headers.get("Sec-Fetch-Mode", "navigate") == "navigate"
