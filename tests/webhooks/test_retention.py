"""What is past its day goes, from the database and from the disk; what is held, or still to be sent, stays."""

from __future__ import annotations

import io
import json
from datetime import timedelta

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.management import call_command
from django.db import OperationalError, connection, transaction
from django.test import override_settings
from django.utils import timezone

from audit.models import AuditEntry
from conversations import lanes
from conversations.media import storage_path
from conversations.models import (
    Attempt,
    Consumer,
    Dispatch,
    DispatchState,
    MediaFile,
    Message,
    MessageContent,
    Removed,
)
from conversations.services import operations, retention
from core import batches
from core.ids import new_id
from tests.conversations.notifications import said
from tests.conversations.stand import ADA, Stand, in_thread
from tests.webhooks.removals import EVE, disk_of_its_own, facts, on_disk, prune, talked, two_people
from webhooks.management.commands import prune as prune_command
from webhooks.models import Delivery, DeliveryBody, DeliveryState, Event, EventOutcome, Seen
from webhooks.retention import walk

__all__ = ["disk_of_its_own", "talked", "two_people"]  # fixtures


# --- what goes -------------------------------------------------------------------------------------------------------


def test_nothing_goes_before_its_day_is_over(talked: Stand) -> None:
    before = (facts(), on_disk())

    assert prune(days=90) == {}

    assert (facts(), on_disk()) == before
    assert MessageContent.objects.count() == Message.objects.count() == 3
    assert DeliveryBody.objects.count() == Delivery.objects.count()


def test_words_files_and_bodies_go_and_the_facts_stay(talked: Stand) -> None:
    before, deliveries = facts(), Delivery.objects.count()
    ours = {one.hex for one in MediaFile.objects.values_list("pk", flat=True)}
    assert ours <= on_disk()

    removed = prune(days=91.1)

    assert removed == {"message_contents": 3, "files": 2, "delivery_bodies": deliveries}
    assert not MessageContent.objects.exists()
    assert not MediaFile.objects.exists()
    assert not DeliveryBody.objects.exists()
    assert not ours & on_disk()
    assert facts() == before
    assert set(Message.objects.values_list("removed_by", flat=True)) == {"RETENTION"}
    assert all(Message.objects.values_list("removed_at", flat=True))


def test_the_name_goes_with_the_last_words_and_is_told_again(talked: Stand) -> None:
    talked.agent("close")
    talked.settle()
    assert Dispatch.objects.filter(progress__has_key="name").exists()

    prune(days=91.1)

    ada = Consumer.objects.get()
    assert (ada.name, ada.profile) == ("", {})
    assert ada.channel_consumer_id == ADA
    assert not Dispatch.objects.filter(progress__has_key="name").exists()
    talked.says("Hello again", name="Ada")
    talked.work()
    assert Consumer.objects.get().name == "Ada"


def test_the_name_stays_while_a_word_does(talked: Stand) -> None:
    talked.agent("close")
    talked.settle()
    last = Message.objects.order_by("id").last()
    MessageContent.objects.filter(pk=last.pk).update(expires_on=timezone.now().date() + timedelta(days=200))

    prune(days=91.1)

    assert Consumer.objects.get().name == "Ada"


def test_what_providers_answered_goes_and_so_does_what_was_chosen(talked: Stand) -> None:
    Attempt.objects.update(answer_head="No such number: +15550100")
    receipt = Dispatch.objects.filter(kind="RECEIPT").first()
    Dispatch.objects.filter(pk=receipt.pk).update(payload={**receipt.payload, "metadata": [{"id": "yes"}]})
    tries = Attempt.objects.count()

    assert prune(days=90) == {}
    removed = prune(days=91.1)

    assert (removed["answers_of_providers"], removed["metadata_of_choices"]) == (tries, 1)
    assert set(Attempt.objects.values_list("answer_head", flat=True)) == {""}
    assert Dispatch.objects.get(pk=receipt.pk).payload == receipt.payload


