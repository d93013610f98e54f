"""Outbound HTTP against a real server that does everything wrong."""

import gzip
import logging
import os
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import trustme

from core.errors import ConnectorError, NotSent, RequestRejected, Unanswered
from core.http import AnswerTooLarge, HttpClient, OutboundPolicy, encode_json
from core.http_transport import MAX_IDLE_S
from tests.liveperson.server import CLOSE, RESET, Play, ScriptedServer, Step, as_json, http, seconds_of

ROOT = Path(__file__).resolve().parents[2]
LOCAL = OutboundPolicy(("liveperson.net",), allow_private=True)
SECRETS = {"params": {"sig": "canary-query"}, "headers": {"Authorization": "canary-header"}, "body": b"canary-body"}


@pytest.fixture
def serve() -> Iterator[Callable[..., ScriptedServer]]:
    servers: list[ScriptedServer] = []

    def start(play: Play = lambda _: http(), **options: Any) -> ScriptedServer:
        servers.append(ScriptedServer(play, **options))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def client() -> Iterator[HttpClient]:
    client = HttpClient(LOCAL)
    yield client
    client.close()


def repeat(*steps: Step, times: int = 10_000) -> Iterator[Step]:
    for _ in range(times):
        yield from steps


# --- what is sent ----------------------------------------------------------------------------------------------------


def test_a_request_arrives_as_it_was_given(serve: Any, client: HttpClient) -> None:
    server = serve(lambda _: as_json({"ok": 1}, 201, X_Answer="yes"))
    answer = client.request(
        "POST", server.url + "/a/b", params={"v": "3", "x": "a b"}, headers={"X-Mine": "1"}, json={"text": "Grüße 👋"}
    )
    request = server.requests[0]
    assert (request.method, request.path, request.query) == ("POST", "/a/b", {"v": "3", "x": "a b"})
    assert request.body == '{"text":"Grüße 👋"}'.encode()
    assert request.headers["content-type"] == "application/json"
    assert request.headers["x-mine"] == "1"
    assert request.headers["accept-encoding"] == "identity"
    assert request.headers["host"] == f"127.0.0.1:{server.port}"
    assert (answer.status, answer.body, answer.host) == (201, b'{"ok": 1}', "127.0.0.1")
    assert answer.headers["x-answer"] == answer.headers["X-ANSWER"] == "yes"
    assert 0 <= answer.elapsed_ms < 5000


def test_a_form_is_sent_in_the_body(serve: Any, client: HttpClient) -> None:
    server = serve()
    client.request("POST", server.url + "/token", form={"client_id": "a", "client_secret": "b&c"})
    assert server.requests[0].body == b"client_id=a&client_secret=b%26c"
    assert server.requests[0].headers["content-type"] == "application/x-www-form-urlencoded"


def test_bytes_go_up_and_come_down_unchanged(serve: Any, client: HttpClient) -> None:
    content = os.urandom(3 << 20)
    server = serve(lambda request: http(200, request.body))
    answer = client.request("PUT", server.url + "/f", body=content, max_bytes=4 << 20)
    assert server.requests[0].body == answer.body == content


def test_half_a_surrogate_pair_does_not_break_a_request() -> None:
    assert encode_json({"a": "x\ud83d\ude00y\ud800z"}).decode() == '{"a":"x😀y\ufffdz"}'


@pytest.mark.parametrize(
    "options",
    [
        {"headers": {"Authorization": "canary\r\nX-Evil: 1"}},
        {"headers": {"Authorization": "canary \u20ac"}},
        {"json": {"canary": float("nan")}},
        {"json": {"canary": b"bytes"}},
    ],
)
def test_what_cannot_be_written_down_is_rejected_and_not_repeated(
    serve: Any, client: HttpClient, options: dict[str, Any]
) -> None:
    server = serve()
    with pytest.raises(RequestRejected) as caught:
        client.request("POST", server.url + "/", **options)
    assert "canary" not in str(caught.value)
    assert server.connections == 0


def test_proxies_netrc_and_cookies_of_the_surroundings_are_not_used(
    serve: Any, client: HttpClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login canary password canary\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    server = serve(lambda _: http(200, b"", Set_Cookie="canary=1"))
    client.request("GET", server.url + "/")
    client.request("GET", server.url + "/")
    assert "authorization" not in server.requests[1].headers
    assert "cookie" not in server.requests[1].headers


# --- answers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_an_answer_and_is_not_followed(serve: Any, client: HttpClient, status: int) -> None:
    inside = serve()
    server = serve(lambda _: http(status, b"", Location=inside.url + "/latest/meta-data/"))
    assert client.request("POST", server.url + "/", json={}).status == status
    assert inside.connections == 0
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [204, 304, 400, 401, 404, 429, 500, 503])
def test_any_status_is_an_answer_and_nothing_is_repeated(serve: Any, client: HttpClient, status: int) -> None:
    server = serve(lambda _: http(status, b"" if status in (204, 304) else b"x", Retry_After="0"))
    assert client.request("POST", server.url + "/", json={}).status == status
    assert len(server.requests) == 1


