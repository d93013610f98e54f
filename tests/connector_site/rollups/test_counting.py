"""The dashboard's counts are those of the rows: each row once, whatever crashes, comes late or works beside it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from connector_site.models import Counting, Figure, RollupCount, Span
from connector_site.rollups import counting
from conversations.models import Dispatch, UsageWalk
from conversations.services import portions
from tests.connector_site.rollups.facts import asked_directly, count, counted
from tests.conversations.stand import in_thread
from tests.factories import World, make_two_brands
from tests.webhooks.usages import conversation, message, sent

DURING = datetime(2026, 11, 14, 12, 1, tzinfo=UTC)
MUCH_LATER = datetime(2026, 11, 20, tzinfo=UTC)
LATER_THAN_THE_WORLDS = timedelta(hours=2)


@pytest.fixture
def two(db) -> tuple[World, World]:
    worlds = make_two_brands()
    RollupCount.objects.all().delete()
    return worlds


@pytest.fixture
def amber(two) -> World:
    return two[0]


def busy(world: World, *, messages: int = 12, since: datetime = DURING) -> None:
    """Some days with something of every kind."""
    for number in range(messages):
        at = since + timedelta(minutes=37 * number)
        said = message(world, at, direction=("TO_LIVEPERSON", "TO_CHANNEL")[number % 2], created_at=at)
        sent(said, at + timedelta(milliseconds=70 * 3**number))
        sent(said, at + timedelta(seconds=9), state=("FAILED", "DEAD", "DROPPED")[number % 3], error_code="refused")
        sent(said, at + timedelta(seconds=9), message=None, kind="TYPING")
        conversation(world, at)


def all_at(now: datetime) -> None:
    """Of a day as the two counts find it."""
    for which in (Counting.SOON, Counting.FINAL):
        for span in (Span.HOUR, Span.DAY):
            assert counted(which, span) == asked_directly(span, before=now - counting.BEHIND[which]), (which, span)


def test_the_counts_are_those_that_a_look_at_every_row_finds(two):
    now = timezone.now() + LATER_THAN_THE_WORLDS
    for world in two:
        busy(world, since=now - timedelta(hours=20))

    count(now=now)

    all_at(now)
    kinds = {figure.split("_")[0] for _, _, _, figure, _ in counted(Counting.FINAL)}
    assert kinds == {figure.split("_")[0] for figure in Figure} - {"ACK", "REFUSED"}
    assert counted(Counting.SOON, Span.FIVE_MINUTES) == asked_directly(
        Span.FIVE_MINUTES, before=now - counting.BEHIND[Counting.SOON]
    )


@pytest.mark.parametrize("size", [1, 7])
def test_portions_of_any_size_find_the_same(amber, monkeypatch, size):
    monkeypatch.setattr(portions, "PORTION", size)
    now = timezone.now() + LATER_THAN_THE_WORLDS
    busy(amber, since=now - timedelta(hours=5), messages=5)

    count(now=now)
    count(now=now)

    all_at(now)


def test_a_killed_count_goes_on_where_it_was_and_doubles_nothing(amber, monkeypatch):
    now = timezone.now() + LATER_THAN_THE_WORLDS
    busy(amber, since=now - timedelta(hours=9))
    monkeypatch.setattr(portions, "PORTION", 4)
    deaths = iter(range(1_000))
    save = UsageWalk.save

    def die_now_and_then(self, *args, **kwargs):
        save(self, *args, **kwargs)
        if next(deaths) % 3:
            raise RuntimeError("killed")

    monkeypatch.setattr(UsageWalk, "save", die_now_and_then)
    for _ in range(300):
        try:
            count(now=now)
            break
        except RuntimeError:
            pass
    monkeypatch.setattr(UsageWalk, "save", save)
    count(now=now)

    all_at(now)


def test_several_workers_at_once_count_everything_once(transactional_db, monkeypatch):
    amber, _ = make_two_brands()
    RollupCount.objects.all().delete()
    now = timezone.now() + LATER_THAN_THE_WORLDS
    busy(amber, since=now - timedelta(hours=9))
    monkeypatch.setattr(portions, "PORTION", 3)
    troubles: list[str] = []

    def work() -> None:
        try:
            for _ in range(4):
                count(now=now)
        except Exception as error:
            troubles.append(repr(error))

    for thread in [in_thread(work) for _ in range(3)]:
        thread.join()
    count(now=now)

    assert troubles == []
    all_at(now)


def test_what_is_stored_late_is_in_the_final_count(amber):
    count(now=DURING + timedelta(minutes=1))
    message(amber, DURING)
    count(now=DURING + timedelta(minutes=2))
    assert all(figure != "MESSAGES_TO_LIVEPERSON" for _, _, _, figure, _ in counted(Counting.SOON))

    count(now=DURING + timedelta(hours=2))

    hour = DURING.replace(minute=0)
    key = (amber.brand.pk, amber.channel.pk, hour, "MESSAGES_TO_LIVEPERSON", "")
    assert counted(Counting.FINAL)[key] == 1


def test_a_worker_whose_clock_is_behind_counts_nothing_again(amber):
    message(amber, DURING)
    count(now=DURING + timedelta(minutes=1))

    count(now=DURING + timedelta(seconds=10))
    count(now=DURING + timedelta(minutes=1))

    key = (amber.brand.pk, None, DURING.replace(minute=0), "MESSAGES_TO_LIVEPERSON", "")
    assert counted(Counting.SOON)[key] == 1


def test_a_failure_that_a_person_undid_stays_counted_where_it_was_seen(amber):
    failed = sent(message(amber, DURING), DURING, state="FAILED", error_code="request_rejected")
    count(now=DURING + timedelta(minutes=1))
    Dispatch.objects.filter(pk=failed.pk).update(state="SENT", finished_at=DURING + timedelta(minutes=10))

    count(now=DURING + timedelta(hours=3))
    for _ in range(3):
        counting.forget_some(now=DURING + timedelta(days=5))

    key = (amber.brand.pk, None, DURING.replace(minute=0), "FAILED_TO_LIVEPERSON", "request_rejected")
    assert counted(Counting.SOON)[key] == 1
    assert key not in counted(Counting.FINAL)


# --- what goes -------------------------------------------------------------------------------------------------------


def test_old_counts_go_and_those_that_charts_need_stay(amber):
    message(amber, DURING)
    count(now=DURING + timedelta(hours=2))

    def kept(after: timedelta) -> set[tuple[str, int]]:
        count(now=DURING + after)
        counting.forget_some(now=DURING + after)
        return set(RollupCount.objects.filter(at__lte=DURING).values_list("counting", "span"))

    assert ("SOON", 300) in kept(timedelta(hours=2))
    assert kept(timedelta(hours=5)) == {("SOON", 3600), ("SOON", 86400), ("FINAL", 3600), ("FINAL", 86400)}
    assert kept(timedelta(days=8)) == {("FINAL", 3600), ("FINAL", 86400)}
    assert kept(timedelta(days=31)) == {("FINAL", 86400)}
    assert kept(timedelta(days=402)) == set()


def test_a_portion_takes_as_many_statements_however_much_there_is(two, django_assert_max_num_queries):
    for world in two:
        busy(world)
    with django_assert_max_num_queries(10):
        counting.count_some(counting.COUNTED[0], Counting.FINAL, now=MUCH_LATER)
