"""The doorbell: at most one waits, and none is lost."""

from __future__ import annotations

import random
import threading
import time
from datetime import timedelta
from importlib import import_module

import pytest
from django.db import connection, transaction
from django.utils import timezone
from django_q.brokers.orm import ORM
from django_q.models import OrmQ

from access.models import Brand
from core import queue
from tests.conversations.conftest import transactional_db
from tests.conversations.stand import in_thread

__all__ = ["transactional_db"]


def test_a_ring_leaves_one_doorbell_that_carries_nothing(db: None) -> None:
    queue.ring()

    task = OrmQ.objects.get().task
    assert (task["func"], task["args"], task["kwargs"]) == (queue.WORK, (), {})


def test_the_name_that_a_doorbell_carries_is_a_function(db: None) -> None:
    module, _, name = queue.WORK.rpartition(".")

    assert callable(getattr(import_module(module), name))


def test_ringing_again_adds_none_while_one_waits(transactional_db: None) -> None:
    for _ in range(20):
        queue.ring()

    assert OrmQ.objects.count() == 1


def test_a_doorbell_that_was_fetched_waits_no_more(transactional_db: None) -> None:
    queue.ring()
    ORM(list_key="connector_site").dequeue()

    queue.ring()

    assert OrmQ.objects.count() == 2


def test_a_doorbell_comes_with_the_rows_or_not_at_all(transactional_db: None) -> None:
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        queue.ring()
        raise ZeroDivisionError

    assert OrmQ.objects.count() == 0


def test_a_doorbell_of_a_machine_whose_clock_runs_ahead_is_waiting_all_the_same(
    transactional_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = timezone.now
    monkeypatch.setattr(timezone, "now", lambda: now() + timedelta(seconds=1))
    queue.ring()

    queue.ring()

    assert OrmQ.objects.count() == 1


def test_nobody_relies_on_a_doorbell_that_a_killed_worker_left_and_nobody_may_fetch_yet(transactional_db: None) -> None:
    queue.ring()
    OrmQ.objects.update(lock=timezone.now() + timedelta(seconds=1))

    queue.ring()

    assert OrmQ.objects.count() == 2


def test_a_worker_waits_for_whoever_relied_on_its_doorbell(transactional_db: None) -> None:
    queue.ring()
    seen: list[int] = []

    def worker() -> None:
        queue.answer()
        seen.append(Brand.objects.count())

    with transaction.atomic():
        Brand.objects.create(slug="acme", name="Acme")
        queue.ring()
        assert OrmQ.objects.count() == 1, "it relies on the one that waits"
        thread = in_thread(worker)
        thread.join(0.2)
        assert seen == []
    thread.join()

    assert seen == [1]


def test_a_worker_answers_every_doorbell_that_waits(transactional_db: None) -> None:
    queue.ring()
    queue._enqueue()
    queue._enqueue()
    ORM(list_key="connector_site").dequeue()  # the one that starts the worker

    queue.answer()

    assert OrmQ.objects.filter(lock__lte=timezone.now()).count() == 0
    assert OrmQ.objects.count() == 1


def test_whoever_rings_while_a_worker_looks_leaves_a_doorbell_of_its_own(transactional_db: None) -> None:
    queue.ring()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [queue._DOORBELL_LOCK])
    try:
        in_thread(queue.ring).join()
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [queue._DOORBELL_LOCK])

    assert OrmQ.objects.count() == 2


def test_nobody_who_stores_and_rings_is_overheard(transactional_db: None) -> None:
    """Many store and ring; one worker looks only when a doorbell tells it to, and must have seen everything."""
    finished = threading.Event()
    seen: set[str] = set()
    doorbells: list[int] = []

    def worker() -> None:
        broker = ORM(list_key="connector_site")
        while True:
            was_finished = finished.is_set()
            doorbells.append(OrmQ.objects.filter(lock__lte=timezone.now()).count())
            fetched = broker.dequeue()
            for doorbell_id, _ in fetched or []:
                queue.answer()
                seen.update(Brand.objects.values_list("slug", flat=True))
                time.sleep(random.random() / 500)
                broker.acknowledge(doorbell_id)
            if not fetched and was_finished:
                return

    def sender(name: str) -> None:
        for number in range(25):
            with transaction.atomic():
                Brand.objects.create(slug=f"{name}-{number}", name="x")
                queue.ring()
                time.sleep(random.random() / 500)

    looking = in_thread(worker)
    senders = [in_thread(lambda name=name: sender(name)) for name in "abcdefgh"]
    for thread in senders:
        thread.join()
    finished.set()
    looking.join()

    assert len(seen) == 200
    assert OrmQ.objects.count() == 0
    # How many are rung while one is answered is a matter of the machine; but they do not breed.
    assert max(doorbells) < len(seen) / 2
