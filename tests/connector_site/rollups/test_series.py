"""Charts: what was counted, of a brand or of one connector, in the spans of a time range."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from connector_site.models import Counting, Figure, RollupCount, Span
from connector_site.rollups import series
from tests.connector_site.rollups.facts import count
from tests.factories import World, make_two_brands
from tests.webhooks.usages import message, sent

NOW = datetime(2026, 11, 14, 12, 31, tzinfo=UTC)


@pytest.fixture
def two(db) -> tuple[World, World]:
    worlds = make_two_brands()
    RollupCount.objects.all().delete()
    return worlds


def both(two: tuple[World, World]) -> list:
    return [world.brand.pk for world in two]


@pytest.mark.parametrize("asked", series.RANGES.values(), ids=str)
def test_each_message_stands_once_in_its_span_whichever_count_has_come_to_it(two, asked):
    for hours in (0.01, 0.2, 5, 23, 90, 600):
        message(two[0], NOW - timedelta(hours=hours))
    count(now=NOW - timedelta(hours=3))
    count(now=NOW + timedelta(seconds=1))

    found = series.series_of_brands(both(two), asked=asked, now=NOW)

    expected = {"hour": 2, "day": 4, "week": 5, "month": 6}[asked.name]
    assert sum(found.line(Figure.MESSAGES_TO_LIVEPERSON)) == expected
    assert found.total.total(Figure.MESSAGES_TO_LIVEPERSON) == expected
    assert found.of_brand[two[0].brand.pk].total(Figure.MESSAGES_TO_LIVEPERSON) == expected
    assert two[1].brand.pk not in found.of_brand
    assert len(found.moments) == asked.slots
    assert found.moments[-1] <= NOW < found.moments[-1] + timedelta(seconds=int(asked.span))


def test_of_soon_and_final_one_is_shown_and_of_a_failure_the_higher_one(two):
    brand, at = two[0].brand, datetime(2026, 11, 14, 9, tzinfo=UTC)
    count(now=NOW)
    for figure, soon, final in (("MESSAGES_TO_CHANNEL", 5, 4), ("FAILED_TO_CHANNEL", 5, 4), ("DEAD_TO_CHANNEL", 1, 2)):
        for counting, number in ((Counting.SOON, soon), (Counting.FINAL, final)):
            RollupCount.objects.create(
                brand=brand, span=Span.HOUR, at=at, figure=figure, label="", counting=counting, count=number
            )

    total = series.series_of_brands([brand.pk], asked=series.DAY, now=NOW).total

    assert total.total(Figure.MESSAGES_TO_CHANNEL) == 4
    assert total.total(Figure.FAILED_TO_CHANNEL) == 5
    assert total.total(Figure.DEAD_TO_CHANNEL) == 2


def test_a_connector_has_the_figures_of_its_channels_and_no_others(two):
    amber, birch = two
    for world in two:
        sent(message(world, NOW - timedelta(hours=2)), NOW - timedelta(hours=2))
    count(now=NOW)

    of_amber = series.series_of_installation(amber.installation, now=NOW)

    assert of_amber.total.total(Figure.SENT_TO_LIVEPERSON) == 1
    assert of_amber.line(Figure.SENT_TO_LIVEPERSON)[-1] == 1
    assert series.series_of_channel(birch.channel, now=NOW).total.total(Figure.MESSAGES_TO_LIVEPERSON) == 1
    assert of_amber.total.by_label(Figure.THROUGH_TO_LIVEPERSON) != {}


def test_the_number_of_statements_does_not_grow_with_brands_or_rows(two, django_assert_num_queries):
    for hours in range(40):
        message(two[hours % 2], NOW - timedelta(hours=hours))
    count(now=NOW)

    for brand_ids in (both(two)[:1], both(two)):
        with django_assert_num_queries(2):
            series.series_of_brands(brand_ids, asked=series.WEEK, now=NOW)


def test_nothing_counted_yet_is_an_empty_series(two):
    found = series.series_of_brands(both(two), asked=series.DAY, now=NOW)

    assert found.is_empty
    assert found.percentiles_ms(Figure.ACK_TO_LIVEPERSON, 0.99) == [None] * 24
