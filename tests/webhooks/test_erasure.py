"""One consumer erased everywhere: afterwards nothing of them is found, and everything of the others is."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from audit.models import AuditEntry
from conversations import lanes
from conversations.models import (
    Attempt,
    Consumer,
    ConsumerToken,
    Conversation,
    Dispatch,
    DispatchState,
    Erasure,
    Message,
    MessageContent,
)
from conversations.services import operations
from conversations.services.erasure import erase_consumer
from core.errors import RequestRejected
from core.vault import search_hash
from installations import pausing
from tests.conversations import notifications
from tests.conversations.late import bring, late
from tests.conversations.notifications import said
from tests.conversations.stand import Stand, in_thread
from tests.webhooks.erasing import (
    ADA,
    ANSWER,
    BEN,
    EVE,
    NAME,
    WORDS,
    ada,
    bens_rows,
    canaries,
    disk_of_its_own,
    ended,
    erase,
    found,
    on_disk,
    talked,
)
from webhooks import erasure
from webhooks.models import Delivery, DeliveryBody, DeliveryState, Event, EventOutcome

__all__ = ["disk_of_its_own", "ended", "talked"]  # fixtures


# --- everywhere ------------------------------------------------------------------------------------------------------


def test_afterwards_nothing_of_the_person_is_found_anywhere(ended: Stand, tmp_path: Path) -> None:
    person = ada()
    before = {place.partition(".")[0] for place in found(*canaries(person))}
    assert {
        "audit_auditentry", "conversations_attempt", "conversations_consumer", "conversations_dispatch",
        "conversations_mediafile", "conversations_message", "conversations_messagecontent", "webhooks_delivery",
        "webhooks_deliverybody", "webhooks_event",
    } <= before  # fmt: skip
    assert on_disk(b"CANARYPIXELS", tmp_path)
    bens, messages = bens_rows(), Message.objects.count()

    done = erase(person)

    assert found(*canaries(person)) == set()
    assert on_disk(b"CANARYPIXELS", tmp_path) == []
    assert not list(tmp_path.rglob("*.*")), "of the two files, both were hers"
    assert bens_rows() == bens
    assert done.ended_at is not None
    assert done.sealed is None
    assert Message.objects.count() == messages
    gone = Message.objects.filter(consumer=person)
    assert {(one.removed_by, one.removed_at is not None) for one in gone} == {("ERASURE", True)}
    assert not ConsumerToken.objects.filter(consumer=person).exists()


def test_the_trail_says_that_it_happened_by_whom_and_why(ended: Stand) -> None:
    person = ada()
    erase(person, reason="asked for it by letter")

    begun = AuditEntry.objects.get(action="consumer.erased")
    assert (begun.actor_name, begun.reason, begun.subject_id) == ("eve", "asked for it by letter", str(person.pk))
    assert begun.brand_id == person.brand_id
    assert begun.data["messages"] == Message.objects.filter(consumer=person).count()
    over = AuditEntry.objects.get(action="consumer.erasure_ended")
    assert over.data["delivery_bodies"] > 5
    assert over.data["parts_of_bodies"] == 1
    masked = AuditEntry.objects.get(action="dispatch.resent")
    assert masked.reason == "••• (•••) has called"
    assert masked.actor_name == "eve"


def test_the_facts_stay_and_the_keyed_hash_with_them(ended: Stand) -> None:
    person = ada()
    facts = list(Message.objects.filter(consumer=person).order_by("id").values_list("id", "status", "lp_sequence"))
    digests = {one.pk: (bytes(one.sha256), one.size) for one in Delivery.objects.all()}
    outcomes = list(Event.objects.order_by("id").values_list("id", "outcome", "type", "message_id"))

    erase(person)

    assert list(Message.objects.filter(consumer=person).order_by("id").values_list("id", "status", "lp_sequence")) == (
        facts
    )
    assert {one.pk: (bytes(one.sha256), one.size) for one in Delivery.objects.all()} == digests
    assert list(Event.objects.order_by("id").values_list("id", "outcome", "type", "message_id")) == outcomes
    person.refresh_from_db()
    assert bytes(person.search_hash) == search_hash(ADA)
    assert str(person) == "an erased consumer"


def test_what_a_delivery_says_of_others_stays_at_its_place(ended: Stand) -> None:
    erase(ada())

    body = next(bytes(one.raw) for one in DeliveryBody.objects.all() if b"Ben only" in bytes(one.raw))
    changes = json.loads(body)["body"]["changes"]
    assert [one.get("event", {}).get("message") for one in changes] == ["Ben only", None, "Ben again"]
    assert changes[1] == {"erased": True}


def test_the_same_person_who_writes_later_is_somebody_new(ended: Stand) -> None:
    person = ada()
    erase(person)

    ended.says("Here I am again", consumer=ADA, name="Ada the second", id="later")
    ended.settle()

    again = ada()
    assert again.pk != person.pk
    assert ended.heard(consumer=ADA)[-1] == "Here I am again"
    assert Message.objects.get(channel_message_id="later").consumer_id == again.pk
    person.refresh_from_db()
    assert person.channel_consumer_id == ""
    ended.agent("join")
    ended.agent("say", text="Welcome back")
    ended.settle()
    assert ended.received()[-1]["text"] == "Welcome back"
    assert ended.received()[-1]["consumer"] == {"id": ADA}


# --- what comes back -------------------------------------------------------------------------------------------------


def test_what_comes_again_has_no_effect_and_does_not_stay(ended: Stand) -> None:
    person = ada()
    told = list(ended.liveperson_calls.got)
    erase(person)
    messages, sends, phone = Message.objects.count(), Dispatch.objects.count(), len(ended.phone.got)
    known = set(Delivery.objects.values_list("pk", flat=True))

    for got in told:
        assert ended.hand_over(got).status_code == 200
    ended.work()

    assert (Message.objects.count(), Dispatch.objects.count(), len(ended.phone.got)) == (messages, sends, phone)
    again = Event.objects.exclude(delivery_id__in=known).filter(lp_conversation_id__in=_conversations_of(person))
    assert set(again.values_list("outcome", flat=True)) == {EventOutcome.IGNORED}
    bodies = DeliveryBody.objects.filter(pk__in=again.values("delivery_id"))
    assert bodies
    assert {one.expires_on for one in bodies} == {timezone.now().date()}


def _conversations_of(person: Consumer) -> list[str]:
    return list(Conversation.objects.filter(consumer=person).values_list("lp_conversation_id", flat=True))


def test_a_channels_repeat_is_a_repeat_and_is_not_stored_again(ended: Stand) -> None:
    erase(ada())
    deliveries = Delivery.objects.count()

    for text in (WORDS, "other words under the same id"):
        data = {"id": f"m-{ADA}-1", "consumer": {"id": ADA}, "text": text}
        assert ended.tell("message.received", data).json()["duplicate"] is True

    assert Delivery.objects.count() == deliveries
    assert found(ADA) == set()


def test_what_an_agent_says_later_goes_to_nobody(ended: Stand) -> None:
    person, of_ada = ada(), ended.conversation_of(ADA)["id"]
    erase(person)
    phone = len(ended.phone.got)

    ended.notify(said(of_ada, 950, "Are you there?"))
    ended.notify_state(notifications.changed(of_ada, consumer="somebody", at=10**9, state="OPEN"))
    ended.work()

    assert len(ended.phone.got) == phone
    assert Conversation.objects.get(lp_conversation_id=of_ada).state == "CLOSED"


def test_a_late_report_of_the_channel_changes_nothing(ended: Stand) -> None:
    person = ada()
    sent = Dispatch.objects.filter(message__content__text=ANSWER, lane__direction="TO_CHANNEL", state="SENT").get()
    erase(person)
    Message.objects.filter(pk=sent.message_id).update(status="SENT")  # as if nothing had been reported yet
    sends = Dispatch.objects.count()

    for status in ("delivered", "read", "failed"):
        ended.tell("message.status", {"id": str(sent.pk), "status": status, "reason": "late"})
    ended.work()

    assert Dispatch.objects.count() == sends


@pytest.mark.parametrize("kind", ["TEXT", "RECEIPT", "OPEN"])
def test_nothing_of_an_erased_person_is_sent_again(ended: Stand, kind: str) -> None:
    person = ada()
    dead = Dispatch.objects.filter(lane__consumer=person, kind=kind).first()
    Dispatch.objects.filter(pk=dead.pk).update(state=DispatchState.DEAD, finished_at=timezone.now())
    erase(person)

    with pytest.raises(operations.NotPossible, match="erased"):
        operations.send_again(dispatch_id=dead.pk, actor=EVE, reason="try")


# --- what is under way -----------------------------------------------------------------------------------------------


def test_what_is_still_to_be_sent_is_dropped(stand: Stand) -> None:
    pausing.pause(stand.installation, actor=EVE, reason="maintenance")
    for number in range(3):
        stand.says(f"CANARYQUEUED {number}", consumer=ADA)
    stand.work()
    person = ada()
    waiting = set(Dispatch.objects.filter(lane__consumer=person).values_list("pk", flat=True))

    erase(person)

    assert {one.state for one in Dispatch.objects.filter(pk__in=waiting)} == {DispatchState.DROPPED}
    assert {one.status for one in Message.objects.filter(consumer=person)} == {"FAILED"}
    assert set(AuditEntry.objects.get(action="consumer.erased").data["dropped_ids"]) == {str(one) for one in waiting}
    pausing.resume(stand.installation, actor=EVE)
    stand.pass_time(3600)
    stand.settle()
    assert stand.at_liveperson() == []
    assert found("CANARYQUEUED", ADA) == set()


def test_an_answer_that_comes_after_the_erasure_brings_nothing_back(stand: Stand) -> None:
    stand.says("CANARYFLIGHT", consumer=ADA, name=NAME)
    with stand.answers_held("conversation"):
        beside = in_thread(stand.work)
        stand.simulator_waits_for("conversation")
        person = ada()
        sending = Dispatch.objects.get(state=DispatchState.SENDING)
        erase(person)
    beside.join(20)

    assert not beside.is_alive()
    sending.refresh_from_db()
    assert sending.state == DispatchState.DROPPED
    assert not Conversation.objects.filter(consumer=person).exists()
    assert not ConsumerToken.objects.exists()
    assert Attempt.objects.filter(finished_at=None).count() == 0
    assert found("CANARYFLIGHT", NAME, ADA) == set()


def test_a_refusal_that_comes_after_the_erasure_brings_no_word_of_the_other_side(stand: Stand) -> None:
    stand.says("Hello", consumer=ADA)
    stand.settle()
    stand.agent("close")
    stand.settle()
    answered = Attempt.objects.get(step="PUBLISH")
    attempt = Attempt.objects.create(
        brand_id=answered.brand_id, dispatch=answered.dispatch, step="PUBLISH", fence=0, started_at=timezone.now()
    )
    refusal = RequestRejected("CANARYDETAIL", http_status=400, answer_head="CANARYHEAD")
    refused = late(lanes.read_afresh(attempt.dispatch_id), attempt.pk, error=refusal)

    erase(ada())
    bring(refused)

    attempt.refresh_from_db()
    assert (attempt.error_code, attempt.http_status) == ("request_rejected", 400)
    assert found("CANARYDETAIL", "CANARYHEAD") == set()


def test_what_waits_to_be_applied_is_erased_and_never_applied(stand: Stand) -> None:
    stand.says("first", consumer=ADA)
    stand.work()
    pausing.pause(stand.installation, actor=EVE, reason="maintenance")
    person = ada()
    stand.says("CANARYSTORED", consumer=ADA)
    stand.says("Ben's", consumer=BEN)
    assert Delivery.objects.filter(state=DeliveryState.STORED).count() == 2

    erase_consumer(consumer_id=person.pk, actor=EVE, reason="asked for it")
    stand.work()
    erasure.finish()

    assert found("CANARYSTORED", ADA) == set()
    assert [one.channel_consumer_id for one in Consumer.objects.filter(erased_at=None)] == [BEN]
    details = set(Delivery.objects.exclude(detail="").values_list("detail", flat=True))
    assert "It was erased with its consumer before it was applied." in details


# --- in batches ------------------------------------------------------------------------------------------------------


def test_it_goes_on_where_a_crash_left_it(ended: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    person = ada()
    monkeypatch.setattr("webhooks.erasure.BATCH", 3)
    monkeypatch.setattr("conversations.services.erasure.BATCH", 2)
    erase_consumer(consumer_id=person.pk, actor=EVE, reason="asked for it")
    with monkeypatch.context() as broken:
        broken.setattr("webhooks.erasure._FOUND", "SELECT 1/0, %s, %s::bytea[]")
        with pytest.raises(Exception, match="division"):
            erasure.finish()
    assert not MessageContent.objects.filter(message__consumer=person).exists()
    for _ in range(2):
        assert erasure._go_on_once(set())
    half = Erasure.objects.get()
    assert half.ended_at is None
    assert found(ADA) != set()
    assert "canary" not in bytes(half.sealed).decode("utf-8", "replace")

    erasure.finish()

    assert found(*canaries(Consumer(lp_consumer_id=NAME))) == set()


def test_what_came_after_the_erasure_is_left_alone(ended: Stand) -> None:
    person = ada()
    erase_consumer(consumer_id=person.pk, actor=EVE, reason="asked for it")
    ended.says("new words", consumer=ADA, id="new")
    ended.work()

    erasure.finish()

    assert MessageContent.objects.filter(text="new words").exists()
    assert any(b"new words" in bytes(raw) for raw in DeliveryBody.objects.values_list("raw", flat=True))


def test_old_facts_lose_the_person_too_where_the_bodies_have_gone_before(ended: Stand) -> None:
    person = ada()
    DeliveryBody.objects.all().delete()
    MessageContent.objects.all().delete()

    erase(person)

    assert found(ADA, person.lp_consumer_id) == set()


# --- the command -----------------------------------------------------------------------------------------------------


def test_the_command_erases_and_tells(ended: Stand) -> None:
    person = ada()
    out = io.StringIO()

    call_command("erase_consumer", "--consumer", str(person.pk), "--reason", "asked for it", stdout=out)

    told = json.loads(out.getvalue())
    assert told["consumer"] == str(person.pk)
    assert told["ended_at"]
    assert told["removed"]["message_contents"] >= 5
    assert found(*canaries(Consumer(lp_consumer_id=NAME))) == set()
    assert AuditEntry.objects.get(action="consumer.erased").actor_kind == "COMMAND"


@pytest.mark.parametrize(
    ("consumer", "reason", "match"),
    [
        ("x", "why", "There is no consumer with this id"),
        ("00000000-0000-7000-8000-000000000000", "why", "There is no consumer"),
        (None, f"because of {ADA}", "Leave the name"),
    ],
)
def test_the_command_says_what_is_wrong(ended: Stand, consumer: str | None, reason: str, match: str) -> None:
    with pytest.raises(CommandError, match=match):
        call_command("erase_consumer", "--consumer", consumer or str(ada().pk), "--reason", reason)
