"""Notifications come for every conversation of the account: which are ours, and what happens to the others."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from conversations.models import Conversation, ConversationState, Direction, Dispatch, DispatchState, Message
from tests.conversations.notifications import changed, said
from tests.conversations.stand import ADA, Door, Stand, known_conversation, make_door
from tests.webhooks.work import apply_all
from webhooks import services, waiting
from webhooks.models import Delivery, DeliveryBody, Event
from webhooks.waiting import settle_waiting

LP_ADA = f"lp-{ADA}"


def outcomes() -> list[str]:
    """Of what LivePerson told, in the order in which it came."""
    told = Event.objects.filter(delivery__installation__isnull=False)
    return list(told.order_by("delivery_id", "index").values_list("outcome", flat=True))


def minutes_later(minutes: float) -> None:
    settle_waiting(now=timezone.now() + timedelta(minutes=minutes))


def test_what_is_not_known_yet_waits(door: Door) -> None:
    door.notify(said("elsewhere", 1, "Hello"))
    apply_all()

    assert outcomes() == ["WAITING"]
    assert Event.objects.get().account_id == door.onboarded.account.pk
    assert not Message.objects.exists()
    assert waiting.has_waiting()


def test_what_has_waited_for_a_minute_is_foreign_and_its_body_goes_within_a_day(door: Door) -> None:
    door.notify(said("elsewhere", 1, "Hello"))
    apply_all()

    minutes_later(0.9)
    assert outcomes() == ["WAITING"]
    minutes_later(1.1)

    assert outcomes() == ["FOREIGN"]
    assert not waiting.has_waiting()
    assert DeliveryBody.objects.get().expires_on <= timezone.now().date() + timedelta(days=1)
    delivery = Delivery.objects.get()
    assert delivery.size > 0
    assert bytes(delivery.sha256)


def test_a_body_that_something_of_ours_stands_in_stays(door: Door) -> None:
    known_conversation(door, lp_id="ours")
    door.notify(said("elsewhere", 1, "Hello"), said("ours", 1, "Hello"))
    apply_all()

    minutes_later(2)

    assert sorted(outcomes()) == ["APPLIED", "FOREIGN"]
    assert DeliveryBody.objects.get().expires_on > timezone.now().date() + timedelta(days=30)


def test_what_came_before_the_conversation_was_known_is_applied_when_it_is(door: Door) -> None:
    door.notify(said("c-1", 1, "one"))
    door.notify(said("c-1", 2, "two"))
    apply_all()
    known_conversation(door, lp_id="c-1")

    settle_waiting(now=timezone.now())

    assert outcomes() == ["APPLIED", "APPLIED"]
    assert [one.lp_sequence for one in Message.objects.order_by("id")] == [1, 2]


def test_what_waits_is_applied_before_what_comes_after_it(door: Door) -> None:
    door.notify(said("c-1", 1, "one"))
    apply_all()
    known_conversation(door, lp_id="c-1")

    door.notify(said("c-1", 2, "two"))
    apply_all()

    assert outcomes() == ["APPLIED", "APPLIED"]
    queued = Dispatch.objects.order_by("position").select_related("message")
    assert [one.message.lp_sequence for one in queued] == [1, 2]


def test_several_that_wait_are_applied_in_the_order_in_which_they_came(door: Door) -> None:
    for number in range(1, 6):
        door.notify(said("c-1", number, f"text {number}"))
    apply_all()
    known_conversation(door, lp_id="c-1")

    door.notify(said("c-1", 6, "text 6"))
    apply_all()

    queued = Dispatch.objects.order_by("position").select_related("message")
    assert [one.message.lp_sequence for one in queued] == [1, 2, 3, 4, 5, 6]


def test_a_repeat_of_what_waits_has_no_second_effect(door: Door) -> None:
    door.notify(said("c-1", 1, "one"))
    door.notify(said("c-1", 1, "one"))
    apply_all()
    known_conversation(door, lp_id="c-1")

    settle_waiting(now=timezone.now())

    assert sorted(outcomes()) == ["APPLIED", "DUPLICATE"]


def test_what_waits_for_another_account_is_not_touched(door: Door) -> None:
    other = make_door(brand="other", account="87654321")
    other.notify(said("c-1", 1, "not for you"))
    apply_all()

    known_conversation(door, lp_id="c-1")
    settle_waiting(now=timezone.now())

    assert outcomes() == ["WAITING"]


def test_one_waiting_event_that_breaks_does_not_stop_the_others(door: Door) -> None:
    door.notify(said("c-1", 1, "one"))
    door.notify(said("c-1", 2, "two"))
    apply_all()
    broken = Event.objects.order_by("id").first()
    Event.objects.filter(pk=broken.pk).update(index=7)  # its body holds no eighth change
    known_conversation(door, lp_id="c-1")

    settle_waiting(now=timezone.now())

    assert sorted(outcomes()) == ["APPLIED", "UNREADABLE"]
    assert Event.objects.get(pk=broken.pk).detail == "An error of our own: IndexError."


def test_what_waits_although_its_body_is_gone_comes_to_an_end(door: Door) -> None:
    door.notify(said("c-1", 1, "one"))
    apply_all()
    DeliveryBody.objects.all().delete()
    known_conversation(door, lp_id="c-1")

    settle_waiting(now=timezone.now())

    event = Event.objects.get()
    assert (event.outcome, event.detail) == ("UNREADABLE", "Its body has been deleted.")


# --- adoption: a conversation of ours that we do not know yet --------------------------------------------------------


@pytest.fixture
def opening(door: Door) -> Dispatch:
    """An opening whose answer has not come: the consumer is known to LivePerson."""
    door.says("Hello")
    apply_all()
    text = Dispatch.objects.get()
    from conversations import lanes
    from conversations.models import Consumer

    Consumer.objects.update(lp_consumer_id=LP_ADA)
    head = lanes.put_before(text, kind="OPEN")
    Dispatch.objects.filter(pk=head.pk).update(state=DispatchState.SENDING, step="OPEN")
    return Dispatch.objects.get(pk=head.pk)


def test_a_notification_that_outruns_our_answer_makes_the_conversation_known(door: Door, opening: Dispatch) -> None:
    door.notify_state(changed("new", consumer=LP_ADA))
    apply_all()

    assert outcomes() == ["APPLIED"]
    conversation = Conversation.objects.get()
    assert (conversation.lp_conversation_id, conversation.state) == ("new", ConversationState.OPEN)
    assert Dispatch.objects.get(pk=opening.pk).state == DispatchState.SENDING, "its answer is still awaited"


@pytest.mark.parametrize("state", [DispatchState.UNKNOWN, DispatchState.QUEUED])
def test_a_lost_answer_is_settled_by_the_notification(door: Door, opening: Dispatch, state: str) -> None:
    Dispatch.objects.filter(pk=opening.pk).update(state=state)

    door.notify_state(changed("new", consumer=LP_ADA))
    apply_all()

    settled = Dispatch.objects.get(pk=opening.pk)
    assert (settled.state, settled.resolution) == (DispatchState.SENT, "echo")
    assert settled.conversation.lp_conversation_id == "new"
    assert settled.finished_at is not None


def test_what_outran_the_adopting_notification_is_applied_with_it(door: Door, opening: Dispatch) -> None:
    """LivePerson's clock may be hours away from ours: the age of the conversation does not tell."""
    door.notify(said("new", 0, "We are closed today", role="CONTROLLER"))
    door.notify_state(changed("new", consumer=LP_ADA, startTs=1_600_000_000_000))
    apply_all()

    assert outcomes() == ["APPLIED", "APPLIED"]
    assert Message.objects.get(direction=Direction.TO_CHANNEL).lp_sequence == 0


