"""How long senders wait for our answer: measured where it happens, kept until it is written, of known doors alone."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest
from django.db import DatabaseError

from connector_site.models import Counting, RollupCount, Span
from connector_site.rollups import acks, buckets
from core.ids import new_id
from tests.conversations.stand import make_door
from tests.factories import World
from tests.webhooks.web import Web

NOW_S = datetime(2026, 11, 14, 12, 1, tzinfo=UTC).timestamp()


def noted(world: World) -> dict[tuple[str, str], int]:
    rows = RollupCount.objects.filter(brand=world.brand, counting=Counting.MEASURED, span=Span.HOUR, source_id=None)
    return {(row.figure, row.label): row.count for row in rows}


@pytest.fixture
def measured() -> acks.Measurements:
    return acks.Measurements()


def note(measured: acks.Measurements, path: str, elapsed_s: float = 0.004, status: int = 200) -> None:
    measured.note(path, status=status, elapsed_s=elapsed_s, now_s=NOW_S)


def test_answers_are_counted_by_their_time_and_refusals_by_their_status(amber, measured):
    for elapsed_s in (0.004, 0.0049, 0.2, 2.6, 60):
        note(measured, f"/webhooks/liveperson/{amber.installation.pk}/", elapsed_s)
    note(measured, f"/webhooks/liveperson/{amber.installation.pk}/", status=503)
    note(measured, f"/webhooks/channels/{amber.channel.pk}/sms/status", 0.02)
    measured.write()
    note(measured, f"/webhooks/channels/{amber.channel.pk}/", 0.02)
    measured.write()

    assert noted(amber) == {
        ("ACK_TO_LIVEPERSON", "5"): 2, ("ACK_TO_LIVEPERSON", "250"): 1, ("ACK_TO_LIVEPERSON", "3500"): 1,
        ("ACK_TO_LIVEPERSON", "more"): 1, ("REFUSED_TO_LIVEPERSON", "503"): 1, ("ACK_TO_CHANNEL", "30"): 2,
    }  # fmt: skip


def test_what_strangers_ask_for_is_no_source(amber, measured):
    for number in range(3_000):
        note(measured, f"/webhooks/liveperson/{new_id()}/", status=401)
        note(measured, f"/webhooks/liveperson/{number:0>36}/", status=401)
    note(measured, f"/webhooks/liveperson/{amber.channel.pk}/", status=401)
    note(measured, "/admin/")
    measured.write()

    assert noted(amber) == {}


def test_what_could_not_be_written_is_written_the_next_time(amber, measured, monkeypatch):
    note(measured, f"/webhooks/liveperson/{amber.installation.pk}/")
    with monkeypatch.context() as away:
        away.setattr(acks, "_add", lambda counts: (_ for _ in ()).throw(DatabaseError))
        with pytest.raises(DatabaseError):
            measured.write()

    measured.write()

    assert noted(amber) == {("ACK_TO_LIVEPERSON", "5"): 1}


def test_the_web_server_writes_down_how_long_its_answers_took(transactional_db):
    door = make_door()
    web = Web()
    try:
        body = b'{"type": "unknown"}'
        head = f"POST {door.liveperson_path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
        refused = web.exchange(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        assert refused.status == 401
    finally:
        web.stop()

    row = RollupCount.objects.get(source_id=door.installation.pk, span=Span.FIVE_MINUTES)
    assert (row.figure, row.label, row.count) == ("REFUSED_TO_LIVEPERSON", "401", 1)
    assert abs(row.at.timestamp() - time.time()) < 600


@pytest.mark.parametrize(
    ("counts", "share", "expected"),
    [
        ({}, 0.99, None),
        ({"5": 99, "250": 1}, 0.99, 5),
        ({"5": 98, "250": 2}, 0.99, 250),
        ({"5": 1, "more": 1}, 0.99, buckets.BEYOND),
        ({"250": 1, "5": 1}, 0.5, 5),
    ],
)
def test_a_percentile_is_the_upper_edge_of_its_bucket(counts, share, expected):
    assert buckets.percentile_ms(counts, share) == expected


def test_the_share_within_a_limit_is_exact():
    assert buckets.share_within({"2500": 3, "3500": 1}, 2_500) == 0.75
    assert buckets.share_within({}, 2_500) is None
    assert buckets.label_of(2_499.9, buckets.ACK_MS) == "2500"
    assert buckets.label_of(2_500, buckets.ACK_MS) == "3500"
