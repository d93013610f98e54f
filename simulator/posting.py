"""One POST of one notification: headers, signature, timeouts, and what counts as delivered."""

import base64
import hashlib
import hmac
import ipaddress
import ssl
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from .faults import Rule
from .models import Account, Install, now_ms
from .wire import GARBAGE, dribble

CONNECT_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 5.0
SUCCESS = (200, 201)
# Shorter than any server keeps an idle connection: a stale one would look like an outage of the endpoint.
_KEEP_ALIVE_S = 1.0
_ANSWER_READ = 64 * 1024


def sign(*, secret: str, raw: bytes, alg: str, enc: str) -> str:
    """Source: developers.liveperson.com/connector-api-webhooks-notification-protocol.html"""
    digest = hmac.new(secret.encode(), raw, {"sha1": hashlib.sha1, "sha256": hashlib.sha256}[alg]).digest()
    return f"{alg}=" + (base64.b64encode(digest).decode() if enc == "base64" else digest.hex())


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def new_session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEP_ALIVE_S),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S, sock_read=READ_TIMEOUT_S),
        headers={"User-Agent": "LivePerson-Webhooks-Simulator"},
        auto_decompress=False,
    )


@dataclass(slots=True)
class Try:
    """One attempt and its end."""

    at: int
    status: int | None
    milliseconds: float
    error: str | None = None
    fault: str | None = None

    @property
    def succeeded(self) -> bool:
        return self.status in SUCCESS and self.error is None

    def row(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


async def _in_chunks(body: bytes) -> AsyncIterator[bytes]:
    middle = len(body) // 2
    yield body[:middle]
    yield body[middle:]


def _headers(account: Account, install: Install, endpoint: dict[str, Any], body: bytes) -> dict[str, str]:
    signature = account.switches["signature"]
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "x-liveperson-account-id": account.id,
        "x-liveperson-client-id": install.client_id,
        "x-liveperson-signature": sign(secret=install.client_secret, raw=body, **signature),
    }
    for one in endpoint.get("headers", []):
        headers[one["header_name"]] = one["header_value"]
    return headers


async def post(
    session: aiohttp.ClientSession, *, account: Account, install: Install, endpoint: dict[str, Any], body: bytes,
    rule: Rule | None,
) -> Try:  # fmt: skip
    """Send once and report; never raises for what the other side does."""
    kind = rule.do if rule else None
    if rule and kind == "status":
        return Try(at=now_ms(), status=rule.status, milliseconds=0, fault=kind)
    if kind == "garbage":
        body = GARBAGE
    headers = _headers(account, install, endpoint, body)
    data: Any = body
    if rule and kind == "slow_body":
        data = dribble(body, seconds=rule.seconds if rule.seconds is not None else 5.0)
    elif "chunked" in account.switches["quirks"]:
        data = _in_chunks(body)
    url = endpoint["endpoint"]
    check: ssl.SSLContext | bool = not is_loopback(urlsplit(url).hostname or "")
    at, started = now_ms(), time.perf_counter()
    status, error = None, None
    try:
        async with session.post(url, data=data, headers=headers, allow_redirects=False, ssl=check) as answer:
            status = answer.status
            await answer.content.read(_ANSWER_READ)
    except TimeoutError:
        error = "no answer in time"
    except (aiohttp.ClientError, OSError, ValueError, TypeError) as problem:
        error = type(problem).__name__
    elapsed = round((time.perf_counter() - started) * 1000, 2)
    if kind == "lose_answer" and error is None:
        error = "the answer was lost on purpose"
    return Try(at=at, status=status, milliseconds=elapsed, error=error, fault=kind)
