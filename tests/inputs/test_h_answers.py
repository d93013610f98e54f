"""
Bad input, class H: what LivePerson may answer to our calls, asked of the real client over real HTTP.

Each answer to each call: an error of the tree or the result that was asked for, in bounded time and memory; and no
redirect is followed. What only one call can meet stands in tests/liveperson.
"""

from __future__ import annotations

import gzip
import json
import resource
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import (
    ConnectorError,
    ConversationClosed,
    CredentialsRejected,
    OutcomeUnknown,
    RateLimited,
    Refused,
    RequestRejected,
    TokenExpired,
    Unanswered,
)
from liveperson.auth import AppJWT, ConsumerJWS, fetch_app_jwt, fetch_consumer_jws
from liveperson.client import Accepted, Opened, TemporaryUrl
from liveperson.domains import DomainResolver
from tests.inputs import budget, mutations
from tests.inputs.rows import each
from tests.liveperson.conftest import ACCOUNT, TOKENS, FakeLivePerson, jwt
from tests.liveperson.server import CLOSE, RESET, Received, ScriptedServer, Step, http

WHERE: dict[str, Any] = {"tokens": TOKENS, "request_id": "r-1", "conversation_id": "C", "dialog_id": "D"}
PATH = "/v1/AUTH_async-images/12345678/9c1f.PNG"
URL = TemporaryUrl(PATH, {"temp_url_sig": "5b2d", "temp_url_expires": "1700000060"})
WITHIN_S = 6.0  # a call that waits for more ends after eight
MAX_GROWTH_MB = 50


def _ok(**body: Any) -> Any:
    return {"code": "OK", "body": body, "reqId": "r-1"}


NOW_S = int(time.time())
OPENED = [
    {"code": "OK", "body": {"msg": "OK User Profile set successfully"}, "reqId": "p-1"},
    {"code": "OK", "body": {"conversationId": "C-1"}, "reqId": "r-1"},
]
TEMPORARY = _ok(relativePath=PATH, queryParams=URL.query)


@dataclass(frozen=True)
class Call:
    """matters: it may have had an effect, so that no answer says that it certainly had none unless it does say so."""

    name: str
    make: Callable[[FakeLivePerson], Any]
    good: Any
    matters: bool = True
    takes_any_2xx: bool = False


CALLS = [
    Call(
        "open",
        lambda lp: lp.client.open_conversation(tokens=TOKENS, request_ids=("p-1", "r-1"), profile={"firstName": "A"}),
        OPENED,
    ),
    Call("publish text", lambda lp: lp.client.publish_text(text="hi", **WHERE), _ok(sequence=3)),
    Call(
        "publish a file",
        lambda lp: lp.client.publish_file(relative_path=PATH, file_type="PNG", **WHERE),
        _ok(sequence=3),
    ),
    Call("chat state", lambda lp: lp.client.publish_chat_state(chat_state="COMPOSING", **WHERE), _ok(sequence=0)),
    Call("receipt", lambda lp: lp.client.publish_accept_status(status="READ", sequences=[1], **WHERE), _ok(sequence=3)),
    Call(
        "close",
        lambda lp: lp.client.close_conversation(tokens=TOKENS, request_id="r-1", conversation_id="C"),
        _ok(msg="OK"),
    ),
    Call("profile", lambda lp: lp.client.update_profile(tokens=TOKENS, request_id="r-1", profile={}), _ok(msg="OK")),
    Call(
        "upload URL",
        lambda lp: lp.client.request_upload_url(tokens=TOKENS, request_id="r-1", file_size=5, file_type="PNG"),
        TEMPORARY,
        matters=False,
    ),
    Call(
        "download URL",
        lambda lp: lp.client.request_download_url(tokens=TOKENS, request_id="r-1", relative_path=PATH),
        TEMPORARY,
        matters=False,
    ),
    Call("upload", lambda lp: lp.client.upload(URL, b"bytes"), {}, matters=False, takes_any_2xx=True),
    Call("download", lambda lp: lp.client.download(URL), {}, matters=False, takes_any_2xx=True),
    Call(
        "AppJWT",
        lambda lp: fetch_app_jwt(
            http=lp.http, domains=lp.domains, account_id=ACCOUNT, client_id="id", client_secret="secret"
        ),
        {"access_token": jwt({"iat": NOW_S, "exp": NOW_S + 3600}), "expires_in": 3600},
        matters=False,
    ),
    Call(
        "ConsumerJWS",
        lambda lp: fetch_consumer_jws(
            http=lp.http, domains=lp.domains, account_id=ACCOUNT, app_jwt="app.jwt.x", ext_consumer_id="custom:ada"
        ),
        {"token": jwt({"lp_consumer_id": "c0ffee"})},
        matters=False,
    ),
]