def test_foreign_bodies_go_within_a_day(stand: Stand) -> None:
    stand.notify(said("elsewhere", 1, "somebody else's words"))
    stand.work()
    stand.pass_time(61)
    stand.work()
    assert Event.objects.get().outcome == EventOutcome.FOREIGN

    assert prune(days=1) == {"delivery_bodies": 1}

    delivery = Delivery.objects.get()
    assert delivery.size > 0
    assert bytes(delivery.sha256)


def test_what_is_still_to_be_applied_keeps_its_body(stand: Stand) -> None:
    stand.notify(said("elsewhere", 1, "waits"))
    stand.work()
    stand.notify(said("elsewhere", 2, "stored"))
    assert Event.objects.get().outcome == EventOutcome.WAITING
    assert Delivery.objects.filter(state=DeliveryState.STORED).count() == 1

    assert prune(days=200) == {}

    assert DeliveryBody.objects.count() == 2
    stand.work()
    stand.pass_time(61)
    stand.work()
    assert prune(days=200) == {"delivery_bodies": 2}


def test_the_trail_tells_how_much_went_once_for_each_brand(talked: Stand) -> None:
    removed = prune(days=91.1)
    prune(days=91.1)

    entry = AuditEntry.objects.get(action="retention.applied")
    assert (entry.data, entry.brand_id, entry.actor_kind) == (removed, talked.onboarded.brand.pk, "SYSTEM")
    assert not Removed.objects.exists()


# --- what does not come back -----------------------------------------------------------------------------------------


def test_a_notification_that_comes_again_after_all_has_gone_has_no_effect(talked: Stand) -> None:
    talked.agent("close")
    talked.settle()
    prune(days=91.1)
    before, phone = facts(), len(talked.phone.got)
    messages, sends = Message.objects.count(), Dispatch.objects.count()

    for got in list(talked.liveperson_calls.got):
        assert talked.hand_over(got).status_code == 200
    talked.work()

    assert (Message.objects.count(), Dispatch.objects.count()) == (messages, sends)
    assert len(talked.phone.got) == phone
    assert facts()[0] == before[0]
    again = Event.objects.filter(delivery__received_at__gt=Message.objects.order_by("id").last().created_at)
    assert EventOutcome.APPLIED not in set(again.order_by("-id").values_list("outcome", flat=True)[:3])


def test_nor_does_it_when_the_ledger_has_forgotten_it(talked: Stand) -> None:
    talked.agent("close")
    talked.settle()
    seen = Seen.objects.count()
    assert prune(days=399)["delivery_bodies"]
    assert Seen.objects.count() == seen

    assert prune(days=401) == {"identities": seen}

    assert not Seen.objects.exists()
    messages, sends, phone = Message.objects.count(), Dispatch.objects.count(), len(talked.phone.got)
    for got in list(talked.liveperson_calls.got):
        talked.hand_over(got)
    talked.work()
    assert (Message.objects.count(), Dispatch.objects.count()) == (messages, sends)
    assert len(talked.phone.got) == phone


def test_a_channels_message_that_comes_again_has_no_effect(talked: Stand) -> None:
    data = {"id": "m-9", "consumer": {"id": ADA}, "text": "Once"}
    talked.tell("message.received", data, webhook_id="msg_9")
    talked.settle()
    talked.agent("close")
    talked.settle()
    prune(days=401)
    messages, sends = Message.objects.count(), Dispatch.objects.count()

    for webhook_id in ("msg_9", "msg_10"):
        talked.tell("message.received", data, webhook_id=webhook_id)
    talked.work()

    assert (Message.objects.count(), Dispatch.objects.count()) == (messages, sends)


@pytest.mark.parametrize(("hours", "outcome"), [(73.1, EventOutcome.STALE), (72.9, EventOutcome.APPLIED)])
def test_what_is_older_than_liveperson_tells_is_kept_and_never_carried_on(
    talked: Stand, hours: float, outcome: str
) -> None:
    messages, phone = Message.objects.count(), len(talked.received())
    long_ago = int((timezone.now() - timedelta(hours=hours)).timestamp() * 1000)

    answer = talked.notify({**said(talked.lp_conversation_id, 900, "recorded once"), "serverTimestamp": long_ago})
    talked.work()

    assert answer.status_code == 200
    event = Event.objects.order_by("id").last()
    assert event.outcome == outcome
    is_new = outcome == EventOutcome.APPLIED
    assert Message.objects.count() == messages + is_new
    assert len(talked.received()) == phone + is_new


