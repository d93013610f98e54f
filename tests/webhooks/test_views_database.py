"""The doors while the database is slow, locked or away: refused at once, nothing held, nothing lost in silence."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from django.db import connection

from tests.conversations.notifications import notification, said
from tests.conversations.stand import Door, make_door
from tests.webhooks.test_views_server import good, head
from tests.webhooks.web import Answer, Web, database_url
from webhooks import ledger
from webhooks.models import Delivery, Inbox, Seen

BODY = notification(said("c-1", 1, "Hello"))
# 0.7 s of patience, and a machine that does other things besides. Without patience nothing would be answered at all.
QUICK_S = 8.0


@pytest.fixture
def site(transactional_db: None, web: Web) -> Door:
    door = make_door()
    assert web.exchange(good(door)).status == 200
    Delivery.objects.get()
    return door


@contextmanager
def another_connection(*, database: str = "") -> Iterator[psycopg.Connection[Any]]:
    url = database_url()
    if database:
        url = url.replace(f"/{connection.settings_dict['NAME']}?", f"/{database}?")
    with psycopg.connect(url, autocommit=True) as other:
        yield other


@contextmanager
def locked(table: str) -> Iterator[None]:
    with another_connection() as other, other.transaction():
        other.execute(f'LOCK TABLE "{table}" IN ACCESS EXCLUSIVE MODE')
        yield


def quickly(web: Web, request: bytes) -> Answer:
    started = time.monotonic()
    answer = web.exchange(request)
    assert time.monotonic() - started < QUICK_S
    return answer


@pytest.mark.parametrize("table", ["webhooks_delivery", "webhooks_deliverybody", "django_q_ormq"])
def test_a_locked_table_is_a_503_within_a_second(web: Web, site: Door, table: str) -> None:
    with locked(table):
        answer = quickly(web, good(site))

    assert answer.status == 503
    assert answer.json["code"] == "not_stored"
    assert Delivery.objects.count() == 1

    assert web.exchange(good(site)).status == 200, "and the next one is stored"
    assert Delivery.objects.count() == 2


def test_connectors_that_cannot_be_read_are_a_503_within_a_second(web: Web, site: Door) -> None:
    other = make_door(brand="other", account="87654321")  # not yet known to the web server
    with locked("installations_appinstallation"):
        assert quickly(web, good(other)).status == 503

    assert web.exchange(good(other)).status == 200


def test_a_channels_message_that_another_request_is_just_storing_is_not_waited_for_for_long(
    web: Web, site: Door
) -> None:
    facts = b'{"type":"message.received","data":{"id":"m-1","consumer":{"id":"ada"},"text":"Hello"}}'
    channel = site.onboarded.channel
    lines = [f"{name}: {value}" for name, value in site.signed(facts).items()]
    request = head(site, *lines, f"Content-Length: {len(facts)}", path=site.channel_path) + facts
    Inbox.objects.get_or_create(id=channel.pk, brand_id=channel.brand_id)
    with another_connection() as other, other.transaction():
        digest = ledger._digest(b"m:m-1")
        other.execute(
            "INSERT INTO webhooks_seen (brand_id, source_id, digest, content_digest, delivery_id, seen_at)"
            " VALUES (%s, %s, %s, %s, gen_random_uuid(), now())",
            [channel.brand_id, channel.pk, digest, digest],
        )
        assert quickly(web, request).status == 503
    Seen.objects.all().delete()

    assert web.exchange(request).status == 200


def test_a_database_that_takes_no_connections_is_a_503_at_once(web: Web, site: Door) -> None:
    name = connection.settings_dict["NAME"]
    with another_connection(database="connector_site") as other:
        try:
            other.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
            _cut_connections_of_the_web_server(other, name)
            answers = [quickly(web, good(site)) for _ in range(3)]
        finally:
            other.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')

    assert [one.status for one in answers] == [503, 503, 503]
    assert Delivery.objects.count() == 1
    assert web.exchange(good(site)).status == 200
    assert Delivery.objects.count() == 2


def test_a_connection_that_was_cut_between_two_requests_costs_nothing(web: Web, site: Door) -> None:
    with another_connection(database="connector_site") as other:
        _cut_connections_of_the_web_server(other, connection.settings_dict["NAME"])

    assert web.exchange(good(site)).status == 200


def _cut_connections_of_the_web_server(other: psycopg.Connection[Any], name: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (ours,) = cursor.fetchone()
    other.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> %s", [name, ours]
    )
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        row = other.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND pid <> %s", [name, ours]
        ).fetchone()
        if row and row[0] == 0:
            return
        time.sleep(0.02)
