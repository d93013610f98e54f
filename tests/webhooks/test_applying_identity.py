"""An event takes effect once, however often, however late and however concurrently it comes."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from conversations.models import Conversation, ConversationState, Dispatch, Message
from tests.conversations.notifications import changed, conversation_notification, notification, receipt, said, typed
from tests.conversations.stand import Door, in_thread, known_conversation, make_door
from tests.webhooks.work import apply_all
from webhooks.models import Delivery, DeliveryState, Event, Seen

C = "c-1"
CONSUMER = "lp-+15550100"


@pytest.fixture
def conversation(door: Door) -> Conversation:
    return known_conversation(door, lp_id=C)


def outcomes() -> list[str]:
    """In the order in which the events came."""
    return list(Event.objects.order_by("delivery_id", "index").values_list("outcome", flat=True))


def texts() -> list[str]:
    return [one.content.text for one in Message.objects.select_related("content").order_by("lp_sequence")]


def test_a_repeat_has_no_second_effect(door: Door, conversation: Conversation) -> None:
    for _ in range(3):
        door.notify(said(C, 1, "Hello"))
    apply_all()

    assert outcomes() == ["APPLIED", "DUPLICATE", "DUPLICATE"]
    assert texts() == ["Hello"]
    assert Dispatch.objects.count() == 1


def test_a_repeat_that_comes_after_the_first_was_applied_has_none_either(
    door: Door, conversation: Conversation
) -> None:
    door.notify(said(C, 1, "Hello"))
    apply_all()
    door.notify(said(C, 1, "Hello"))
    apply_all()

    assert outcomes() == ["APPLIED", "DUPLICATE"]


def test_repeats_in_any_order_have_the_effect_of_one(door: Door, conversation: Conversation) -> None:
    changes = [said(C, 1, "one"), said(C, 2, "two"), said(C, 3, "three")]
    for order in itertools.permutations(changes):
        for change in order:
            door.notify(change)
    apply_all()

    assert texts() == ["one", "two", "three"]
    assert Dispatch.objects.count() == 3
    assert outcomes().count("APPLIED") == 3


def test_a_change_in_another_body_beside_other_changes_is_the_same_change(
    door: Door, conversation: Conversation
) -> None:
    door.notify(said(C, 1, "one"))
    door.notify(said(C, 1, "one"), said(C, 2, "two"))
    apply_all()

    assert outcomes() == ["APPLIED", "DUPLICATE", "APPLIED"]
    assert texts() == ["one", "two"]


def test_the_same_text_under_another_sequence_is_another_message(door: Door, conversation: Conversation) -> None:
    door.notify(said(C, 1, "ok"))
    door.notify(said(C, 2, "ok"))
    apply_all()

    assert texts() == ["ok", "ok"]


def test_a_repeat_without_its_conversation_id_or_with_another_time_is_a_repeat(
    door: Door, conversation: Conversation
) -> None:
    again = said(C, 1, "Hello", serverTimestamp=1_763_719_999_999)
    del again["conversationId"]
    door.notify(said(C, 1, "Hello"))
    door.notify(again)
    apply_all()

    assert outcomes() == ["APPLIED", "DUPLICATE"]


def test_other_content_under_a_known_identity_is_kept_flagged_and_never_applied(
    door: Door, conversation: Conversation
) -> None:
    door.notify(said(C, 1, "Hello"))
    door.notify(said(C, 1, "Something else"))
    apply_all()

    assert outcomes() == ["APPLIED", "CONFLICT"]
    assert texts() == ["Hello"]
    assert b"Something else" in bytes(Delivery.objects.order_by("id").last().body.raw)


def test_two_changes_of_one_identity_in_one_body_are_one_change(door: Door, conversation: Conversation) -> None:
    door.notify(said(C, 1, "Hello"), said(C, 1, "Hello"))
    apply_all()

    assert outcomes() == ["APPLIED", "DUPLICATE"]
    assert texts() == ["Hello"]


def test_two_changes_of_one_identity_with_other_content_in_one_body_are_flagged(
    door: Door, conversation: Conversation
) -> None:
    door.notify(said(C, 1, "Hello"), said(C, 1, "Something else"))
    apply_all()

    assert outcomes() == ["APPLIED", "CONFLICT"]
    assert texts() == ["Hello"]


def test_a_receipt_and_a_text_may_share_a_sequence(door: Door, conversation: Conversation) -> None:
    door.notify(said(C, 1, "Hello"), receipt(C, 1, "READ", 0))
    apply_all()

    assert outcomes() == ["APPLIED", "APPLIED"]


def test_typing_within_a_few_seconds_is_one_and_later_it_is_another(door: Door, conversation: Conversation) -> None:
    from datetime import timedelta

    door.notify(typed(C, "COMPOSING"))
    door.notify(typed(C, "COMPOSING"))
    first, second = Delivery.objects.order_by("id")
    Delivery.objects.filter(pk=second.pk).update(received_at=first.received_at)
    door.notify(typed(C, "COMPOSING"))
    third = Delivery.objects.order_by("id").last()
    Delivery.objects.filter(pk=third.pk).update(received_at=first.received_at + timedelta(seconds=6))
    apply_all()

    assert outcomes() == ["APPLIED", "DUPLICATE", "APPLIED"]


def test_pruned_deliveries_do_not_make_an_old_event_new(door: Door, conversation: Conversation) -> None:
    door.notify(said(C, 1, "Hello"))
    apply_all()
    Message.objects.get().dispatches.all().delete()
    Event.objects.all().delete()
    Delivery.objects.get().body.delete()
    Message.objects.get().delete()
    assert Seen.objects.count() == 1

    door.notify(said(C, 1, "Hello"))
    apply_all()

    assert outcomes() == ["DUPLICATE"]
    assert not Message.objects.exists()


def test_another_installation_brings_the_same_notification_and_has_no_effect(
    door: Door, conversation: Conversation
) -> None:
    other = make_door(channel_name="another connector's channel")
    for sender in (other, door):
        sender.notify(said(C, 1, "Hello"))
    apply_all()

    assert sorted(outcomes()) == ["APPLIED", "IGNORED"]
    ignored = Event.objects.get(outcome="IGNORED")
    assert ignored.detail == "Another app installation carries this conversation."
    assert ignored.delivery.installation_id == other.onboarded.installation.pk
    assert texts() == ["Hello"]


def test_after_a_change_of_the_installation_what_was_applied_before_has_no_second_effect(
    door: Door, conversation: Conversation
) -> None:
    door.notify(said(C, 1, "Hello"))
    apply_all()
    newer = make_door(channel_name="custom")  # the same channel, through another installation
    assert newer.onboarded.channel == door.onboarded.channel

    newer.notify(said(C, 1, "Hello"))
    newer.notify(said(C, 2, "Hello again"))
    apply_all()

    assert outcomes() == ["APPLIED", "DUPLICATE", "APPLIED"]
    assert texts() == ["Hello", "Hello again"]


def test_sixteen_at_once_have_the_effect_of_one(transactional_db: None) -> None:
    door = make_door()
    known_conversation(door, lp_id=C)
    body = notification(said(C, 1, "Hello"))
    threads = [in_thread(lambda: (door.notify_raw(body), apply_all())) for _ in range(16)]
    for thread in threads:
        thread.join()
    apply_all()

    assert Delivery.objects.filter(state=DeliveryState.PROCESSED).count() == 16
    assert sorted(outcomes()) == ["APPLIED"] + ["DUPLICATE"] * 15
    assert Dispatch.objects.count() == 1


def test_sixteen_of_one_channel_message_at_once_are_stored_once(transactional_db: None) -> None:
    door = make_door()
    answers: list[Any] = []
    data = {"id": "m-1", "consumer": {"id": "ada"}, "text": "Hello"}
    threads = [in_thread(lambda: answers.append(door.tell("message.received", data))) for _ in range(16)]
    for thread in threads:
        thread.join()
    apply_all()

    assert {one.status_code for one in answers} == {200}
    assert sum("delivery" in one.json() for one in answers) == 1
    assert sum(one.json() == {"duplicate": True} for one in answers) == 15
    assert Message.objects.count() == 1


def test_other_content_under_a_known_message_id_of_a_channel_is_flagged(door: Door) -> None:
    for text in ("Hello", "Something else"):
        door.tell("message.received", {"id": "m-1", "consumer": {"id": "ada"}, "text": text})
    apply_all()

    assert outcomes() == ["APPLIED", "CONFLICT"]
    assert [one.content.text for one in Message.objects.all()] == ["Hello"]


# --- the state of a conversation -------------------------------------------------------------------------------------


def test_an_older_state_never_moves_a_newer_one_back(door: Door, conversation: Conversation) -> None:
    door.notify_state(changed(C, consumer=CONSUMER, at=5000, state="CLOSE", stage="CLOSE"))
    door.notify_state(changed(C, consumer=CONSUMER, at=1000, skillId="8812"))
    apply_all()

    assert outcomes() == ["APPLIED", "STALE"]
    known = Conversation.objects.get()
    assert (known.state, known.skill_id) == (ConversationState.CLOSED, "-1")


def test_a_state_of_the_same_moment_does_not_reopen_what_is_closed(door: Door, conversation: Conversation) -> None:
    door.notify_state(changed(C, consumer=CONSUMER, at=5000, state="CLOSE", stage="CLOSE"))
    door.notify_state(changed(C, consumer=CONSUMER, at=5000))
    apply_all()

    assert Conversation.objects.get().state == ConversationState.CLOSED


def test_a_state_of_the_same_moment_closes_what_is_open(door: Door, conversation: Conversation) -> None:
    door.notify_state(changed(C, consumer=CONSUMER, at=5000))
    door.notify_state(changed(C, consumer=CONSUMER, at=5000, state="CLOSE", stage="CLOSE"))
    apply_all()

    assert Conversation.objects.get().state == ConversationState.CLOSED


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_states_that_come_in_any_order_end_in_the_newest(
    door: Door, conversation: Conversation, order: tuple[int, ...]
) -> None:
    states = [
        changed(C, consumer=CONSUMER, at=0),
        changed(C, consumer=CONSUMER, at=1000, skillId="7"),
        changed(C, consumer=CONSUMER, at=2000, state="CLOSE", skillId="7"),
        changed(C, consumer=CONSUMER, at=3000, state="CLOSE", stage="CLOSE", skillId="7"),
    ]
    for place in order:
        door.notify_state(states[place])
    apply_all()

    known = Conversation.objects.get()
    assert (known.state, known.skill_id) == (ConversationState.CLOSED, "7")


def test_the_channel_is_told_once_that_the_conversation_has_ended(door: Door, conversation: Conversation) -> None:
    for at in (5000, 6000, 7000):
        door.notify_state(changed(C, consumer=CONSUMER, at=at, state="CLOSE", stage="CLOSE", closeReason="AGENT"))
    apply_all()

    told = Dispatch.objects.get()
    assert (told.kind, told.direction, told.payload) == ("CLOSE", "TO_CHANNEL", {"reason": "AGENT"})


def test_several_states_in_one_body_are_applied_in_their_order(door: Door, conversation: Conversation) -> None:
    body = conversation_notification(
        changed(C, consumer=CONSUMER, at=1000, skillId="7"),
        changed(C, consumer=CONSUMER, at=2000, state="CLOSE", stage="CLOSE"),
    )
    door.notify_raw(body)
    apply_all()

    assert outcomes() == ["APPLIED", "APPLIED"]
    assert Conversation.objects.get().state == ConversationState.CLOSED


# --- who may read it -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("audience", ["AGENTS_AND_MANAGERS", "agents_and_managers", "SUPERVISORS", "all-but-one"])
def test_what_is_not_for_everybody_is_kept_and_never_carried(
    door: Door, conversation: Conversation, audience: str
) -> None:
    door.notify(said(C, 1, "Check the address", messageAudience=audience))
    apply_all()

    message = Message.objects.get()
    assert (message.audience, message.status) == ("STAFF", "RECEIVED")
    assert message.content.text == "Check the address"
    assert not Dispatch.objects.exists()


@pytest.mark.parametrize("audience", ["ALL", "all", None])
def test_what_is_for_everybody_is_carried(door: Door, conversation: Conversation, audience: str | None) -> None:
    door.notify(said(C, 1, "Hello", messageAudience=audience))
    apply_all()

    assert Dispatch.objects.get().kind == "TEXT"


@pytest.mark.parametrize("role", ["ASSIGNED_AGENT", "MANAGER", "AGENT", "CONTROLLER", "READER", "SOMETHING_NEW"])
def test_whoever_is_not_the_consumer_is_carried_to_the_consumer(
    door: Door, conversation: Conversation, role: str
) -> None:
    door.notify(said(C, 1, "Hello", role=role))
    apply_all()

    assert Message.objects.get().sender_role == role
    assert Dispatch.objects.count() == 1


def test_the_consumers_own_words_are_never_sent_back(door: Door, conversation: Conversation) -> None:
    door.notify(said(C, 1, "Hello", role="CONSUMER", who=CONSUMER))
    apply_all()

    assert outcomes() == ["ECHO"]
    assert not Message.objects.exists()
    assert not Dispatch.objects.exists()


def test_what_is_said_after_the_close_still_reaches_the_consumer(door: Door, conversation: Conversation) -> None:
    door.notify_state(changed(C, consumer=CONSUMER, at=5000, state="CLOSE", stage="CLOSE"))
    door.notify(said(C, 9, "Goodbye"))
    door.notify(typed(C, "COMPOSING"))
    apply_all()

    assert outcomes() == ["APPLIED", "APPLIED", "IGNORED"]
    assert [one.kind for one in Dispatch.objects.order_by("position")] == ["CLOSE", "TEXT"]
