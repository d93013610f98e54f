"""A brand installs its connector anew: what LivePerson tells the old door until it knows the new one is not lost."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from conversations.models import Consumer, Conversation, ConversationState, Dispatch, DispatchKind, Message
from conversations.services.erasure import erase_consumer
from core.actor import COMMAND
from installations import editing
from installations.models import Channel
from tests.conversations.notifications import changed, said, typed
from tests.conversations.stand import ADA, Door, forget_caches, known_conversation, make_door
from tests.webhooks.work import apply_all
from webhooks import inboxes
from webhooks.models import Delivery, DeliveryState, Event, Held, Inbox, Seen
from webhooks.waiting import settle_held, settle_waiting

C = "c-1"


@pytest.fixture
def conversation(door: Door) -> Conversation:
    """Known for long, and the old door has had its turn."""
    known = known_conversation(door, lp_id=C)
    door.notify(said(C, 0, "0"))
    apply_all()
    return known


def anew() -> Door:
    """The same channel, through another installation."""
    return make_door(channel_name="custom")


def outcomes(door: Door) -> list[str]:
    """Of what came through a door, in its order."""
    events = Event.objects.filter(delivery__installation=door.onboarded.installation)
    return list(events.order_by("delivery_id", "index").values_list("outcome", flat=True))


def sent(lp_id: str = C) -> list[str]:
    """What goes to the consumer, in the order of the lane."""
    rows = Dispatch.objects.filter(kind=DispatchKind.TEXT, conversation__lp_conversation_id=lp_id).order_by("position")
    return [row.message.content.text for row in rows.select_related("message__content")]


# --- what the old door brings ----------------------------------------------------------------------------------------


def test_what_was_stored_before_has_its_effect(door: Door, conversation: Conversation) -> None:
    door.notify(said(C, 1, "1"))
    anew()
    apply_all()

    assert outcomes(door) == ["APPLIED", "APPLIED"]
    assert sent() == ["0", "1"]


def test_what_comes_to_the_old_door_before_the_new_one_was_told_anything_has_its_effect(
    door: Door, conversation: Conversation
) -> None:
    anew()
    door.notify(said(C, 1, "1"))
    door.notify_state(changed(C, consumer=f"lp-{ADA}", at=1000, state="CLOSE", stage="CLOSE"))
    apply_all()

    assert outcomes(door) == ["APPLIED"] * 3
    assert not Conversation.objects.get().is_open
    assert Dispatch.objects.filter(kind=DispatchKind.CLOSE).count() == 1


def test_a_conversation_that_is_opened_after_the_change_is_told_of_by_the_old_door_too(door: Door) -> None:
    new = anew()
    known_conversation(new, lp_id=C)
    door.notify(said(C, 1, "1"))
    apply_all()

    assert sent() == ["1"]


@pytest.mark.parametrize("does_new_speak", [False, True])
def test_what_was_held_before_comes_when_its_time_is_over(
    door: Door, conversation: Conversation, does_new_speak: bool
) -> None:
    hold(door, 2)
    new = anew()
    if does_new_speak:
        new.notify(typed(C, "COMPOSING"))
    apply_all()
    settle_held(now=timezone.now() + timedelta(minutes=4))

    assert sent() == ["0", "2"]
    assert not Held.objects.exists()


def test_what_was_held_before_comes_behind_what_it_waited_for(door: Door, conversation: Conversation) -> None:
    hold(door, 2)
    new = anew()
    new.notify(said(C, 1, "1"))
    new.notify(said(C, 2, "2"))
    apply_all()

    assert sent() == ["0", "1", "2"]


def test_what_is_held_is_not_forgotten_when_it_is_installed_anew_twice(door: Door, conversation: Conversation) -> None:
    hold(door, 2)
    anew()
    anew()
    settle_held(now=timezone.now() + timedelta(minutes=4))

    assert sent() == ["0", "2"]


def hold(door: Door, number: int) -> None:
    Inbox.objects.update(gap_filled_at=timezone.now(), gap_wait_s=30)
    door.notify(said(C, number, str(number)))
    apply_all()
    assert Held.objects.count() == 1


def test_what_waited_for_its_conversation_is_applied_when_that_is_known(door: Door) -> None:
    door.notify(said(C, 1, "1"))
    apply_all()
    assert outcomes(door) == ["WAITING"]
    known_conversation(anew(), lp_id=C)

    settle_waiting(now=timezone.now())

    assert sent() == ["1"]


def test_what_waited_at_the_old_door_is_applied_before_what_the_new_one_brings(door: Door) -> None:
    door.notify(said(C, 1, "1"))
    apply_all()
    new = anew()
    known_conversation(new, lp_id=C)
    new.notify(said(C, 2, "2"))
    apply_all()

    assert sent() == ["1", "2"]


@pytest.mark.parametrize(("tells", "names"), [("old", "old"), ("new", "old"), ("old", "new"), ("new", "new")])
def test_a_conversation_is_recognised_by_either_client_id_at_either_door(door: Door, tells: str, names: str) -> None:
    known_conversation(door, lp_id="earlier")
    doors = {"old": door, "new": anew()}
    client_id = doors[names].onboarded.installation.client_id
    doors[tells].notify_state(changed(C, consumer=f"lp-{ADA}", client_id=client_id))
    apply_all()

    assert outcomes(doors[tells]) == ["APPLIED"]


def test_a_channel_that_is_moved_in_the_admin_loses_nothing_either(door: Door, conversation: Conversation) -> None:
    listening = make_door(channel_name="not in use yet")
    listening.notify(said(C, 1, "1"))
    door.notify(said(C, 1, "1"))
    Inbox.objects.filter(pk=door.onboarded.installation.pk).update(leased_until=timezone.now() + timedelta(minutes=1))
    apply_all()
    assert outcomes(listening) == ["IGNORED"]

    channel = door.channel
    channel.installation = listening.onboarded.installation
    editing.change(channel, fields=["installation"], actor=COMMAND)
    forget_caches()
    Inbox.objects.update(leased_until=None)
    Inbox.objects.filter(pk=door.onboarded.installation.pk).update(leased_until=timezone.now() - timedelta(seconds=1))
    listening.notify(said(C, 2, "2"))
    apply_all()

    assert Channel.objects.get(pk=channel.pk).former_installation == door.onboarded.installation
    assert sent() == ["0", "1", "2"]


# --- both doors ------------------------------------------------------------------------------------------------------


def test_copies_at_both_doors_have_one_effect_in_their_order(door: Door, conversation: Conversation) -> None:
    door.notify(said(C, 1, "1"))
    new = anew()
    door.notify(said(C, 2, "2"))
    new.notify(said(C, 2, "2"))
    new.notify(said(C, 3, "3"))
    door.notify(said(C, 3, "3"))
    door.notify(said(C, 4, "4"))
    new.notify(said(C, 4, "4"))
    apply_all()

    assert sent() == ["0", "1", "2", "3", "4"]
    assert outcomes(door) == ["APPLIED", "APPLIED", "APPLIED", "IGNORED", "IGNORED"]
    assert outcomes(new) == ["DUPLICATE", "APPLIED", "APPLIED"]
    assert Message.objects.filter(order_mark="").count() == 5


def test_copies_are_one_by_the_ledger_also_where_the_message_is_gone(door: Door, conversation: Conversation) -> None:
    new = anew()
    Dispatch.objects.all().delete()
    Message.objects.all().delete()
    conversation.dialogs.update(missing={}, last_sequence=-1, complete_to=-1)
    new.notify(said(C, 0, "0"))
    apply_all()

    assert outcomes(new) == ["DUPLICATE"]
    assert not Message.objects.exists()


def test_while_the_old_door_has_something_to_apply_the_new_one_waits(door: Door, conversation: Conversation) -> None:
    door.notify(said(C, 1, "1"))
    new = anew()
    new.notify(said(C, 2, "2"))
    old_lease = inboxes.claim()
    assert old_lease is not None
    assert old_lease.inbox_id == door.onboarded.installation.pk

    assert inboxes.claim() is None
    assert not inboxes.has_work()
    Delivery.objects.filter(inbox_id=old_lease.inbox_id).update(state=DeliveryState.DEAD)
    assert inboxes.has_work()
    assert inboxes.claim() is not None


def test_what_comes_to_the_old_door_later_keeps_nobody_waiting(door: Door, conversation: Conversation) -> None:
    new = anew()
    new.notify(said(C, 1, "1"))
    apply_all()
    door.notify(said(C, 1, "1"))
    new.notify(said(C, 2, "2"))

    assert {inboxes.claim().inbox_id, inboxes.claim().inbox_id} == {
        door.onboarded.installation.pk,
        new.onboarded.installation.pk,
    }


def test_two_channels_that_change_places_keep_nobody_waiting_for_ever(door: Door, conversation: Conversation) -> None:
    other = make_door(channel_name="other")
    known_conversation(other, lp_id="c-2", consumer="bob", lp_consumer_id="lp-bob")
    tell_both(said("c-2", 1, "a"), other, door)
    tell_both(said(C, 1, "1"), door, other)
    for channel, to in ((door.channel, other), (other.channel, door)):
        channel.installation = to.onboarded.installation
        editing.change(channel, fields=["installation"], actor=COMMAND)
    tell_both(said("c-2", 2, "b"), other, door)
    tell_both(said(C, 2, "2"), door, other)
    apply_all()

    assert not Delivery.objects.filter(state=DeliveryState.STORED).exists()
    assert sent(C) == ["0", "1", "2"]
    assert sent("c-2") == ["a", "b"]


def tell_both(change: dict[str, Any], *doors: Door) -> None:
    for door in doors:
        door.notify(change)


def test_after_the_new_door_was_told_something_the_old_one_is_not_listened_to(
    door: Door, conversation: Conversation
) -> None:
    new = anew()
    new.notify(said("of another connector", 1, "Hello"))
    door.notify(said(C, 1, "1"))
    apply_all()

    assert outcomes(door) == ["APPLIED", "IGNORED"]
    assert sent() == ["0"]


def test_another_installation_of_the_account_is_not_listened_to(door: Door, conversation: Conversation) -> None:
    other = make_door(channel_name="other")
    other.notify(said(C, 1, "1"))
    anew()
    other.notify(said(C, 2, "2"))
    apply_all()

    assert outcomes(other) == ["IGNORED", "IGNORED"]
    assert sent() == ["0"]


def test_back_at_the_first_installation_everything_goes_on(door: Door, conversation: Conversation) -> None:
    new = anew()
    new.notify(said(C, 1, "1"))
    first = door.onboarded.installation
    channel = door.channel
    channel.installation = first
    editing.change(channel, fields=["installation"], actor=COMMAND)
    door.notify(said(C, 1, "1"))
    door.notify(said(C, 2, "2"))
    apply_all()

    assert sent() == ["0", "1", "2"]


# --- an erasure ------------------------------------------------------------------------------------------------------


def test_an_erasure_forgets_what_was_said_through_either_door(door: Door, conversation: Conversation) -> None:
    door.notify(said(C, 1, "1"))
    new = anew()
    new.notify(said(C, 2, "2"))
    apply_all()
    assert sent() == ["0", "1", "2"]
    Conversation.objects.update(state=ConversationState.CLOSED)

    erase_consumer(consumer_id=Consumer.objects.get().pk, actor=COMMAND, reason="asked for it")

    assert {bytes(row.content_digest) for row in Seen.objects.all()} == {b""}
