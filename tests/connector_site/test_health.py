from typing import Any

import pytest
from django.db import connection
from django.test import Client

from connector_site import heartbeat


def test_healthz_answers_without_a_database(client: Client) -> None:
    # No database mark: pytest-django would fail this test if it asked for a connection.
    assert client.get("/healthz").json() == {"status": "up"}


@pytest.mark.django_db
def test_readyz_is_503_while_no_worker_gives_a_sign_of_life(client: Client) -> None:
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["missing"] == ["workers"]


@pytest.mark.django_db
def test_readyz_is_200_after_a_beat(client: Client) -> None:
    heartbeat.beat(cluster="a")
    assert client.get("/readyz").status_code == 200


@pytest.mark.django_db
def test_readyz_is_503_when_the_last_beat_is_too_old(client: Client) -> None:
    heartbeat.beat(cluster="a")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE connector_site_heartbeat SET beat_at = now() - interval '16 seconds'")
    assert client.get("/readyz").json()["missing"] == ["workers"]


@pytest.mark.django_db
def test_one_live_cluster_of_several_is_enough(client: Client) -> None:
    heartbeat.beat(cluster="gone")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE connector_site_heartbeat SET beat_at = now() - interval '1 hour'")
    heartbeat.beat(cluster="alive")
    assert client.get("/readyz").status_code == 200


@pytest.mark.django_db
def test_readyz_is_503_while_the_database_only_reads(client: Client) -> None:
    heartbeat.beat(cluster="a")
    with connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION READ ONLY")
    assert client.get("/readyz").json()["missing"] == ["database: it is read-only"]


def test_answers_carry_a_fresh_correlation_id_whatever_was_asked_for(client: Client) -> None:
    first = client.get("/healthz", headers={"X-Correlation-Id": "chosen-by-a-stranger"})
    second = client.get("/healthz")
    ids = {first["X-Correlation-Id"], second["X-Correlation-Id"]}
    assert len(ids) == 2
    assert "chosen-by-a-stranger" not in ids


@pytest.mark.parametrize("host", ["10.0.0.7:8000", "unknown.example"])
def test_a_probe_may_call_by_address(client: Client, host: str) -> None:
    assert client.get("/healthz", headers={"Host": host}).status_code == 200
    assert client.get("/admin/login/", headers={"Host": host}).status_code == 400


@pytest.mark.django_db
def test_a_probe_is_not_sent_to_https(client: Client, settings: Any) -> None:
    settings.SECURE_SSL_REDIRECT = True
    assert client.get("/readyz").status_code == 503
    assert client.get("/admin/login/").status_code == 301
