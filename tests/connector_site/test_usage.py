"""Usage over REST: the counted figures by month, final or not, as JSON and as CSV."""

from __future__ import annotations

import csv
import io
from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from access.models import ApiKey
from conversations.models import UsageCount, UsageStorage
from conversations.services import monthly_usage
from core.ids import new_id
from tests.access.keys import Program
from tests.factories import World, make_superuser, make_two_brands
from tests.webhooks.usages import asked_directly, conversation, count, file_of, message, nothing_counted, sent

pytestmark = pytest.mark.django_db

USAGE = "/api/v1/usage/"
OCTOBER, NOVEMBER = date(2025, 10, 1), date(2025, 11, 1)
DURING = datetime(2025, 11, 14, 12, tzinfo=UTC)


@pytest.fixture
def two() -> tuple[World, World]:
    worlds = make_two_brands()
    nothing_counted()
    for world in worlds:
        for number in range(5):
            said = message(world, DURING - timedelta(days=10 * number))
            sent(said, DURING)
            file_of(said, DURING, size=100)
        conversation(world, DURING)
    return worlds


@pytest.fixture
def program(two) -> Program:
    return Program(two[0].auditor)


def test_a_month_tells_what_a_query_over_the_rows_finds(two, program):
    count(now=DURING + timedelta(days=40))

    (row,) = program.read(USAGE, month="2025-11")["results"]

    wanted = asked_directly(two[0], NOVEMBER)
    assert {name: row[name] for name in wanted} == wanted
    assert (row["month"], row["brand"], row["channel"]) == ("2025-11", str(two[0].brand.pk), str(two[0].channel.pk))
    assert row["media_bytes"] == 500


def test_a_month_is_final_when_it_is_over_and_counted_to_its_end(two, program):
    count(now=DURING)
    assert program.read(USAGE, month="2025-11")["results"][0]["is_final"] is False
    assert program.read(USAGE, month="2025-10")["results"][0]["is_final"] is True
    count(now=datetime(2025, 12, 1, 23, 0, tzinfo=UTC))
    assert program.read(USAGE, month="2025-11")["results"][0]["is_final"] is False
    count(now=datetime(2025, 12, 2, 0, 1, tzinfo=UTC))
    assert program.read(USAGE, month="2025-11")["results"][0]["is_final"] is True


def test_a_final_month_never_changes(two, program):
    count(now=datetime(2025, 12, 2, 0, 1, tzinfo=UTC))
    before = program.read(USAGE, month="2025-11")["results"]
    message(two[0], DURING)  # far later than anything can be

    count(now=datetime(2025, 12, 20, tzinfo=UTC))

    assert program.read(USAGE, month="2025-11")["results"] == before


def test_a_month_under_way_tells_how_far_it_is_counted(two, program):
    assert program.read(USAGE)["counted_to"] is None
    count(now=DURING)

    told = program.read(USAGE, month="2025-11")

    assert datetime.fromisoformat(told["counted_to"]) == DURING - timedelta(minutes=1)


def test_months_come_newest_first_and_the_running_one_by_default(two, program):
    count(now=timezone.now() + timedelta(minutes=2))

    told = program.read(USAGE, month=f"2025-09..{timezone.now():%Y-%m}")

    months = [row["month"] for row in told["results"]]
    assert months == sorted(months, reverse=True)
    assert {"2025-10", "2025-11"} <= set(months)
    assert {row["month"] for row in program.read(USAGE)["results"]} == {f"{timezone.now():%Y-%m}"}


def test_storage_stands_beside_the_counts(two, program):
    count(now=timezone.now() + timedelta(minutes=2))

    rows = program.read(USAGE)["results"]

    own = next(row for row in rows if row["channel"] == str(two[0].channel.pk))
    assert own["content_bytes"] > 0
    assert own["file_bytes"] > 0
    assert own["storage_measured_at"] is not None
    assert next(row for row in rows if row["channel"] is None)["body_bytes"] > 0


def test_csv_has_the_same_rows(two, program):
    count(now=DURING + timedelta(days=40))
    rows = program.read(USAGE, month="2025-10..2025-11")["results"]

    answer = program.get(USAGE, {"month": "2025-10..2025-11", "as": "csv"})

    assert answer["Content-Type"].startswith("text/csv")
    found = list(csv.DictReader(io.StringIO(answer.content.decode(), newline="")))
    assert [row["month"] for row in found] == [row["month"] for row in rows]
    assert [int(row["messages_to_liveperson"]) for row in found] == [row["messages_to_liveperson"] for row in rows]
    assert list(found[0]) == list(rows[0])


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        ({"month": "2025-13"}, "month"), ({"month": "2025-1"}, "month"), ({"month": "\x00"}, "month"),
        ({"month": "٢٠٢٥-11"}, "month"), ({"month": "9999-12-01"}, "month"), ({"month": ""}, "month"),
        ({"month": "2025-11.."}, "month"), ({"month": "..2025-11"}, "month"), ({"month": "2025-11-01"}, "month"),
        ({"month": "2025-10...2025-11"}, "month"), ({"brand": "acme"}, "brand"), ({"channel": "\x00"}, "channel"),
        ({"as": "xls"}, "as"),
        ({"from": "2025-11"}, "from"), ({"cursor": "x"}, "cursor"), ({"format": "csv"}, "format"),
        ({"month": ["2025-11", "2025-10"]}, "month"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_refused_with_a_sentence(program, asked, named):
    answer = program.get(USAGE, asked)

    assert answer.status_code == 400
    told = answer.json()
    assert (told["code"], named in told["detail"], told["detail"][-1]) == ("bad_parameter", True, ".")


def test_more_than_fits_into_an_answer_is_refused(two, program, monkeypatch):
    count(now=DURING + timedelta(days=40))
    monkeypatch.setattr(monthly_usage, "MOST_ROWS", 1)

    assert program.get(USAGE, {"month": "2025-09..2025-12"}).status_code == 400
    assert program.get(USAGE, {"month": "2025-11"}).status_code == 200


def test_any_number_of_rows_takes_the_same_statements(two):
    program = Program(make_superuser())
    counts = []
    for more in (0, 30):
        for number in range(more):
            month = date(2020 + number // 12, number % 12 + 1, 1)
            UsageCount.objects.create(
                brand=two[0].brand, channel=two[0].channel, month=month, reckoning="FINAL", messages_to_channel=1
            )
            UsageStorage.objects.create(brand=two[0].brand, month=month, measured_at=DURING, body_bytes=1)
        with CaptureQueriesContext(connection) as queries:
            program.read(USAGE, month="2020-01..2022-12")
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_a_key_that_is_limited_to_other_resources_does_not_open_it(two):
    program = Program(two[0].auditor)
    ApiKey.objects.update(resources=["messages"])
    assert program.get(USAGE).status_code == 403
    ApiKey.objects.update(resources=["usage"])
    assert program.get(USAGE).status_code == 200


def test_an_unknown_brand_finds_nothing(two, program):
    count(now=DURING + timedelta(days=40))
    assert program.read(USAGE, month="2025-11", brand=new_id())["results"] == []
