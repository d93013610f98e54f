"""What waits is looked at by several workers, for several brands: nobody is passed over, and none turns its order."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from conversations.models import Consumer
from tests.conversations.notifications import said
from tests.conversations.stand import Door, in_thread, known_conversation, make_door
from tests.waiting import wait_until
from tests.webhooks.test_gaps import learned, marks, sent
from tests.webhooks.work import apply_all
from webhooks import notified, waiting
from webhooks.models import Delivery, DeliveryBody, DeliveryState, Event, Held

C, OTHER = "c-1", "c-2"
# Another worker's turn, while a first one applies what waits.
WORKS = {"looks at what waits": lambda: waiting.settle_waiting(now=timezone.now()), "applies more": apply_all}


# --- several brands --------------------------------------------------------------------------------------------------


def test_what_one_brand_holds_behind_its_backlog_keeps_no_other_brand_waiting(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "_MOST_HELD", 3)
    other = make_door(brand="other", account="87654321")
    names = [f"{C}-{number}" for number in range(4)]
    for name in names:
        hold_one(door, name)
    hold_one(other, OTHER)
    now = timezone.now()
    of_first = Held.objects.filter(event__delivery__installation=door.onboarded.installation)
    of_first.update(due_at=now - timedelta(seconds=50))
    Held.objects.exclude(pk__in=of_first).update(due_at=now - timedelta(seconds=1))
    door.notify(said(names[0], 9, "in the backlog"))
    Delivery.objects.filter(state=DeliveryState.STORED).update(received_at=now - timedelta(seconds=55))

    waiting.settle_held(now=now)

    assert sent(OTHER) == [0, 2]
    assert [sent(name) for name in names] == [[0]] * 4, "what they wait for may lie in the backlog"


def test_brands_take_turns_with_what_may_have_nothing_to_wait_for_any_more(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "_MOST_HELD", 2)
    other = make_door(brand="other", account="87654321")
    for number in range(3):
        hold_one(door, f"{C}-{number}")
    hold_one(other, OTHER)
    told_by_an_answer(OTHER, 1)

    waiting.settle_held(now=timezone.now())

    assert [one for one in sent(OTHER) if one is not None] == [0, 2]
    assert marks() == {}


def hold_one(door: Door, lp_id: str) -> None:
    """A conversation in which the second of three is missing."""
    known_conversation(door, consumer=lp_id, lp_id=lp_id)
    door.notify(said(lp_id, 0, "text 0"))
    apply_all()
    learned(wait_s=30)
    door.notify(said(lp_id, 2, "text 2"))
    apply_all()


def told_by_an_answer(lp_id: str, sequence: int) -> None:
    """A send of the consumer's own was answered with this sequence."""
    from conversations.models import Dispatch

    first = Dispatch.objects.get(conversation__lp_conversation_id=lp_id)
    Dispatch.objects.create(
        brand_id=first.brand_id, lane=first.lane, position=1, kind="TEXT", state="SENT",
        conversation=first.conversation, lp_dialog_id=lp_id, lp_sequence=sequence,
    )  # fmt: skip


# --- several workers -------------------------------------------------------------------------------------------------


@pytest.fixture
def site(transactional_db: None) -> Door:
    """Two things said wait for a conversation that is known by now."""
    door = make_door()
    for number in (0, 1):
        door.notify(said(C, number, f"text {number}"))
    apply_all()
    known_conversation(door, lp_id=C)
    return door


@pytest.mark.parametrize("work", WORKS.values(), ids=list(WORKS))
def test_a_worker_that_halts_with_the_first_does_not_let_the_second_pass(
    site: Door, monkeypatch: pytest.MonkeyPatch, work: Callable[[], None]
) -> None:
    site.notify(said(C, 2, "text 2"))
    halted, goes_on = halt_first(monkeypatch)
    slow = in_thread(lambda: waiting.settle_waiting(now=timezone.now()))
    assert halted.wait(30)

    quick = in_thread(work)
    wait_until(lambda: not quick.is_alive() or somebody_waits_for_a_lock())
    goes_on.set()
    slow.join()
    quick.join()
    apply_all()

    assert sent() == [0, 1, 2]
    assert marks() == {}
    assert set(Event.objects.values_list("outcome", flat=True)) == {"APPLIED"}


def test_a_worker_that_halts_keeps_nobody_from_the_others(site: Door) -> None:
    site.notify(said(OTHER, 0, "text 0"))
    apply_all()
    known_conversation(site, consumer="bob", lp_id=OTHER)
    hold_one(site, "c-3")
    Held.objects.update(due_at=timezone.now())
    with transaction.atomic():
        list(Consumer.objects.select_for_update().filter(conversations__lp_conversation_id=C))
        other = in_thread(look_at_all)
        other.join(30)
        found = (other.is_alive(), sent(OTHER), sent("c-3"))
    other.join()

    assert found == (False, [0], [0, 2])
    look_at_all()
    assert sent() == [0, 1]


def look_at_all() -> None:
    waiting.settle_waiting(now=timezone.now())
    waiting.settle_held(now=timezone.now())


def test_what_is_known_by_now_is_not_called_foreign_while_its_consumer_is_in_use(site: Door) -> None:
    Event.objects.update(at=timezone.now() - timedelta(minutes=20))
    with transaction.atomic():
        list(Consumer.objects.select_for_update())
        other = in_thread(look_at_all)
        other.join(30)
    other.join()
    look_at_all()

    assert sent() == [0, 1]


def test_what_a_worker_is_about_to_apply_is_not_called_foreign_and_keeps_nobody_waiting(transactional_db: None) -> None:
    door = make_door()
    for name in ("adopted at this moment", "elsewhere"):
        door.notify(said(name, 0, "text 0"))
    apply_all()
    with transaction.atomic():
        list(Event.objects.select_for_update().filter(lp_conversation_id="adopted at this moment"))
        other = in_thread(lambda: waiting.settle_waiting(now=timezone.now() + timedelta(minutes=2)))
        other.join(30)
        has_ended = not other.is_alive()
    other.join()

    assert has_ended
    assert list(Event.objects.order_by("id").values_list("outcome", flat=True)) == ["WAITING", "FOREIGN"]


def test_two_that_each_call_a_part_of_a_delivery_foreign_let_its_body_go(transactional_db: None) -> None:
    door = make_door()
    door.notify(said("one", 0, "not ours"), said("two", 0, "not ours"))
    apply_all()
    now = timezone.now()
    Event.objects.filter(lp_conversation_id="one").update(at=now - timedelta(seconds=61))
    with transaction.atomic():
        waiting.settle_waiting(now=now)
        other = in_thread(lambda: waiting.settle_waiting(now=now + timedelta(seconds=61)))
        other.join(30)
    other.join()
    waiting.settle_waiting(now=now + timedelta(seconds=61))

    assert set(Event.objects.values_list("outcome", flat=True)) == {"FOREIGN"}
    assert DeliveryBody.objects.get().expires_on <= now.date() + timedelta(days=1)


def halt_first(monkeypatch: pytest.MonkeyPatch) -> tuple[threading.Event, threading.Event]:
    """The first that is applied from now on halts: has it, and may it go on."""
    halted, goes_on, apply = threading.Event(), threading.Event(), notified._apply_late

    def halting(row: Event, *values: Any, **more: Any) -> None:
        if not halted.is_set():
            halted.set()
            goes_on.wait(30)
        apply(row, *values, **more)

    monkeypatch.setattr(notified, "_apply_late", halting)
    return halted, goes_on


def somebody_waits_for_a_lock() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT 1 FROM pg_locks WHERE NOT granted)")
        return bool(cursor.fetchone()[0])