@pytest.mark.parametrize("is_together", [True, False])
def test_the_adopting_notification_does_not_take_back_a_newer_state_that_outran_it(
    door: Door, opening: Dispatch, is_together: bool
) -> None:
    door.notify_state(changed("new", consumer=LP_ADA, at=200, state="CLOSE", stage="CLOSE"))
    if not is_together:
        apply_all()
        assert outcomes() == ["WAITING"]
    door.notify_state(changed("new", consumer=LP_ADA, at=100))
    apply_all()

    assert outcomes() == ["APPLIED", "STALE"]
    conversation = Conversation.objects.get()
    assert (conversation.state, conversation.closed_at is None) == (ConversationState.CLOSED, False)
    assert Dispatch.objects.filter(kind="CLOSE", lane__direction=Direction.TO_CHANNEL).count() == 1


def test_a_conversation_of_somebody_else_is_not_adopted(door: Door, opening: Dispatch) -> None:
    door.notify_state(changed("new", consumer="lp-somebody"))
    apply_all()

    assert outcomes() == ["WAITING"]


def test_without_an_opening_a_conversation_is_not_adopted(door: Door, opening: Dispatch) -> None:
    opening.delete()

    door.notify_state(changed("new", consumer=LP_ADA))
    apply_all()

    assert outcomes() == ["WAITING"]