@dataclass(frozen=True)
class Row:
    """
    answer: what is played. error: of a call that matters.

    Every other call is one that may be repeated: it must never end in doubt, so OutcomeUnknown is an error there.
    """

    name: str
    answer: Iterable[Step] | Callable[[], Iterable[Step]]
    error: type[ConnectorError]
    is_2xx: bool = field(default=False)


def _json(value: Any, status: int = 200, **headers: str) -> list[Step]:
    return http(status, json.dumps(value).encode(), Content_Type="application/json", **headers)


def _endless(piece: bytes = b" " * 65536, count: int = 1600) -> Iterator[Step]:
    yield b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (len(piece) * count)
    yield from (piece for _ in range(count))


def _endless_chunks() -> Iterator[Step]:
    yield b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    yield from (b"10000\r\n" + b" " * 65536 + b"\r\n" for _ in range(1600))


def _endless_headers() -> Iterator[Step]:
    yield b"HTTP/1.1 200 OK\r\n"
    yield from (b"X-Number-%d: %s\r\n" % (number, b"x" * 1000) for number in range(10_000))


BOMB = gzip.compress(bytes(50 << 20))
REDIRECTS = [
    Row(f"{status} to {name}", (status, target), RequestRejected)  # type: ignore[arg-type]
    for status in (301, 302, 303, 307, 308)
    for name, target in (
        ("another host", "EVIL"), ("the address of a cloud", "http://169.254.169.254/latest/"), ("a file", "file:///x"),
    )
]  # fmt: skip

