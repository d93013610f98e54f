"""
Real bodies, changed: a few members of the tree exchanged, dropped, doubled or nested; or bytes flipped, cut and moved.

Every change is drawn by Hypothesis, so that a failure shrinks to the one change that matters.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Sequence
from typing import Any

from hypothesis import strategies as st

Path = tuple[str | int, ...]

# Written into the bytes as they stand: no encoder would write them.
_LITERALS = {
    f"@@{number}@@": literal
    for number, literal in enumerate(
        ["NaN", "Infinity", "-Infinity", "1e400", "-1e400", "1e200000", "9" * 5000, "-" + "9" * 4000, "1" + "0" * 400,
         "-0", "-0.0", "1.0", "1E2", "0.1e-400", "01", "+1", ".5", "0x10", "TRUE", "undefined", "'x'", '"\\ud800"',
         '"\\udc00\\ud800"', '"\\u0000"', '"\\x00"', '"\\u00"', '"a\nb"', "[[[[[[[[[[]]]]]]]]]]", "[" * 99 + "]" * 99,
         "[" * 200 + "]" * 200, '{"a":' * 150 + "1" + "}" * 150, '{"a":1,"a":2}', '{"":{}}', "/* x */ 1", ""]
    )
}  # fmt: skip

_NUMBERS = [
    0, 1, -1, 2**31 - 1, 2**31, -(2**31) - 1, 2**53 + 1, 2**63 - 1, 2**63, 2**64, 10**18, -(10**18), 10**30,
    1_763_719_200, 1_763_719_200_000, 1_763_719_200_000_000, 253_402_300_800_000, 253_402_300_799_999, 3.0, 3.5, -0.5,
    1e300, 5e-324,
]  # fmt: skip
_TEXTS = [
    "", " ", "\n", "\x00", "a\x00b", "\x1b[31m", "\ud800", "a\udfffb", "\ufeff", "\u202egpj", "\u2028", "\ufffd",
    "\U0010ffff", "👩‍👩‍👧‍👦", "e" + "\u0301" * 300, "x" * 257, "x" * 5_000, "x" * 70_000, "👋" * 4_100, "ß" * 130,
    "null", "true", "0", "3", "03", "+3", "３", "٣", "3.0", "-1", "9" * 400, "NaN", "ContentEvent", "RichContentEvent",
    "AcceptStatusEvent", "ChatStateEvent", "text/plain", "hosted/file", "forms/secure-invitation", "UPSERT", "DELETE",
    "OPEN", "CLOSE", "CONSUMER", "ASSIGNED_AGENT", "ALL", "AGENTS_AND_MANAGERS", "READ", "NACK", "COMPOSING", "MAIN",
    "POST_SURVEY", "message.received", "message.status", "typing.started", "conversation.closed", "quick_reply.chosen",
    "delivered", "failed", "2026-02-30T25:61:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00",
    "https://[::1", "http://a:99999/", "https://u:p@h/", "javascript:alert(1)", "file:///etc/passwd",
    "../../etc/passwd", "<script>alert(1)</script>", "'; DROP TABLE x; --", "=cmd|' /C calc'!A0", "%s%n{0}${x}{{7*7}}",
    "01939f2e-7c1a-7b3d-8e4f-5a6b7c8d9e0f", "\r\nX-Injected: 1",
]  # fmt: skip
_TREES: list[Any] = [
    None, True, False, [], {}, [None], [[]], [{}], {"": None}, {"a": {"a": {"a": {}}}}, [1, "a", None, {}, [], True],
    {"type": "text"}, {"id": {"id": []}}, ["x"] * 300, [{}] * 300, {str(n): n for n in range(300)},
    {"__proto__": {"x": 1}, "constructor": {}}, {"\x00": 1}, {"\ud800": 1}, {"x" * 5000: 1},
]  # fmt: skip

# Most of what no encoder writes makes the whole body unreadable: one in sixteen, so that most bodies are read.
values = st.integers(0, 15).flatmap(
    lambda kind: st.sampled_from(sorted(_LITERALS) if kind == 15 else (_TREES, _NUMBERS, _TEXTS)[kind % 3]).map(
        copy.deepcopy
    )
)


_ACTS = ["put"] * 6 + ["drop", "wrap", "swap", "retype", "add"] * 2 + ["twice", "nest"]


@st.composite
def trees(draw: Any, originals: Sequence[Any]) -> bytes:
    """One of these, with one to four changes to its structure."""
    tree = copy.deepcopy(draw(st.sampled_from(originals)))
    for _ in range(draw(st.integers(1, 4))):
        tree = _change(draw, tree)
    ascii_only = draw(st.booleans())
    written = json.dumps(tree, separators=(",", ":"), ensure_ascii=ascii_only)
    for mark, literal in _LITERALS.items():
        written = written.replace(f'"{mark}"', literal)
    return written.replace("@twice", "").encode("utf-8", "surrogatepass")


def _change(draw: Any, tree: Any) -> Any:
    paths = list(_paths(tree))
    path = draw(st.sampled_from(paths))
    if not path:
        return draw(values) if draw(st.integers(0, 9)) == 0 else _wrapped(draw, tree)
    place, key = _at(tree, path[:-1]), path[-1]
    act = draw(st.sampled_from(_ACTS))
    if act == "put":
        place[key] = draw(values)
    elif act == "drop":
        del place[key]
    elif act == "twice":
        _double(draw, place, key)
    elif act == "wrap":
        place[key] = _wrapped(draw, place[key])
    elif act == "swap":
        other = draw(st.sampled_from(paths))
        place[key] = copy.deepcopy(_at(tree, other))
    elif act == "nest":
        for _ in range(draw(st.sampled_from([1, 3, 90, 101]))):
            place[key] = {"a": place[key]} if isinstance(place[key], dict) else [place[key]]
    elif act == "retype":
        place[key] = _retyped(place[key])
    elif isinstance(place, dict):
        place[draw(st.sampled_from(["extra", "", "type", "id", "sequence", "dialogId", "event", "x" * 300]))] = draw(
            values
        )
    else:
        place.append(draw(values))
    return tree


def _double(draw: Any, place: Any, key: Any) -> None:
    """A member named twice in one object, an element that stands there again."""
    again = place[key] if draw(st.booleans()) else draw(values)
    if isinstance(place, dict):
        place[f"{key}@twice"] = again
    else:
        place.insert(key, copy.deepcopy(again))


def _wrapped(draw: Any, value: Any) -> Any:
    return draw(st.sampled_from([[value], {"value": value}, [value] * 2, [value] * 250, {"type": value}]))


def _retyped(value: Any) -> Any:
    if isinstance(value, bool) or value is None:
        return int(bool(value))
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, str):
        return {"id": value}
    return list(value.values()) if isinstance(value, dict) else dict(enumerate(value))


def _paths(tree: Any, before: Path = ()) -> Iterator[Path]:
    """Every place in it; not below what earlier changes have nested deep or made wide."""
    yield before
    if len(before) > 12:
        return
    if isinstance(tree, dict):
        for key in list(tree)[:40]:
            yield from _paths(tree[key], (*before, key))
    elif isinstance(tree, list):
        for index in range(min(len(tree), 5)):
            yield from _paths(tree[index], (*before, index))


def _at(tree: Any, path: Path) -> Any:
    for key in path:
        tree = tree[key]
    return tree


@st.composite
def bytes_of(draw: Any, originals: Sequence[bytes]) -> bytes:
    """One of these, with one to three changes to its bytes."""
    body = bytearray(draw(st.sampled_from(originals)))
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, max(len(body) - 1, 0)))
        length = draw(st.sampled_from([1, 1, 2, 8, 64]))
        act = draw(st.sampled_from(["flip", "put", "insert", "cut", "end", "repeat", "move"]))
        if act == "flip" and body:
            body[place] ^= 1 << draw(st.integers(0, 7))
        elif act == "put":
            body[place : place + length] = draw(_fragments)
        elif act == "insert":
            body[place:place] = draw(_fragments)
        elif act == "cut":
            del body[place : place + length]
        elif act == "end":
            del body[place:]
        elif act == "repeat":
            body[place:place] = body[place : place + length] * draw(st.sampled_from([1, 2, 100]))
        else:
            moved = bytes(body[place : place + length])
            del body[place : place + length]
            body += moved
    coding = draw(st.sampled_from(["as it is"] * 12 + ["utf-16", "utf-32", "with a mark", "in blanks", "twice"]))
    return _recoded(bytes(body), coding)


_fragments = st.one_of(
    st.binary(min_size=1, max_size=4),
    st.sampled_from([b"\x00", b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\\", b'"', b"{", b"}", b"[",
                     b"]", b",", b":", b"\\u0000", b"\\ud800", b"NaN", b"1e999", b"-", b"\n", b"\xef\xbb\xbf"]),
)  # fmt: skip


def _recoded(body: bytes, coding: str) -> bytes:
    match coding:
        case "utf-16" | "utf-32":
            return body.decode("utf-8", "replace").encode(coding)
        case "with a mark":
            return b"\xef\xbb\xbf" + body
        case "in blanks":
            return b" \r\n\t" + body + b"\n" * 50
        case "twice":
            return body + body
    return body
