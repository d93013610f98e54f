"""
Bad input, class I: the query parameters and addresses of the REST API, as its own OpenAPI document lists them.

A list that is added later is asked as well. What is particular to one parameter stands in tests/access/test_rest.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from access.models import Role
from core.ids import new_id
from tests.access.keys import Program
from tests.factories import World, make_user, make_world
from tests.inputs import budget

ODD = [
    "",
    " ",
    "\x1f",
    "\x00",
    "\ud7ff",
    "\ufffe",
    "\u202e",
    "null",
    "undefined",
    "true",
    "[]",
    "{}",
    "0",
    "-1",
    "1e9",
    "1.5",
    "0x10",
    "٣",
    "9" * 4_400,
    "x" * 10_000,
    "%",
    "%%",
    "%00",
    "_",
    "*",
    "?",
    "'",
    '"',
    "\\",
    "(a+)+$",
    "' OR 1=1 --",
    "../../etc",
    "<script>alert(1)</script>",
    "{{7*7}}",
    "${x}",
    "%s%n",
    "\r\nX: 1",
    "1970-01-01",
    "9999-12-31T23:59:59Z",
    "0001-01-01T00:00:00Z",
    "2026-02-29T00:00:00Z",
    "2026-11-21T10:00:00",
    "2026-11-21T10:00:00+99:99",
    "🦊",
    "a,b",
    "a;b",
    "00000000-0000-0000-0000-000000000000",
    "ffffffff-ffff-ffff-ffff-ffffffffffff",
    "{01900000-0000-7000-8000-000000000000}",
    "urn:uuid:01900000-0000-7000-8000-000000000000",
    "01900000000070008000000000000000",
]
NEEDS_ITS_PARAMETER = "/api/v1/trace/"
HOSTILE_IDS = [
    "x" * 10_000,
    "1",
    "x",
    "%00",
    "%2e%2e%2f",
    "null",
    "-1",
    "9" * 2_000,
    "%F0%9F%A6%8A",
    "%FF%FE",
    "a%20b",
    "a%0d%0ab",
]


@pytest.fixture
def amber(db: None) -> World:
    return make_world(slug="amber", mark="AMBERXQJ7")


@pytest.fixture
def program(amber: World) -> Program:
    return Program(amber.auditor)


def documented(program: Program) -> Iterator[tuple[str, list[str]]]:
    """Each address with the parameters of its query."""
    found = program.get("/api/v1/schema/", {}, headers={"Accept": "application/vnd.oai.openapi+json"})
    document: dict[str, Any] = found.json()
    for address, methods in document["paths"].items():
        if "get" in methods:
            asked = [one["name"] for one in methods["get"].get("parameters", []) if one["in"] == "query"]
            yield address, asked


def lists(program: Program) -> list[str]:
    """The addresses of all lists that are told page by page."""
    return [address for address, names in documented(program) if "page_size" in names]


def rows_of(answer: Any) -> list[Any]:
    """What an answer of 200 lists: on a page, or line by line."""
    return list(answer) if answer.streaming else answer.json()["results"]


def cursor_of(page: dict[str, Any]) -> str:
    return str(parse_qs(urlsplit(page["next"]).query)["cursor"][0])


def assert_in_shape(answer: Any, *statuses: int) -> None:
    assert answer.status_code in statuses, answer.content[:300]
    if answer.status_code != 200:
        told = answer.json()
        assert sorted(told) == ["code", "correlation_id", "detail"]
        assert told["detail"].endswith(".")
        assert len(told["detail"]) < 2_500  # a sentence for each parameter that is wrong


def test_every_parameter_of_every_list_with_odd_values(program: Program, record_property: Any) -> None:
    count = place = 0
    for address, names in documented(program):
        if "{" in address or not names or address == NEEDS_ITS_PARAMETER:
            continue
        good = rows_of(program.get(address))
        for name in [*names, "no_such_parameter"]:
            # Every sixth value, the next ones for the next parameter; with LONG=1 all of them.
            place += 1
            for value in ODD if budget.IS_LONG else ODD[place % 6 :: 6]:
                answer = program.get(address, {name: value})
                assert_in_shape(answer, 200, 400)
                if answer.status_code == 200:
                    assert len(rows_of(answer)) <= max(len(good), 1), (name, value)
                count += 1
        assert len(rows_of(program.get(address))) == len(good)
    record_property("queries", count)
    assert count >= len(ODD) * 5


def test_every_address_of_one_row_with_every_odd_id(program: Program) -> None:
    for address, _ in documented(program):
        if "{" not in address:
            continue
        before, _, after = address.partition("{")
        after = after.partition("}")[2]
        for row_id in [*HOSTILE_IDS, str(new_id()), str(new_id()).upper()]:
            assert_in_shape(program.get(f"{before}{row_id}{after}"), 404)
            assert_in_shape(program.get(f"{before}{row_id}{after}?x=1"), 400, 404)


# What no list takes, and values that no list can use.
REFUSED = [
    *(("page_size", value) for value in ("1e9", "1000000000", "0", "501", "+5", "５")),
    *((name, value) for name in ("created_after", "created_before") for value in (
        "yesterday", "2026-11-21", "2026-11-21T10:00:00", "2025-02-29T00:00:00Z", "99999-01-01T00:00:00Z",
        "2026-11-21T10:00:00+99:99", "2026-11-21T10:00:00-99:99", "2026-11-21T24:00:01Z",
    )),
    ("ordering", "client_secret"), ("ordering", "installation__client_secret"), ("ordering", "-id"),
    ("search", "%" * 10_000), ("search", "(a+)+$"), ("search", "_"), ("sealed", "x"), ("secrets__sealed", "x"),
    ("format", "api"), ("format", "csv"), ("format", "xml"), ("format", "json"), ("offset", "1000000"), ("limit", "1"),
    ("fields", "sealed"), ("fields", "id,,brand"), ("fields", "id, brand"), ("fields", "__class__"), ("fields", ","),
]  # fmt: skip


def test_what_no_list_can_use_is_refused_by_every_list(program: Program) -> None:
    for address in lists(program):
        for name, value in REFUSED:
            answer = program.get(address, {name: value})
            assert_in_shape(answer, 400)
            assert answer.json()["code"] == "bad_parameter"


def test_a_cursor_continues_the_list_that_gave_it_and_no_other(amber: World, program: Program) -> None:
    birch = make_world(slug="birch", mark="BIRCHZVK4")
    both = Program(make_user("both", role=Role.AUDITOR))
    cursors = {address: cursor_of(both.read(address, page_size=1)) for address in lists(program)}
    assert all(cursors.values())
    for address, cursor in cursors.items():
        assert both.get(address, {"cursor": cursor}).status_code == 200
        assert_in_shape(program.get(address, {"cursor": cursor}), 400)
        assert_in_shape(both.get(address, {"cursor": cursor, "created_after": "2026-01-01T00:00:00Z"}), 400)
        for foreign in set(cursors) - {address}:
            assert_in_shape(both.get(foreign, {"cursor": cursor}), 400)
    assert birch.brand != amber.brand


def test_the_id_of_another_brand_is_answered_like_one_that_does_not_exist(program: Program) -> None:
    birch = make_world(slug="birch", mark="BIRCHZVK4")
    other = Program(birch.auditor)
    for address in lists(program):
        hidden = other.read(address)["results"][0]["id"]
        answers = [program.get(f"{address}{row_id}/") for row_id in (hidden, new_id())]
        for answer in answers:
            assert_in_shape(answer, 404)
        first, second = ({**answer.json(), "correlation_id": ""} for answer in answers)
        assert first == second
        assert sorted(answers[0].headers) == sorted(answers[1].headers)


@pytest.mark.parametrize(
    "headers",
    [
        {"If-None-Match": '"x", W/"y", *'},
        {"If-None-Match": "\xff" * 50},
        {"If-None-Match": '"' + "x" * 5_000},
        {"If-Match": '"x"'},
        {"If-Modified-Since": "yesterday"},
        {"If-Unmodified-Since": "Thu, 01 Jan 1970 00:00:00 GMT"},
        {"Range": "bytes=0-1"},
        {"Range": "bytes=-"},
        {"Range": "rows=1-9999999999"},
        {"If-Range": '"x"', "Range": "bytes=0-"},
    ],
)
def test_odd_conditions_and_ranges_are_answered_with_the_whole(program: Program, headers: dict[str, str]) -> None:
    for address in lists(program):
        whole = program.read(address)
        row = f"{address}{whole['results'][0]['id']}/"
        for asked, wanted in ((address, whole), (row, program.read(row))):
            answer = program.get(asked, headers=headers)
            assert answer.status_code in (200, 412)
            if answer.status_code == 200:
                assert answer.json() == wanted


def test_every_pair_of_odd_values_in_one_query(program: Program) -> None:
    """Not one by one: what the first lets through may trip the second."""
    for address, names in documented(program):
        if "{" in address or not names or address.endswith("/export/"):
            continue
        for number, value in enumerate(ODD if budget.IS_LONG else ODD[len(address) % 3 :: 3]):
            query = {name: ODD[(number + place) % len(ODD)] for place, name in enumerate(names)}
            assert_in_shape(program.get(address, query), 200, 400)
            assert_in_shape(program.get(f"{address}?{'&'.join(f'{name}=1' for name in names)}&{value[:50]}"), 200, 400)


@pytest.mark.parametrize("key", ["", "x", "Bearer", "\x00", "ü", "x" * 8_000, "consite_" + "0" * 64])
def test_no_odd_key_is_an_error(amber: World, key: str) -> None:
    from django.test import Client

    for scheme in ("Bearer", "bearer", "Token", "Basic", "Digest", ""):
        headers = {"Authorization": f"{scheme} {key}"}
        answer = Client(raise_request_exception=False).get("/api/v1/messages/", headers=headers)
        assert_in_shape(answer, 401)