def test_an_answer_in_chunks_and_one_that_ends_with_the_connection_are_read(serve: Any, client: HttpClient) -> None:
    chunked = serve(
        lambda _: [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1;x=y\r\nc\r\n0\r\n\r\n"]
    )
    until_close = serve(lambda _: [b"HTTP/1.0 200 OK\r\n\r\nabc", CLOSE])
    assert client.request("GET", chunked.url + "/").body == b"abc"
    assert client.request("GET", until_close.url + "/").body == b"abc"


BOMB = gzip.compress(b"0" * (50 << 20))
WRITTEN: dict[str, list[Step]] = {
    "nothing": [CLOSE],
    "reset": [RESET],
    "half a status line": [b"HTTP/1.1 2", CLOSE],
    "no HTTP": [b"SSH-2.0-OpenSSH_9.6\r\n", CLOSE],
    "garbage": [bytes(range(256)) * 20, CLOSE],
    "half the headers": [b"HTTP/1.1 200 OK\r\nContent-Le", RESET],
    "half the body": [b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", CLOSE],
    "reset in the body": [b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", 0.05, RESET],
    "half the chunks": [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", CLOSE],
    "wrong chunk size": [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nab\r\n0\r\n\r\n", CLOSE],
    "negative length": [b"HTTP/1.1 200 OK\r\nContent-Length: 5, 7\r\n\r\nabcde", CLOSE],
    "status 99999": [b"HTTP/1.1 99999 OK\r\n\r\n", CLOSE],
    "200 headers": [b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n", CLOSE],
    "header of 100 KB": [b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n", CLOSE],
    "gzip": http(200, gzip.compress(b"{}"), Content_Encoding="gzip"),
    "gzip bomb": http(200, BOMB, Content_Encoding="gzip"),
    "unknown encoding": http(200, b"x", Content_Encoding="zstd"),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_a_broken_answer_after_the_request_was_written_is_unanswered(serve: Any, client: HttpClient, name: str) -> None:
    server = serve(lambda _: WRITTEN[name])
    with pytest.raises(Unanswered) as caught:
        client.request("POST", server.url + "/canary-path", **SECRETS)
    assert len(server.requests) == 1
    assert "canary" not in str(caught.value)
    # The same client goes on with a good server.
    assert client.request("GET", serve().url + "/").status == 200


def test_an_answer_above_the_cap_is_not_read_to_its_end(serve: Any, client: HttpClient) -> None:
    sent = 0

    def endless(_: Any) -> Iterator[Step]:
        nonlocal sent
        yield b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n"
        for _ in range(1600):
            sent += 1
            yield b"x" * 65536

    server = serve(endless)
    with pytest.raises(AnswerTooLarge):
        client.request("GET", server.url + "/", max_bytes=1 << 20)
    assert sent < 400
    assert client.request("GET", serve(lambda _: http(200, b"x" * 1000)).url + "/", max_bytes=1000).status == 200


# --- the deadline ----------------------------------------------------------------------------------------------------

# Each of them, and each server here that is silent, goes on for longer: without the deadline a call would last so long.
MUCH_LATER_S = 20
DRIPS: dict[str, Callable[[], Iterator[Step] | list[Step]]] = {
    "silence": lambda: [30.0],
    "status line, byte by byte": lambda: repeat(b"H", 0.05),
    "headers without end": lambda: [b"HTTP/1.1 200 OK\r\n", *[step for _ in range(90) for step in (b"X: y\r\n", 0.4)]],
    "100 Continue without end": lambda: repeat(b"HTTP/1.1 100 Continue\r\n\r\n", 0.05),
    "headers, then silence": lambda: [b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", 30.0],
    "body, byte by byte": lambda: [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n",
        *[step for _ in range(99) for step in (b"x", 0.4)],
    ],
    "chunks, byte by byte": lambda: [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        *[step for _ in range(99) for step in (b"1\r\nx\r\n", 0.4)],
    ],
    "trailers without end": lambda: [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
        *[step for _ in range(99) for step in (b"X: y\r\n", 0.4)],
    ],
}


@pytest.mark.parametrize("name", DRIPS)
def test_the_deadline_holds_however_the_answer_drips(serve: Any, client: HttpClient, name: str) -> None:
    server = serve(lambda _: DRIPS[name]())
    started = time.monotonic()
    with pytest.raises(Unanswered, match=r"within 0\.6 s"):
        client.request("POST", server.url + "/", deadline_s=0.6, **SECRETS)
    assert 0.5 < time.monotonic() - started < MUCH_LATER_S


@pytest.mark.parametrize("name", ["silence", "body, byte by byte", "chunks, byte by byte"])
def test_the_deadline_holds_under_tls(serve: Any, name: str) -> None:
    authority = trustme.CA()
    server = serve(lambda _: DRIPS[name](), tls=_server_tls(authority, "127.0.0.1"))
    client = HttpClient(LOCAL, tls=_client_tls(authority))
    started = time.monotonic()
    with pytest.raises(Unanswered, match=r"within 1\.5 s"):
        client.request("GET", f"https://127.0.0.1:{server.port}/", deadline_s=1.5)
    assert 1.4 < time.monotonic() - started < MUCH_LATER_S


# The second is the beginning of a TLS record of 16000 bytes that never comes to its end.
@pytest.mark.parametrize("before", [[30.0], [b"\x16\x03\x03\x3e\x80", *[0.4, b"x"] * 100]], ids=["silence", "drip"])
def test_a_handshake_that_never_ends_is_not_sent(serve: Any, client: HttpClient, before: list[Step]) -> None:
    server = serve(before=before)
    started = time.monotonic()
    with pytest.raises(NotSent, match=r"TLS .* 0\.6 s"):
        client.request("GET", f"https://127.0.0.1:{server.port}/", deadline_s=0.6)
    assert 0.5 < time.monotonic() - started < MUCH_LATER_S


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_an_upload_that_nobody_reads_ends_at_the_deadline(serve: Any, scheme: str) -> None:
    authority = trustme.CA()
    # The server takes the first bytes and then no more, so that the client is stuck in writing.
    server = serve(reads=False, tls=_server_tls(authority, "127.0.0.1") if scheme == "https" else None)
    client = HttpClient(LOCAL, tls=_client_tls(authority))
    started = time.monotonic()
    with pytest.raises(Unanswered, match=r"within 1\.5 s"):
        client.request("PUT", f"{scheme}://127.0.0.1:{server.port}/", body=b"x" * (32 << 20), deadline_s=1.5)
    assert 1.4 < time.monotonic() - started < MUCH_LATER_S


def test_a_resolver_that_hangs_does_not_hang_the_call() -> None:
    release = threading.Event()
    client = HttpClient(LOCAL, resolve=lambda host, port: release.wait(30) and [])
    elapsed_s = seconds_of(
        lambda: pytest.raises(NotSent, client.request, "GET", "https://a.liveperson.net/", deadline_s=0.4)
    )
    release.set()
    assert elapsed_s < MUCH_LATER_S


# --- certainly not sent ----------------------------------------------------------------------------------------------


def test_a_refused_connection_is_not_sent(client: HttpClient) -> None:
    server = ScriptedServer()
    server.stop()
    with pytest.raises(NotSent, match="refused"):
        client.request("POST", server.url + "/canary", **SECRETS)


def test_a_name_without_an_address_is_not_sent() -> None:
    def unknown(host: str, port: int) -> list[str]:
        raise OSError("canary")

    with pytest.raises(NotSent, match=r"a\.liveperson\.net"):
        HttpClient(LOCAL, resolve=unknown).request("GET", "https://a.liveperson.net/")


def test_the_next_address_is_tried_when_the_first_does_not_answer(serve: Any) -> None:
    server = serve()
    client = HttpClient(LOCAL, resolve=lambda host, port: ["::1", "127.0.0.1"])
    assert client.request("GET", f"http://a.liveperson.net:{server.port}/").status == 200


@pytest.mark.parametrize("before", [[CLOSE], [RESET], [b"HTTP/1.1 200 OK\r\n\r\n", CLOSE]], ids=str)
def test_a_failed_handshake_is_not_sent(serve: Any, client: HttpClient, before: list[Step]) -> None:
    server = serve(before=before)
    with pytest.raises(NotSent):
        client.request("POST", f"https://127.0.0.1:{server.port}/", **SECRETS)
    assert server.requests == []


# --- TLS and names ---------------------------------------------------------------------------------------------------


def _server_tls(authority: trustme.CA, name: str, seen: list[str | None] | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(name).configure_cert(context)
    if seen is not None:
        context.sni_callback = lambda _socket, server_name, _context: seen.append(server_name)
    return context


def _client_tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def test_the_name_stays_in_sni_and_host_although_the_address_is_called(serve: Any) -> None:
    authority, seen = trustme.CA(), []
    server = serve(tls=_server_tls(authority, "va.msg.liveperson.net", seen))
    asked = []
    client = HttpClient(
        LOCAL, tls=_client_tls(authority), resolve=lambda host, port: asked.append((host, port)) or ["127.0.0.1"]
    )
    for _ in range(2):
        assert client.request("GET", f"https://va.msg.liveperson.net:{server.port}/").status == 200
    assert seen == ["va.msg.liveperson.net"]
    assert asked == [("va.msg.liveperson.net", server.port)]
    assert server.requests[1].headers["host"] == f"va.msg.liveperson.net:{server.port}"
    assert server.connections == 1


@pytest.mark.parametrize("name", ["evil.example", "liveperson.net"])
def test_a_certificate_of_another_name_is_refused_before_anything_is_written(serve: Any, name: str) -> None:
    authority = trustme.CA()
    server = serve(tls=_server_tls(authority, name))
    client = HttpClient(LOCAL, tls=_client_tls(authority), resolve=lambda host, port: ["127.0.0.1"])
    with pytest.raises(NotSent, match="certificate"):
        client.request("POST", f"https://va.msg.liveperson.net:{server.port}/", **SECRETS)
    assert server.requests == []


def test_a_certificate_of_nobody_we_know_is_refused(serve: Any, client: HttpClient) -> None:
    server = serve(tls=_server_tls(trustme.CA(), "127.0.0.1"))
    with pytest.raises(NotSent, match="certificate"):
        client.request("GET", f"https://127.0.0.1:{server.port}/")


# --- connections -----------------------------------------------------------------------------------------------------


def test_a_connection_is_used_again_at_once_but_not_after_a_pause(
    serve: Any, client: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve()
    assert MAX_IDLE_S == 2.0
    for may_be_idle_s in (60.0, 60.0, 0.0):
        monkeypatch.setattr("core.http_transport.MAX_IDLE_S", may_be_idle_s)
        client.request("GET", server.url + "/")
    assert [request.connection for request in server.requests] == [1, 1, 2]


def test_a_connection_that_the_server_closed_is_not_written_to(serve: Any, client: HttpClient) -> None:
    server = serve(lambda _: [*http(), CLOSE])
    for _ in range(5):
        assert client.request("POST", server.url + "/", json={}).status == 200
        time.sleep(0.05)
    assert len(server.requests) == 5


def test_a_connection_is_not_used_again_after_an_answer_that_was_not_read(serve: Any, client: HttpClient) -> None:
    """At the moment of the next request nothing of the old answer waits to be read: it comes later."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n"
    big = [head + b"x" * 70_000, 0.3, b"x" * 130_000]
    server = serve(lambda request: big if request.path == "/big" else http(200, b"small"))
    with pytest.raises(AnswerTooLarge):
        client.request("GET", server.url + "/big", max_bytes=100)
    assert client.request("GET", server.url + "/small").body == b"small"
    assert [request.connection for request in server.requests] == [1, 2]


def test_64_threads_share_one_client_and_each_gets_its_own_answer(
    serve: Any, client: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.http_transport.MAX_IDLE_S", 60.0)
    server = serve(lambda request: [0.02, *http(200, request.body)])

    def ask(number: int) -> bool:
        body = f"{number}".encode() * 50
        return client.request("POST", server.url + "/", body=body).body == body

    with ThreadPoolExecutor(64) as pool:
        assert all(pool.map(ask, range(640)))
    assert server.connections <= 64


def test_a_forked_child_opens_connections_of_its_own(
    serve: Any, client: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.http_transport.MAX_IDLE_S", 60.0)
    server = serve()
    client.request("GET", server.url + "/parent")
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if client.request("GET", server.url + "/child").status == 200 else 1)
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    client.request("GET", server.url + "/parent")
    assert [request.connection for request in server.requests] == [1, 2, 1]


# --- what errors and logs say ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "steps", [[RESET], [b"HTTP/1.1 200 OK\r\nno colon here\r\ncanary\r\n\r\n", CLOSE], [5.0]], ids=str
)
def test_nothing_of_a_request_is_told_by_errors_or_logs(
    serve: Any, client: HttpClient, caplog: pytest.LogCaptureFixture, steps: list[Step]
) -> None:
    caplog.set_level(logging.DEBUG)
    server = serve(lambda _: steps)
    error: ConnectorError | None = None
    try:
        client.request("POST", server.url + "/canary-path", deadline_s=0.5, **SECRETS)
    except ConnectorError as caught:
        error = caught
    assert error is None or (error.__context__ is None and error.__cause__ is None)
    assert "canary" not in caplog.text
    assert "canary" not in f"{error!s} {error!r} {vars(error) if error else ''}"


def test_the_library_under_us_is_silenced_even_without_the_sites_logging() -> None:
    """It would tell whole URLs: at DEBUG always, at WARNING when a header is malformed."""
    program = (
        "import logging, core.http; logging.basicConfig(level=logging.DEBUG);"
        "print(logging.getLogger('urllib3.connectionpool').isEnabledFor(logging.WARNING))"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert told.stdout == "False\n"
