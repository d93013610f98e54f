"""
From LivePerson's answers to our error tree: the only place where an answer becomes an error.

Source: developers.liveperson.com/connector-api-api-reference-sendapi-error-codes.html, and for the waits
developers.liveperson.com/retry-policy-recommendations.html
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from core.errors import (
    BodyUnusable,
    ConnectorError,
    ConversationAlreadyOpen,
    ConversationClosed,
    CredentialsRejected,
    NotSent,
    OutcomeUnknown,
    RateLimited,
    Refused,
    RequestRejected,
    TokenExpired,
    Unanswered,
)
from core.http import Answer
from core.redaction import answer_head
from core.retry import RATE_LIMIT_FLOOR_S, parse_retry_after, retry_after_floor_s
from core.wire import read_json

LOGIN_RATE_LIMIT_FLOOR_S = 5.0

APP_JWT_REJECTED = "40102"
CONSUMER_JWS_REJECTED = "40103"
BRAND_ID_MISSING = "40001"

# LivePerson's texts are not contractual; these two have no other sign.
_CLOSED = re.compile(r"\bconversation is close", re.IGNORECASE)
_ALREADY_OPEN = re.compile(r"\balready has (?:an )?open conversation", re.IGNORECASE)


def error_from_response(
    answer: Answer, *, hide: tuple[str, ...] = (), rate_limit_floor_s: float = RATE_LIMIT_FLOOR_S
) -> ConnectorError:
    """
    The error that an answer means when it is not the one that was asked for. Returned, not raised.

    hide: tokens and secrets of the request; an answer that repeats one is not to be kept with it.
    """
    items = _items(answer)
    facts: dict[str, Any] = {
        "http_status": answer.status,
        "provider_code": _provider_code(items),
        "answer_head": _answer_head(answer, hide),
    }
    messages = [message for item in items for message in _messages(item)]
    status = _status_meant(answer.status, items)
    if any(_ALREADY_OPEN.search(message) for message in messages):
        return ConversationAlreadyOpen(**facts)
    if any(_CLOSED.search(message) for message in messages):
        return ConversationClosed(**facts)
    wait_s = _wait_s(answer, rate_limit_floor_s)
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return RateLimited("LivePerson asked us to slow down.", retry_after_s=wait_s, **facts)
    if status == HTTPStatus.SERVICE_UNAVAILABLE and "Retry-After" in answer.headers:
        return RateLimited("LivePerson asked us to wait.", retry_after_s=wait_s, **facts)
    if status >= 500 or status == HTTPStatus.REQUEST_TIMEOUT:
        return Refused(f"LivePerson answered {_shown(answer, status)}.", **facts)
    return _client_error(answer, status, facts)


def login_error_from_response(answer: Answer, *, hide: tuple[str, ...] = ()) -> ConnectorError:
    """The same for the token endpoint, where any 4xx but 429 says that the client id or the secret is wrong."""
    error = error_from_response(answer, hide=hide, rate_limit_floor_s=LOGIN_RATE_LIMIT_FLOOR_S)
    if not 400 <= answer.status < 500 or isinstance(error, RateLimited):
        return error
    return CredentialsRejected(
        f"LivePerson gave no AppJWT for this client id and secret (HTTP {answer.status}).",
        http_status=answer.status,
        provider_code=error.provider_code or _oauth_code(answer),
        answer_head=error.answer_head,
    )


def unusable(answer: Answer, why: str, *, hide: tuple[str, ...] = ()) -> Unanswered:
    """An answer that says neither yes nor no: whether the request had an effect is unknown. why: a clause."""
    return _garbage({"http_status": answer.status, "answer_head": _answer_head(answer, hide)}, why)


@contextmanager
def preparing(what: str) -> Iterator[None]:
    """
    For a step that comes before the one that matters, such as a token or an upload: it may be repeated as often as
    one likes, so an unknown outcome of it is no unknown outcome of the whole. Raises NotSent instead.
    """
    problem: OutcomeUnknown | None = None
    try:
        yield
    except OutcomeUnknown as error:
        problem = error
    if problem is not None:
        raise NotSent(
            f"{problem.detail} This was {what}; what it was for has not been sent.",
            http_status=problem.http_status,
            provider_code=problem.provider_code,
            answer_head=problem.answer_head,
        )


def json_or_none(answer: Answer) -> Any:
    """The body as plain data, None when it is not JSON or none that may be worked with."""
    try:
        return read_json(answer.body)
    except BodyUnusable:
        return None


def again(error: ConnectorError) -> ConnectorError:
    """A copy to raise in another thread: a traceback belongs to one."""
    return copy.copy(error).with_traceback(None)


def _client_error(answer: Answer, status: int, facts: dict[str, Any]) -> ConnectorError:
    code = facts["provider_code"]
    if status < 300:
        return _garbage(facts, "it is not the answer to this request")
    if code in (APP_JWT_REJECTED, CONSUMER_JWS_REJECTED):
        return TokenExpired(**facts)
    is_refused = status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
    if (is_refused and not _is_about_one_request(answer)) or code == BRAND_ID_MISSING:
        return CredentialsRejected(f"LivePerson does not accept our credentials ({_shown(answer, status)}).", **facts)
    return RequestRejected(f"LivePerson rejected the request ({_shown(answer, status)}).", **facts)


def _is_about_one_request(answer: Answer) -> bool:
    """
    Whether the Send API itself answered, naming the request: it knows who we are, and refuses this one, for example
    because the conversation is another consumer's. Wrong tokens are refused before that, without a reqId.
    """
    return any(isinstance(item.get("reqId"), str) and isinstance(item.get("code"), str) for item in _items(answer))


def _garbage(facts: dict[str, Any], why: str) -> Unanswered:
    return Unanswered(f"LivePerson's answer cannot be used: {why}.", **facts)


def _items(answer: Answer) -> list[dict[str, Any]]:
    payload = json_or_none(answer)
    return [item for item in (payload if isinstance(payload, list) else [payload]) if isinstance(item, dict)]


def _messages(item: dict[str, Any]) -> list[str]:
    body = item.get("body")
    found = [body] if isinstance(body, str) else [body.get("msg")] if isinstance(body, dict) else []
    return [text for text in found if isinstance(text, str)]


def _status_meant(http_status: int, items: list[dict[str, Any]]) -> int:
    """The HTTP status, or for an answer of 2xx the one that the first failed item names, such as BAD_REQUEST."""
    if not 200 <= http_status < 300:
        return http_status
    for item in items:
        code = item.get("code")
        if isinstance(code, str) and code.strip().upper() in HTTPStatus.__members__:
            code = HTTPStatus[code.strip().upper()].value
        if isinstance(code, int) and not isinstance(code, bool) and 400 <= code < 600:
            return code
    return http_status


def _provider_code(items: list[dict[str, Any]]) -> str:
    """LivePerson's errorCode where there is one, else the name of the first code that is not OK."""
    for item in items:
        body = item.get("body")
        code = body.get("errorCode") if isinstance(body, dict) else None
        if isinstance(code, (int, str)) and not isinstance(code, bool) and re.fullmatch(r"[0-9]{3,6}", str(code)[:7]):
            return str(code)
    for item in items:
        code = item.get("code")
        if isinstance(code, str) and code != "OK" and re.fullmatch(r"[A-Za-z0-9_]{1,64}", code):
            return code
    return ""


def _oauth_code(answer: Answer) -> str:
    payload = json_or_none(answer)
    code = payload.get("error") if isinstance(payload, dict) else None
    return code if isinstance(code, str) and re.fullmatch(r"[a-z_]{1,64}", code) else ""


def _answer_head(answer: Answer, hide: tuple[str, ...]) -> str:
    body = answer.body
    for secret in hide:
        if secret:
            body = body.replace(secret.encode("utf-8", "replace"), b"***")
    return answer_head(body)


def _shown(answer: Answer, status: int) -> str:
    return f"HTTP {answer.status}" if answer.status == status else f"HTTP {answer.status}, code {status}"


def _wait_s(answer: Answer, floor_s: float) -> float:
    asked_s = parse_retry_after(answer.headers.get("Retry-After"), now=datetime.now(UTC))
    return retry_after_floor_s(asked_s, least_s=floor_s)
