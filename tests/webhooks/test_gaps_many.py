"""Much that waits for one thing: it is set free in portions, so that no transaction takes longer than a task may."""

from __future__ import annotations

import pytest
from django.utils import timezone

from conversations.models import Conversation
from tests.conversations.notifications import changed, said
from tests.conversations.stand import Door
from tests.webhooks.test_gaps import C, bring, conversation, learned, marks, sent, time_passes
from tests.webhooks.work import apply_all
from webhooks import waiting
from webhooks.applying import apply_some
from webhooks.models import Held

__all__ = ["conversation"]  # a fixture

MANY = 25


@pytest.fixture
def held(door: Door, conversation: Conversation, monkeypatch: pytest.MonkeyPatch) -> Door:
    """The first thing said is missing, and all that was said since waits for it."""
    monkeypatch.setattr("webhooks.notified.MOST_SET_FREE", 10)
    learned()
    for number in range(2, MANY):
        door.notify(said(C, number, f"text {number}"))
    apply_all()
    assert Held.objects.count() == MANY - 2
    return door


def test_what_was_missing_sets_a_portion_free_with_it(held: Door) -> None:
    bring(held, 1)

    assert sent() == list(range(12))
    assert Held.objects.count() == MANY - 12


def test_what_comes_meanwhile_stands_behind_what_is_left(held: Door) -> None:
    held.notify(said(C, 1, "text 1"))
    held.notify(said(C, MANY, f"text {MANY}"))
    apply_some()
    assert sent() == list(range(12))

    waiting.settle_held(now=timezone.now())

    assert sent() == list(range(MANY + 1))
    assert marks() == {}


def test_the_rest_follows_without_anybodys_word(held: Door) -> None:
    bring(held, 1)

    waiting.settle_held(now=timezone.now())

    assert sent() == list(range(MANY))


def test_a_look_takes_no_longer_than_it_may(held: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webhooks.waiting._LOOK_MAY_TAKE_S", 0)
    bring(held, 1)

    waiting.settle_held(now=timezone.now())
    assert sent() == list(range(22))
    waiting.settle_held(now=timezone.now())
    assert sent() == list(range(MANY))


def test_what_is_given_up_goes_in_portions_too(held: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webhooks.waiting._LOOK_MAY_TAKE_S", 0)
    time_passes(6)

    waiting.settle_held(now=timezone.now())
    assert sent() == [0, *range(2, 12)]
    waiting.settle_held(now=timezone.now())
    waiting.settle_held(now=timezone.now())
    assert sent() == [0, *range(2, MANY)]
    assert marks() == {2: "AFTER_GAP"}


def test_the_end_of_the_conversation_overtakes_none_of_it(held: Door) -> None:
    held.notify_state(changed(C, consumer="consumer-1", at=9_000, state="CLOSE", stage="CLOSE"))
    apply_all()

    assert sent() == [0, *range(2, MANY)]
    assert not Held.objects.exists()