def test_what_has_waited_here_for_days_is_not_old(talked: Stand) -> None:
    sent = timezone.now() - timedelta(days=5)
    talked.notify({**said(talked.lp_conversation_id, 901, "late"), "serverTimestamp": int(sent.timestamp() * 1000)})
    Delivery.objects.filter(state=DeliveryState.STORED).update(received_at=sent + timedelta(minutes=1))

    talked.work()

    assert talked.received()[-1]["text"] == "late"


# --- what waits to be sent -------------------------------------------------------------------------------------------


def test_words_that_are_still_to_be_sent_stay_until_they_are(stand: Stand) -> None:
    stand.faults({"on": "token", "do": "status", "status": 503})
    stand.says("Patience")
    stand.work()
    assert Dispatch.objects.filter(state=DispatchState.QUEUED).exists()

    removed = prune(days=200)

    assert "message_contents" not in removed
    assert MessageContent.objects.get().text == "Patience"
    stand.faults()
    stand.pass_time(3600)
    stand.settle()
    assert stand.heard() == ["Patience"]
    assert prune(days=200)["message_contents"] == 1


@pytest.mark.parametrize("state", ["QUEUED", "SENDING", "UNKNOWN", "PARKED"])
def test_no_state_but_an_end_lets_words_or_files_go(talked: Stand, state: str) -> None:
    Dispatch.objects.filter(message__isnull=False).update(state=state, finished_at=None)

    removed = prune(days=200)

    assert set(removed) == {"delivery_bodies"}
    assert MessageContent.objects.count() == 3
    assert all(default_storage.exists(storage_path(one.pk)) for one in MediaFile.objects.all())
    Dispatch.objects.filter(message__isnull=False).update(state=DispatchState.SENT, finished_at=timezone.now())


def test_what_failed_cannot_be_sent_again_without_its_words(talked: Stand) -> None:
    talked.faults({"on": "send", "do": "status", "status": 400, "times": 1})
    talked.says("rejected", id="m-4")
    talked.work()
    failed = Dispatch.objects.get(message__channel_message_id="m-4")
    assert failed.state == DispatchState.FAILED
    prune(days=91.1)

    with pytest.raises(operations.NotPossible, match="nothing left to send"):
        operations.send_again(dispatch_id=failed.pk, actor=EVE, reason="try")

    assert Dispatch.objects.get(pk=failed.pk).state == DispatchState.FAILED


def test_who_sends_again_at_the_same_moment_keeps_the_words(talked: Stand) -> None:
    """The batch skips whoever is being worked on, and asks again once it holds them."""
    dispatch = Dispatch.objects.filter(kind="TEXT", message__isnull=False).first()
    Dispatch.objects.filter(pk=dispatch.pk).update(state=DispatchState.DEAD)

    with transaction.atomic():
        operations.send_again(dispatch_id=dispatch.pk, actor=EVE, reason="now")
        beside = in_thread(lambda: prune(days=200))
        beside.join(20)
        assert not beside.is_alive(), "pruning waited for somebody's mutex"

    assert MessageContent.objects.filter(pk=dispatch.message_id).exists()
    talked.settle()


# --- files -----------------------------------------------------------------------------------------------------------


