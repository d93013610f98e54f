"""Each use of a key is counted and noted by one statement; what is too much in a minute is refused, and says when."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from access.models import ApiKey
from access.rest import limits
from tests.access.keys import Program, make_key
from tests.admin_pages import signed_in
from tests.conversations.database import empty
from tests.factories import World, make_superuser, make_world

MESSAGES = "/api/v1/messages/"


@pytest.fixture
def amber(db) -> World:
    return make_world(slug="amber", mark="AMBERXQJ7")


@pytest.fixture
def program(amber, settings) -> Program:
    settings.API_REQUESTS_PER_MINUTE = 3
    return Program(amber.auditor)


def left(answer) -> tuple[str, str]:
    assert 1 <= int(answer["RateLimit-Reset"]) <= 120
    return answer["RateLimit-Limit"], answer["RateLimit-Remaining"]


# --- the limit -------------------------------------------------------------------------------------------------------


def test_every_answer_says_what_is_left_and_the_request_beyond_is_refused(program):
    # Of the next minute, so that none begins in between.
    ApiKey.objects.update(window_at=_this_minute() + timedelta(minutes=1), window_count=0)
    answers = [
        program.get(MESSAGES),
        program.head(MESSAGES),
        program.post(MESSAGES, {}, content_type="application/json"),
        program.get(MESSAGES),
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 405, 429]
    assert [left(answer) for answer in answers] == [("3", "2"), ("3", "1"), ("3", "0"), ("3", "0")]
    refused = answers[-1]
    told = refused.json()
    assert sorted(told) == ["code", "correlation_id", "detail"]
    assert told["code"] == "throttled"
    assert told["detail"].startswith("This key has used its 3 requests of this minute. Ask again in ")
    assert refused["Retry-After"] == refused["RateLimit-Reset"]


@pytest.mark.parametrize("address", [f"{MESSAGES}?x=1", "/api/v1/messages/01a20000-0000-7000-8000-000000000000/"])
def test_what_is_refused_for_another_reason_counts_too(program, address):
    assert left(program.get(address)) == ("3", "2")


def test_who_has_no_key_is_told_nothing_about_limits(amber):
    for headers in ({}, {"Authorization": "Bearer consite_" + "0" * 64}):
        assert "RateLimit-Limit" not in Client().get(MESSAGES, headers=headers).headers


def test_one_key_used_up_leaves_the_others_theirs(program, amber):
    ApiKey.objects.update(window_at=_this_minute(), window_count=3)
    other = Program(amber.auditor)
    assert (program.get(MESSAGES).status_code, other.get(MESSAGES).status_code) == (429, 200)


@pytest.mark.parametrize(
    ("ago", "count", "number"),
    [
        (timedelta(minutes=1), 3, 1),  # the minute before is over
        (timedelta(minutes=-1), 1, 2),  # another request has begun the next minute while this one waited for the lock
        (timedelta(hours=-1), 3, 1),  # the database's clock was put back by an hour
    ],
)
def test_requests_count_in_their_minute(program, ago, count, number):
    ApiKey.objects.update(window_at=_this_minute() - ago, window_count=count)
    answer = program.get(MESSAGES)
    assert (answer.status_code, answer["RateLimit-Remaining"]) == (200, str(3 - number))


def _this_minute():
    with connection.cursor() as cursor:
        cursor.execute("SELECT date_trunc('minute', statement_timestamp())")
        return cursor.fetchone()[0]


# --- last use --------------------------------------------------------------------------------------------------------


def test_when_and_from_where_a_key_was_last_used_is_noted(program):
    program.get(MESSAGES, REMOTE_ADDR="192.0.2.7")
    row = ApiKey.objects.get()
    assert row.last_used_from == "192.0.2.7"
    assert timezone.now() - row.last_used_at < timedelta(seconds=30)
    program.get(MESSAGES, REMOTE_ADDR="")
    assert ApiKey.objects.get().last_used_from is None


def test_the_list_of_keys_shows_it(program, amber):
    program.get(MESSAGES, REMOTE_ADDR="192.0.2.7")
    assert "</time> from 192.0.2.7" in signed_in(amber.auditor).get("/admin/access/apikey/").content.decode()


def test_a_key_costs_two_statements(program, amber):
    with CaptureQueriesContext(connection) as seen:
        answer = program.get(f"{MESSAGES}?x=1")
    assert answer.status_code == 400
    assert len(seen) == 2, [one["sql"] for one in seen]
    assert seen[1]["sql"].lstrip().startswith("UPDATE access_apikey")


def test_a_key_revoked_between_the_two_statements_is_refused(program, monkeypatch):
    note_use = limits.note_use

    def revoked_before(key, request):
        ApiKey.objects.update(revoked_at=timezone.now())
        return note_use(key, request)

    monkeypatch.setattr("access.rest.authentication.note_use", revoked_before)
    assert program.get(MESSAGES).status_code == 401


def test_a_database_that_cannot_be_written_is_answered_503(program):
    with connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION READ ONLY")
    answer = program.get(MESSAGES)
    assert (answer.status_code, answer.json()["code"], answer["Retry-After"]) == (503, "database_away", "2")


# --- many at once ----------------------------------------------------------------------------------------------------


@pytest.fixture
def key(django_db_setup, django_db_blocker, settings):
    """A key that is committed, as other connections see it."""
    settings.API_REQUESTS_PER_MINUTE = 25
    with django_db_blocker.unblock():
        key = make_key(make_superuser())
        yield key
        from knox.models import AuthToken

        AuthToken.objects.all().delete()
        empty()


def test_many_at_once_are_counted_exactly(key):
    ApiKey.objects.update(window_at=_this_minute() + timedelta(minutes=1), window_count=0)
    statuses: list[int] = []

    def ask() -> None:
        for _ in range(10):
            statuses.append(Client().get(f"{MESSAGES}?x=1", headers={"Authorization": f"Bearer {key}"}).status_code)
        connection.close()

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (statuses.count(400), statuses.count(429), len(statuses)) == (25, 15, 40)
    assert ApiKey.objects.get().window_count == 40