ANSWERS = [
    Row("HTML under 200", http(200, b"<html><body>It works!</body></html>"), Unanswered, True),
    Row("nothing under 200", http(200), Unanswered, True),
    Row("nothing under 204", http(204), Unanswered, True),
    Row("half a JSON", http(200, b'{"code": "OK", "body": {"seq'), Unanswered, True),
    Row("JSON of a number", http(200, b"7"), Unanswered, True),
    Row("JSON of nothing", http(200, b"null"), Unanswered, True),
    Row("JSON of a text", http(200, b'"OK"'), Unanswered, True),
    Row("an empty list", http(200, b"[]"), Unanswered, True),
    Row("an empty object", http(200, b"{}"), Unanswered, True),
    Row("100 000 brackets", http(200, b"[" * 100_000), Unanswered, True),
    Row("a number of 5000 digits", http(200, b'{"code": "OK", "x": ' + b"9" * 5000 + b"}"), Unanswered, True),
    Row("NaN", http(200, b'{"code": "OK", "body": {"sequence": NaN}, "reqId": "r-1"}'), Unanswered, True),
    Row(
        "a member twice", http(200, b'{"code":"OK","code":"OK","reqId":"r-1","body":{"sequence":1}}'), Unanswered, True
    ),
    Row("UTF-16", http(200, json.dumps(_ok(sequence=1)).encode("utf-16")), Unanswered, True),
    Row("bytes that are no text", http(200, bytes(range(128, 256))), Unanswered, True),
    Row("NUL bytes", http(200, bytes(1000)), Unanswered, True),
    Row(
        "code OK for another request", _json({"code": "OK", "body": {"sequence": 1}, "reqId": "r-2"}), Unanswered, True
    ),
    Row("code OK for no request", _json({"code": "OK", "body": {"sequence": 1}}), Unanswered, True),
    Row(
        "a request id that is a list",
        _json({"code": "OK", "body": {"sequence": 1}, "reqId": ["r-1"]}),
        Unanswered,
        True,
    ),
    Row("an unknown code", _json({"code": "PERHAPS", "reqId": "r-1"}), Unanswered, True),
    Row("a code that is a list", _json({"code": ["OK"], "reqId": "r-1"}), Unanswered, True),
    Row(
        "BAD_REQUEST under 200",
        _json({"code": "BAD_REQUEST", "body": {"msg": "no"}, "reqId": "r-1"}),
        RequestRejected,
        True,
    ),
    Row(
        "closed",
        _json({"code": "BAD_REQUEST", "body": {"msg": "Conversation is closed"}, "reqId": "r-1"}, 400),
        ConversationClosed,
    ),
    Row(
        "a message that is an object",
        _json({"code": "BAD_REQUEST", "body": {"msg": {"a": 1}}, "reqId": "r-1"}, 400),
        RequestRejected,
    ),
    Row("400 without words", http(400), RequestRejected),
    Row("401 without a code", http(401), CredentialsRejected),
    Row("401 for an old AppJWT", _json({"code": 401, "body": {"errorCode": 40102}}, 401), TokenExpired),
    Row("401 for an old ConsumerJWS", _json({"code": 401, "body": {"errorCode": "40103"}}, 401), TokenExpired),
    Row("403 by a proxy", http(403, b"<html>403</html>"), CredentialsRejected),
    Row("404", http(404, b"no"), RequestRejected),
    Row("405", http(405), RequestRejected),
    Row("418", http(418), RequestRejected),
    Row("429", http(429), RateLimited),
    *(
        Row(f"429, again {name}", http(429, b"", Retry_After=value), RateLimited)
        for name, value in (
            ("in 7 s", "7"),
            ("at a date", "Sun, 22 Nov 2093 10:00:00 GMT"),
            ("at a past date", "Fri, 01 Jan 1999 00:00:00 GMT"),
            ("in -5 s", "-5"),
            ("in 1e9 s", "1e9"),
            ("in inf s", "inf"),
            ("in nan s", "nan"),
            ("soon", "soon"),
            ("at a date that is none", "Sun, 99 Nov 20260 99:00:00 GMT"),
            ("in nothing", ""),
            ("in a small two", "\xb2"),
        )
    ),
    Row("503 with Retry-After", http(503, b"", Retry_After="9"), RateLimited),
    Row("500", http(500, b"oops"), Refused),
    Row("500 with a body of LivePerson", _json({"code": "INTERNAL_SERVER_ERROR", "reqId": "r-1"}, 500), Refused),
    Row("502 by a proxy", http(502, b"<html>502</html>"), Refused),
    Row("503", http(503), Refused),
    Row("504", http(504), Refused),
    Row("599", http(599), Refused),
    Row("status 999", http(999), Refused),
    Row("status 100 and nothing more", [b"HTTP/1.1 100 Continue\r\n\r\n", CLOSE], Unanswered),
    Row("status 101", [b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", CLOSE], Unanswered),
    Row("a status that is no number", [b"HTTP/1.1 abc OK\r\n\r\n", CLOSE], Unanswered),
    Row("a status of 5000 digits", [b"HTTP/1.1 " + b"9" * 5000 + b" OK\r\n\r\n", CLOSE], Unanswered),
    Row("no HTTP", [b"220 smtp.example ESMTP\r\n", CLOSE], Unanswered),
    Row("TLS", [bytes.fromhex("15030100020246"), CLOSE], Unanswered),
    Row("the end at once", [CLOSE], Unanswered),
    Row("a reset at once", [RESET], Unanswered),
    Row("a reset in the head", [b"HTTP/1.1 200 OK\r\nContent-", RESET], Unanswered),
    Row("a reset in the body", [b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{", RESET], Unanswered),
    Row("the end in the body", [b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{", CLOSE], Unanswered),
    Row(
        "a length that is no number", [b"HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\nabcde", CLOSE], Unanswered, True
    ),
    Row("a length below zero", [b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nabcde", CLOSE], Unanswered, True),
    Row(
        "two lengths",
        [b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef", CLOSE],
        Unanswered,
        True,
    ),
    Row("chunks that are none", [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", CLOSE], Unanswered),
    Row(
        "chunks that never end",
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n", CLOSE],
        Unanswered,
    ),
    Row(
        "a chunk as large as a number can say",
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7fffffff\r\nabc", CLOSE],
        Unanswered,
    ),
    Row(
        "an unknown transfer coding",
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\nabc", CLOSE],
        Unanswered,
        True,
    ),
    Row("100 MB", _endless, Unanswered),
    Row("100 MB in chunks", _endless_chunks, Unanswered),
    Row("10 000 headers", _endless_headers, Unanswered),
    Row("a header of 1 MB", [b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * (1 << 20) + b"\r\n\r\n", CLOSE], Unanswered),
    Row("a gzip bomb", http(200, BOMB, Content_Encoding="gzip"), Unanswered),
    Row("a gzip bomb in a gzip bomb", http(200, gzip.compress(BOMB), Content_Encoding="gzip, gzip"), Unanswered),
    Row("gzip that is none", http(200, b"abc", Content_Encoding="gzip"), Unanswered),
    Row("brotli", http(200, b"abc", Content_Encoding="br"), Unanswered),
    Row("cookies", http(200, b"<html/>", Set_Cookie="a=b; Domain=127.0.0.1"), Unanswered, True),
    *REDIRECTS,
]


@pytest.fixture(scope="module")
def evil() -> Iterator[ScriptedServer]:
    """Where nobody may ever be led."""
    with ScriptedServer() as server:
        yield server


@pytest.fixture(scope="module")
def lp() -> Iterator[FakeLivePerson]:
    fake = FakeLivePerson()
    yield fake
    fake.http.close()
    fake.server.stop()


@each(ANSWERS)
def test_every_answer_to_every_call_ends_in_time_with_an_error_of_the_tree(
    lp: FakeLivePerson, evil: ScriptedServer, row: Row
) -> None:
    lp.answer = lambda _: _played(row, evil)
    before_mb = _rss_mb()
    for call in CALLS:
        started = time.monotonic()
        count = len(lp.requests)
        try:
            call.make(lp)
        except ConnectorError as error:
            problem: ConnectorError | None = error
        else:
            problem = None
        assert time.monotonic() - started < WITHIN_S, call.name
        # None at all reaches a server that closed the connection just then.
        assert len(lp.requests) <= count + 1, (call.name, "one request, never repeated, never led elsewhere")
        _judge(row, call, problem)
    assert evil.requests == []
    assert _rss_mb() - before_mb < MAX_GROWTH_MB


def _judge(row: Row, call: Call, problem: ConnectorError | None) -> None:
    if problem is None:
        assert row.is_2xx and call.takes_any_2xx, (call.name, "taken for a yes")
        return
    assert problem.detail.endswith("."), problem.detail
    assert len(problem.answer_head) <= 512
    for secret in (*TOKENS.secrets, URL.query["temp_url_sig"]):
        assert secret not in f"{problem!r} {problem.detail} {problem.answer_head}"
    if call.matters:
        assert isinstance(problem, row.error), (call.name, repr(problem))
    else:
        assert not isinstance(problem, OutcomeUnknown), (call.name, repr(problem))


def _played(row: Row, evil: ScriptedServer) -> Iterable[Step]:
    if callable(row.answer):
        return row.answer()
    if isinstance(row.answer, tuple):
        status, target = row.answer
        return http(status, b"", Location=target.replace("EVIL", f"{evil.url}/stolen"))
    return row.answer


def _rss_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


# --- slow ones: all calls at once, because each takes its whole deadline ---------------------------------------------

SLOW: dict[str, Callable[[Received], Iterable[Step]]] = {
    "silence": lambda _: [60.0],
    "a head, then silence": lambda _: [b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", 60.0],
    "a byte every half second": lambda _: [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", *(part for _ in range(100) for part in (b" ", 0.5))
    ],
    "a head that drips": lambda _: [part for _ in range(100) for part in (b"H", 0.5)],
}  # fmt: skip


def test_however_slow_the_answer_is_the_call_ends_within_ten_seconds(lp: FakeLivePerson) -> None:
    found: dict[tuple[str, str], tuple[float, str]] = {}

    def run(name: str, call: Call) -> None:
        started = time.monotonic()
        try:
            call.make(fakes[name])
            ended = "a yes"
        except ConnectorError as error:
            ended = type(error).__name__ if call.matters else str(isinstance(error, OutcomeUnknown))
        found[name, call.name] = (time.monotonic() - started, ended)

    fakes = {name: FakeLivePerson() for name in SLOW}
    for name, play in SLOW.items():
        fakes[name].answer = play
    threads = [threading.Thread(target=run, args=(name, call)) for name in SLOW for call in CALLS]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    for fake in fakes.values():
        fake.http.close()
        fake.server.stop()

    assert len(found) == len(threads), "a call hangs"
    assert {key: took for key, (took, _) in found.items() if took > 20} == {}  # none of them ends by itself
    matters = {call.name for call in CALLS if call.matters}
    wrong = {key: end for key, (_, end) in found.items() if end != ("Unanswered" if key[1] in matters else "False")}
    assert wrong == {}


# --- the Domain API --------------------------------------------------------------------------------------------------

HOSTS = [
    "localhost", "evil.com", "lp.liveperson.net.evil.com", "lp@evil.com", "evil.com#.liveperson.net",
    "evil.com?.liveperson.net", "evil.com/.liveperson.net", "evil.com\\.liveperson.net", "x.liveperson.net:22",
    "x.liveperson.net:0", "x.liveperson.net:99999", "xn--lveperson-q2a.net", "l\u0456veperson.net", "liveperson.net.",
    ".liveperson.net", "-.liveperson.net", "a..liveperson.net", "169.254.169.254", "[::1]", "0x7f000001", "2130706433",
    "127.1", "10.0.0.1", "x" * 5000 + ".liveperson.net", "x.liveperson.net\r\nX: 1", "x.liveperson.net\x00", " ", "",
    "http://x.liveperson.net", "user:pw@x.liveperson.net", "%65vil.com", "evil\u3002com",
]  # fmt: skip


@pytest.mark.parametrize("host", HOSTS)
def test_a_host_that_the_domain_api_should_not_name_is_never_called(host: str) -> None:
    """As in production: private addresses are not allowed, only LivePerson's own domains are."""
    from core.http import HttpClient, OutboundPolicy

    asked: list[str] = []

    def resolve(name: str, port: int, *_: Any) -> Any:
        asked.append(name)
        raise OSError("nothing is resolved here")

    client = HttpClient(OutboundPolicy(("liveperson.net",), allow_private=False), resolve=resolve)
    domains = DomainResolver(client, "https://api.liveperson.net")
    domains._entries[ACCOUNT] = _entry(host)
    with pytest.raises(ConnectorError) as refused:
        url = domains.base_url(account_id=ACCOUNT, service="asyncMessagingEnt")
        client.request("POST", f"{url}/api", json={})
    assert refused.value.retryable, "nothing was sent"
    assert [name for name in asked if not name.rstrip(".").endswith("liveperson.net")] == []


def _entry(host: str) -> Any:
    from liveperson.domains import _Entry

    return _Entry(hosts={"asyncMessagingEnt": host}, asked_at=time.monotonic())


# --- generated -------------------------------------------------------------------------------------------------------


def _checked(result: Any) -> None:
    """A yes is one that the rest of the site can work with."""
    match result:
        case Accepted():
            assert type(result.sequence) is int and 0 <= result.sequence < 2**31
        case Opened():
            assert 0 < len(result.lp_conversation_id) <= 256 and result.lp_conversation_id.isprintable()
        case AppJWT():
            assert result.token.isascii() and result.token.isprintable()
            assert datetime.now(UTC) < result.expires_at <= datetime.now(UTC) + timedelta(hours=24)
        case ConsumerJWS():
            assert result.token.isascii() and len(result.lp_consumer_id) <= 256
        case TemporaryUrl():
            assert result.relative_path.startswith("/") and not result.relative_path.startswith("//")


def test_good_answers_that_were_changed_are_a_yes_or_an_error_of_the_tree(
    lp: FakeLivePerson, record_property: Any
) -> None:
    ends = {"yes": 0, "error": 0}

    def changed(call: Call) -> st.SearchStrategy[tuple[Call, bytes]]:
        good = json.dumps(call.good).encode()
        return st.tuples(st.just(call), st.one_of(mutations.trees([call.good]), mutations.bytes_of([good])))

    @budget.examples(600, long=6000)
    @given(
        asked=st.sampled_from(CALLS).flatmap(changed),
        status=st.sampled_from([200] * 8 + [201, 400, 401, 403, 429, 500]),
    )
    def check(asked: tuple[Call, bytes], status: int) -> None:
        call, body = asked
        lp.answer = lambda _: http(status, body)
        started = time.monotonic()
        try:
            _checked(call.make(lp))
            ends["yes"] += 1
        except ConnectorError as error:
            ends["error"] += 1
            assert call.matters or not isinstance(error, OutcomeUnknown), (call.name, repr(error))
        assert time.monotonic() - started < WITHIN_S

    check()
    print(f"answers: {ends}")
    record_property("answers", sum(ends.values()))
    assert min(ends.values()) > 20
