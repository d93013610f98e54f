"""Inboxes: one worker at a time, in turns, in order."""

from __future__ import annotations

from copy import copy
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from core.ids import new_id
from tests.conversations.notifications import said
from tests.conversations.stand import Door, in_thread, make_door
from webhooks import inboxes, selectors
from webhooks.models import Delivery, DeliveryState, Inbox


@pytest.fixture
def two(transactional_db: None) -> tuple[Door, Door]:
    return make_door(), make_door(brand="other", account="87654321")


def id_of(door: Door) -> object:
    return door.onboarded.installation.pk


def test_an_inbox_without_deliveries_is_not_claimed(two: tuple[Door, Door]) -> None:
    assert inboxes.claim() is None
    assert not inboxes.has_work()


def test_an_inbox_is_claimed_by_one_worker(two: tuple[Door, Door]) -> None:
    two[0].notify(said("c-1", 1, "Hello"))

    lease = inboxes.claim()

    assert lease is not None
    assert lease.inbox_id == id_of(two[0])
    assert inboxes.claim() is None
    assert not inboxes.has_work()


def test_two_inboxes_are_worked_on_side_by_side(two: tuple[Door, Door]) -> None:
    for door in two:
        door.notify(said("c-1", 1, "Hello"))

    leases = [inboxes.claim(), inboxes.claim()]

    assert {one.inbox_id for one in leases if one} == {id_of(door) for door in two}


def test_inboxes_take_turns_so_that_a_flood_does_not_keep_the_others_waiting(two: tuple[Door, Door]) -> None:
    flood, small = two
    for number in range(3):
        flood.notify(said("c-1", number, "flood"))
    first = inboxes.claim()
    small.notify(said("c-1", 1, "mine"))
    assert first is not None
    inboxes.release(first)

    second = inboxes.claim()

    assert second is not None
    assert second.inbox_id == id_of(small)


def test_a_lease_that_ran_out_can_be_taken_under_a_higher_fence(two: tuple[Door, Door]) -> None:
    two[0].notify(said("c-1", 1, "Hello"))
    lost = inboxes.claim()
    assert lost is not None
    Inbox.objects.update(leased_until="2020-01-01T00:00:00Z")

    taken = inboxes.claim()

    assert taken is not None
    assert (taken.inbox_id, taken.fence) == (lost.inbox_id, lost.fence + 1)


def test_a_release_by_the_former_holder_changes_nothing(two: tuple[Door, Door]) -> None:
    two[0].notify(said("c-1", 1, "Hello"))
    lost = inboxes.claim()
    assert lost is not None
    Inbox.objects.update(leased_until="2020-01-01T00:00:00Z")
    inboxes.claim()

    inboxes.release(lost)

    assert inboxes.claim() is None


def test_deliveries_come_in_the_order_in_which_they_arrived(two: tuple[Door, Door]) -> None:
    for number in range(8):
        two[0].notify(said("c-1", number, f"text {number}"))
    lease = inboxes.claim()
    assert lease is not None

    batch = inboxes.next_batch(lease)

    assert [one.pk for one in batch] == list(Delivery.objects.order_by("received_at").values_list("pk", flat=True))


def test_a_batch_is_bounded(two: tuple[Door, Door]) -> None:
    two[0].notify(said("c-1", 0, "text"))
    first = Delivery.objects.get()
    Delivery.objects.bulk_create(
        [
            Delivery(
                brand_id=first.brand_id, inbox_id=first.inbox_id, installation_id=first.installation_id,
                received_at=first.received_at, secret_id=first.secret_id, sha256=first.sha256, size=first.size,
            )
            for _ in range(60)
        ]
    )  # fmt: skip
    lease = inboxes.claim()
    assert lease is not None

    assert len(inboxes.next_batch(lease)) == inboxes.BATCH


def test_starts_are_counted_before_the_work(two: tuple[Door, Door]) -> None:
    two[0].notify(said("c-1", 1, "Hello"))
    lease = inboxes.claim()
    assert lease is not None
    seen: list[int] = []

    inboxes.next_batch(lease)

    in_thread(lambda: seen.append(Delivery.objects.get().start_count)).join()
    assert seen == [1], "another connection sees it: it is committed"


def test_what_is_processed_is_not_taken_again(two: tuple[Door, Door]) -> None:
    two[0].notify(said("c-1", 1, "Hello"))
    Delivery.objects.update(state=DeliveryState.PROCESSED)

    assert inboxes.claim() is None
    assert connection.vendor == "postgresql"


@pytest.mark.parametrize(
    "ask",
    [
        lambda source: selectors.last_deliveries([source]),
        lambda source: selectors.last_uses_of_secrets(source, since=None),
        lambda source: selectors.kinds_lately(source),
    ],
    ids=["last", "secrets", "kinds"],
)
def test_of_a_silent_source_nothing_is_read_of_those_that_go_on(two: tuple[Door, Door], ask: Any) -> None:
    two[0].notify(said("c-1", 1, "Hello"))
    two[1].notify(said("c-2", 1, "Hello"))
    (other,) = Delivery.objects.filter(inbox_id=id_of(two[1]))
    copies = []
    for _ in range(500):
        other.pk = new_id()
        copies.append(copy(other))
    Delivery.objects.bulk_create(copies)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("ANALYZE webhooks_delivery")
        cursor.execute("SET LOCAL enable_seqscan = off")
        with CaptureQueriesContext(connection) as asked:
            ask(id_of(two[0]))
        cursor.execute(f"EXPLAIN {asked[0]['sql']}")
        plan = "\n".join(row[0] for row in cursor.fetchall())

    assert "delivery_inbox" in plan
    assert "webhooks_delivery_pkey" not in plan
