"""Pauses of every scope and direction: what they keep, what goes on beside them, and what goes out when they end."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from audit.models import AuditEntry
from conversations import lanes, waking
from conversations.drain import Drain
from conversations.models import Attempt, Consumer, Direction, Dispatch, Lane, Message
from conversations.services import erasure
from core.actor import COMMAND
from core.ids import NO_ID
from installations import pausing
from installations.models import ASLEEP_FOR, Pause, PausedDirection
from installations.pause_desk import LOOK_EVERY
from tests.conversations.evidence import BEN
from tests.conversations.servers import Play
from tests.conversations.stand import ADA, Stand, forget_caches, in_thread
from webhooks import applying, services

BOTH, TO_LIVEPERSON, TO_CHANNEL = PausedDirection.BOTH, PausedDirection.TO_LIVEPERSON, PausedDirection.TO_CHANNEL


@pytest.fixture
def talking(stand: Stand) -> Stand:
    stand.says("Hello")
    stand.settle()
    return stand


def row(stand: Stand, scope: str) -> Any:
    return {
        "platform": lambda: None,
        "brand": lambda: stand.installation.brand,
        "installation": lambda: stand.installation,
        "channel": lambda: stand.channel,
        "consumer": lambda: Consumer.objects.get(channel_consumer_id=ADA),
    }[scope]()


def pause(what: Any, direction: PausedDirection = BOTH, **more: Any) -> Pause:
    return pausing.pause(what, actor=COMMAND, reason="maintenance", direction=direction, **more)


def both_speak(stand: Stand, *texts: str) -> None:
    """Everything that is told about it has been applied, and whatever may be sent has been sent."""
    for text in texts:
        stand.agent("say", text=f"agent {text}")
        stand.says(f"consumer {text}")
    stand.deliver()
    stand.work()


def at_phone(stand: Stand) -> list[str]:
    return [one["text"] for one in stand.received()]


def asleep() -> set[str]:
    return set(Lane.objects.filter(due_at=None, blocked_by__in=ASLEEP_FOR).values_list("blocked_by", flat=True))


# --- what waits, and what does not -----------------------------------------------------------------------------------


@pytest.mark.parametrize("scope", ["platform", "brand", "installation", "channel", "consumer"])
def test_what_is_paused_waits_and_goes_out_in_order_when_it_is_resumed(talking: Stand, scope: str) -> None:
    pause(row(talking, scope))
    both_speak(talking, "one", "two")

    assert (talking.heard(), at_phone(talking)) == (["Hello"], [])
    assert asleep() == {f"{scope}_paused"}
    assert not lanes.has_due_work(), "nobody looks at them for nothing"
    waiting = Dispatch.objects.filter(state="QUEUED")
    assert waiting.filter(message__isnull=False).count() == 4
    assert {one.attempt_count for one in waiting} == {0}

    pausing.resume(row(talking, scope), actor=COMMAND)
    talking.settle()

    assert talking.heard() == ["Hello", "consumer one", "consumer two"]
    assert at_phone(talking) == ["agent one", "agent two"]
    assert Pause.objects.get().ended_by == COMMAND.name


@pytest.mark.parametrize(("scope", "direction"), [("installation", TO_LIVEPERSON), ("channel", TO_CHANNEL)])
def test_one_direction_waits_and_the_other_goes_on(talking: Stand, scope: str, direction: PausedDirection) -> None:
    pause(row(talking, scope), direction)
    both_speak(talking, "one")

    assert talking.heard() == (["Hello"] if direction is TO_LIVEPERSON else ["Hello", "consumer one"])
    assert at_phone(talking) == ([] if direction is TO_CHANNEL else ["agent one"])
    assert list(Lane.objects.exclude(blocked_by="").values_list("direction", flat=True)) == [direction.value]


def test_a_consumers_pause_keeps_nobody_else(open_stand: Stand) -> None:
    pause(row(open_stand, "consumer"))

    open_stand.says("from Ada", consumer=ADA)
    open_stand.says("from Ben", consumer=BEN)
    open_stand.settle()

    assert open_stand.heard(consumer=BEN) == ["Hello", "from Ben"]
    assert open_stand.heard(consumer=ADA) == ["Hello"]


def test_what_another_pause_covers_as_well_goes_on_waiting(talking: Stand) -> None:
    pause(row(talking, "brand"))
    pause(row(talking, "channel"), TO_LIVEPERSON)
    both_speak(talking, "one")

    pausing.resume(row(talking, "brand"), actor=COMMAND)
    talking.work()

    assert (talking.heard(), at_phone(talking)) == (["Hello"], ["agent one"])
    assert Lane.objects.get(direction=Direction.TO_LIVEPERSON).blocked_by == "channel_paused"


def test_a_send_under_way_ends_and_the_next_does_not_begin(talking: Stand) -> None:
    goes_on = threading.Event()
    talking.phone.plays.append(Play(before=lambda: goes_on.wait(8) and None))
    for text in ("under way", "waits"):
        talking.agent("say", text=text)
    talking.deliver()
    worker = in_thread(talking.work)
    talking.phone.wait(1)
    pause(row(talking, "platform"))
    time.sleep(LOOK_EVERY.total_seconds())
    goes_on.set()
    worker.join()

    assert at_phone(talking) == ["under way"]
    assert dict(Message.objects.filter(direction="TO_CHANNEL").values_list("content__text", "status")) == {
        "under way": "DELIVERED",
        "waits": "QUEUED",
    }


def test_a_worker_that_runs_on_begins_nothing_two_seconds_after_a_pause(open_stand: Stand) -> None:
    """It has looked at the pauses before, by the third send, and has always something to do."""
    stop = threading.Event()

    def feed() -> bool:
        applying.apply_some()
        return not stop.is_set()

    worker = in_thread(lambda: Drain(deadline_s=20, is_stopping=stop.is_set).run(feed=feed))
    try:
        open_stand.says("before")
        open_stand.simulator_waits_for("send", count=3)
        made = pause(row(open_stand, "platform"), TO_LIVEPERSON)
        while timezone.now() < made.began_at + timedelta(seconds=3):
            open_stand.says("meanwhile", consumer=BEN)
            time.sleep(0.05)
    finally:
        stop.set()
        worker.join()

    late = Attempt.objects.filter(started_at__gt=made.began_at + timedelta(seconds=2), step="PUBLISH")
    assert not late.exists()
    assert "meanwhile" in Message.objects.filter(status="QUEUED").values_list("content__text", flat=True)


# --- the end ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scope", ["platform", "channel"])
def test_a_pause_ends_by_itself_when_its_time_is_over(talking: Stand, scope: str) -> None:
    made = pause(row(talking, scope), until=timezone.now() + timedelta(minutes=10))
    both_speak(talking, "one")
    services.sweep()
    talking.work()
    assert talking.heard() == ["Hello"]

    Pause.objects.update(began_at=made.began_at - timedelta(hours=1), until=made.until - timedelta(minutes=11))
    services.sweep()
    talking.settle()

    assert talking.heard() == ["Hello", "consumer one"]
    assert at_phone(talking) == ["agent one"]
    entry = AuditEntry.objects.get(action=f"{scope}.resumed")
    assert (entry.actor_kind, entry.reason) == ("SYSTEM", "Its time was over.")
    assert (talking.installation.state, talking.channel.state) == ("ACTIVE", "ACTIVE")


def test_more_lanes_than_are_woken_at_once_are_woken_by_the_sweep(
    open_stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waking, "PORTION", 1)
    pause(None)
    for consumer in (ADA, BEN):
        open_stand.says("waits", consumer=consumer)
    open_stand.work()
    assert Lane.objects.filter(blocked_by="platform_paused").count() == 2

    pausing.resume(None, actor=COMMAND)
    assert Lane.objects.filter(blocked_by="platform_paused").count() == 1
    for _ in range(2):
        services.sweep()
    open_stand.settle()

    assert [open_stand.heard(consumer=who) for who in (ADA, BEN)] == [["Hello", "waits"]] * 2
    assert Pause.objects.get().woken_at is not None


def test_waking_in_portions_comes_to_its_end_while_another_pause_puts_them_back_to_sleep(
    open_stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waking, "PORTION", 1)
    pause(row(open_stand, "brand"))
    pause(row(open_stand, "installation"))
    for consumer in (ADA, BEN):
        open_stand.says("waits", consumer=consumer)
    open_stand.work()

    pausing.resume(row(open_stand, "brand"), actor=COMMAND)
    for _ in range(3):
        open_stand.work()
        services.sweep()

    assert Pause.objects.get(scope="BRAND").woken_at is not None
    assert Lane.objects.filter(blocked_by="installation_paused").count() == 2


def test_whoever_ends_a_pause_waits_for_those_who_put_lanes_to_sleep_for_it(talking: Stand) -> None:
    """Else a lane that is put to sleep at that moment would not be found by whoever wakes the sleepers."""
    made = pause(row(talking, "brand"))
    ended = threading.Event()

    def end() -> None:
        pausing.end(made.pk, actor=COMMAND)
        ended.set()

    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM installations_pause WHERE id = %s FOR SHARE", [made.pk])
        ender = in_thread(end)
        assert not ended.wait(0.3)
        Lane.objects.filter(direction=Direction.TO_LIVEPERSON).update(due_at=None, blocked_by="brand_paused")
    ender.join()

    assert Lane.objects.get(direction=Direction.TO_LIVEPERSON).blocked_by == ""


def test_a_worker_that_still_knows_a_pause_which_has_ended_puts_no_lane_to_sleep(talking: Stand) -> None:
    from installations.pause_desk import PauseDesk

    made = pause(row(talking, "brand"))
    desk, now = PauseDesk(), timezone.now()
    facts: dict[str, Any] = {
        "connector": _connector(talking),
        "consumer_id": row(talking, "consumer").pk,
        "direction": "TO_CHANNEL",
        "now": now,
    }
    known = desk.covering(**facts)
    pausing.end(made.pk, actor=COMMAND)

    assert known is not None
    assert desk.covering(**facts) == known
    with transaction.atomic():
        assert desk.is_in_force(known, now=now) is False
    assert desk.covering(**facts) is None


def _connector(stand: Stand) -> Any:
    from installations.connectors import get_connector

    forget_caches()
    return get_connector(stand.channel.pk)


def test_a_lane_that_a_restore_holds_stays_held_when_a_pause_ends(talking: Stand) -> None:
    pause(row(talking, "brand"))
    talking.says("waits")
    talking.work()
    Lane.objects.filter(direction=Direction.TO_LIVEPERSON).update(held_at=timezone.now())

    pausing.resume(row(talking, "brand"), actor=COMMAND)
    talking.work()

    assert talking.heard() == ["Hello"]
    Lane.objects.update(held_at=None, blocked_by="", due_at=timezone.now())


def test_waking_reads_the_index_of_those_that_sleep(talking: Stand) -> None:
    values = {"target": None, "after": NO_ID, "at_most": 10}
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("EXPLAIN " + lanes._WAKE_SLEEPING.format(where="true"), values)
        assert "lane_asleep" in "\n".join(line for (line,) in cursor.fetchall())


# --- people ----------------------------------------------------------------------------------------------------------


def test_an_erasure_ends_the_pause_of_a_consumer_and_takes_their_name_out_of_its_reason(talking: Stand) -> None:
    ada = row(talking, "consumer")
    pausing.pause(ada, actor=COMMAND, reason=f"{ADA} asked us to be left alone")
    pause(talking.installation)  # so that nothing has to be closed first

    erasure.erase_consumer(consumer_id=ada.pk, actor=COMMAND, reason="asked for")

    made = Pause.objects.get(scope="CONSUMER")
    assert ADA not in made.reason
    assert made.ended_at is not None
    assert ADA not in AuditEntry.objects.get(action="consumer.paused").reason
