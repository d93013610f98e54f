"""
The two tokens that every request to LivePerson carries.

AppJWT: identity of the app installation, valid one hour, cached and renewed by AppTokens. ConsumerJWS: identity of one
consumer, never expires, to be kept by whoever keeps the consumer.

Source: developers.liveperson.com/connector-api-send-api-authorization-and-authentication.html
"""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from core.errors import BodyUnusable, ConnectorError, CredentialsRejected, NotSent, RequestRejected, TokenExpired
from core.http import HttpClient
from core.wire import read_json
from liveperson.domains import IDENTITY, TOKENS, DomainResolver
from liveperson.errors import error_from_response, json_or_none, login_error_from_response, preparing, unusable

RENEW_AHEAD = timedelta(minutes=5)
# How long one process has the renewal to itself: longer than the deadline of the call, so that two never overlap.
LEASE_S = 15.0
# LivePerson asks for 5 s between logins when something is wrong.
PAUSE_AFTER_FAILURE_S = 5.0

_LIFETIME, _LONGEST_LIFETIME = timedelta(minutes=60), timedelta(hours=24)
_UNKNOWN_LIFETIME = timedelta(minutes=30)
_CLOCKS_AGREE = timedelta(seconds=60)


@dataclass(frozen=True)
class AppJWT:
    """expires_at: by our own clock."""

    token: str = field(repr=False)
    expires_at: datetime

    def needs_renewal(self, now: datetime) -> bool:
        return now >= self.expires_at - RENEW_AHEAD

    def is_expired(self, now: datetime) -> bool:
        return now >= self.expires_at


@dataclass(frozen=True)
class ConsumerJWS:
    """lp_consumer_id: LivePerson's own id of the consumer, as notifications name it; empty when the token lacks it."""

    token: str = field(repr=False)
    lp_consumer_id: str


@dataclass(frozen=True)
class Tokens:
    """What every request of the Send API carries: who the app is, and for whom it speaks."""

    app_jwt: str = field(repr=False)
    consumer_jws: str = field(repr=False)

    @property
    def secrets(self) -> tuple[str, ...]:
        return (self.app_jwt, self.consumer_jws)


def fetch_app_jwt(
    *,
    http: HttpClient,
    domains: DomainResolver,
    account_id: str,
    client_id: str,
    client_secret: str,
    now: datetime | None = None,
) -> AppJWT:
    """
    Log in as the app installation. The secret travels in the body, so that no access log holds it.

    Raises CredentialsRejected when LivePerson refuses the id or the secret, else NotSent or RateLimited.
    """
    with preparing("the request for an AppJWT"):
        answer = http.request(
            "POST",
            f"{domains.base_url(account_id=account_id, service=TOKENS)}/sentinel/api/account/{account_id}/app/token",
            params={"v": "1.0", "grant_type": "client_credentials"},
            form={"client_id": client_id, "client_secret": client_secret},
            headers={"Accept": "application/json"},
        )
        if not 200 <= answer.status < 300:
            raise login_error_from_response(answer, hide=(client_secret,))
        payload = json_or_none(answer)
        token = _header_safe(payload.get("access_token")) if isinstance(payload, dict) else ""
        if not token:
            raise unusable(answer, "it holds no access_token", hide=(client_secret,))
    now = now or datetime.now(UTC)
    return AppJWT(token, now + _lifetime(_claims(token), payload.get("expires_in"), now))


def fetch_app_jwt_with_any(
    *, http: HttpClient, domains: DomainResolver, account_id: str, client_id: str, client_secrets: Sequence[str]
) -> tuple[AppJWT, str]:
    """
    Log in with the first of several secrets that LivePerson accepts; returns that one too.

    Raises the error of the first where none is accepted, RequestRejected where there is none, and as fetch_app_jwt.
    """
    refusal: ConnectorError = RequestRejected("There is no valid client secret. Add one.")
    for number, secret in enumerate(client_secrets):
        try:
            token = fetch_app_jwt(
                http=http, domains=domains, account_id=account_id, client_id=client_id, client_secret=secret
            )
        except CredentialsRejected as error:
            refusal = error if number == 0 else refusal
        else:
            return token, secret
    raise refusal


def fetch_consumer_jws(
    *, http: HttpClient, domains: DomainResolver, account_id: str, app_jwt: str, ext_consumer_id: str
) -> ConsumerJWS:
    """
    Get the token of one consumer; the same ext_consumer_id is always the same consumer.

    Raises TokenExpired for any 401, because this service does not document how it says that an AppJWT is too old.
    """
    with preparing("the request for a ConsumerJWS"):
        answer = http.request(
            "POST",
            f"{domains.base_url(account_id=account_id, service=IDENTITY)}/api/account/{account_id}/consumer",
            params={"v": "1.0"},
            headers={"Authorization": app_jwt, "Accept": "application/json"},
            json={"ext_consumer_id": ext_consumer_id},
        )
        if not 200 <= answer.status < 300:
            raise _identity_error(error_from_response(answer, hide=(app_jwt,)))
        payload = json_or_none(answer)
        token = _header_safe(payload.get("token")) if isinstance(payload, dict) else ""
        if not token:
            raise unusable(answer, "it holds no token", hide=(app_jwt,))
    lp_consumer_id = _claims(token).get("lp_consumer_id")
    is_id = isinstance(lp_consumer_id, str) and len(lp_consumer_id) <= 256 and lp_consumer_id.isprintable()
    return ConsumerJWS(token, str(lp_consumer_id) if is_id else "")


# --- one AppJWT per installation -------------------------------------------------------------------------------------