def test_a_file_leaves_the_disk_only_after_its_row_has_gone_for_good(
    talked: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database refuses the batch at its last statement."""
    files = on_disk()
    monkeypatch.setattr(retention, "_COUNT", "SELECT 1/0, %s::uuid, %s::uuid, %s::text, %s::int")
    with pytest.raises(Exception, match="division by zero"):
        retention.remove_files(after=retention.Place(), before=timezone.now().date() + timedelta(days=99))

    assert MediaFile.objects.count() == 2
    assert on_disk() == files


def test_what_a_crash_left_on_the_disk_goes_with_the_next_walk(talked: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = {one.hex for one in MediaFile.objects.values_list("pk", flat=True)}
    with monkeypatch.context() as broken:
        broken.setattr(default_storage, "delete", lambda _: (_ for _ in ()).throw(OSError("the plug was pulled")))
        with pytest.raises(OSError, match="plug"):
            prune(days=91.1)
    assert not MediaFile.objects.exists()
    assert ours <= on_disk()

    assert prune(days=91.1)["lost_files"] >= 2

    assert not ours & on_disk()


def test_a_file_whose_row_is_about_to_come_is_not_lost(stand: Stand) -> None:
    young = new_id()
    default_storage.save(storage_path(young), ContentFile(b"just fetched"))
    default_storage.save(f"{young.hex[-2:]}/readme.txt", ContentFile(b"not ours"))

    list(walk())
    assert young.hex in on_disk()

    list(walk(now=lambda: timezone.now() + timedelta(hours=2)))
    assert young.hex not in on_disk()
    assert default_storage.exists(f"{young.hex[-2:]}/readme.txt")
    default_storage.delete(f"{young.hex[-2:]}/readme.txt")


# --- batches ---------------------------------------------------------------------------------------------------------


def test_each_batch_is_a_transaction_of_its_own(talked: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "BATCH", 2)
    monkeypatch.setattr("webhooks.retention.BATCH", 2)
    left = []

    for batch in walk(now=lambda: timezone.now() + timedelta(days=91.1)):
        assert not connection.in_atomic_block
        if batch.kind == "message_contents":
            left.append(MessageContent.objects.count())

    assert left == [1, 0]
    assert not DeliveryBody.objects.exists()


def test_somebody_who_is_worked_on_is_passed_over_and_goes_the_next_time(two_people: Stand) -> None:
    ada = Consumer.objects.get(channel_consumer_id=ADA)

    with transaction.atomic():
        lanes.lock_consumer(ada.pk)
        beside = in_thread(lambda: prune(days=200))
        beside.join(20)
        assert not beside.is_alive(), "pruning waited for somebody's mutex"

    assert {one.message.consumer_id for one in MessageContent.objects.select_related("message")} == {ada.pk}
    assert prune(days=200)["message_contents"] == 3


def test_two_walks_at_once_remove_everything_once(two_people: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "BATCH", 1)
    bodies, contents = DeliveryBody.objects.count(), MessageContent.objects.count()
    removed: list[dict[str, int]] = []

    threads = [in_thread(lambda: removed.append(prune(days=200))) for _ in range(2)]
    for thread in threads:
        thread.join(60)
    removed.append(prune(days=200))

    assert sum(one.get("message_contents", 0) for one in removed) == contents
    assert sum(one.get("delivery_bodies", 0) for one in removed) == bodies
    told = AuditEntry.objects.filter(action="retention.applied")
    assert sum(one.data.get("message_contents", 0) for one in told) == contents


# --- the command -----------------------------------------------------------------------------------------------------


def test_a_batch_that_takes_too_long_is_ended_and_removes_nothing(
    talked: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "_LOCK_MESSAGES", "SELECT pg_sleep(9), %s::uuid[]")
    monkeypatch.setattr(batches, "_STATEMENT_MAY_TAKE_MS", 50)
    MessageContent.objects.update(expires_on=timezone.now().date() - timedelta(days=1))

    with pytest.raises(OperationalError):
        list(walk())

    assert MessageContent.objects.count() == 3


def test_the_command_prints_what_it_removed(talked: Stand) -> None:
    yesterday = timezone.now().date() - timedelta(days=1)
    for model in (MessageContent, MediaFile, DeliveryBody):
        model.objects.update(expires_on=yesterday)
    bodies = DeliveryBody.objects.count()
    out, err = io.StringIO(), io.StringIO()

    call_command(prune_command.Command(), stdout=out, stderr=err)

    told = json.loads(out.getvalue())
    removed = {kind: count for kind, count in told["removed"].items() if kind != "lost_files"}
    assert removed == {"message_contents": 3, "files": 2, "delivery_bodies": bodies}
    assert told["erasures_under_way"] == 0
    assert err.getvalue().startswith("Done: ")


@override_settings(IDENTITY_DAYS=10)
def test_how_long_identities_are_kept_is_a_setting(talked: Stand) -> None:
    assert prune(days=9.9) == {}
    assert prune(days=10.1)["identities"] > 0
