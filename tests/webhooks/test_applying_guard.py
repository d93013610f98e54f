"""Bodies and rows that break something: set aside, while their neighbours go on."""

from __future__ import annotations

import pytest
import structlog
from django.db import connection
from django.test.utils import CaptureQueriesContext

from conversations.models import Consumer, Conversation, Dispatch, Message
from tests.conversations.notifications import said
from tests.conversations.stand import Door, known_conversation, make_door
from tests.fixtures import hostile
from tests.webhooks.work import apply_all
from webhooks import services
from webhooks.applying import MAX_STARTS
from webhooks.models import Delivery, DeliveryState, Event, Inbox

UNUSABLE = {**hostile.UNUSABLE, **hostile.UNUSABLE_NOTIFICATIONS}


@pytest.fixture
def conversation(door: Door) -> Conversation:
    return known_conversation(door, lp_id=hostile.DIALOG, lp_consumer_id="consumer-1")


def assert_next_works(door: Door) -> None:
    assert door.notify(said(hostile.DIALOG, 1_000_000, "and now a good one")).status_code == 200
    apply_all()
    assert Message.objects.get(lp_sequence=1_000_000).content.text == "and now a good one"


def post_each(door: Door, bodies: dict[str, bytes]) -> dict[str, Delivery]:
    """All of them, one after the other; what became of each."""
    answers = {name: door.notify_raw(body, **{"content-length": str(len(body))}) for name, body in bodies.items()}
    assert {name: one.status_code for name, one in answers.items() if one.status_code != 200} == {}
    apply_all()
    return {name: Delivery.objects.get(pk=one.json()["delivery"]) for name, one in answers.items()}


def outcomes_of(delivery: Delivery) -> set[str]:
    return set(delivery.events.values_list("outcome", flat=True))


def test_authentic_bodies_that_cannot_be_read_are_stored_and_quarantined(
    door: Door, conversation: Conversation
) -> None:
    became = post_each(door, UNUSABLE)

    assert {name for name, one in became.items() if one.state != DeliveryState.QUARANTINED} == set()
    assert {name for name, one in became.items() if not one.detail.endswith(".")} == set()
    assert {name for name, one in became.items() if bytes(one.body.raw) != UNUSABLE[name]} == set()
    assert not Event.objects.exists()
    assert_next_works(door)


def test_changes_that_cannot_be_read_are_outcomes_not_errors(door: Door, conversation: Conversation) -> None:
    became = post_each(door, hostile.UNREADABLE)

    assert {name for name, one in became.items() if one.state != DeliveryState.PROCESSED} == set()
    assert {name: found for name, one in became.items() if (found := outcomes_of(one)) != {"UNREADABLE"}} == {}
    assert not Message.objects.exists()
    assert_next_works(door)


def test_what_is_only_odd_is_applied(door: Door, conversation: Conversation) -> None:
    became = post_each(door, hostile.HARMLESS)

    assert {name: one.detail for name, one in became.items() if one.state != DeliveryState.PROCESSED} == {}
    assert {name for name, one in became.items() if "UNREADABLE" in outcomes_of(one)} == set()
    assert_next_works(door)


def test_an_error_of_our_own_sets_the_delivery_aside_after_three_tries(door: Door, conversation: Conversation) -> None:
    door.notify(said(hostile.DIALOG, 1, "before"))
    door.notify(said(hostile.DIALOG, 2, "breaks"))
    door.notify(said(hostile.DIALOG, 3, "after"))
    broken = Delivery.objects.order_by("id")[1]
    broken.body.delete()

    apply_all()

    broken.refresh_from_db()
    assert (broken.state, broken.start_count) == (DeliveryState.DEAD, MAX_STARTS)
    assert broken.detail == "An error of our own: RelatedObjectDoesNotExist."
    assert [one.lp_sequence for one in Message.objects.order_by("lp_sequence")] == [1, 3]


