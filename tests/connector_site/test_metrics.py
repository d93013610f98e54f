from typing import Any

import pytest
from django.test import Client

from connector_site import heartbeat

pytestmark = pytest.mark.django_db


def values(text: str) -> dict[str, float]:
    rows = (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, value in rows}


def test_every_figure_has_a_value_on_an_empty_site(client: Client) -> None:
    shown = values(client.get("/metrics").content.decode())
    assert shown["connector_site_database_up"] == 1
    assert shown['connector_site_dispatches_by_state{state="parked"}'] == 0
    assert shown['connector_site_upstreams_by_state{state="open"}'] == 0
    assert shown["connector_site_oldest_due_lane_age_seconds"] == 0
    assert shown["connector_site_heartbeat_age_seconds"] == float("inf")


def test_the_heartbeat_has_an_age_after_a_beat(client: Client) -> None:
    heartbeat.beat(cluster="a")
    assert values(client.get("/metrics").content.decode())["connector_site_heartbeat_age_seconds"] < 5


@pytest.mark.parametrize(
    ("token", "given", "status"),
    [
        ("a-long-random-token-of-ours", "Bearer a-long-random-token-of-ours", 200),
        ("a-long-random-token-of-ours", "Bearer another", 404),
        ("a-long-random-token-of-ours", "Bearer \u00e9", 404),
        ("a-long-random-token-of-ours", "", 404),
        ("", "Bearer ", 404),
        ("", "", 404),
    ],
)
def test_production_shows_metrics_to_who_holds_the_token_and_to_others_there_are_none(
    client: Client, settings: Any, token: str, given: str, status: int
) -> None:
    settings.IS_PRODUCTION = True
    settings.METRICS_TOKEN = token
    assert client.get("/metrics", headers={"Authorization": given}).status_code == status
