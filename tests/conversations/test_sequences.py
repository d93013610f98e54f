"""The numbers of a dialog's events: what has come, what is missing, what came late."""

from __future__ import annotations

import pytest

from conversations import sequences
from conversations.models import Conversation, Dialog, Dispatch, Lane
from conversations.sequences import Place
from tests.conversations.stand import Door, known_conversation

C = "c-1"


@pytest.fixture
def conversation(door: Door) -> Conversation:
    return known_conversation(door, lp_id=C)


def take(conversation: Conversation, *numbers: int) -> list[Place]:
    return [sequences.take(conversation, C, number).place for number in numbers]


def test_what_comes_in_order_has_no_gap(conversation: Conversation) -> None:
    assert take(conversation, 0, 1, 2) == [Place.IN_ORDER] * 3
    assert Dialog.objects.get().complete_to == 2


def test_what_is_taken_before_something_else_gives_that_up_and_finds_it_late(conversation: Conversation) -> None:
    assert take(conversation, 0, 3, 4, 2, 1, 5) == [
        Place.IN_ORDER,
        Place.AFTER_GAP,
        Place.IN_ORDER,
        Place.LATE,
        Place.LATE,
        Place.IN_ORDER,
    ]
    assert (Dialog.objects.get().complete_to, Dialog.objects.get().missing) == (5, {})


def test_a_receipt_gives_nothing_up_and_fills_a_gap(conversation: Conversation) -> None:
    take(conversation, 0)
    assert sequences.note(conversation, C, 2).place is Place.IN_ORDER
    assert sequences.has_gap_before(conversation, C, 3)

    assert take(conversation, 1, 3) == [Place.IN_ORDER] * 2
    assert (Dialog.objects.get().complete_to, Dialog.objects.get().ahead) == (3, [])


def test_numbers_that_answers_to_our_own_sends_told_have_come(door: Door, conversation: Conversation) -> None:
    lane = Lane.objects.create(
        brand_id=conversation.brand_id,
        account_id=conversation.account_id,
        consumer=conversation.consumer,
        direction="TO_LIVEPERSON",
    )
    for place, number in enumerate((1, 2)):
        Dispatch.objects.create(
            brand_id=conversation.brand_id, lane=lane, position=place, kind="TEXT", state="SENT",
            conversation=conversation, lp_dialog_id=C, lp_sequence=number,
        )  # fmt: skip
    take(conversation, 0)

    assert not sequences.has_gap_before(conversation, C, 3)
    assert take(conversation, 3) == [Place.IN_ORDER]
    assert sequences.note(conversation, C, 2).place is Place.IN_ORDER, "its echo is not late"


def test_a_dialog_of_before_begins_with_the_highest_number_seen(conversation: Conversation) -> None:
    Dialog.objects.update(complete_to=None, last_sequence=7)

    assert take(conversation, 5, 8, 10) == [Place.IN_ORDER, Place.IN_ORDER, Place.AFTER_GAP]


def test_dialogs_count_apart(conversation: Conversation) -> None:
    take(conversation, 0, 1)

    assert sequences.take(conversation, "survey", 0).place is Place.IN_ORDER
    assert Dialog.objects.get(lp_dialog_id="survey").type == "POST_SURVEY"


@pytest.mark.parametrize("act", [sequences.take, sequences.note])
def test_a_great_leap_is_neither_waited_for_nor_remembered_whole(conversation: Conversation, act) -> None:
    act(conversation, C, 2_000_000_000)
    for number in range(400):
        sequences.note(conversation, C, 3 * number)

    dialog = Dialog.objects.get()
    assert not sequences.has_gap_before(conversation, C, 1_000_000_000)
    assert len(dialog.missing) <= 100
    assert len(dialog.ahead) <= 101
