"""Reading what strangers sent: the rules that the parsers' tests do not see one by one."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from core import wire
from core.errors import BodyUnusable
from tests.fixtures.hostile import UNUSABLE


@pytest.mark.parametrize("name", sorted(UNUSABLE))
def test_unusable_body_is_refused_without_keeping_it(name: str) -> None:
    with pytest.raises(BodyUnusable) as refused:
        wire.read_json(UNUSABLE[name])
    assert refused.value.__context__ is None
    assert refused.value.field == ""


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'{"a":[1,2.5,"\\u00fc",null,true]}', {"a": [1, 2.5, "ü", None, True]}),
        (b"\xef\xbb\xbf[]", []),
        (b' {"a":{}}\n', {"a": {}}),
        (b"1e308", 1e308),
        (b"1e-400", 0.0),
        (b"-0", 0),
    ],
)
def test_strict_json_is_read(body: bytes, value: Any) -> None:
    assert wire.read_json(body) == value


@pytest.mark.parametrize(
    ("value", "levels", "is_deeper"),
    [
        (1, 0, False),
        ([], 0, True),
        ([], 1, False),
        ([1], 1, False),
        ([[]], 1, True),
        ([1, {"a": []}], 2, True),
        ([1, {"a": []}], 3, False),
    ],
)
def test_depth_is_counted_in_objects_and_lists(value: Any, levels: int, is_deeper: bool) -> None:
    assert wire.is_deeper_than(value, levels) is is_deeper


def test_canonical_bytes_do_not_depend_on_the_order_of_members() -> None:
    assert wire.canonical({"b": 1, "a": {"d": "ü\ud800", "c": 2}}) == wire.canonical(
        {"a": {"c": 2, "d": "ü\ud800"}, "b": 1}
    )
    assert wire.canonical([1, 2]) != wire.canonical([2, 1])


def test_text_and_tree_are_made_storable() -> None:
    assert wire.storable("a\x00\ud800\udfffb 👋") == "a␀\ufffd\ufffdb 👋"
    assert wire.storable_tree({"k\x00": ["\udc00", 1, None, {"x": "y"}]}) == {"k␀": ["\ufffd", 1, None, {"x": "y"}]}


@pytest.mark.parametrize(("value", "listed"), [(None, []), ([1, 2], [1, 2]), ({"a": 1}, [{"a": 1}]), (0, [0])])
def test_a_bare_element_is_a_list_of_one(value: Any, listed: list[Any]) -> None:
    assert wire.as_list(value) == listed


@pytest.mark.parametrize(
    ("value", "id"), [("a b", "a b"), (17, "17"), (-1, "-1"), ("x" * 256, "x" * 256), ("ü🇦🇹", "ü🇦🇹")]
)
def test_ids_are_opaque(value: Any, id: str) -> None:
    assert wire.require_id(value, field="id") == id


@pytest.mark.parametrize("value", [None, "", "x" * 257, "a\x00", "a\n", "\x85", "\udcff", True, 1.5, 10**18, [], {}])
def test_unusable_ids_are_named(value: Any) -> None:
    with pytest.raises(BodyUnusable) as refused:
        wire.require_id(value, field="data.id")
    assert refused.value.field == "data.id"
    assert "data.id" in refused.value.detail


def test_an_id_may_be_absent_where_it_is_optional() -> None:
    assert wire.optional_id(None, field="id") == wire.optional_id("", field="id") == ""
    with pytest.raises(BodyUnusable):
        wire.optional_id([], field="id")


@pytest.mark.parametrize(
    ("value", "at"),
    [
        (1763719200123, datetime(2025, 11, 21, 10, 0, 0, 123_000, tzinfo=UTC)),
        ("1763719200123", datetime(2025, 11, 21, 10, 0, 0, 123_000, tzinfo=UTC)),
        (10**12, datetime(2001, 9, 9, 1, 46, 40, tzinfo=UTC)),
        (10**12 - 1, None),
        (10**13, None),
        (True, None),
        (None, None),
    ],
)
def test_times_are_read_in_milliseconds(value: Any, at: datetime | None) -> None:
    assert wire.time_from_ms(value) == at
