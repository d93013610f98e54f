"""
Which host serves which service of an account, as LivePerson's Domain API says.

Source: developers.liveperson.com/domain-api.html
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from core.errors import ConnectorError, CredentialsRejected, NotProcessed, NotSent, RateLimited, RequestRejected
from core.http import HttpClient
from core.wire import as_list
from liveperson.errors import again, error_from_response, json_or_none, preparing, unusable

DOMAIN_API = "https://api.liveperson.net"

SEND_API = "asyncMessagingEnt"
TOKENS = "sentinel"
IDENTITY = "idp"
FILES = "swift"
CONFIGURATION = "accountConfigReadWrite"

TTL_S = 6 * 3600.0
# After a failure or a forget(): a host that is down must not turn every send into a question to the Domain API.
PAUSE_S = 15.0

_BARE_HOST = re.compile(r"[^/?#\\@\s]+")
_ACCOUNT = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)


@dataclass
class _Entry:
    hosts: dict[str, str]
    asked_at: float
    is_suspect: bool = False

    def is_fresh(self, now: float) -> bool:
        return now - self.asked_at < (PAUSE_S if self.is_suspect else TTL_S)


class DomainResolver:
    """
    Answers with base URLs such as https://va.msg.liveperson.net. Cached in this process; threads that ask for the same
    account at the same time cause one call.
    """

    def __init__(
        self, http: HttpClient, base_url: str = DOMAIN_API, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """base_url: scheme and host of the Domain API."""
        self._http = http
        self._base_url = base_url.rstrip("/")
        self._clock = clock
        self._lock = threading.Lock()
        self._entries: dict[str, _Entry] = {}
        self._failures: dict[str, tuple[float, ConnectorError]] = {}
        self._under_way: dict[str, Future[_Entry]] = {}

    def base_url(self, *, account_id: str, service: str) -> str:
        """
        Scheme and host of a service of an account.

        Raises NotSent or RateLimited when the Domain API cannot say, CredentialsRejected when it does not know the
        account, RequestRejected when the account lacks the service.
        """
        host = self._entry(account_id).hosts.get(service)
        if host is None:
            raise RequestRejected(f"The account {account_id} has no service {service}. Ask LivePerson to enable it.")
        if not _BARE_HOST.fullmatch(host):
            raise NotSent(f"LivePerson's Domain API names no usable host for the service {service}. Nothing was sent.")
        url = f"{self._scheme(host)}://{host}"
        self._http.policy.check_url(url)
        return url

    def forget(self, account_id: str) -> None:
        """Ask again soon: a host of this account could not be reached. Until then what is known stays in use."""
        with self._lock:
            entry = self._entries.get(account_id)
            if entry is not None:
                entry.is_suspect = True

    def _scheme(self, host: str) -> str:
        # A simulator is asked by plain http and then names itself; LivePerson's own hosts are never called by http,
        # not even when somebody configured their Domain API that way.
        name = re.sub(r":[0-9]+$", "", host).strip("[]")
        is_local = "." not in name or self._http.policy.is_private(name)
        if self._http.policy.allow_private and self._base_url.startswith("http://") and is_local:
            return "http"
        return "https"

    def _entry(self, account_id: str) -> _Entry:
        if not _ACCOUNT.fullmatch(account_id):
            raise CredentialsRejected("The account id is not one of LivePerson's: letters, digits, - and _ only.")
        with self._lock:
            known = self._entries.get(account_id)
            if known is not None and known.is_fresh(self._clock()):
                return known
            failed_at, failure = self._failures.get(account_id, (0.0, None))
            if failure is not None and self._clock() - failed_at < PAUSE_S:
                return self._after_failure(known, failure)
            under_way = self._under_way.get(account_id)
            mine = under_way is None
            if under_way is None:
                under_way = self._under_way[account_id] = Future()
        if mine:
            self._ask(account_id, under_way)
        try:
            return under_way.result()
        except ConnectorError as error:
            return self._after_failure(known, error)

    def _after_failure(self, known: _Entry | None, failure: ConnectorError) -> _Entry:
        if known is not None and isinstance(failure, NotProcessed):
            return known
        raise again(failure)

    def _ask(self, account_id: str, answered: Future[_Entry]) -> None:
        try:
            entry = _Entry(hosts=self._fetch(account_id), asked_at=self._clock())
        except BaseException as error:
            with self._lock:
                self._under_way.pop(account_id, None)
                if isinstance(error, ConnectorError):
                    self._failures[account_id] = (self._clock(), error)
            answered.set_exception(error)
            if not isinstance(error, ConnectorError):
                raise
        else:
            with self._lock:
                self._under_way.pop(account_id, None)
                self._failures.pop(account_id, None)
                self._entries[account_id] = entry
            answered.set_result(entry)

    def _fetch(self, account_id: str) -> dict[str, str]:
        with preparing("the question where LivePerson's services are"):
            answer = self._http.request(
                "GET",
                f"{self._base_url}/api/account/{account_id}/service/baseURI.json",
                params={"version": "1.0"},
                headers={"Accept": "application/json"},
            )
            hosts = _hosts(json_or_none(answer))
            error = error_from_response(answer)
            if answer.status >= 500 or isinstance(error, RateLimited):
                raise error
            if answer.status < 400 and (hosts is None or answer.status >= 300):
                raise unusable(answer, "it names no services")
        if not hosts or answer.status >= 400:
            raise CredentialsRejected(
                f"LivePerson's Domain API does not know the account {account_id}. Check the account id.",
                http_status=answer.status,
            )
        return hosts


def _hosts(payload: Any) -> dict[str, str] | None:
    """Service name -> host, from a list under `baseURIs` or from one bare service; None when it is neither."""
    if not isinstance(payload, dict) or not ("baseURIs" in payload or "baseURI" in payload):
        return None
    entries = as_list(payload["baseURIs"]) if "baseURIs" in payload else [payload]
    found: dict[str, str] = {}
    for entry in entries:
        service, host = (entry.get("service"), entry.get("baseURI")) if isinstance(entry, dict) else (None, None)
        if isinstance(service, str) and isinstance(host, str) and host:
            found[service] = host
    return found
