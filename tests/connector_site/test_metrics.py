from typing import Any

import pytest
from django.test import Client

from connector_site import heartbeat
from conversations.models import Lane
from core.actor import COMMAND
from installations import pausing
from tests.factories import make_world

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


def test_what_is_paused_is_counted_apart_from_what_is_due(client: Client) -> None:
    world = make_world(slug="amber", mark="AMBERXQJ7")
    pausing.pause(world.brand, actor=COMMAND, reason="maintenance")
    Lane.objects.filter(pk=world.unknown.lane_id).update(blocked_by="brand_paused", due_at=None)

    shown = values(client.get("/metrics").content.decode())

    assert shown['connector_site_pauses_in_force{scope="brand"}'] == 1
    assert shown['connector_site_pauses_in_force{scope="platform"}'] == 0
    assert shown["connector_site_paused_lanes"] == 1


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
