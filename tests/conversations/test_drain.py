"""The worker's loop: bounded, fair, and not to be stopped by one bad thing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from conversations import lanes
from conversations.calls import Brought
from conversations.drain import Drain
from conversations.models import Consumer, Dispatch, DispatchState, Lane, MediaFile, MessageStatus
from core.encryption import KeyRing
from installations.models import AppToken, Channel, InstallationSecret
from tests.conversations.late import late
from tests.conversations.servers import Play
from tests.conversations.stand import Stand, forget_caches, in_thread, make_door, only_message
from tests.waiting import wait_until
from tests.webhooks.work import apply_all
from webhooks import services
from webhooks.applying import apply_some


@contextmanager
def counted() -> Iterator[CaptureQueriesContext]:
    with CaptureQueriesContext(connection) as queries:
        yield queries


def room_for(lanes_: int) -> lanes.Room:
    return lanes.Room(free=lanes_, each=lanes_)


def ready(stand: Stand, consumers: int) -> None:
    """Consumers whose conversations are open, each with one more text to send."""
    for number in range(consumers):
        stand.says("Hello", consumer=f"consumer-{number}")
    stand.settle()
    for number in range(consumers):
        stand.says("and this", consumer=f"consumer-{number}")
    apply_all()


def statements_of_two_turns(lanes_: int) -> int:
    """One that begins a call for each lane, and one that writes all their results."""
    drain = Drain(deadline_s=60)
    with counted() as seen:
        drain._turn()
        wait_until(lambda: drain._done.qsize() == lanes_)
        drain._turn()
    drain.run()
    return len(seen)


def test_a_turn_takes_as_many_statements_for_24_lanes_as_for_one(stand: Stand) -> None:
    ready(stand, 1)
    for_one = statements_of_two_turns(1)
    ready(stand, 24)

    for_many = statements_of_two_turns(24)

    assert all(stand.heard(number)[-1] == "and this" for number in range(24))
    # What is cut into portions takes a few more; but not one for each lane.
    assert for_many < for_one + 12, f"{for_one} statements for one lane, {for_many} for 24"


def test_no_transaction_is_open_while_a_call_is_under_way(stand: Stand) -> None:
    stand.says("Hello")
    stand.settle()
    stand.says("and this")

    def is_any_open() -> bool:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT EXISTS (SELECT 1 FROM pg_stat_activity WHERE datname = current_database()"
                " AND pid <> pg_backend_pid() AND xact_start IS NOT NULL)"
            )
            return bool(cursor.fetchone()[0])

    with stand.answers_held("send"):
        worker = in_thread(stand.work)
        stand.simulator_waits_for("send", count=2)
        wait_until(lambda: not is_any_open(), within_s=5)
        assert Dispatch.objects.filter(state=DispatchState.SENDING).exists(), "the call is still under way"
    worker.join()


def test_the_attempt_is_on_record_before_the_request_is_answered(stand: Stand) -> None:
    stand.says("Hello")
    stand.settle()
    stand.says("and this")

    with stand.answers_held("send"):
        worker = in_thread(stand.work)
        stand.simulator_waits_for("send", count=2)
        dispatch = Dispatch.objects.get(state=DispatchState.SENDING)
        assert dispatch.attempts.filter(step="PUBLISH", finished_at=None).count() == 1
    worker.join()


def test_nothing_new_is_started_after_the_deadline(stand: Stand) -> None:
    stand.says("Hello")
    stand.settle()
    for number in range(6):
        stand.says(f"text {number}")
    drain = Drain(deadline_s=60)

    with stand.answers_held("send"):
        worker = in_thread(lambda: drain.run(feed=apply_some))
        stand.simulator_waits_for("send", count=2)
        drain._ends_at_s = time.monotonic()
    worker.join()

    assert len(stand.requests("send")) == 2
    assert not Dispatch.objects.filter(state=DispatchState.SENDING).exists(), "what is under way is finished"
    assert Lane.objects.filter(leased_until__isnull=False).count() == 0


def test_what_is_left_at_the_deadline_rings_again(stand: Stand) -> None:
    from django_q.models import OrmQ

    stand.says("Hello")
    stand.settle()
    stand.faults({"on": "send", "do": "delay", "seconds": 0.2})
    for number in range(4):
        stand.says(f"text {number}")
    OrmQ.objects.all().delete()

    stand.work(deadline_s=0.3)

    assert OrmQ.objects.count() == 1
    stand.faults()
    stand.work()
    assert stand.heard() == ["Hello", "text 0", "text 1", "text 2", "text 3"]


def test_a_call_that_raises_anything_does_not_stop_the_others(stand: Stand) -> None:
    stand.says("from Ada", consumer="ada")
    stand.says("from Ben", consumer="ben")
    stand.settle()
    stand.agent("say", text="to Ada", conversation=stand.conversation_of("ada")["id"])
    stand.agent("say", text="to Ben", conversation=stand.conversation_of("ben")["id"])
    stand.deliver()
    # A setting that no check has seen: the adapter gets something that is no address at all.
    Channel.objects.update(config={"url": "http://[broken"})
    forget_caches()

    stand.work()
    stand.says("again", consumer="ada")
    stand.work()

    assert stand.heard(consumer="ada") == ["from Ada", "again"]


def test_a_dispatch_that_cannot_be_prepared_is_set_aside_and_its_lane_goes_on(stand: Stand) -> None:
    stand.says("Hello")
    stand.settle()
    stand.says("cannot be prepared")
    stand.says("after it")
    apply_some()
    Dispatch.objects.filter(message__content__text="cannot be prepared").update(payload={"part": 99, "of": 1})

    stand.work()

    assert stand.heard() == ["Hello", "after it"]
    broken = Dispatch.objects.get(state=DispatchState.DEAD)
    assert broken.error_code == "our_error"
    assert "IndexError" in broken.error_detail
    assert broken.message.status == MessageStatus.FAILED


def test_content_that_was_erased_while_it_waited_ends_that_dispatch_only(stand: Stand) -> None:
    stand.says("Hello")
    stand.settle()
    stand.says("erased")
    stand.says("after it")
    apply_some()
    Dispatch.objects.get(message__content__text="erased").message.content.delete()

    stand.work()

    assert stand.heard() == ["Hello", "after it"]


def test_secrets_that_cannot_be_opened_hold_their_own_lanes_and_no_others(stand: Stand) -> None:
    other = make_door(brand="other", account="99999999")
    other.says("waits")
    lost_key = KeyRing([bytes(range(32))])
    for secret in InstallationSecret.objects.filter(installation=other.onboarded.installation):
        InstallationSecret.objects.filter(pk=secret.pk).update(
            sealed=lost_key.seal(secret.reveal(), context=secret.seal_context)
        )
    forget_caches()
    stand.says("goes out")

    stand.work()

    assert stand.heard() == ["goes out"]
    held = Lane.objects.get(account__lp_account_id="99999999")
    assert held.blocked_by == "configuration"
    assert held.due_at > timezone.now()
    kept = set(Dispatch.objects.filter(lane=held).values_list("state", "attempt_count"))
    assert kept == {(DispatchState.QUEUED, 0)}, "nothing is lost or used up"
    assert not AppToken.objects.exclude(installation=stand.installation).exclude(renewing_until=None).exists()


def test_liveperson_may_name_a_consumer_by_a_long_id(stand: Stand) -> None:
    assert Consumer._meta.get_field("lp_consumer_id").max_length >= 256


def test_accounts_take_turns_so_that_a_flood_does_not_keep_the_others_waiting(transactional_db: None) -> None:
    flood, small = make_door(account="11111111"), make_door(brand="small", account="22222222")
    for number in range(40):
        flood.says("flood", consumer=f"f-{number}")
    small.says("mine", consumer="s-0")
    apply_all()

    claimed = lanes.claim(room_for(10))

    accounts = Lane.objects.filter(pk__in=claimed).values_list("account__lp_account_id", flat=True)
    assert sorted(set(accounts)) == ["11111111", "22222222"]
    assert len(claimed) == 10


def test_two_workers_never_have_the_same_lane(transactional_db: None) -> None:
    door = make_door()
    for number in range(10):
        door.says("Hello", consumer=f"c-{number}")
    apply_all()
    found: list[dict[object, int]] = []
    first = lanes.claim(room_for(6))
    worker = in_thread(lambda: found.append(lanes.claim(room_for(24))))
    worker.join()

    assert len(first) == 6
    assert len(found[0]) == 4
    assert not set(first) & set(found[0])


def test_a_consumer_in_use_elsewhere_is_left_for_later_not_waited_for(transactional_db: None) -> None:
    from django.db import transaction

    door = make_door()
    door.says("Hello")
    apply_some()
    found: list[dict[object, int]] = []
    with transaction.atomic():
        lanes.lock_consumer(Consumer.objects.get().pk)
        worker = in_thread(lambda: found.append(lanes.claim(room_for(24))))
        worker.join(30)
        assert not worker.is_alive()

    assert found == [{}]
    assert len(lanes.claim(room_for(24))) == 1


def test_work_with_nothing_due_ends_at_once(transactional_db: None) -> None:
    started = time.monotonic()

    services.work(deadline_s=60)

    assert time.monotonic() - started < 30


def test_a_text_is_heard_once_although_two_workers_drain_at_the_same_time(stand: Stand) -> None:
    for number in range(12):
        stand.says("Hello", consumer=f"c-{number}")

    workers = [in_thread(stand.work) for _ in range(3)]
    for worker in workers:
        worker.join()
    stand.settle()

    assert [one["text"] for talk in stand.at_liveperson() for one in talk["events"]] == ["Hello"] * 12


def test_a_message_stays_one_message_for_its_reader(stand: Stand) -> None:
    stand.says("Hello")
    stand.settle()

    assert only_message().dispatches.count() == 1


@contextmanager
def a_rule_of_the_database(rule: str) -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE conversations_mediafile ADD CONSTRAINT of_this_test CHECK ({rule})")
        try:
            yield
        finally:
            cursor.execute("ALTER TABLE conversations_mediafile DROP CONSTRAINT of_this_test")


def test_a_row_that_the_database_refuses_stops_its_own_dispatch_and_nothing_else(stand: Stand) -> None:
    stand.says("Hello", consumer="ada")
    stand.says("Hello", consumer="ben")
    stand.settle()
    stand.phone.files["/photo.png"] = Play(body=b"\x89PNG" + bytes(50))
    stand.says("", consumer="ada", attachments=[{"url": stand.phone.url + "/photo.png"}])
    stand.says("after it", consumer="ada")
    stand.says("elsewhere", consumer="ben")

    with a_rule_of_the_database("name <> 'photo.png'"):
        stand.work()

    assert stand.heard(consumer="ben") == ["Hello", "elsewhere"]
    assert stand.heard(consumer="ada") == ["Hello", "after it"]
    broken = Dispatch.objects.get(kind="FILE")
    assert (broken.state, broken.error_code) == (DispatchState.PARKED, "our_error")
    assert "IntegrityError" in broken.error_detail
    assert not broken.attempts.filter(finished_at=None).exists()


def test_a_type_that_no_text_can_hold_is_not_kept(stand: Stand) -> None:
    """PostgreSQL has no NUL in texts, and a header may hold one."""
    stand.says("Hello")
    stand.settle()
    stand.phone.files["/photo.png"] = Play(body=b"\x89PNG" + bytes(50), headers={"Content-Type": "image/png\x00"})
    stand.says("", attachments=[{"url": stand.phone.url + "/photo.png"}])

    stand.work()

    assert MediaFile.objects.get().mime == "application/octet-stream"
    assert Dispatch.objects.get(kind="FILE").state == DispatchState.SENT


def test_an_error_while_applying_does_not_lose_the_answers_that_are_under_way(stand: Stand) -> None:
    stand.says("Hello")
    stand.settle()
    stand.faults({"on": "send", "do": "delay", "seconds": 0.3, "times": 1})
    stand.says("under way")
    apply_some()

    def feed() -> bool:
        if Dispatch.objects.filter(state=DispatchState.SENDING).exists():
            raise ZeroDivisionError
        return False

    with pytest.raises(ZeroDivisionError):
        Drain(deadline_s=60).run(feed=feed)

    assert Dispatch.objects.get(message__content__text="under way").state == DispatchState.SENT


def test_a_lane_that_another_worker_claims_meanwhile_is_not_set_aside(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand.says("Hello")
    stand.settle()
    stand.phone.files["/photo.png"] = Play(body=b"\x89PNG" + bytes(50))
    stand.says("", attachments=[{"url": stand.phone.url + "/photo.png"}])
    isolate = Drain._isolate

    def isolate_late(drain: Drain, bug: Exception) -> None:
        """The broken turn is rolled back, and with it the lane's lease may have run out: somebody else takes it."""
        if drain._portion == 1:
            Lane.objects.update(fence=F("fence") + 1, leased_until=timezone.now() + timedelta(seconds=20))
        isolate(drain, bug)

    monkeypatch.setattr(Drain, "_isolate", isolate_late)
    with a_rule_of_the_database("name <> 'photo.png'"):
        stand.work(deadline_s=1)

    photo = Dispatch.objects.get(kind="FILE")
    assert (photo.state, photo.error_code) == (DispatchState.SENDING, "")
    for _ in range(2):
        stand.pass_time(30)
        stand.work()
    assert Dispatch.objects.get(kind="FILE").state == DispatchState.SENT


