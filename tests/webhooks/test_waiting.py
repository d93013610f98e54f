"""What waits is looked at by several workers, for several brands: nobody is passed over, and none turns its order."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from tests.conversations.notifications import said
from tests.conversations.stand import Door, known_conversation, make_door
from tests.webhooks.test_gaps import apply_all, learned, marks, sent
from webhooks import waiting
from webhooks.models import Delivery, DeliveryState, Held

C, OTHER = "c-1", "c-2"


# --- several brands --------------------------------------------------------------------------------------------------


def test_what_one_brand_holds_behind_its_backlog_keeps_no_other_brand_waiting(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "_MOST_HELD", 3)
    other = make_door(brand="other", account="87654321")
    names = [f"{C}-{number}" for number in range(4)]
    for name in names:
        hold_one(door, name)
    hold_one(other, OTHER)
    now = timezone.now()
    of_first = Held.objects.filter(event__delivery__installation=door.onboarded.installation)
    of_first.update(due_at=now - timedelta(seconds=50))
    Held.objects.exclude(pk__in=of_first).update(due_at=now - timedelta(seconds=1))
    door.notify(said(names[0], 9, "in the backlog"))
    Delivery.objects.filter(state=DeliveryState.STORED).update(received_at=now - timedelta(seconds=55))

    waiting.settle_held(now=now)

    assert sent(OTHER) == [0, 2]
    assert [sent(name) for name in names] == [[0]] * 4, "what they wait for may lie in the backlog"


def test_brands_take_turns_with_what_may_have_nothing_to_wait_for_any_more(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "_MOST_HELD", 2)
    other = make_door(brand="other", account="87654321")
    for number in range(3):
        hold_one(door, f"{C}-{number}")
    hold_one(other, OTHER)
    told_by_an_answer(OTHER, 1)

    waiting.settle_held(now=timezone.now())

    assert [one for one in sent(OTHER) if one is not None] == [0, 2]
    assert marks() == {}


def hold_one(door: Door, lp_id: str) -> None:
    """A conversation in which the second of three is missing."""
    known_conversation(door, consumer=lp_id, lp_id=lp_id)
    door.notify(said(lp_id, 0, "text 0"))
    apply_all()
    learned(wait_s=30)
    door.notify(said(lp_id, 2, "text 2"))
    apply_all()


def told_by_an_answer(lp_id: str, sequence: int) -> None:
    """A send of the consumer's own was answered with this sequence."""
    from conversations.models import Dispatch

    first = Dispatch.objects.get(conversation__lp_conversation_id=lp_id)
    Dispatch.objects.create(
        brand_id=first.brand_id, lane=first.lane, position=1, kind="TEXT", state="SENT",
        conversation=first.conversation, lp_dialog_id=lp_id, lp_sequence=sequence,
    )  # fmt: skip