class TokenStore(Protocol):
    """
    Where AppJWTs are kept, and who may renew one. `key` names an installation.

    A store that processes share makes renewal single over all of them.
    """

    def load(self, key: str) -> AppJWT | None: ...

    def acquire(self, key: str, *, lease_s: float) -> bool:
        """Let one caller renew: True for the first, False for all others until save(), failed() or lease_s seconds."""
        ...

    def save(self, key: str, token: AppJWT) -> None:
        """Keep the renewed token and end the lease."""
        ...

    def failed(self, key: str, error: ConnectorError, *, pause_s: float) -> None:
        """End the lease in pause_s seconds: nobody renews before that."""
        ...


class InMemoryTokenStore:
    """For one process: a shell, a test."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._tokens: dict[str, AppJWT] = {}
        self._leased_until: dict[str, float] = {}

    def load(self, key: str) -> AppJWT | None:
        with self._lock:
            return self._tokens.get(key)

    def acquire(self, key: str, *, lease_s: float) -> bool:
        with self._lock:
            now = self._clock()
            if self._leased_until.get(key, now) > now:
                return False
            self._leased_until[key] = now + lease_s
            return True

    def save(self, key: str, token: AppJWT) -> None:
        with self._lock:
            self._tokens[key] = token
            self._leased_until.pop(key, None)

    def failed(self, key: str, error: ConnectorError, *, pause_s: float) -> None:
        with self._lock:
            self._leased_until[key] = self._clock() + pause_s


class AppTokens:
    """
    The AppJWT of each installation: cached, renewed ahead of its expiry and after a rejection, by one caller at a time.

    fetch: key -> a new token; raises errors of the tree.
    wait_s: how long to wait for a renewal that somebody else has under way. 0: NotSent at once.
    """

    def __init__(
        self,
        store: TokenStore,
        fetch: Callable[[str], AppJWT],
        *,
        wait_s: float = 10.0,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._fetch = fetch
        self._wait_s = wait_s
        self._now = now

    def get(self, key: str) -> AppJWT:
        """A token that is valid now. Raises CredentialsRejected, NotSent or RateLimited when there is none."""
        token = self._store.load(key)
        if token is not None and not token.needs_renewal(self._now()):
            return token
        if token is None or token.is_expired(self._now()):
            return self._renewed(key, lambda found: not found.is_expired(self._now()))
        if not self._store.acquire(key, lease_s=LEASE_S):
            return token
        try:
            return self._renew(key, lambda found: not found.needs_renewal(self._now()))
        except ConnectorError:
            return token  # still valid for a while; store and caller learn of the trouble when it is not

    def renew(self, key: str, *, rejected: str) -> AppJWT:
        """
        A token other than the one that LivePerson has just rejected. Fifty callers with the same rejected token cause
        one renewal; callers that come late get what it brought.
        """
        return self._renewed(key, lambda found: found.token != rejected and not found.is_expired(self._now()))

    def _renewed(self, key: str, is_good: Callable[[AppJWT], bool]) -> AppJWT:
        give_up_at = time.monotonic() + self._wait_s
        while True:
            token = self._store.load(key)
            if token is not None and is_good(token):
                return token
            if self._store.acquire(key, lease_s=LEASE_S):
                return self._renew(key, is_good)
            if time.monotonic() >= give_up_at:
                raise NotSent("The AppJWT is being renewed, or its last renewal failed a moment ago. Nothing was sent.")
            time.sleep(0.05)

    def _renew(self, key: str, is_good: Callable[[AppJWT], bool]) -> AppJWT:
        """With the lease held: fetch, unless somebody did so between our look and our lease."""
        found = self._store.load(key)
        if found is not None and is_good(found):
            self._store.save(key, found)
            return found
        try:
            token = self._fetch(key)
        except ConnectorError as error:
            self._store.failed(key, error, pause_s=PAUSE_AFTER_FAILURE_S)
            raise
        self._store.save(key, token)
        return token


# --- tokens from inside ----------------------------------------------------------------------------------------------


def _identity_error(error: ConnectorError) -> ConnectorError:
    if isinstance(error, CredentialsRejected) and error.http_status == 401:
        return TokenExpired(
            "The service for consumer tokens did not accept the AppJWT.",
            http_status=error.http_status,
            provider_code=error.provider_code,
            answer_head=error.answer_head,
        )
    return error


def _header_safe(token: Any) -> str:
    is_safe = isinstance(token, str) and token.isascii() and token.isprintable() and " " not in token
    return token if is_safe and len(token) <= 8192 else ""


def _claims(token: str) -> dict[str, Any]:
    """The payload of a JWT, unverified: we only read what LivePerson told us over TLS. Empty when there is none."""
    parts = token.split(".")
    if len(parts) != 3:
        return {}
    try:
        claims = read_json(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, BodyUnusable):
        return {}
    return claims if isinstance(claims, dict) else {}


def _lifetime(claims: dict[str, Any], expires_in: Any, now: datetime) -> timedelta:
    """
    How long a token holds from now on. Where our clock and LivePerson's differ, the difference of its two times counts:
    a clock that is wrong by ten minutes must neither waste tokens nor use expired ones.
    """
    issued, expires = _seconds(claims.get("iat")), _seconds(claims.get("exp"))
    by_clock = timedelta(seconds=expires - now.timestamp()) if expires else timedelta()
    by_difference = timedelta(seconds=expires - issued) if expires and issued else timedelta()
    if by_difference > timedelta():
        found = by_clock if abs(by_clock - by_difference) < _CLOCKS_AGREE else by_difference
    elif by_clock > timedelta():
        found = by_clock
    else:
        found = timedelta(seconds=_seconds(expires_in)) or _UNKNOWN_LIFETIME
    return min(found, _LONGEST_LIFETIME)


def _seconds(value: Any) -> float:
    """A number of seconds that arithmetic can bear, 0 for anything else."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 12:
        value = int(value)
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if is_number and 0 < value < 1e11 else 0.0
