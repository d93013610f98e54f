"""
The machine of states set going, by chance and by script. What chance found once is a script, so that it is met again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis.stateful import run_state_machine_as_test

from conversations.drain import Drain
from conversations.models import Dispatch, DispatchState
from conversations.services import operations
from core.actor import COMMAND
from installations import editing
from installations.models import State, UnknownPolicy
from tests.conversations.servers import Play, Server
from tests.inputs import budget, clocks
from tests.inputs.liveperson import LATE, LOST, REFUSED, REJECTED, TAKEN_500, UNAVAILABLE, LivePerson
from tests.inputs.promises import Promises
from tests.inputs.states import DeadBeforeItsCalls, Site, reached


@pytest.fixture(scope="module")
def both_ends() -> Iterator[tuple[LivePerson, Server]]:
    liveperson, phone = LivePerson(), Server()
    yield liveperson, phone
    liveperson.server.stop()
    phone.close()


@pytest.fixture
def site(transactional_db: None, both_ends: tuple[LivePerson, Server]) -> type[Site]:
    Site.liveperson, Site.phone = both_ends
    Site.promises, Site.steps = Promises(), 0
    Site.reached.clear()
    return Site


def test_whatever_happens_the_promises_hold(site: type[Site], record_property: Any) -> None:
    run_state_machine_as_test(site, settings=budget.examples(14, long=1500, steps=40))
    print(f"{site.steps} steps reached {dict(site.reached.most_common())}")
    record_property("steps", site.steps)
    assert set(site.reached) >= {"sent", "applied", "duplicate", "conflict", "echo", "unanswered unanswered"}


Doing = Callable[[Site], Any]


def writes(*fares: str, works: int = 2, consumer: str = "ada") -> Doing:
    return lambda site: site.consumer_writes(consumer=consumer, count=1, fares=list(fares), works=works)


def passes(seconds: int) -> Doing:
    return lambda site: site.time_passes(seconds=seconds)


def decides(act: Any) -> Doing:
    return lambda site: site.somebody_decides(place=0, act=act)


def policy(policy: UnknownPolicy) -> Doing:
    return lambda site: site.somebody_chooses_a_policy(policy=policy)


def says(*fares: Play) -> Doing:
    return lambda site: site.agent_says(consumer="ada", fares=list(fares), is_sent=True)


def hour_passes(site: Site) -> None:
    clocks.pass_time(3600)
    site.worker_works()


def is_active(site: Site) -> None:
    assert site.door.installation.state == State.ACTIVE


WORK: Doing = Site.worker_works
PARK = policy(UnknownPolicy.PARK)

# The corners that chance need not find: what is played, and where it has to lead.
SCRIPTS: dict[str, tuple[list[Doing], set[str]]] = {
    "an echo settles it": ([writes(), writes(LATE)], {"sent by evidence"}),
    "an echo settles an opening": ([writes(LATE), passes(31), WORK], {"sent by evidence"}),
    "what was taken and refused arrives twice": (
        [writes(), writes(TAKEN_500, works=0), WORK, lambda site: site.an_echo_is_lost(place=0), passes(65), WORK],
        {"possibly doubled", "refused refused"},
    ),
    "nothing is known, and it is parked": ([PARK, writes(), writes(LOST), passes(65)], {"parked"}),
    "parked, and sent again": (
        [PARK, writes(), writes(LOST), passes(65), decides(operations.send_again), WORK],
        {"possibly doubled", "sent"},
    ),
    "parked, and overtaken, and sent again": (
        [PARK, writes(), writes(LOST), passes(65), writes(), decides(operations.send_again), WORK],
        {"possibly doubled", "sent"},
    ),
    "parked, and given up": (
        [PARK, writes(), writes(LOST), passes(65), decides(operations.drop)],
        {"dropped", "decided by a person"},
    ),
    "parked, and seen to be there": (
        [PARK, writes(), writes(LATE, works=0), WORK, lambda site: site.an_echo_is_lost(place=0), passes(65),
         decides(operations.resolve_as_sent)],
        {"decided by a person"},
    ),
    "held, and decided": (
        [policy(UnknownPolicy.HOLD), writes(), writes(LOST), passes(200), writes(), decides(operations.drop), WORK],
        {"decided by a person", "unanswered unanswered"},
    ),
    "a worker died before its calls": (
        [writes(), writes(works=0), lambda site: site.worker_dies_while_it_sends(dies=DeadBeforeItsCalls), passes(65)],
        {"unanswered unanswered"},
    ),
    "a worker died after its calls": (
        [writes(), writes(works=0), lambda site: site.worker_dies_while_it_sends(dies=Drain), passes(31),
         lambda site: site.notices_come(count=6), WORK],
        {"sent by evidence"},
    ),
    "a worker died while it opened": (
        [writes(works=0), lambda site: site.worker_dies_while_it_sends(dies=Drain), passes(65)] * 2,
        {"accepted"},
    ),
    "a worker comes back after others took over": (
        [writes(), writes(works=0), Site.worker_is_late, passes(65), Site.late_worker_comes_back, WORK],
        {"sent"},
    ),
    "a worker comes back in time": (
        [writes(), writes(works=0), Site.worker_is_late, Site.late_worker_comes_back, WORK],
        {"sent"},
    ),
    "workers die before they apply": (
        [writes(works=0), Site.worker_dies_before_it_applies, passes(22), Site.worker_dies_before_it_applies,
         passes(22), WORK],
        {"applied"},
    ),
    "closed in between": (
        [writes(), lambda site: site.agent_closes(consumer="ada"), writes(works=0), WORK],
        {"closed: found_closed"},
    ),
    "closed by the consumer": (
        [writes(), lambda site: site.consumer_types_or_leaves(consumer="ada", kind="conversation.closed"), writes()],
        {"closed: told"},
    ),
    "an agent is faster than the news of the opening": (
        [writes(LATE, works=0), WORK, lambda site: site.agent_says(consumer="ada", fares=[], is_sent=False),
         lambda site: site.a_notice_comes_out_of_order(place=1), WORK, passes(1000),
         lambda site: site.notices_come(count=6), WORK],
        {"foreign"},
    ),
    "the tokens expire": ([writes(), Site.tokens_expire, writes()], {"not_processed token_expired"}),
    "the tokens expire again before the refused one's turn": (
        [writes(), writes(consumer="ben"), Site.tokens_expire, writes(works=0), Site.worker_is_late,
         writes(UNAVAILABLE, works=1, consumer="ben"), Site.late_worker_comes_back, WORK, Site.tokens_expire,
         passes(65), WORK, is_active],
        {"not_processed token_expired"},
    ),
    "refused until nothing is left to try": (
        [writes(), writes(*[REFUSED] * 30), *[hour_passes] * 30],
        {"dead"},
    ),
    "rejected": ([writes(), writes(REJECTED), writes()], {"failed"}),
    "the channel fails, and fails again, and takes it": (
        [writes(), says(Play(status=500), Play(drop=True), Play(status=429)), passes(200), passes(200)],
        {"sent"},
    ),
    "the channel takes it without an answer": ([writes(), says(Play(drop=True)), passes(65)], {"sent"}),
    "the consumer is gone": ([writes(), says(Play(status=410))], {"failed"}),
    "paused, and resumed": (
        [writes(), Site.somebody_pauses_or_resumes, writes(), says(), passes(200), Site.somebody_pauses_or_resumes],
        {"sent"},
    ),
    "everything twice": (
        [writes(), says(), lambda site: site.consumer_repeats(consumer="ada", place=0),
         *[lambda site, place=place: site.a_notice_comes_again(place=place) for place in range(4)], WORK],
        {"duplicate"},
    ),
    "everything twice, in other words": (
        [writes(), says(), lambda site: site.consumer_contradicts(consumer="ada", place=0),
         lambda site: site.a_notice_comes_again_with_other_words(place=0), Site.bodies_are_pruned, WORK],
        {"conflict"},
    ),
}  # fmt: skip


def test_what_the_old_policy_held_follows_the_new_one(site: type[Site]) -> None:
    one = site()
    try:
        for play in (policy(UnknownPolicy.HOLD), writes(), writes(LOST), passes(65)):
            play(one)
        row = one.door.installation
        row.unknown_policy = UnknownPolicy.PARK
        editing.change(row, fields=["unknown_policy"], actor=COMMAND)
        one.worker_works()
        assert not Dispatch.objects.filter(state=DispatchState.UNKNOWN).exists()
    finally:
        one.teardown()


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_promises_hold_in_the_corners(site: type[Site], name: str) -> None:
    script, corner = SCRIPTS[name]
    one = site()
    try:
        for play in script:
            play(one)
            one.promises_hold()
            one.liveperson_has_everything_in_order_and_once()
            one.the_channel_has_everything_in_order_and_once()
        before = reached()
    finally:
        one.teardown()
    assert corner <= before | set(site.reached)
