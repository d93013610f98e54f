"""Good requests made bad: bytes, members and headers, drawn from a seed."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from typing import Any

_VALUES: list[Any] = [
    None, True, False, 0, -1, 3.5, 2**31, 2**63, 2**64, 10**40, "", " ", "\x00", "\ud800", "\u202e", "a" * 5_000,
    [], {}, [None], {"a": None}, [[[[]]]], "../../etc/passwd", "'; DROP TABLE x; --", "1e400", "１２", "😀" * 300,
]  # fmt: skip
_BYTES = [b"\x00", b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"{", b"}", b'"', b"\\", b"\xef\xbb\xbf", b"NaN", b"1e99999"]
_HEADER_VALUES = ["", " ", "x", "\xe9", "a" * 4_000, "sha1=", "sha256=AAAA", "v1,", "v1,AAAA v1,BBBB", "0", "-1", "1e9"]


def mutated_body(body: bytes, draw: random.Random) -> bytes:
    """One to three changes to the bytes, or to the JSON in them."""
    for _ in range(draw.randint(1, 3)):
        body = draw.choice(_CHANGES)(body, draw)
    return body


def mutated_headers(headers: dict[str, str], draw: random.Random) -> dict[str, str]:
    headers = dict(headers)
    name = draw.choice(list(headers))
    if draw.random() < 0.3:
        del headers[name]
    else:
        headers[name] = draw.choice(_HEADER_VALUES)
    return headers


def raw_requests(path: str) -> Iterator[bytes]:
    """What only a socket can send."""
    start = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n".encode()
    for length in (b"-1", b"+5", b"abc", b"99999999999999999999", b"5, 6", b""):
        yield start + b"Content-Length: " + length + b"\r\n\r\nhello"
    yield start + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"
    yield start + b"Transfer-Encoding: xchunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    yield start + b"Transfer-Encoding: chunked\r\n\r\nZZ\r\nhello\r\n0\r\n\r\n"
    yield start + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    yield start + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    yield start + b"Content-Length: 300000\r\n\r\n"
    yield start + b"\r\n"
    yield start + b"".join(b"X-%d: y\r\n" % number for number in range(200)) + b"Content-Length: 0\r\n\r\n"
    yield start + b"X-Long: " + b"y" * 20_000 + b"\r\nContent-Length: 0\r\n\r\n"
    yield start + b"x_liveperson_signature: sha1=AAAA\r\nContent-Length: 2\r\n\r\n{}"
    yield start + b"X-Bad: a\x00b\r\nContent-Length: 2\r\n\r\n{}"
    yield start + b"X-LivePerson-Signature: sha1=\xe9\xff\r\nContent-Length: 2\r\n\r\n{}"
    yield start + b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}"
    yield f"POST {path} HTTP/1.0\r\nContent-Length: 2\r\n\r\n{{}}".encode()
    yield f"POST {path}%00 HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 2\r\n\r\n{{}}".encode()
    yield f"POST {path.rstrip('/')} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 2\r\n\r\n{{}}".encode()
    yield f"POST /{path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 2\r\n\r\n{{}}".encode()
    yield f"POST {path}?{'a' * 9_000} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 2\r\n\r\n{{}}".encode()
    for method in ("GET", "HEAD", "PUT", "PATCH", "DELETE", "TRACE", "OPTIONS", "CONNECT", "POSTT"):
        yield f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n".encode()
    yield b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
    yield b"\r\n\r\n\r\n"


# --- changes ---------------------------------------------------------------------------------------------------------


def _cut(body: bytes, draw: random.Random) -> bytes:
    return body[: draw.randrange(len(body) + 1)]


def _flip(body: bytes, draw: random.Random) -> bytes:
    if not body:
        return body
    place = draw.randrange(len(body))
    return body[:place] + bytes([body[place] ^ (1 << draw.randrange(8))]) + body[place + 1 :]


def _insert(body: bytes, draw: random.Random) -> bytes:
    place = draw.randrange(len(body) + 1)
    return body[:place] + draw.choice(_BYTES) + body[place:]


def _repeat(body: bytes, draw: random.Random) -> bytes:
    start = draw.randrange(len(body) + 1)
    return body[:start] + body[start : start + draw.randint(1, 80)] * draw.randint(2, 50) + body[start:]


def _member(body: bytes, draw: random.Random) -> bytes:
    """Replace or remove one member somewhere in the tree."""
    try:
        tree = json.loads(body)
    except (ValueError, RecursionError):
        return _flip(body, draw)
    places = list(_places(tree))
    if not places:
        return _flip(body, draw)
    parent, key = draw.choice(places)
    if draw.random() < 0.25:
        del parent[key]
    else:
        parent[key] = draw.choice(_VALUES)
    return json.dumps(tree, separators=(",", ":")).encode()


def _places(tree: Any) -> Iterator[tuple[Any, Any]]:
    pairs = list(tree.items()) if isinstance(tree, dict) else list(enumerate(tree)) if isinstance(tree, list) else []
    for key, value in pairs:
        yield tree, key
        yield from _places(value)


_CHANGES: list[Callable[[bytes, random.Random], bytes]] = [_cut, _flip, _insert, _repeat, _member, _member, _member]
