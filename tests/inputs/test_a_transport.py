"""
Bad input, class A: headers and transport, over a raw socket against the real web server.

What a chunked body may look like is in tests/webhooks/test_views_server.py; here stands everything around bodies.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest

from tests.conversations.notifications import notification, said, sign
from tests.conversations.stand import Door, make_door
from tests.inputs.rows import each
from tests.webhooks.web import Answer, Web, Wire, chunked
from webhooks.models import Delivery

BODY = notification(said("c-1", 1, "Grüße 👋🏽"))
OTHER = notification(said("c-1", 2, "second"))
N = len(BODY)
CLOSED = 0


@pytest.fixture
def site(transactional_db: None, web: Web) -> Door:
    return make_door()


@dataclass(frozen=True)
class Row:
    """
    send: the bytes of one connection; a number among them is a pause in seconds, RESET and HALF end its writing.
    answers: for each answer, the statuses that it may have. Exactly what is answered 200 is stored.
    """

    name: str
    send: Callable[[Door], Sequence[bytes | float | str]]
    answers: tuple[tuple[int, ...], ...]


RESET, HALF = "reset", "half"


def head(door: Door, *lines: str, body: bytes = BODY, first: str = "", signed: bool = True, host: bool = True) -> bytes:
    """A request up to the empty line."""
    given = [first or f"POST {door.liveperson_path} HTTP/1.1"]
    given += ["Host: 127.0.0.1"] if host else []
    given += lines
    given += [f"X-Liveperson-Signature: {sign(body, door.client_secret)}"] if signed else []
    return "\r\n".join([*given, "", ""]).encode("latin-1")


def request(door: Door, *lines: str, body: bytes = BODY, **options: object) -> bytes:
    return head(door, f"Content-Length: {len(body)}", *lines, body=body, **options) + body  # type: ignore[arg-type]


def one(name: str, *lines: str, answer: int | tuple[int, ...], **options: object) -> Row:
    """A complete request with these lines besides, and one answer."""
    allowed = (answer,) if isinstance(answer, int) else answer
    return Row(
        name,
        lambda door: [request(door, *lines, **options)],
        (allowed,),
    )


def raw(name: str, make: Callable[[Door], bytes], *answers: int | tuple[int, ...]) -> Row:
    allowed = tuple((found,) if isinstance(found, int) else found for found in answers)
    return Row(name, lambda door: [make(door)], allowed)


def signature(door: Door, body: bytes = BODY) -> str:
    return sign(body, door.client_secret)


def first_line(name: str, line: Callable[[Door], str], *answers: int | tuple[int, ...]) -> Row:
    return raw(name, lambda door: request(door, first=line(door)), *answers)


BAD = (400,)
REFUSED = (400, 401, 405, 411, 413, 415, 501, CLOSED)

SIGNATURE_HEADERS = [
    one("no signature", signed=False, answer=401),
    one("empty signature", "X-Liveperson-Signature:", signed=False, answer=401),
    raw(
        "two signatures, the first good",
        lambda door: request(door, f"X-Liveperson-Signature: {signature(door)}", "X-Liveperson-Signature: sha1=AAAA",
                             signed=False),
        401,
    ),
    raw(
        "two signatures, the second good",
        lambda door: request(door, "X-Liveperson-Signature: sha1=AAAA", f"X-Liveperson-Signature: {signature(door)}",
                             signed=False),
        401,
    ),
    raw(
        "the same signature twice",
        lambda door: request(door, f"X-Liveperson-Signature: {signature(door)}"),
        401,
    ),
    raw(
        "signature with underscores",
        lambda door: request(door, f"X_Liveperson_Signature: {signature(door)}", signed=False),
        (400, 401),
    ),
    raw(
        "signature under another name besides a wrong one",
        lambda door: request(door, "X-Liveperson-Signature: sha1=AAAA", f"X_Liveperson_Signature: {signature(door)}",
                             signed=False),
        (400, 401),
    ),
    raw(
        "signature in upper case",
        lambda door: request(door, f"X-LIVEPERSON-SIGNATURE: {signature(door)}", signed=False),
        200,
    ),
    raw(
        "signature with a byte beyond ASCII",
        lambda door: request(door, f"X-Liveperson-Signature: {signature(door)}\xff", signed=False),
        401,
    ),
    raw(
        "signature folded over two lines",
        lambda door: request(door, f"X-Liveperson-Signature: sha1=\r\n {signature(door)[5:]}", signed=False),
        (400, 401),
    ),
    raw(
        "signature in a trailer",
        lambda door: head(door, "Transfer-Encoding: chunked", "Trailer: X-Liveperson-Signature", signed=False)
        + chunked(BODY, end=b"0\r\nX-Liveperson-Signature: %b\r\n\r\n" % signature(door).encode()),
        (400, 401),
    ),
    raw(
        "signature in the query",
        lambda door: request(door, signed=False, first=f"POST {door.liveperson_path}?x-liveperson-signature="
                             f"{signature(door)} HTTP/1.1"),
        401,
    ),
]  # fmt: skip

ID_HEADERS = [
    one("no id headers: the address decides", answer=200),
    one("account of somebody else", "X-Liveperson-Account-Id: 87654321", answer=401),
    one("account twice, first good", "X-Liveperson-Account-Id: 12345678", "X-Liveperson-Account-Id: 8", answer=401),
    one("account with a blank", "X-Liveperson-Account-Id:   12345678  ", answer=200),
    one("account of 8000 characters", "X-Liveperson-Account-Id: " + "1" * 8000, answer=401),
    one("account beyond ASCII", "X-Liveperson-Account-Id: 1234567\xb8", answer=401),
    one("client of somebody else", "X-Liveperson-Client-Id: 00000000-0000-4000-8000-000000000000", answer=401),
    one("client empty", "X-Liveperson-Client-Id:", answer=401),
]

LENGTHS = [
    raw("no length", lambda door: head(door) + BODY, 411),
    raw("empty length", lambda door: head(door, "Content-Length:") + BODY, (400, 411)),
    raw("length -1", lambda door: head(door, "Content-Length: -1") + BODY, BAD),
    raw("length +5", lambda door: head(door, "Content-Length: +5") + BODY, BAD),
    raw("length 0x10", lambda door: head(door, "Content-Length: 0x10") + BODY, BAD),
    raw("length 1e2", lambda door: head(door, "Content-Length: 1e2") + BODY, BAD),
    raw("length with a point", lambda door: head(door, f"Content-Length: {N}.0") + BODY, BAD),
    raw("length in Arabic digits", lambda door: head(door, "Content-Length: \xd9\xa5") + BODY, BAD),
    raw("length of 5000 digits", lambda door: head(door, "Content-Length: " + "9" * 5000) + BODY, (400, 413)),
    raw("length 2**64", lambda door: head(door, f"Content-Length: {2**64}") + BODY, (400, 413)),
    raw("length of 100 MB, refused before the body", lambda door: head(door, "Content-Length: 104857600"), 413),
    raw("length with zeros before it", lambda door: head(door, f"Content-Length: 000{N}") + BODY, (200, 400)),
    raw(
        "two lengths that differ",
        lambda door: head(door, f"Content-Length: {N}", f"Content-Length: {N - 1}") + BODY,
        BAD,
    ),
    raw("two lengths in one line", lambda door: head(door, f"Content-Length: {N}, {N - 1}") + BODY, BAD),
    raw("two equal lengths", lambda door: head(door, f"Content-Length: {N}", f"Content-Length: {N}") + BODY, BAD),
    raw("length one too small", lambda door: head(door, f"Content-Length: {N - 1}") + BODY, 401),
    raw("length zero", lambda door: head(door, "Content-Length: 0") + BODY, 401),
    Row(
        "length one too large, then the end",
        lambda door: [head(door, f"Content-Length: {N + 1}") + BODY, HALF],
        ((400,),),
    ),
    raw(
        "length and chunks",
        lambda door: head(door, "Content-Length: 5", "Transfer-Encoding: chunked") + chunked(BODY),
        BAD,
    ),
    raw(
        "length and chunks, smuggling a second request",
        lambda door: head(door, "Content-Length: 4", "Transfer-Encoding: chunked") + b"0\r\n\r\n" + request(door),
        BAD,
    ),
]

CODINGS = [
    raw(f"transfer coding {name}", lambda door, value=value: head(door, f"Transfer-Encoding:{value}") + chunked(BODY),
        *answer)
    for name, value, answer in (
        ("chunked", " chunked", (200,)),
        ("in capitals", " CHUNKED", (200,)),
        ("xchunked", " xchunked", ((400, 501),)),
        ("chunkedx", " chunkedx", ((400, 501),)),
        ("with a tab", "\tchunked", ((200, 400),)),
        ("with a vertical tab", " \x0bchunked", ((400, 501),)),
        ("in quotes", ' "chunked"', ((400, 501),)),
        ("chunked twice in one line", " chunked, chunked", ((400, 501),)),
        ("gzip before chunked", " gzip, chunked", ((400, 415, 501),)),
        ("gzip after chunked", " chunked, gzip", ((400, 415, 501),)),
        ("identity after chunked", " chunked, identity", ((400, 415, 501),)),
        ("empty", "", ((400, 411, 501),)),
    )
]  # fmt: skip
CODINGS += [
    raw(
        "transfer coding with a blank before the colon",
        lambda door: head(door, "Transfer-Encoding : chunked", f"Content-Length: {N}") + BODY,
        BAD,
    ),
    raw(
        "transfer coding under HTTP/1.0",
        lambda door: (
            head(door, "Transfer-Encoding: chunked", first=f"POST {door.liveperson_path} HTTP/1.0") + chunked(BODY)
        ),
        (200, 400),
    ),
    one("content coding gzip", "Content-Encoding: gzip", answer=415),
    one("content coding br", "Content-Encoding: br", answer=415),
    one("content coding zstd", "Content-Encoding: zstd", answer=415),
    one("content coding twice", "Content-Encoding: identity", "Content-Encoding: gzip", answer=415),
    one("content coding identity", "Content-Encoding: identity", answer=200),
]

HEADERS = [
    one("200 headers", *(f"X-Number-{n}: 1" for n in range(200)), answer=(400, 431)),
    one("a header of 64 KB", "X-Long: " + "x" * 65_536, answer=(400, 431)),
    one("a header's name of 9 KB", "X" * 9_000 + ": 1", answer=(400, 431)),
    one("a header without a colon", "X-Nothing", answer=400),
    one("a header without a name", ": nothing", answer=400),
    one("a header's name with a blank", "X Blank: 1", answer=400),
    one("a header's name with a blank at its end", "X-Blank : 1", answer=400),
    one("a header's name beyond ASCII", "X-\xfc: 1", answer=400),
    one("a header's name with a bracket", "X-(y): 1", answer=400),
    one("a folded header", "X-Folded: a\r\n b", answer=400),
    one("a bare carriage return in a header", "X-Bare: a\rX-Injected: 1", answer=400),
    one("a bare line feed in a header", "X-Bare: a\nX-Injected: 1", answer=(200, 400)),
    one("NUL in a header", "X-Nul: a\x00b", answer=400),
    one("a proxy's headers, forged", "X-Forwarded-For: 1.2.3.4, evil", "X-Real-IP: 1.2.3.4", "Forwarded: for=x",
        answer=200),
    one("a forged scheme and host", "X-Forwarded-Proto: https", "X-Forwarded-Host: evil.example", answer=200),
    one("a forged method", "X-HTTP-Method-Override: DELETE", answer=200),
    one("a forged address", "X-Rewrite-URL: /admin/", "X-Original-URL: /admin/", answer=200),
    one("a wish for HTTP/2", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk",
        answer=200),
    one("a wish for a web socket", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: x", answer=200),
    one("an unknown expectation", "Expect: 200-ok", answer=(200, 400, 417)),
    one("cookies and keys", "Cookie: connector_site_session=x", "Authorization: Bearer x", answer=200),
    one("an answer in XML, please", "Accept: application/xml", answer=200),
    one("a range", "Range: bytes=0-1", "If-None-Match: *", answer=200),
    one("a content type of 4 KB", "Content-Type: " + "x/" * 2_000, answer=200),
    one("a multipart content type without a boundary", "Content-Type: multipart/form-data", answer=200),
    one("no host", host=False, answer=(200, 400)),
    one("another host", "Host: evil.example", host=False, answer=400),
    one("two hosts", "Host: evil.example", answer=400),
    one("a host that is none", "Host: 127.0.0.1/../evil", host=False, answer=400),
    one("a host of 5 KB", "Host: " + "a" * 5_000, host=False, answer=400),
]  # fmt: skip

LINES = [
    *(
        first_line(f"method {method}", lambda door, method=method: f"{method} {door.liveperson_path} HTTP/1.1", answer)
        for method, answer in (
            ("GET", (405,)), ("PUT", (405,)), ("PATCH", (405,)), ("DELETE", (405,)),
            ("TRACE", (405,)), ("OPTIONS", (405,)), ("CONNECT", (400, 405)), ("PROPFIND", (400, 405)),
            ("post", (400, 405)), ("POST\tX", BAD), ("(POST)", BAD), ("P" * 5000, (400, 405)),
        )
    ),
    *(
        first_line(f"address {name}", lambda door, make=make: f"POST {make(door.liveperson_path)} HTTP/1.1", answer)
        for name, make, answer in (
            ("without its slash", lambda path: path[:-1], (404,)),
            ("with two slashes", lambda path: path + "/", (404,)),
            ("with two slashes before", lambda path: "/" + path, (404,)),
            ("with more behind", lambda path: path + "more/", (404,)),
            ("of no id", lambda path: "/webhooks/liveperson/1/", (404,)),
            ("in capitals", lambda path: path[:20] + path[20:].upper(), (404,)),
            ("with a coded slash", lambda path: path[:-1] + "%2f", (200, 404)),
            ("with NUL", lambda path: path + "%00", (404,)),
            ("with coded digits", lambda path: path.replace("liveperson", "%6civeperson"), (200,)),
            ("half coded", lambda path: path + "%", (404,)),
            ("with dots", lambda path: "/webhooks/../webhooks" + path[9:], (404,)),
            ("of 9 KB", lambda path: path + "x" * 9_000, (400, 404, 414)),
            ("with a query", lambda path: path + "?token=query-canary&format=xml", (200,)),
            ("with a senseless query", lambda path: path + "?%FF=%FE&&&=", (200,)),
            ("with a fragment", lambda path: path + "#x", (200, 400)),
            ("with scheme and host", lambda path: "http://127.0.0.1" + path, (200,)),
            ("with a foreign scheme and host", lambda path: "http://evil.example" + path, (200, 400, 404)),
            ("of a star", lambda path: "*", (400, 404)),
            ("of a blank", lambda path: "/ /", BAD),
            ("beyond ASCII", lambda path: path + "\xff", (400, 404)),
        )
    ),
    # An answer to HEAD has a length and no body: closed after it, so that the reader does not wait.
    Row(
        "method HEAD",
        lambda door: [request(door, "Connection: close", first=f"HEAD {door.liveperson_path} HTTP/1.1")],
        ((405,),),
    ),
    first_line("version 1.2", lambda door: f"POST {door.liveperson_path} HTTP/1.2", (200, 400, 505)),
    first_line("version 9.9", lambda door: f"POST {door.liveperson_path} HTTP/9.9", (400, 505)),
    first_line("version x", lambda door: f"POST {door.liveperson_path} HTTP/x", (400, 505)),
    first_line("no version", lambda door: f"POST {door.liveperson_path}", (400, 505)),
    first_line("HTTP/1.0", lambda door: f"POST {door.liveperson_path} HTTP/1.0", (200,)),
    raw("HTTP/2's preface", lambda door: b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", (400, 505)),
    raw("a TLS greeting", lambda door: bytes.fromhex("16030100c8010000c40303") + bytes(100) + b"\r\n\r\n", BAD),
    raw("all 256 bytes", lambda door: bytes(range(256)) + b"\r\n\r\n", BAD),
    raw("an endless first line", lambda door: b"POST /" + b"x" * 100_000 + b" HTTP/1.1\r\n\r\n", (400, 414, 431)),
]  # fmt: skip

PACES = [
    Row("an empty connection", lambda door: [HALF], ((CLOSED,),)),
    Row("reset in the head", lambda door: [head(door)[:40], RESET], ()),
    Row("reset in the body", lambda door: [head(door, f"Content-Length: {N}") + BODY[:20], RESET], ()),
    Row(
        "reset in a chunk",
        lambda door: [head(door, "Transfer-Encoding: chunked") + b"%x\r\n" % N + BODY[:20], RESET],
        (),
    ),
    Row("reset before the answer", lambda door: [request(door), RESET], ()),
    Row(
        "the end in the body",
        lambda door: [head(door, f"Content-Length: {N}") + BODY[:20], HALF],
        ((400,),),
    ),
    Row(
        "the head byte by byte, the body slowly",
        lambda door: [
            *(bytes([byte]) for byte in head(door, f"Content-Length: {N}")),
            *(part for place in range(0, N, 40) for part in (BODY[place : place + 40], 0.05)),
        ],
        ((200,),),
    ),
    Row(
        "a body that comes after a second",
        lambda door: [head(door, f"Content-Length: {N}"), 1.0, BODY],
        ((200,),),
    ),
    Row(
        "good, bad, good, one behind the other",
        lambda door: [request(door) + request(door, signed=False) + request(door, body=OTHER)],
        ((200,), (401,), (200,)),
    ),
    Row(
        "good, then garbage",
        lambda door: [request(door) + b"\x00\x01garbage\r\n\r\n"],
        ((200,), (400, CLOSED)),
    ),
    Row(
        "refused before its body is read, then good",
        lambda door: [request(door, "Content-Encoding: gzip") + request(door)],
        ((415,), (200, CLOSED)),
    ),
    Row(
        "a body longer than its length is the next request",
        lambda door: [
            head(door, f"Content-Length: {N}") + BODY + b"GET /webhooks/ HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        ],
        ((200,), (404,)),
    ),
    Row("empty lines before the request", lambda door: [b"\r\n\r\n" + request(door)], ((200, 400),)),
]

TABLE = [*SIGNATURE_HEADERS, *ID_HEADERS, *LENGTHS, *CODINGS, *HEADERS, *LINES, *PACES]


@each(TABLE)
def test_whatever_comes_over_the_wire_gets_its_answer_and_leaves_a_working_server(
    web: Web, site: Door, row: Row
) -> None:
    with web.connect() as wire:
        answers = play(wire, row.send(site), count=len(row.answers))

    allowed = all(answer.status in known for answer, known in zip(answers, row.answers, strict=True))
    assert allowed, [(answer.status, answer.body[:200]) for answer in answers]
    assert web.exchange(request(site, body=OTHER)).status == 200
    taken = sum(answer.status == 200 for answer in answers)
    # Who goes away without waiting for the answer may have been heard.
    assert Delivery.objects.count() - 1 in ({taken} if row.answers else {0, 1})


def play(wire: Wire, parts: Sequence[bytes | float | str], *, count: int) -> list[Answer]:
    for part in parts:
        if isinstance(part, bytes):
            wire.send(part)
        elif isinstance(part, float):
            time.sleep(part)
        elif part == HALF:
            wire._socket.shutdown(socket.SHUT_WR)
        else:
            wire._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            wire.close()
            time.sleep(0.1)  # the server may be about to store what it has read
            return []
    return [wire.read() for _ in range(count)]


def test_nothing_of_all_that_is_in_the_log(web: Web, site: Door) -> None:
    """Neither a query nor a signature, and no traceback of ours."""
    web.exchange(request(site, first=f"POST {site.liveperson_path}?token=query-canary HTTP/1.1"))

    logged = web.log
    assert "query-canary" not in logged
    assert signature(site) not in logged
    assert "Traceback" not in logged
    assert '"status": 500' not in logged
