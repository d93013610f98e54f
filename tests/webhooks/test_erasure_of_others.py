"""What an erasure leaves alone: what others say, also where an erased person's id is a word of theirs."""

from __future__ import annotations

import pytest
from django.db import transaction
from django.utils import timezone

from audit import api as audit
from audit.models import AuditEntry
from conversations.models import Consumer, Erasure
from conversations.services import holds
from conversations.services.erasure import RemovalRefused, erase_consumer
from tests.conversations.notifications import said
from tests.conversations.stand import Stand
from tests.webhooks.erasing import BEN, EVE, disk_of_its_own, found
from webhooks import erasure
from webhooks.models import Delivery, DeliveryBody, DeliveryState, Event

__all__ = ["disk_of_its_own"]  # fixture

# Ids that people choose themselves: words that others use too, and those of the protocols.
NAMES = ["please", "sequence", "message", "data", "text"]


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def both(stand: Stand, name: str) -> Stand:
    """Ben talks to an agent; somebody with such a name has talked to one."""
    stand.says("I am Ben", consumer=BEN, id="m-ben")
    stand.settle()
    stand.agent("join")
    stand.says("Hello", consumer=name, id="m-name")
    stand.settle()
    stand.agent("join")
    stand.agent("close", conversation=stand.conversation_of(name)["id"])
    stand.settle()
    return stand


def erase(name: str) -> Erasure:
    person = Consumer.objects.get(channel_consumer_id=name)
    erase_consumer(consumer_id=person.pk, actor=EVE, reason="22/7")
    erasure.finish()
    return Erasure.objects.get(pk=person.pk)


def test_what_others_were_told_and_wait_for_is_still_carried_on(both: Stand, name: str) -> None:
    of_ben = both.conversation_of(BEN)["id"]
    both.notify(said(of_ben, 801, f"One moment {name} ask again"))
    both.says(f"No, {name} hurry", consumer=BEN, id="m-ben-2")
    assert Delivery.objects.filter(state=DeliveryState.STORED).count() == 2

    erase(name)
    both.settle()

    assert both.received()[-1]["text"] == f"One moment {name} ask again"
    assert both.heard(consumer=BEN)[-1] == f"No, {name} hurry"


def test_what_others_have_said_stays_as_it_came(both: Stand, name: str) -> None:
    of_ben = both.conversation_of(BEN)["id"]
    holds.hold_consumer(consumer_id=Consumer.objects.get(channel_consumer_id=BEN).pk, actor=EVE, reason="case 12")
    both.notify(said(of_ben, 801, f"One moment {name} ask again"))
    both.says(f"No, {name} hurry", consumer=BEN, id="m-ben-2")
    both.settle()
    bens = [
        one for one in DeliveryBody.objects.all() if of_ben.encode() in bytes(one.raw) or b"m-ben" in bytes(one.raw)
    ]
    before = {one.pk: bytes(one.raw) for one in bens}
    facts = list(Event.objects.filter(delivery_id__in=before).order_by("id").values())
    assert len(before) >= 4

    done = erase(name)

    assert done.ended_at is not None
    assert {pk: bytes(DeliveryBody.objects.get(pk=pk).raw) for pk in before} == before
    assert list(Event.objects.filter(delivery_id__in=before).order_by("id").values()) == facts
    assert DeliveryBody.objects.filter(expires_on__gt=timezone.now().date()).count() >= len(before)


# --- what people wrote about them ------------------------------------------------------------------------------------


@pytest.mark.parametrize("called", ["e", "Al"])
def test_a_name_of_a_letter_or_two_neither_forbids_every_reason_nor_spoils_those_of_before(
    stand: Stand, called: str
) -> None:
    stand.says("Hello", consumer=BEN, name=called)
    stand.settle()
    stand.agent("close", conversation=stand.conversation_of(BEN)["id"])
    stand.settle()
    person = Consumer.objects.get(channel_consumer_id=BEN)
    holds.hold_consumer(consumer_id=person.pk, actor=EVE, reason=f"{called} needs legal help")
    holds.lift_hold_of_consumer(consumer_id=person.pk, actor=EVE, reason="settled")

    with pytest.raises(RemovalRefused, match="Leave the name"):
        erase_consumer(consumer_id=person.pk, actor=EVE, reason=f"because {called.upper()} asked")
    erase_consumer(consumer_id=person.pk, actor=EVE, reason="also asked for help by letter")

    assert AuditEntry.objects.get(action="consumer.hold_set").reason == "••• needs legal help"


def test_reasons_for_releasing_a_lane_and_for_applying_again_lose_the_person_too(stand: Stand) -> None:
    stand.says("Hello", consumer=BEN, name="Benjamin Canaryname")
    stand.settle()
    stand.agent("close", conversation=stand.conversation_of(BEN)["id"])
    stand.settle()
    person = Consumer.objects.get(channel_consumer_id=BEN)
    lane = person.lanes.first()
    brought = Event.objects.filter(message_id=person.messages.first().pk).first()
    stand.tell_raw(b'{"broken": "' + BEN.encode())
    broken = Delivery.objects.get(state=DeliveryState.QUARANTINED)
    with transaction.atomic():
        for action, subject in (
            ("lane.released", lane), ("delivery.reapplied", brought.delivery), ("delivery.reapplied", broken),
        ):  # fmt: skip
            audit.record(action, actor=EVE, subject=subject, reason=f"Benjamin Canaryname ({BEN}) has called")

    erase(BEN)

    assert {one.reason for one in AuditEntry.objects.filter(reason__contains="has called")} == {"••• (•••) has called"}
    assert found("canaryname", BEN) == set()
