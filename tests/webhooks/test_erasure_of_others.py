"""What an erasure leaves alone: what others say, also where an erased person's id is a word of theirs."""

from __future__ import annotations

import pytest
from django.utils import timezone

from conversations.models import Consumer, Erasure
from conversations.services import holds
from conversations.services.erasure import erase_consumer
from tests.conversations.notifications import said
from tests.conversations.stand import Stand
from tests.webhooks.erasing import BEN, EVE, disk_of_its_own
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
