import ipaddress
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory

from connector_site.middleware import TrustedProxy

PROXIES = [ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("::1")]


def through(settings: Any, *, remote: str, **headers: str) -> HttpRequest:
    settings.TRUSTED_PROXIES = PROXIES
    seen: list[HttpRequest] = []

    def view(request: HttpRequest) -> HttpResponse:
        seen.append(request)
        return HttpResponse()

    TrustedProxy(view)(RequestFactory().get("/", REMOTE_ADDR=remote, headers=headers))
    return seen[0]


@pytest.mark.parametrize(
    ("remote", "forwarded_for", "caller"),
    [
        ("203.0.113.9", "198.51.100.1", "203.0.113.9"),  # a stranger who claims to be somebody else
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "192.0.2.66, 198.51.100.1", "198.51.100.1"),  # the left part could be invented
        ("10.0.0.1", "198.51.100.1, 10.0.0.2", "198.51.100.1"),  # two proxies of ours
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("10.0.0.1", "<script>, 10.0.0.2", "10.0.0.2"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "rubbish", "10.0.0.1"),
        ("::1", "2001:db8::7", "2001:db8::7"),
        ("", "198.51.100.1", "198.51.100.1"),  # a Unix socket: only a proxy on this machine can reach it
    ],
)
def test_the_caller_is_the_last_one_that_a_proxy_of_ours_vouches_for(
    settings: Any, remote: str, forwarded_for: str, caller: str
) -> None:
    request = through(settings, remote=remote, **{"X-Forwarded-For": forwarded_for})
    assert request.META["REMOTE_ADDR"] == caller
    assert "HTTP_X_FORWARDED_FOR" not in request.META


@pytest.mark.parametrize(
    ("remote", "proto", "is_secure"),
    [
        ("10.0.0.1", "https", True),
        ("10.0.0.1", "http", False),
        ("10.0.0.1", "https, http", False),  # the nearest proxy wrote the last word
        ("10.0.0.1", "", False),
        ("203.0.113.9", "https", False),
    ],
)
def test_only_a_proxy_of_ours_may_say_that_the_outer_connection_was_tls(
    settings: Any, remote: str, proto: str, is_secure: bool
) -> None:
    assert through(settings, remote=remote, **{"X-Forwarded-Proto": proto}).is_secure() is is_secure
