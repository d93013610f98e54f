"""Without a worker nothing goes through, and nothing is seen to fail: the pages of connectors say so first."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from connector_site import heartbeat
from connector_site.models import Heartbeat
from installations.channel_verdicts import verdict_of_channel
from installations.findings import Tone
from installations.verdicts import verdict_of

pytestmark = pytest.mark.django_db


def test_a_connector_without_a_worker_is_not_said_to_work(world):
    heartbeat.beat(cluster="one")
    Heartbeat.objects.update(beat_at=timezone.now() - timedelta(minutes=2))

    for verdict in (
        verdict_of(world.installation, now=timezone.now()),
        verdict_of_channel(world.channel, now=timezone.now()),
    ):
        assert verdict.tone is Tone.STOPS
        assert verdict.troubles[0].what.startswith("No worker has given a sign of life for 12")
        assert verdict.troubles[0].do.startswith("Start manage.py worker")


def test_a_worker_that_is_alive_is_no_trouble(world):
    heartbeat.beat(cluster="one")

    assert verdict_of(world.installation, now=timezone.now()).tone is Tone.FINE
