"""A brand whose upstream takes requests and does not answer: what it keeps busy, the others do not need."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from django.db.models import F

from conversations import lanes
from conversations.drain import SLOTS, Drain
from conversations.models import Attempt, Dispatch, DispatchState, Lane
from conversations.under_way import UnderWay
from tests.conversations.servers import Server
from tests.conversations.stand import Stand, in_thread, make_door
from tests.simulator.client import Simulator
from tests.webhooks.work import apply_all
from webhooks.applying import apply_some

HALF = SLOTS // 2
SECOND = timedelta(seconds=1)


@pytest.fixture
def dead(stand: Stand, other_ends: tuple[Server, Server]) -> Stand:
    """Another brand, many of whose consumers write while LivePerson is silent for it."""
    phone, liveperson_calls = other_ends
    other = Stand(
        Simulator(stand.simulator.url), account="29999999", phone=phone, liveperson_calls=liveperson_calls, brand="dead"
    )
    other.faults({"on": "conversation", "do": "hold"})
    for number in range(2 * HALF):
        other.says("Hello", consumer=f"dead-{number}")
    apply_all()
    return other


@contextmanager
def working(drain: Drain, dead: Stand) -> Iterator[None]:
    """While it works LivePerson keeps its answers for the dead one back, for as long as a call may take."""
    worker = in_thread(lambda: drain.run(feed=apply_some))
    try:
        yield
    finally:
        dead.faults()
        worker.join()


def started(brand: Stand) -> int:
    return Attempt.objects.filter(brand=brand.installation.brand, step="OPEN").count()


def ended(brand: Stand) -> int:
    return Attempt.objects.filter(brand=brand.installation.brand, step="OPEN").exclude(finished_at=None).count()


def until_hung(brand: Stand) -> None:
    brand.simulator_waits_for("conversation", count=HALF)


def until_heard(brand: Stand, text: str) -> None:
    deadline = time.monotonic() + 30
    while not any(event.get("text") == text for talk in brand.at_liveperson() for event in talk["events"]):
        assert time.monotonic() < deadline, f"{text!r} never arrived"
        time.sleep(0.02)


def test_it_has_half_of_the_places_and_the_others_are_served_meanwhile(stand: Stand, dead: Stand) -> None:
    with working(Drain(deadline_s=60), dead):
        until_hung(dead)

        stand.says("I am well")
        until_heard(stand, "I am well")

        assert (started(dead), ended(dead)) == (HALF, 0)


def test_the_others_are_served_after_the_deadline_while_it_keeps_the_worker(stand: Stand, dead: Stand) -> None:
    drain = Drain(deadline_s=60)
    with working(drain, dead):
        until_hung(dead)
        drain._ends_at_s = time.monotonic()

        stand.says("I am well")
        until_heard(stand, "I am well")

        assert ended(dead) == 0
    assert started(dead) == HALF, "the deadline stands for what hangs"
    assert not Dispatch.objects.filter(state=DispatchState.SENDING).exists()


def test_who_is_told_to_stop_begins_nothing_for_anybody(stand: Stand, dead: Stand) -> None:
    stopping, has_asked = threading.Event(), threading.Event()

    def is_stopping() -> bool:
        if stopping.is_set():
            has_asked.set()
        return stopping.is_set()

    with working(Drain(deadline_s=60, is_stopping=is_stopping), dead):
        until_hung(dead)
        stopping.set()
        assert has_asked.wait(6)  # a turn was under way
        stand.says("Too late")

    assert stand.at_liveperson() == []
    assert started(dead) == HALF
    assert not Dispatch.objects.filter(state=DispatchState.SENDING).exists(), "what is under way is finished"


def test_two_that_are_met_at_once_leave_places_for_a_third(transactional_db: None) -> None:
    doors = [make_door(brand=name, account=f"2999999{number}") for number, name in enumerate(("one", "other", "third"))]
    for number in range(SLOTS):
        for door in doors[:2]:
            door.says("Hello", consumer=f"consumer-{number}")
    apply_all()
    under_way = UnderWay(places=SLOTS)
    for _ in range(4):
        claimed = lanes.claim(under_way.room(at_most=SLOTS))
        for account_id in Lane.objects.filter(pk__in=claimed).values_list("account_id", flat=True):
            under_way.begin(Call(account_id))

    doors[2].says("Hello")
    apply_some()

    assert len(lanes.claim(under_way.room(at_most=SLOTS))) == 1


def test_where_there_is_one_place_whoever_waits_longest_gets_it(transactional_db: None) -> None:
    doors = [make_door(brand=name, account=f"2999999{number}") for number, name in enumerate(("one", "other"))]
    for door in doors:
        door.says("Hello")
    apply_all()
    for longest in doors:
        Lane.objects.update(due_at=F("due_at") - 10 * SECOND, leased_until=None)
        mine = Lane.objects.filter(brand=longest.installation.brand)
        mine.update(due_at=F("due_at") - SECOND)
        assert list(lanes.claim(lanes.Room(free=1, each=1))) == [mine.get().pk]
        mine.update(due_at=F("due_at") + SECOND)


@dataclass
class Call:
    """What of a job counts here."""

    account_id: uuid.UUID
    attempt_id: uuid.UUID = field(default_factory=uuid.uuid4)


def test_where_six_hang_there_is_a_place_for_the_seventh() -> None:
    under_way = UnderWay(places=48)
    for _ in range(6):
        account = uuid.uuid4()
        for _ in range(under_way.room(at_most=48).each):
            under_way.begin(Call(account))

    assert under_way.room(at_most=48).free == 1


def test_who_has_many_under_way_gets_what_others_leave() -> None:
    under_way = UnderWay(places=48)
    one, other = Call(uuid.uuid4()), Call(uuid.uuid4())
    under_way.begin(one)
    assert under_way.room(at_most=48).of_account == {one.account_id: 23}

    under_way.begin(other)
    under_way.begin(Call(other.account_id))
    assert under_way.room(at_most=48).of_account == {one.account_id: 22, other.account_id: 21}