def test_an_error_of_our_own_leaves_no_half_done_work(
    door: Door, conversation: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    door.notify(said(hostile.DIALOG, 1, "good"), said(hostile.DIALOG, 2, "x" * 5))
    delivery = Delivery.objects.get()
    # A row that only breaks when it is written: its brand does not exist.
    Message.objects.create(
        brand_id=delivery.brand_id, consumer=Consumer.objects.get(), channel_id=door.onboarded.channel.pk,
        conversation=conversation, direction="TO_CHANNEL", sender_role="AGENT", status="QUEUED",
        lp_dialog_id=hostile.DIALOG, lp_sequence=2, occurred_at=delivery.received_at,
    )  # fmt: skip

    apply_all()

    assert Delivery.objects.get().state == DeliveryState.PROCESSED
    assert [one.outcome for one in Event.objects.order_by("index")] == ["APPLIED", "DUPLICATE"]


def test_a_delivery_that_kills_its_worker_is_given_up_after_three_starts(
    door: Door, conversation: Conversation
) -> None:
    door.notify(said(hostile.DIALOG, 1, "kills"))
    door.notify(said(hostile.DIALOG, 2, "after"))
    killer = Delivery.objects.order_by("id").first()
    Delivery.objects.filter(pk=killer.pk).update(start_count=MAX_STARTS)

    apply_all()

    killer.refresh_from_db()
    assert killer.state == DeliveryState.DEAD
    assert killer.detail == "Workers ended while they applied it."
    assert [one.lp_sequence for one in Message.objects.all()] == [2]


def test_what_is_logged_after_a_delivery_does_not_bear_its_id(door: Door, conversation: Conversation) -> None:
    door.notify(said(hostile.DIALOG, 1, "good"))
    door.notify_raw(b"not json")
    with structlog.contextvars.bound_contextvars(correlation_id="of the task"):
        apply_all()

        assert structlog.contextvars.get_contextvars() == {"correlation_id": "of the task"}


def test_one_that_breaks_among_many_moves_none_of_its_neighbours(door: Door, conversation: Conversation) -> None:
    for number in range(9):
        door.notify(said(hostile.DIALOG, number, f"text {number}"))
    broken = Delivery.objects.order_by("id")[4]
    broken.body.delete()

    apply_all()

    broken.refresh_from_db()
    assert broken.state == DeliveryState.DEAD
    others = Delivery.objects.exclude(pk=broken.pk)
    assert set(others.values_list("state", "start_count")) == {(DeliveryState.PROCESSED, 1)}
    sent = Dispatch.objects.order_by("position").values_list("message__lp_sequence", flat=True)
    assert list(sent) == [0, 1, 2, 3, 5, 6, 7, 8]
    assert Event.objects.count() == 8


def test_many_are_applied_with_few_statements(door: Door, conversation: Conversation) -> None:
    for number in range(9):
        door.notify(said(hostile.DIALOG, number, f"text {number}"))

    with CaptureQueriesContext(connection) as captured:
        apply_all()

    assert Message.objects.count() == 9
    assert len(captured) < 9 * 8


def test_what_was_started_before_comes_alone_so_that_no_neighbour_is_blamed(
    door: Door, conversation: Conversation
) -> None:
    from webhooks import inboxes

    for number in range(1, 4):
        door.notify(said(hostile.DIALOG, number, "text"))
    first, second, third = Delivery.objects.order_by("id")
    Delivery.objects.filter(pk=first.pk).update(start_count=1)
    lease = inboxes.claim()

    assert [one.pk for one in inboxes.next_batch(lease)] == [first.pk]


def test_the_body_of_one_brand_does_not_stop_the_deliveries_of_another(transactional_db: None) -> None:
    door, other = make_door(), make_door(brand="other", account="87654321")
    known_conversation(door, lp_id="c-1")
    known_conversation(other, lp_id="c-1")
    door.notify(said("c-1", 1, "breaks"))
    Delivery.objects.get().body.delete()
    other.notify(said("c-1", 1, "goes on"))

    services.work(deadline_s=2)

    assert [one.content.text for one in Message.objects.all()] == ["goes on"]
    assert not Inbox.objects.filter(leased_until__gt=Delivery.objects.first().received_at).exclude(fence__gt=0).exists()


def test_a_choice_whose_message_was_erased_by_retention_is_ignored(door: Door, conversation: Conversation) -> None:
    door.notify(said(hostile.DIALOG, 1, "Which one?"))
    apply_all()
    message = Message.objects.get()
    message.content.delete()

    door.tell("quick_reply.chosen", {"id": "m-1", "consumer": {"id": "+15550100"}, "choice": f"{message.pk}.0"})
    apply_all()

    assert Event.objects.get(type="QuickReplyChosen").outcome == "IGNORED"
    assert Dispatch.objects.filter(lane__direction="TO_LIVEPERSON").count() == 0


def test_a_worker_that_lost_its_lease_changes_nothing(transactional_db: None) -> None:
    from webhooks import inboxes
    from webhooks.applying import _apply_guarded

    door = make_door()
    known_conversation(door, lp_id="c-1")
    door.notify(said("c-1", 1, "Hello"))
    lease = inboxes.claim()
    batch = inboxes.next_batch(lease)
    Inbox.objects.update(leased_until=None)
    assert inboxes.claim() is not None

    assert _apply_guarded(batch[0], lease) is False
    assert not Message.objects.exists()
    assert Delivery.objects.get().state == DeliveryState.STORED
