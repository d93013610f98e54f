"""
One request to the Send API: headers, envelope, and the check that the answer belongs to it.

Source: developers.liveperson.com/connector-api-send-api-send.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from core.errors import NotSent, TokenExpired
from core.http import Answer, HttpClient
from liveperson.auth import Tokens
from liveperson.domains import SEND_API, DomainResolver
from liveperson.errors import APP_JWT_REJECTED, CONSUMER_JWS_REJECTED, error_from_response, json_or_none, unusable
from liveperson.text import request_object

FEATURES = ("AUTO_MESSAGES", "RICH_CONTENT", "QUICK_REPLIES", "MULTI_DIALOG")
MAX_REQUEST_ID_LENGTH = 64

Metadata = list[dict[str, Any]]


class SendApi:
    """features: what the channel can do; LivePerson must be told with every request."""

    def __init__(
        self, http: HttpClient, domains: DomainResolver, account_id: str, features: tuple[str, ...] = FEATURES
    ) -> None:
        self.http = http
        self.domains = domains
        self.account_id = account_id
        properties = {"type": ".ClientProperties", "features": list(features)}
        self._client_properties = json.dumps(properties, separators=(",", ":"))

    def send(
        self,
        *,
        tokens: Tokens,
        request_id: str,
        type: str,
        body: Mapping[str, Any],
        metadata: Metadata | None = None,
    ) -> dict[str, Any]:
        """Make one request of any type and give the body of its answer, once LivePerson has said OK to this request."""
        return self._sent(tokens, request_id, type, body, metadata)[1]

    def _sent(
        self,
        tokens: Tokens,
        request_id: str,
        type: str,
        body: Mapping[str, Any],
        metadata: Metadata | None = None,
    ) -> tuple[Answer, dict[str, Any]]:
        answer = self._post("conversation/send", tokens, request(request_id, type, body, metadata))
        payload = json_or_none(answer)
        if not (isinstance(payload, dict) and 200 <= answer.status < 300 and payload.get("code") == "OK"):
            raise error_from_response(answer, hide=tokens.secrets)
        if payload.get("reqId") != request_id:
            raise unusable(answer, "it names another request", hide=tokens.secrets)
        inner = payload.get("body")
        return answer, inner if isinstance(inner, dict) else {}

    def _post(self, endpoint: str, tokens: Tokens, requests: Any) -> Answer:
        if not tokens.app_jwt or not tokens.consumer_jws:
            missing = CONSUMER_JWS_REJECTED if tokens.app_jwt else APP_JWT_REJECTED
            raise TokenExpired("There is no token to send with.", provider_code=missing)
        base_url = self.domains.base_url(account_id=self.account_id, service=SEND_API)
        try:
            return self.http.request(
                "POST",
                f"{base_url}/api/account/{self.account_id}/messaging/consumer/{endpoint}",
                params={"v": "3"},
                headers={
                    "Authorization": tokens.app_jwt,
                    "X-LP-ON-BEHALF": tokens.consumer_jws,
                    "Client-Properties": self._client_properties,
                },
                json=requests,
            )
        except NotSent:
            self.domains.forget(self.account_id)
            raise


def request(request_id: str, type: str, body: Any, metadata: Metadata | None = None) -> dict[str, Any]:
    """The envelope, with an id that LivePerson takes: 1 to 64 characters."""
    if not 1 <= len(request_id) <= MAX_REQUEST_ID_LENGTH:
        raise ValueError(f"A request id must have 1 to {MAX_REQUEST_ID_LENGTH} characters.")
    return request_object(request_id=request_id, type=type, body=body, metadata=metadata)
