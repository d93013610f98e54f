"""
App installations: the manifest that tells LivePerson where to send notifications, and the API that stores it.

Source: developers.liveperson.com/connector-api-webhooks-configuration.html,
…-webhooks-retry-policy.html and the calls of LivePerson's own demo, github.com/LivePersonInc/lp-demo-app-connector-api
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from core.errors import RequestRejected
from core.http import Answer, HttpClient
from liveperson.domains import CONFIGURATION, DomainResolver
from liveperson.errors import error_from_response, json_or_none, unusable
from liveperson.payloads import Manifest, WebhookEndpoint

EVENT_TYPES = (
    "ms.MessagingEventNotification.ContentEvent",
    "ms.MessagingEventNotification.RichContentEvent",
    "ms.MessagingEventNotification.AcceptStatusEvent",
    "ms.MessagingEventNotification.ChatStateEvent",
    "cqm.ExConversationChangeNotification",
)
TYPING = "ms.MessagingEventNotification.ChatStateEvent"
_MOST_RETRIES = 5
# The longest that LivePerson stores notifications while we are away.
LONGEST_RETENTION_S = 259_200
_RETENTION_S = range(2, LONGEST_RETENTION_S + 1)
_LONGEST = {"client_name": 128, "display_name": 128, "description": 256, "webhook_url": 1024}
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_INSTALL_ID = re.compile(r"[A-Za-z0-9_-]{1,128}", re.ASCII)


@dataclass(frozen=True)
class RetryByCount:
    """LivePerson repeats a notification so often, every 30 s, then drops it. Later ones overtake it."""

    max_retries: int = _MOST_RETRIES


@dataclass(frozen=True)
class RetryByTtl:
    """LivePerson stores notifications while we are away, for so long, and keeps their order in a conversation."""

    retention_s: int = 86_400


def build_manifest(
    *,
    client_name: str,
    display_name: str,
    webhook_url: str,
    retry: RetryByCount | RetryByTtl,
    description: str = "",
    enabled: bool = True,
) -> Manifest:
    """
    What LivePerson is to be told about an installation of ours: all five kinds of notification go to one URL.

    client_name: unique in the account; agents see it as the source of a conversation.

    Raises ValueError, with a sentence for the operator, when LivePerson would not take it.
    """
    _check(client_name=client_name, display_name=display_name, description=description, webhook_url=webhook_url)
    webhooks: dict[str, Any] = {event: _endpoint(event, webhook_url, retry) for event in EVENT_TYPES}
    if isinstance(retry, RetryByTtl):
        if retry.retention_s not in _RETENTION_S:
            raise ValueError(f"The retention must be {_RETENTION_S[0]} to {_RETENTION_S[-1]} seconds.")
        webhooks["retry"] = {"retention_time": retry.retention_s}
    return Manifest(
        client_name=client_name,
        display_name=display_name,
        description=description,
        enabled=enabled,
        grant_types=["client_credentials"],
        response_types=["code"],
        redirect_uris=[],
        scope="msg.consumer",
        logo_uri="",
        quick_launch_enabled=False,
        entry_uri="",
        capabilities={"webhooks": webhooks},
    )


@dataclass(frozen=True)
class Install:
    """
    An app installation as LivePerson has it. revision: to be given back with a change, so that two people do not
    overwrite each other; empty in a list.
    """

    data: dict[str, Any] = field(repr=False)  # holds the client secret
    revision: str = ""

    @property
    def id(self) -> str:
        return str(self.data.get("id") or self.data.get("client_id") or "")


class AppInstalls:
    """
    Reads and changes the app installations of an account.

    bearer: of an administrator's session; an AppJWT is not enough.
    """

    def __init__(self, http: HttpClient, domains: DomainResolver, account_id: str, bearer: str) -> None:
        self._http = http
        self._domains = domains
        self._account_id = account_id
        self._bearer = bearer

    def list(self) -> list[Install]:
        """All installations of the account, other vendors' too."""
        answer = self._call("GET", "")
        payload = json_or_none(answer)
        if isinstance(payload, dict):
            payload = payload.get("installations")
        if not isinstance(payload, list) or not all(isinstance(item, dict) for item in payload):
            raise unusable(answer, "it is no list of installations", hide=(self._bearer,))
        return [Install(item) for item in payload]

    def get(self, *, install_id: str) -> Install:
        return self._install(self._call("GET", install_id))

    def create(self, *, manifest: Manifest) -> Install:
        """The answer holds the client id and the client secret of the new installation."""
        return self._install(self._call("POST", "", manifest))

    def update(self, *, install_id: str, manifest: Manifest, revision: str) -> Install:
        """Raises RequestRejected when somebody else changed it since `revision`."""
        headers = {"If-Match": revision, "X-HTTP-Method-Override": "PUT"}
        return self._install(self._call("PUT", install_id, manifest, headers))

    def delete(self, *, install_id: str, revision: str) -> None:
        self._call("DELETE", install_id, headers={"If-Match": revision})

    def _install(self, answer: Answer) -> Install:
        payload = json_or_none(answer)
        if not isinstance(payload, dict):
            raise unusable(answer, "it is no installation", hide=(self._bearer,))
        return Install(payload, answer.headers.get("ac-revision", ""))

    def _call(
        self, method: str, install_id: str, manifest: Manifest | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        if install_id and not _INSTALL_ID.fullmatch(install_id):
            raise RequestRejected("The id of an app installation has only letters, digits, - and _.")
        base_url = self._domains.base_url(account_id=self._account_id, service=CONFIGURATION)
        path = f"/api/account/{self._account_id}/configuration/app-install/installations"
        answer = self._http.request(
            method,
            base_url + path + (f"/{install_id}" if install_id else ""),
            params={"v": "1.0"},
            headers={"Authorization": f"Bearer {self._bearer}", "Accept": "application/json", **(headers or {})},
            json=manifest,
        )
        if not 200 <= answer.status < 300:
            raise error_from_response(answer, hide=(self._bearer,))
        return answer


def _endpoint(event: str, webhook_url: str, retry: RetryByCount | RetryByTtl) -> WebhookEndpoint:
    retries = retry.max_retries if isinstance(retry, RetryByCount) else _MOST_RETRIES
    if not 0 <= retries <= _MOST_RETRIES:
        raise ValueError(f"The number of retries must be 0 to {_MOST_RETRIES}.")
    # Typing that arrives late is worse than none. With 0, its failure does not fail the whole installation either.
    return WebhookEndpoint(endpoint=webhook_url, max_retries=0 if event == TYPING else retries)


def _check(**texts: str) -> None:
    for name, text in texts.items():
        if len(text) > _LONGEST[name]:
            raise ValueError(f"{name} must not be longer than {_LONGEST[name]} characters.")
    if not texts["client_name"].strip():
        raise ValueError("client_name must not be empty.")
    url = urlsplit(texts["webhook_url"])
    if not url.hostname or not (url.scheme == "https" or (url.scheme == "http" and url.hostname in _LOOPBACK)):
        raise ValueError("The webhook URL must start with https:// (http:// only for a simulator on this machine).")
