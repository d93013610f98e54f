"""From LivePerson's answers to our error tree."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from core import errors as tree
from core.errors import ConnectorError
from liveperson.client import ConsumerProfile
from liveperson.errors import login_error_from_response
from tests.liveperson.conftest import TOKENS, FakeLivePerson
from tests.liveperson.server import CLOSE, RESET, Received, Step, http

WHERE: dict[str, Any] = {"tokens": TOKENS, "request_id": "r-1", "conversation_id": "C", "dialog_id": "D"}
NOW = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)


def refusal(code: int, title: str = "Invalid AppJWT", error_code: Any = None) -> bytes:
    body = {"title": title, "details": "…", "errorCode": error_code}
    return json.dumps({"kind": "resp", "code": code, "type": ".ReqBody$ErrorResp", "body": body}).encode()


def said(code: Any, message: str = "Bad Request") -> bytes:
    return json.dumps({"code": code, "body": {"msg": message}, "reqId": "r-1"}).encode()


HTML = b"<html><body>403 Forbidden</body></html>"

# What LivePerson answers -> class, provider_code.
ANSWERS: list[tuple[str, list[Step], type[ConnectorError], str]] = [
    ("AppJWT expired", http(401, refusal(401, error_code=40102)), tree.TokenExpired, "40102"),
    ("its code as text", http(401, refusal(401, error_code="40102")), tree.TokenExpired, "40102"),
    ("ConsumerJWS invalid", http(401, refusal(401, error_code=40103)), tree.TokenExpired, "40103"),
    ("ConsumerJWS missing", http(401, refusal(401, error_code=40104)), tree.CredentialsRejected, "40104"),
    ("AppJWT missing", http(401, refusal(401, error_code=40105)), tree.CredentialsRejected, "40105"),
    ("brand id missing", http(400, refusal(400, error_code=40001)), tree.CredentialsRejected, "40001"),
    ("401 without a code", http(401, refusal(401)), tree.CredentialsRejected, ""),
    ("401 by a proxy", http(401, HTML), tree.CredentialsRejected, ""),
    ("403 by a proxy", http(403, HTML), tree.CredentialsRejected, ""),
    ("429", http(429, b"slow down"), tree.RateLimited, ""),
    ("429 with LivePerson's body", http(429, said("TOO_MANY_REQUESTS")), tree.RateLimited, "TOO_MANY_REQUESTS"),
    ("503 with Retry-After", http(503, b"", Retry_After="7"), tree.RateLimited, ""),
    ("503 with a senseless Retry-After", http(503, b"", Retry_After="soon"), tree.RateLimited, ""),
    ("503", http(503, b""), tree.Refused, ""),
    ("500", http(500, said("INTERNAL_SERVER_ERROR", "x")), tree.Refused, "INTERNAL_SERVER_ERROR"),
    ("500 with Retry-After", http(500, b"", Retry_After="7"), tree.Refused, ""),
    ("502 by a proxy", http(502, HTML), tree.Refused, ""),
    ("504", http(504, b""), tree.Refused, ""),
    ("599", http(599, b""), tree.Refused, ""),
    ("408", http(408, b""), tree.Refused, ""),
    (
        "closed",
        http(400, said("BAD_REQUEST", "Bad Request, Conversation is close")),
        tree.ConversationClosed,
        "BAD_REQUEST",
    ),
    (
        "closed, said otherwise",
        http(400, said("BAD_REQUEST", "bad request, conversation is CLOSED")),
        tree.ConversationClosed,
        "BAD_REQUEST",
    ),
    (
        "closed under 200",
        http(200, said("BAD_REQUEST", "Bad Request, Conversation is close")),
        tree.ConversationClosed,
        "BAD_REQUEST",
    ),
    ("too long", http(400, said("BAD_REQUEST")), tree.RequestRejected, "BAD_REQUEST"),
    ("rejected under 200", http(200, said("BAD_REQUEST")), tree.RequestRejected, "BAD_REQUEST"),
    ("404 under 200", http(200, said("NOT_FOUND")), tree.RequestRejected, "NOT_FOUND"),
    ("401 for this request", http(401, said("UNAUTHORIZED")), tree.RequestRejected, "UNAUTHORIZED"),
    ("401 under 200", http(200, said("UNAUTHORIZED")), tree.RequestRejected, "UNAUTHORIZED"),
    ("401 as a number under 200", http(200, refusal(401, error_code=40102)), tree.TokenExpired, "40102"),
    ("429 under 200", http(200, said("TOO_MANY_REQUESTS")), tree.RateLimited, "TOO_MANY_REQUESTS"),
    ("500 under 200", http(200, said("INTERNAL_SERVER_ERROR")), tree.Refused, "INTERNAL_SERVER_ERROR"),
    ("unknown code under 200", http(200, said("WHO_KNOWS")), tree.Unanswered, "WHO_KNOWS"),
    ("404 by a proxy", http(404, HTML), tree.RequestRejected, ""),
    ("413 by a proxy", http(413, HTML), tree.RequestRejected, ""),
    ("418", http(418, b""), tree.RequestRejected, ""),
    ("301", http(301, b"", Location="https://evil.example/"), tree.RequestRejected, ""),
    ("307", http(307, b"", Location="http://169.254.169.254/"), tree.RequestRejected, ""),
    ("HTML under 200", http(200, HTML), tree.Unanswered, ""),
    ("nothing under 200", http(200, b""), tree.Unanswered, ""),
    ("204", http(204, b""), tree.Unanswered, ""),
    ("half a JSON", http(200, b'{"code": "OK", "body": {"seq'), tree.Unanswered, ""),
    ("reset", [RESET], tree.Unanswered, ""),
    ("closed without an answer", [CLOSE], tree.Unanswered, ""),
]

GOOD = b'{"code":"OK","body":{"sequence":0},"reqId":"r-1"'
HOSTILE: list[tuple[str, bytes]] = [
    ("100000 brackets", b"[" * 100_000),
    ("100000 objects", b'{"a":' * 100_000),
    ("5000 levels, closed", b"[" * 5000 + b"]" * 5000),
    ("900 levels beside a good answer", GOOD + b',"x":' + b"[" * 900 + b"]" * 900 + b"}"),
    ("5000 digits", b'{"code":"OK","body":{"sequence":' + b"9" * 5000 + b'},"reqId":"r-1"}'),
    ("5000 digits beside a good answer", GOOD + b',"x":' + b"9" * 5000 + b"}"),
    ("NaN", b'{"code":"OK","body":{"sequence":NaN},"reqId":"r-1"}'),
    ("Infinity", b'{"code":"OK","body":{"sequence":Infinity},"reqId":"r-1"}'),
    ("1e999", b'{"code":"OK","body":{"sequence":1e999},"reqId":"r-1"}'),
    ("two sequences", b'{"code":"OK","body":{"sequence":0,"sequence":1},"reqId":"r-1"}'),
    ("UTF-16", '{"code":"OK","body":{"sequence":0},"reqId":"r-1"}'.encode("utf-16")),
    ("no UTF-8", b"\xff\xfe\xfa" * 10),
    ("NUL bytes", b"\x00" * 1000),
    ("a lone surrogate as the request's id", b'{"code":"OK","body":{"sequence":0},"reqId":"\\ud800"}'),
    ("1 MB in a string", b'"' + b"x" * (1 << 19) + b'"'),
    ("codes of other types", b'{"code":[],"body":"x","reqId":{}}'),
    ("body a list of lists", b'[[],[[]],{"body":[{"msg":[]}]},null,1]'),
    ("message an object", b'{"code":"BAD","body":{"msg":{"a":1},"errorCode":{}},"reqId":"r-1"}'),
    ("huge error code", b'{"code":"x","body":{"errorCode":' + b"4" * 4000 + b"}}"),
    ("code true", b'{"code":true,"body":{"errorCode":true}}'),
]

# Readable, and naming the request: LivePerson refuses this request, not our credentials.
NAMING_THE_REQUEST = {
    body for name, body in HOSTILE if name in ("a lone surrogate as the request's id", "message an object")
}


def error_of(liveperson: FakeLivePerson, steps: list[Step]) -> ConnectorError:
    liveperson.answer = lambda _: steps
    with pytest.raises(ConnectorError) as caught:
        liveperson.client.publish_text(text="canary-text", **WHERE)
    return caught.value


@pytest.mark.parametrize(
    ("steps", "expected", "code"), [case[1:] for case in ANSWERS], ids=[case[0] for case in ANSWERS]
)
def test_an_answer_becomes_the_error_that_it_means(
    liveperson: FakeLivePerson, steps: list[Step], expected: type[ConnectorError], code: str
) -> None:
    error = error_of(liveperson, steps)
    assert type(error) is expected
    assert error.provider_code == code
    assert "canary" not in f"{error} {vars(error)}"
    assert error.__context__ is None or "canary" not in repr(error.__context__)
    assert len(liveperson.requests) == 1


@pytest.mark.parametrize("status", [200, 400, 401, 429, 500, 503])
@pytest.mark.parametrize(("body"), [case[1] for case in HOSTILE], ids=[case[0] for case in HOSTILE])
def test_a_hostile_answer_becomes_an_error_of_the_tree(liveperson: FakeLivePerson, body: bytes, status: int) -> None:
    error = error_of(liveperson, http(status, body))
    expected = {
        200: tree.Unanswered,
        400: tree.RequestRejected,
        401: tree.RequestRejected if body in NAMING_THE_REQUEST else tree.CredentialsRejected,
        429: tree.RateLimited,
        500: tree.Refused,
        503: tree.Refused,
    }
    assert type(error) is expected[status]
    assert len(error.answer_head) <= 512
    assert "\x00" not in error.answer_head
    error.answer_head.encode()


@pytest.mark.parametrize("body", [case[1] for case in HOSTILE], ids=[case[0] for case in HOSTILE])
def test_a_hostile_answer_to_an_open_becomes_an_error_of_the_tree(liveperson: FakeLivePerson, body: bytes) -> None:
    liveperson.answer = lambda _: http(200, body)
    with pytest.raises(ConnectorError):
        liveperson.client.open_conversation(tokens=TOKENS, request_ids=("a", "b"), profile=ConsumerProfile())


def test_an_answer_of_100_mb_is_not_kept(liveperson: FakeLivePerson) -> None:
    def endless(_: Received) -> Any:
        yield b"HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n"
        for _ in range(1600):
            yield b"x" * 65536

    liveperson.answer = endless
    with pytest.raises(tree.Unanswered):
        liveperson.client.publish_text(text="hi", **WHERE)


def test_secrets_in_an_answer_are_masked(liveperson: FakeLivePerson) -> None:
    told = (
        b'{"code":"BAD_REQUEST","body":{"msg":"x"},"token":"canary-1","client_secret":"canary-2",'
        b'"jwt":"eyJhbGciOiJSUzI1NiJ9.eyJjYW5hcnkiOjN9.c2ln","echo":"consumer.canary-jws.sig",'
        b'"url":"/f?temp_url_sig=canary-4&temp_url_expires=1"}'
    )
    error = error_of(liveperson, http(400, told))
    assert "BAD_REQUEST" in error.answer_head
    assert "canary" not in error.answer_head
    assert "eyJj" not in error.answer_head


@pytest.mark.parametrize(
    ("retry_after", "send_wait_s", "login_wait_s"),
    [(None, 1, 5), ("0", 1, 5), ("-5", 1, 5), ("soon", 1, 5), ("3", 3, 5), ("60", 60, 60), ("1e9", 900, 900)],
)
def test_after_429_there_is_always_a_pause_and_a_longer_one_for_logins(
    liveperson: FakeLivePerson, retry_after: str | None, send_wait_s: float, login_wait_s: float
) -> None:
    headers = {} if retry_after is None else {"Retry_After": retry_after}
    error = error_of(liveperson, http(429, b"", **headers))
    assert isinstance(error, tree.RateLimited)
    assert error.retry_after_s == send_wait_s
    answer = liveperson.http.request("GET", liveperson.server.url + "/")
    login = login_error_from_response(answer)
    assert isinstance(login, tree.RateLimited)
    assert login.retry_after_s == login_wait_s
