"""Webhooks that nobody here can verify leave no row: the pages of a connector tell of them by their counts."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from connector_site.models import Counting, Figure, RollupCount, Span
from connector_site.rollups import counting
from installations.channel_verdicts import verdict_of_channel
from installations.findings import Tone
from installations.verdicts import verdict_of
from tests.admin_pages import signed_in
from tests.factories import World
from webhooks.models import Delivery

pytestmark = pytest.mark.django_db


def refuse(world: World, number: int, *, minutes_ago: int) -> None:
    at = counting.start_of(Span.FIVE_MINUTES, timezone.now() - timedelta(minutes=minutes_ago))
    for source, figure in (
        (world.installation, Figure.REFUSED_TO_LIVEPERSON),
        (world.channel, Figure.REFUSED_TO_CHANNEL),
    ):
        RollupCount.objects.create(
            brand=world.brand, source_id=source.pk, span=Span.FIVE_MINUTES, at=at, figure=figure, label="401",
            counting=Counting.MEASURED, count=number,
        )  # fmt: skip


def accepted(*, minutes_ago: int) -> None:
    Delivery.objects.update(received_at=timezone.now() - timedelta(minutes=minutes_ago))


def test_a_connector_whose_webhooks_are_all_refused_is_not_said_to_work(world):
    accepted(minutes_ago=60)
    refuse(world, 5, minutes_ago=10)

    for verdict in (
        verdict_of(world.installation, now=timezone.now()),
        verdict_of_channel(world.channel, now=timezone.now()),
    ):
        assert verdict.tone is Tone.STOPS
        assert verdict.troubles[0].what.startswith("5 webhooks were refused since ")
        assert "none was accepted since" in verdict.troubles[0].what


def test_refused_webhooks_among_others_are_something_to_look_at(world):
    accepted(minutes_ago=0)
    refuse(world, 5, minutes_ago=0)

    verdict = verdict_of(world.installation, now=timezone.now())

    assert verdict.tone is Tone.WORRIES
    assert "Others were accepted." in verdict.troubles[0].what


def test_those_since_the_last_one_that_was_accepted_tell_how_it_is(world):
    refuse(world, 5, minutes_ago=60)
    refuse(world, 7, minutes_ago=10)
    accepted(minutes_ago=58)

    verdict = verdict_of(world.installation, now=timezone.now())

    assert verdict.tone is Tone.STOPS
    assert verdict.troubles[0].what.startswith("7 webhooks were refused")


def test_what_was_refused_before_the_last_one_that_was_accepted_is_over(world):
    accepted(minutes_ago=0)
    refuse(world, 5, minutes_ago=20)

    assert verdict_of(world.installation, now=timezone.now()).tone is Tone.FINE


def test_the_overview_tells_of_refused_webhooks(world):
    accepted(minutes_ago=60)
    refuse(world, 5, minutes_ago=10)

    text = signed_in(world.auditor).get("/admin/").content.decode()

    assert text.count("5 webhooks were refused since") == 2
    assert f"{world.installation}, channel {world.channel.name}" in text
