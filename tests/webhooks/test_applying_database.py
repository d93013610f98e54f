"""The database fails while a delivery is applied: nothing is wrong with it, and none of its starts is used up."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import DatabaseError, connection

from conversations.models import Message
from tests.conversations.notifications import said
from tests.conversations.stand import Door, known_conversation, make_door
from tests.webhooks.work import apply_all
from webhooks import applying, inboxes
from webhooks.applying import MAX_STARTS, apply_some
from webhooks.models import Delivery, DeliveryState


@pytest.fixture
def site(transactional_db: None) -> Door:
    door = make_door()
    known_conversation(door, lp_id="c-1")
    return door


@contextmanager
def failing(statement: str) -> Iterator[None]:
    """A database that does this instead of storing an event."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {statement}; RETURN NEW; END $$"
        )
        cursor.execute("CREATE TRIGGER fail BEFORE INSERT ON webhooks_event FOR EACH ROW EXECUTE FUNCTION fail()")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP FUNCTION fail() CASCADE")


AWAY = {
    "connection lost": "PERFORM pg_terminate_backend(pg_backend_pid())",
    "serialization": "RAISE EXCEPTION USING ERRCODE = 'serialization_failure'",
    "deadlock": "RAISE EXCEPTION USING ERRCODE = 'deadlock_detected'",
    "timeout": "SET LOCAL statement_timeout = 10; PERFORM pg_sleep(0.1); "
    "RAISE EXCEPTION USING ERRCODE = 'query_canceled'",
    "disk full": "RAISE EXCEPTION USING ERRCODE = 'disk_full'",
}


@pytest.mark.parametrize("statement", AWAY.values(), ids=list(AWAY))
def test_a_database_that_fails_leaves_the_deliveries_as_they_were(site: Door, statement: str) -> None:
    for number in (1, 2, 3):
        site.notify(said("c-1", number, f"text {number}"))
    with failing(statement):
        for _ in range(MAX_STARTS + 2):
            with pytest.raises(DatabaseError):
                apply_some()
            connection.close()

    left = Delivery.objects.values_list("state", "start_count", "detail")
    assert set(left) == {(DeliveryState.STORED, 0, "")}
    assert inboxes.has_work(), "the lease was given back"

    apply_all()
    assert [one.content.text for one in Message.objects.order_by("lp_sequence")] == ["text 1", "text 2", "text 3"]


def test_starts_that_could_not_be_given_back_are_given_back_when_the_database_is_there_again(site: Door) -> None:
    site.notify(said("c-1", 1, "Hello"))
    lease = inboxes.claim()
    assert lease is not None
    with failing(AWAY["deadlock"]), pytest.raises(DatabaseError):
        applying._apply_batch(lease)  # and the worker cannot say so
    assert Delivery.objects.get().start_count == 1
    inboxes.release(lease)

    apply_some()

    assert (Delivery.objects.get().state, Delivery.objects.get().start_count) == (DeliveryState.PROCESSED, 1)


def test_a_row_that_the_database_refuses_is_set_aside_and_its_neighbours_go_on(site: Door) -> None:
    for number in (1, 2, 3):
        site.notify(said("c-1", number, f"text {number}"))
    second = Delivery.objects.order_by("id")[1]
    with failing(f"IF NEW.delivery_id = '{second.pk}' THEN RAISE EXCEPTION USING ERRCODE = 'check_violation'; END IF"):
        apply_all()

    second.refresh_from_db()
    assert (second.state, second.start_count) == (DeliveryState.DEAD, MAX_STARTS)
    assert second.detail == "An error of our own: IntegrityError."
    assert [one.lp_sequence for one in Message.objects.order_by("lp_sequence")] == [1, 3]
