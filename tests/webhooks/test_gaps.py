"""Notifications out of their order: waited for where that is of use, and shown as what they are where it is not."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest
from django.utils import timezone

from conversations.models import Conversation, Dispatch, Message
from tests.conversations.notifications import changed, receipt, said, typed
from tests.conversations.stand import Door, known_conversation, make_door
from tests.webhooks.work import apply_all
from webhooks import inboxes, services, waiting
from webhooks.models import Delivery, DeliveryState, Event, Held, Inbox

C, OTHER = "c-1", "c-2"


@pytest.fixture
def conversation(door: Door) -> Conversation:
    known_conversation(door, consumer="bob", lp_id=OTHER)
    known = known_conversation(door, lp_id=C, lp_consumer_id="consumer-1")
    bring(door, 0)
    return known


def bring(door: Door, *numbers: int, lp_id: str = C) -> None:
    """Each is applied before the next one arrives."""
    for number in numbers:
        assert door.notify(said(lp_id, number, f"text {number}")).status_code == 200
        apply_all()


def learned(*, wait_s: int = 5) -> None:
    """What was missing has come after all, a moment ago."""
    Inbox.objects.update(gap_filled_at=timezone.now(), gap_wait_s=wait_s, gaps_given_up=0)


def sent(lp_id: str = C) -> list[int]:
    """The sequences of what goes to the consumer, in the order of the lane."""
    rows = Dispatch.objects.filter(conversation__lp_conversation_id=lp_id, message__isnull=False).order_by("position")
    return list(rows.values_list("message__lp_sequence", flat=True))


def marks() -> dict[int, str]:
    return dict(Message.objects.exclude(order_mark="").values_list("lp_sequence", "order_mark"))


def time_passes(seconds: float) -> None:
    for held in Held.objects.all():
        held.since -= timedelta(seconds=seconds)
        held.due_at -= timedelta(seconds=seconds)
        held.save()


def behind_a_backlog(door: Door, *, apart_s: float) -> None:
    """The third thing said waits for the second, which came so many seconds after it and has not been applied yet."""
    learned()
    for number, ago_s in ((2, 20), (1, 20 - apart_s)):
        apply_all()
        door.notify(said(C, number, f"text {number}"))
        stored = Delivery.objects.filter(state=DeliveryState.STORED)
        stored.update(received_at=timezone.now() - timedelta(seconds=ago_s))


# --- not of use, as far as is known ----------------------------------------------------------------------------------


def test_without_experience_nothing_waits(door: Door, conversation: Conversation) -> None:
    bring(door, 2, 7)

    assert sent() == [0, 2, 7]
    assert marks() == {}
    assert not Held.objects.exists()


def test_what_comes_late_is_appended_with_its_mark_and_teaches_to_wait(door: Door, conversation: Conversation) -> None:
    bring(door, 2, 1, 4)

    assert sent() == [0, 2, 1]
    assert marks() == {1: "LATE"}
    assert Event.objects.get(outcome="HELD").identity.startswith(f"c:{C}:4:")
    bring(door, 3)
    assert sent() == [0, 2, 1, 3, 4]


def test_how_long_it_waits_follows_how_late_things_came(door: Door, conversation: Conversation) -> None:
    bring(door, 2)
    dialog = conversation.dialogs.get()
    dialog.missing = {number: moment - 20_000 for number, moment in dialog.missing.items()}
    dialog.save()
    bring(door, 1)

    assert 41 <= Inbox.objects.get().gap_wait_s <= 42
    learned(wait_s=179)
    bring(door, 4)
    held = Held.objects.get()
    assert held.due_at - held.since == timedelta(seconds=179)


def test_many_that_come_soon_do_not_make_it_forget_the_one_that_came_late(
    door: Door, conversation: Conversation
) -> None:
    learned(wait_s=60)
    bring(door, 2, 1, 4, 3, 6, 5)

    assert sent() == [0, 1, 2, 3, 4, 5, 6]
    assert Inbox.objects.get().gap_wait_s == 60


def test_what_came_hours_late_teaches_nothing(door: Door, conversation: Conversation) -> None:
    bring(door, 2)
    dialog = conversation.dialogs.get()
    dialog.missing = {number: moment - 3_600_000 for number, moment in dialog.missing.items()}
    dialog.save()
    bring(door, 1)

    assert marks() == {1: "LATE"}
    assert Inbox.objects.get().gap_filled_at is None


def test_what_arrives_together_out_of_order_is_put_in_order_at_once(door: Door, conversation: Conversation) -> None:
    for number in (3, 1, 4, 2):
        door.notify(said(C, number, f"text {number}"))
    apply_all()

    assert sent() == [0, 1, 2, 3, 4]
    assert marks() == {}
    assert Inbox.objects.get().gap_filled_at is not None


# --- of use ----------------------------------------------------------------------------------------------------------


def test_it_waits_for_what_was_said_before_it_and_then_goes_in_order(door: Door, conversation: Conversation) -> None:
    learned()
    bring(door, 3, 2)
    assert sent() == [0]
    assert Event.objects.filter(outcome="HELD").count() == 2
    assert waiting.has_waiting()

    bring(door, 1)

    assert sent() == [0, 1, 2, 3]
    assert marks() == {}
    assert not Held.objects.exists()
    assert set(Event.objects.values_list("outcome", flat=True)) == {"APPLIED"}


def test_what_has_arrived_in_time_is_waited_for_however_late_it_is_applied(
    door: Door, conversation: Conversation
) -> None:
    behind_a_backlog(door, apart_s=2)

    waiting.settle_held(now=timezone.now() + timedelta(seconds=10))  # by the clock its time is over
    apply_all()

    assert sent() == [0, 1, 2]
    assert marks() == {}
    assert Inbox.objects.get().gap_wait_s == 5, "what counts is when they arrived"


def test_what_arrives_after_its_time_is_not_waited_for(door: Door, conversation: Conversation) -> None:
    behind_a_backlog(door, apart_s=6)

    waiting.settle_held(now=timezone.now())

    assert sent() == [0, 2]
    apply_all()
    assert marks() == {1: "LATE", 2: "AFTER_GAP"}


def test_after_its_time_it_goes_with_a_mark_that_something_is_missing(door: Door, conversation: Conversation) -> None:
    learned()
    bring(door, 2, 3)
    waiting.settle_held(now=timezone.now())
    assert sent() == [0]

    time_passes(5)
    waiting.settle_held(now=timezone.now())

    assert sent() == [0, 2, 3]
    assert marks() == {2: "AFTER_GAP"}
    assert Inbox.objects.get().gaps_given_up == 1
    bring(door, 1)
    assert sent() == [0, 2, 3, 1], "what was sent stays where it is"
    assert marks() == {1: "LATE", 2: "AFTER_GAP"}


def test_a_worker_that_was_killed_leaves_the_wait_to_the_next(transactional_db: None) -> None:
    door = make_door()
    known_conversation(door, lp_id=C)
    bring(door, 0)
    learned()
    bring(door, 2)
    time_passes(5)

    services.work(deadline_s=1)  # knows nothing but the rows

    assert sent() == [0, 2]


def test_after_waiting_in_vain_three_times_nothing_waits(door: Door, conversation: Conversation) -> None:
    learned()
    for number in (2, 4, 6):
        bring(door, number)
        assert Held.objects.count() == 1
        time_passes(5)
        waiting.settle_held(now=timezone.now())

    bring(door, 8)

    assert sent() == [0, 2, 4, 6, 8]
    assert marks() == {2: "AFTER_GAP", 4: "AFTER_GAP", 6: "AFTER_GAP"}


def test_experience_of_long_ago_does_not_count(door: Door, conversation: Conversation) -> None:
    learned()
    Inbox.objects.update(gap_filled_at=timezone.now() - timedelta(seconds=inboxes.GAPS_FILLED_LATELY_S + 1))
    bring(door, 2)

    assert sent() == [0, 2]


def test_waiting_holds_nothing_but_its_dialog(door: Door, conversation: Conversation) -> None:
    other = make_door(brand="other", account="87654321")
    known_conversation(other, lp_id="c-3")
    learned()
    bring(door, 2)

    bring(door, 0, 1, lp_id=OTHER)
    door.notify(typed(C, "COMPOSING"), receipt(C, 5, "READ", 0))
    other.notify(said("c-3", 0, "Hello"))
    door.notify(said(C, 0, "In a survey", dialog="survey"))
    apply_all()

    assert (sent(OTHER), sent("c-3")) == ([0, 1], [0])
    assert sent() == [0, 0]
    assert Dispatch.objects.filter(kind="TYPING", conversation=conversation).exists()
    assert Held.objects.get().sequence == 2


def test_what_our_own_sends_were_answered_with_is_not_missing(door: Door, conversation: Conversation) -> None:
    learned()
    bring(door, 2)
    assert sent() == [0]
    lane = Dispatch.objects.get().lane
    Dispatch.objects.create(
        brand_id=lane.brand_id, lane=lane, position=1, kind="TEXT", state="SENT", conversation=conversation,
        lp_dialog_id=C, lp_sequence=1,
    )  # fmt: skip

    waiting.settle_held(now=timezone.now())

    assert [one for one in sent() if one is not None] == [0, 2]
    assert marks() == {}


def test_the_consumers_own_words_are_evidence_and_wait_for_nothing(door: Door, conversation: Conversation) -> None:
    learned()
    door.notify(said(C, 2, "Hello", role="CONSUMER", who="consumer-1"))
    apply_all()

    assert Event.objects.order_by("id").last().outcome == "ECHO"
    assert not Held.objects.exists()


def test_a_repeat_of_what_waits_is_a_repeat(door: Door, conversation: Conversation) -> None:
    learned()
    bring(door, 2, 2, 1, 2)

    assert sent() == [0, 1, 2]
    assert sorted(Event.objects.values_list("outcome", flat=True)) == ["APPLIED"] * 3 + ["DUPLICATE"] * 2


def test_the_end_of_a_conversation_does_not_overtake_what_waits(door: Door, conversation: Conversation) -> None:
    learned(wait_s=180)
    bring(door, 2)
    door.notify_state(changed(C, consumer="consumer-1", at=5000, state="CLOSE", stage="CLOSE"))
    apply_all()

    kinds = Dispatch.objects.filter(conversation=conversation).order_by("position").values_list("kind", flat=True)
    assert list(kinds) == ["TEXT", "TEXT", "CLOSE"]
    assert marks() == {2: "AFTER_GAP"}


def test_what_waits_without_its_body_stops_nobody(door: Door, conversation: Conversation) -> None:
    learned()
    bring(door, 2, 3)
    Held.objects.get(sequence=2).event.delivery.body.delete()
    time_passes(5)
    waiting.settle_held(now=timezone.now())

    assert sent() == [0, 3]
    assert Event.objects.filter(outcome="UNREADABLE").count() == 1


@pytest.mark.parametrize("seed", range(5))
def test_shuffled_in_windows_of_twenty_with_one_held_back_nothing_is_out_of_order(door: Door, seed: int) -> None:
    chance = random.Random(seed)
    names = [f"c-{number}" for number in range(4)]
    for name in names:
        known_conversation(door, consumer=name, lp_id=name)
    said_in_order = [(name, number) for number in range(40) for name in names]
    arriving = []
    for start in range(0, len(said_in_order), 20):
        window = said_in_order[start : start + 20]
        chance.shuffle(window)
        arriving += window
    late = arriving.pop(chance.randrange(40, 80))
    Inbox.objects.get_or_create(pk=door.onboarded.installation.pk, brand_id=door.onboarded.brand.pk)
    learned(wait_s=180)

    for count, (name, number) in enumerate(arriving):
        door.notify(said(name, number, f"text {number}"))
        if chance.random() < 0.2:
            apply_all()
        if count == 130:
            door.notify(said(late[0], late[1], "held back"))
    apply_all()

    assert {name: sent(name) for name in names} == {name: list(range(40)) for name in names}
    assert marks() == {}
    assert not Held.objects.exists()