def test_an_opening_that_was_never_tried_adopts_nothing(door: Door, opening: Dispatch) -> None:
    Dispatch.objects.filter(pk=opening.pk).update(state=DispatchState.QUEUED, step="")

    door.notify_state(changed("new", consumer=LP_ADA))
    apply_all()

    assert outcomes() == ["WAITING"]


def test_a_conversation_that_names_our_client_id_is_ours(door: Door, opening: Dispatch) -> None:
    """After a database was restored, say: LivePerson has conversations that we have forgotten."""
    opening.delete()

    door.notify_state(changed("new", consumer=LP_ADA, client_id=door.onboarded.installation.client_id))
    apply_all()

    assert outcomes() == ["APPLIED"]
    assert Conversation.objects.get().lp_conversation_id == "new"


def test_a_closed_conversation_is_not_adopted(door: Door, opening: Dispatch) -> None:
    door.notify_state(changed("old", consumer=LP_ADA, state="CLOSE", stage="CLOSE"))
    apply_all()

    assert outcomes() == ["WAITING"]


def test_a_new_conversation_takes_the_place_of_the_one_before(door: Door, opening: Dispatch) -> None:
    before = known_conversation(door, lp_id="before")

    door.notify_state(changed("new", consumer=LP_ADA))
    apply_all()

    before.refresh_from_db()
    assert (before.state, before.close_reason) == (ConversationState.CLOSED, "SUPERSEDED")
    assert Conversation.objects.get(lp_conversation_id="new").is_open


def test_the_sweep_rings_while_something_waits(door: Door) -> None:
    from django_q.models import OrmQ

    door.notify(said("elsewhere", 1, "Hello"))
    apply_all()
    OrmQ.objects.all().delete()

    services.sweep()
    assert OrmQ.objects.count() == 1

    OrmQ.objects.all().delete()
    minutes_later(2)
    services.sweep()
    assert OrmQ.objects.count() == 0


# --- an opening in doubt ---------------------------------------------------------------------------------------------


@pytest.fixture
def in_doubt(stand: Stand) -> Stand:
    """LivePerson has opened a conversation, and its answer was lost; an agent's words come before the news of it."""
    stand.faults({"on": "conversation", "do": "lose_answer", "times": 1})
    stand.says("one")
    stand.work()
    assert Dispatch.objects.get(kind="OPEN").state == DispatchState.UNKNOWN
    stand.notify(said(stand.lp_conversation_id, 5, "Hello from an agent"))
    apply_all()
    assert outcomes() == ["WAITING"]
    return stand


def test_words_of_what_may_have_been_opened_wait_until_that_is_known(in_doubt: Stand) -> None:
    minutes_later(5)
    in_doubt.settle()

    assert [one["text"] for one in in_doubt.received()] == ["Hello from an agent"]


def test_they_do_not_wait_for_ever(in_doubt: Stand) -> None:
    minutes_later(16)
    assert outcomes() == ["FOREIGN"]


def test_what_another_accounts_opening_is_in_doubt_of_waits_a_minute_only(in_doubt: Stand) -> None:
    other = make_door(brand="other", account="87654321")
    other.notify(said("c-1", 1, "not ours"))
    apply_all()

    minutes_later(2)

    assert sorted(outcomes()) == ["FOREIGN", "WAITING"]


def test_a_restore_does_not_wait_for_it(in_doubt: Stand) -> None:
    waiting.end_all(now=timezone.now())
    assert outcomes() == ["FOREIGN"]