def test_a_late_result_that_the_database_refuses_does_not_stop_the_worker(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand.says("Hello")
    stand.settle()
    stand.agent("say", text="It leaves today.")
    stand.settle()
    answer = Dispatch.objects.get(lane__direction="TO_CHANNEL", kind="TEXT")
    Dispatch.objects.filter(pk=answer.pk).update(state=DispatchState.PARKED)
    Lane.objects.filter(pk=answer.lane_id).update(fence=41)
    # PostgreSQL has no NUL in texts.
    brought = Brought(provider_ids=("a\x00b",))
    refused = late(lanes.read_afresh(answer.pk), answer.attempts.get().pk, fence=40, brought=brought)
    drain, rounds, isolate = Drain(deadline_s=4), [], Drain._isolate

    def isolate_counted(drain: Drain, bug: Exception) -> None:
        rounds.append(bug)
        assert len(rounds) < 20, "it tries the same again and again"
        isolate(drain, bug)

    monkeypatch.setattr(Drain, "_isolate", isolate_counted)
    drain._under_way.begin(refused.job)
    drain._done.put(refused)
    stand.says("elsewhere", consumer="ben")
    apply_some()
    drain.run()

    assert stand.heard(consumer="ben") == ["elsewhere"]
    answer.refresh_from_db()
    assert answer.state == DispatchState.PARKED
