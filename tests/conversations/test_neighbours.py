"""A brand whose upstream takes requests and does not answer: what it keeps busy, the others do not need."""

from __future__ import annotations

import threading
import time
import uuid
from dataclasses import dataclass, field

import pytest

from conversations.drain import SLOTS
from conversations.models import Attempt, Dispatch, DispatchState
from conversations.under_way import UnderWay
from tests.conversations.servers import Server
from tests.conversations.stand import Stand, in_thread
from tests.simulator.client import Simulator
from webhooks import services
from webhooks.applying import apply_some

HANGS_S = 2.5
HALF = SLOTS // 2


@pytest.fixture
def dead(stand: Stand, other_ends: tuple[Server, Server]) -> Stand:
    """Another brand, many of whose consumers write while LivePerson is silent for it."""
    phone, liveperson_calls = other_ends
    other = Stand(
        Simulator(stand.simulator.url), account="29999999", phone=phone, liveperson_calls=liveperson_calls, brand="dead"
    )
    other.faults({"on": "conversation", "do": "delay", "seconds": HANGS_S})
    for number in range(2 * HALF):
        other.says("Hello", consumer=f"dead-{number}")
    while apply_some():
        pass
    return other


def started(brand: Stand) -> int:
    return Attempt.objects.filter(brand=brand.installation.brand, step="OPEN").count()


def ended(brand: Stand) -> int:
    return Attempt.objects.filter(brand=brand.installation.brand, step="OPEN").exclude(finished_at=None).count()


def until_hung(brand: Stand) -> None:
    brand.simulator_waits_for("conversation", count=HALF)


def until_heard(brand: Stand, text: str) -> None:
    deadline = time.monotonic() + 10
    while not any(event.get("text") == text for talk in brand.at_liveperson() for event in talk["events"]):
        assert time.monotonic() < deadline, f"{text!r} never arrived"
        time.sleep(0.02)


def test_it_has_half_of_the_places_and_the_others_are_served_meanwhile(stand: Stand, dead: Stand) -> None:
    worker = in_thread(stand.work)
    until_hung(dead)

    stand.says("I am well")
    until_heard(stand, "I am well")

    assert (started(dead), ended(dead)) == (HALF, 0)
    worker.join()


def test_the_others_are_served_after_the_deadline_while_it_keeps_the_worker(stand: Stand, dead: Stand) -> None:
    worker = in_thread(lambda: stand.work(deadline_s=1.0))
    until_hung(dead)
    time.sleep(1.0)

    stand.says("I am well")
    until_heard(stand, "I am well")

    assert ended(dead) == 0
    worker.join()
    assert started(dead) == HALF, "the deadline stands for what hangs"
    assert not Dispatch.objects.filter(state=DispatchState.SENDING).exists()


def test_who_is_told_to_stop_begins_nothing_for_anybody(stand: Stand, dead: Stand) -> None:
    stopping = threading.Event()
    worker = in_thread(lambda: services.work(deadline_s=20, is_stopping=stopping.is_set))
    until_hung(dead)

    stopping.set()
    time.sleep(0.2)
    stand.says("Too late")
    worker.join()

    assert stand.at_liveperson() == []
    assert started(dead) == HALF
    assert not Dispatch.objects.filter(state=DispatchState.SENDING).exists(), "what is under way is finished"


@dataclass
class Call:
    """What of a job counts here."""

    account_id: uuid.UUID
    attempt_id: uuid.UUID = field(default_factory=uuid.uuid4)


def test_however_many_hang_there_is_a_place_for_the_next() -> None:
    under_way = UnderWay(places=SLOTS)
    for _ in range(20):
        account, room = uuid.uuid4(), under_way.room(at_most=SLOTS)
        for _ in range(min(room.free, room.each)):
            under_way.begin(Call(account))

    assert under_way.room(at_most=SLOTS).free >= 1


def test_who_has_many_under_way_gets_back_what_others_leave() -> None:
    under_way = UnderWay(places=48)
    one, other = Call(uuid.uuid4()), [Call(uuid.uuid4())] * 2
    under_way.begin(one)
    assert under_way.room(at_most=48).of_account == {one.account_id: 23}

    for _ in other:
        under_way.begin(Call(other[0].account_id))
    assert under_way.room(at_most=48).of_account == {one.account_id: 22, other[0].account_id: 21}
