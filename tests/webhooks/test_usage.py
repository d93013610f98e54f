"""What brands use is counted exactly: each row once, in its month, whatever crashes, comes late or is removed."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import connection
from django.utils import timezone

from conversations.models import (
    Dispatch,
    MediaFile,
    Message,
    MessageContent,
    Reckoning,
    RemovedFile,
    UsageConsumer,
    UsageStorage,
    UsageWalk,
)
from conversations.services import portions, retention, usage
from conversations.services.erasure import erase_consumer
from core.actor import SYSTEM
from core.ids import first_id_at
from tests.conversations.stand import in_thread
from tests.factories import World, make_two_brands
from tests.webhooks.usages import (
    asked_directly,
    conversation,
    count,
    counted,
    file_of,
    message,
    nothing_counted,
    sent,
    someone,
)
from webhooks.models import DeliveryBody

OCTOBER, NOVEMBER = date(2025, 10, 1), date(2025, 11, 1)
DURING = datetime(2025, 11, 14, 12, tzinfo=UTC)
MUCH_LATER = datetime(2025, 12, 20, tzinfo=UTC)


@pytest.fixture
def two(db) -> tuple[World, World]:
    worlds = make_two_brands()
    nothing_counted()
    return worlds


@pytest.fixture
def amber(two) -> World:
    return two[0]


def busy(world: World, *, messages: int = 12) -> None:
    """Two months with something of every kind."""
    people = [someone(world) for _ in range(3)]
    for number in range(messages):
        at = DURING - timedelta(days=number * 4)
        said = message(world, at, consumer=people[number % 3], direction=("TO_LIVEPERSON", "TO_CHANNEL")[number % 2])
        for _ in range(number % 3):
            sent(said, at + timedelta(seconds=2))
        file_of(said, at, size=1000 + number)
        conversation(world, at)
    message(world, DURING, direction="TO_CHANNEL", audience="STAFF", sender_role="AGENT_MANAGER")


# --- exactly ---------------------------------------------------------------------------------------------------------


def test_the_figures_of_a_month_are_those_that_a_query_over_the_rows_finds(two):
    for world in two:
        busy(world)

    count(now=MUCH_LATER)

    for world in two:
        for month in (OCTOBER, NOVEMBER, date(2025, 12, 1)):
            for reckoning in Reckoning:
                assert counted(world, month, reckoning) == asked_directly(world, month), (month, reckoning)
    assert counted(two[0], NOVEMBER)["consumers"] == 4
    assert counted(two[0], NOVEMBER)["segments_to_liveperson"] > 0


def test_what_the_worlds_hold_today_is_counted_too(amber):
    tomorrow = timezone.now() + timedelta(days=1, minutes=1)

    count(now=tomorrow)

    month = usage.month_of(timezone.now())
    assert counted(amber, month) == asked_directly(amber, month)
    assert counted(amber, month)["private_notes"] == 1


def test_counting_again_adds_nothing(amber):
    busy(amber)

    for _ in range(3):
        count(now=MUCH_LATER)

    assert counted(amber, NOVEMBER) == asked_directly(amber, NOVEMBER)


@pytest.mark.parametrize("size", [1, 2, 7])
def test_portions_of_any_size_find_the_same(amber, monkeypatch, size):
    busy(amber)
    monkeypatch.setattr(portions, "PORTION", size)

    count(now=MUCH_LATER)

    for month in (OCTOBER, NOVEMBER):
        assert counted(amber, month) == asked_directly(amber, month)
    assert stored_directly() == stored()


def test_a_crash_in_the_middle_of_a_portion_doubles_nothing_and_loses_nothing(amber, monkeypatch):
    busy(amber)
    monkeypatch.setattr(portions, "PORTION", 4)
    crashes = iter(range(1_000))
    save = UsageWalk.save

    def crash_now_and_then(self, *args, **kwargs):
        save(self, *args, **kwargs)
        if next(crashes) % 3:
            raise RuntimeError("killed")

    monkeypatch.setattr(UsageWalk, "save", crash_now_and_then)
    for _ in range(300):
        try:
            count(now=MUCH_LATER)
            break
        except RuntimeError:
            pass
    monkeypatch.setattr(UsageWalk, "save", save)
    count(now=MUCH_LATER)

    for month in (OCTOBER, NOVEMBER):
        assert counted(amber, month) == asked_directly(amber, month)


def test_several_workers_at_once_count_everything_once(transactional_db, monkeypatch):
    amber, _ = make_two_brands()
    nothing_counted()
    busy(amber, messages=40)
    monkeypatch.setattr(portions, "PORTION", 3)
    troubles: list[str] = []

    def work() -> None:
        try:
            for _ in range(5):
                count(now=MUCH_LATER)
        except Exception as error:
            troubles.append(repr(error))

    for thread in [in_thread(work) for _ in range(4)]:
        thread.join()
    count(now=MUCH_LATER)

    assert troubles == []
    for month in (date(2025, 8, 1), date(2025, 9, 1), OCTOBER, NOVEMBER):
        assert counted(amber, month) == asked_directly(amber, month)
    assert stored() == stored_directly()


# --- months ----------------------------------------------------------------------------------------------------------


def test_months_are_those_of_utc(amber):
    message(amber, datetime(2025, 10, 31, 23, 59, 59, 999000, tzinfo=UTC))
    message(amber, datetime(2025, 11, 1, 0, 0, tzinfo=UTC))
    message(amber, datetime(2025, 11, 30, 23, 59, 59, 999000, tzinfo=UTC))

    count(now=MUCH_LATER)

    assert counted(amber, OCTOBER)["messages_to_liveperson"] == 1
    assert counted(amber, NOVEMBER)["messages_to_liveperson"] == 2


def test_a_send_belongs_to_the_month_in_which_it_was_accepted(amber):
    said = message(amber, datetime(2025, 10, 30, tzinfo=UTC))
    parked = sent(said, datetime(2025, 10, 30, tzinfo=UTC), state="PARKED")
    count(now=datetime(2025, 11, 5, tzinfo=UTC))
    assert counted(amber, OCTOBER)["segments_to_liveperson"] == 0

    Dispatch.objects.filter(pk=parked.pk).update(state="SENT", finished_at=DURING)
    count(now=MUCH_LATER)

    assert counted(amber, OCTOBER)["segments_to_liveperson"] == 0
    assert counted(amber, NOVEMBER)["segments_to_liveperson"] == 1


def test_sends_that_were_accepted_at_the_very_moment_the_count_has_come_to_are_not_passed_over(amber):
    said = message(amber, DURING - timedelta(days=1))
    count(now=DURING + timedelta(days=1))
    for _ in range(3):
        sent(said, DURING)

    count(now=MUCH_LATER)

    assert counted(amber, NOVEMBER)["segments_to_liveperson"] == 3


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, 1), ({"kind": "FILE"}, 1), ({"kind": "RICH"}, 1), ({"kind": "RECEIPT"}, 0), ({"kind": "TYPING"}, 0),
        ({"state": "DEAD"}, 0), ({"state": "DROPPED"}, 0), ({"state": "UNKNOWN"}, 0), ({"message": None}, 0),
        ({"possible_duplicate": True}, 1),
    ],
)  # fmt: skip
def test_a_segment_is_an_accepted_send_for_a_message(amber, values, expected):
    sent(message(amber, DURING), DURING, **values)

    count(now=MUCH_LATER)

    assert counted(amber, NOVEMBER)["segments_to_liveperson"] == expected


def test_a_row_that_is_committed_late_is_in_the_final_figures(amber):
    message(amber, DURING)
    count(now=DURING + timedelta(minutes=10))
    message(amber, DURING - timedelta(minutes=5))
    count(now=DURING + timedelta(days=2))

    assert counted(amber, NOVEMBER, Reckoning.SOON)["messages_to_liveperson"] == 1
    assert counted(amber, NOVEMBER, Reckoning.FINAL)["messages_to_liveperson"] == 2


def test_what_happened_this_minute_is_not_counted_yet(amber):
    message(amber, DURING)

    count(now=DURING + timedelta(seconds=30))
    assert counted(amber, NOVEMBER, Reckoning.SOON)["messages_to_liveperson"] == 0
    count(now=DURING + timedelta(seconds=90))
    assert counted(amber, NOVEMBER, Reckoning.SOON)["messages_to_liveperson"] == 1


def test_consumers_of_final_months_are_not_kept_in_a_list_for_ever(amber):
    busy(amber)
    count(now=DURING + timedelta(hours=1))
    assert UsageConsumer.objects.filter(month=NOVEMBER).exists()

    count(now=MUCH_LATER)
    count(now=MUCH_LATER)

    assert not UsageConsumer.objects.exists()
    assert counted(amber, NOVEMBER) == asked_directly(amber, NOVEMBER)


# --- what was removed ------------------------------------------------------------------------------------------------


def test_files_that_retention_has_removed_stay_counted(amber):
    said = message(amber, DURING)
    file_of(said, DURING, size=700)
    before = asked_directly(amber, NOVEMBER)
    retention.remove_files(after=retention.Place(), before=date(2027, 1, 1))
    assert not MediaFile.objects.filter(message=said).exists()

    count(now=MUCH_LATER)

    assert counted(amber, NOVEMBER) == before
    assert before["media_bytes"] == 700


def test_an_erasure_changes_no_figure(amber):
    busy(amber)
    person = someone(amber)
    file_of(message(amber, DURING, consumer=person), DURING, size=5)
    before = asked_directly(amber, NOVEMBER)

    erase_consumer(consumer_id=person.pk, actor=SYSTEM, reason="asked for")
    count(now=MUCH_LATER)

    assert counted(amber, NOVEMBER) == before
    assert RemovedFile.objects.filter(size=5).exists()


# --- storage ---------------------------------------------------------------------------------------------------------


def stored() -> dict[tuple[object, object], tuple[int, int, int]]:
    rows = UsageStorage.objects.filter(measured_at__isnull=False)
    return {(r.brand_id, r.channel_id): (r.content_bytes, r.file_bytes, r.body_bytes) for r in rows}


def stored_directly() -> dict[tuple[object, object], tuple[int, int, int]]:
    """Row by row, in Python."""
    found: dict[tuple[object, object], list[int]] = {}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT message_id, text, attachments::text, element::text, quick_replies::text, metadata::text"
            " FROM conversations_messagecontent WHERE message_id < %s",
            [first_id_at(MUCH_LATER)],
        )
        for message_id, text, *others in cursor.fetchall():
            said = Message.objects.get(pk=message_id)
            sizes = [len(one.encode()) for one in (text, *others) if one and one != "[]"]
            found.setdefault((said.brand_id, said.channel_id), [0, 0, 0])[0] += sum(sizes)
    for file in MediaFile.objects.filter(pk__lt=first_id_at(MUCH_LATER)).select_related("message"):
        found.setdefault((file.brand_id, file.message.channel_id), [0, 0, 0])[1] += file.size
    for body in DeliveryBody.objects.filter(pk__lt=first_id_at(MUCH_LATER)).select_related("delivery"):
        key = (body.delivery.brand_id, body.delivery.channel_id)
        found.setdefault(key, [0, 0, 0])[2] += len(bytes(body.raw))
    return {key: tuple(sizes) for key, sizes in found.items()}  # type: ignore[misc]


def test_storage_is_what_stands_there_now(two, monkeypatch):
    monkeypatch.setattr("tests.webhooks.test_usage.MUCH_LATER", timezone.now() + timedelta(minutes=1))
    MessageContent.objects.filter(message=two[0].from_agent).update(text="Größe ✓ " * 5_000, attachments=[])

    count(now=MUCH_LATER)

    assert stored() == stored_directly()
    assert stored()[(two[0].brand.pk, None)][2] > 0, "what LivePerson sent belongs to no channel alone"


def test_storage_is_measured_now_and_then_and_keeps_the_last_of_a_month(amber):
    soon = timezone.now() + timedelta(minutes=1)
    month = usage.month_of(soon)
    count(now=soon)
    first = stored()
    MessageContent.objects.all().delete()

    count(now=soon + timedelta(hours=5))
    assert stored() == first
    count(now=soon + timedelta(hours=7))

    assert sum(sizes[0] for sizes in stored().values()) == 0
    assert UsageStorage.objects.filter(month=month, measured_at=None).count() == 0


def test_a_portion_takes_as_many_statements_however_much_there_is(two, django_assert_max_num_queries):
    for world in two:
        busy(world)
    with django_assert_max_num_queries(12):
        usage.count_some(usage.COUNTED[0], Reckoning.FINAL, now=MUCH_LATER)
