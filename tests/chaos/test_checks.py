"""What the kit takes for an inversion, and what not."""

from __future__ import annotations

import pytest

from bench.chaos.checks import overtaken
from bench.chaos.ledger import Answer, Sent


def sent(key: str, *attempts: tuple[float, int | None]) -> Sent:
    """Something said, with when each attempt began and how it was answered, half a second later."""
    answers = [Answer(at=at, elapsed_s=0.5, status=status) for at, status in attempts]
    return Sent(key=key, source="channel", consumer="c", url="", body=b"", headers=dict, answers=answers)


FIRST = sent("first", (10.0, 200))
REFUSED_THEN_TAKEN = sent("refused", (5.0, 503), (12.0, 200))
LAST = sent("last", (20.0, 200))


@pytest.mark.parametrize(
    ("arrived", "late"),
    [
        (["first", "refused", "last"], []),
        (["refused", "first", "last"], []),  # both were under way at once
        (["first", "last", "refused"], ["refused"]),
        (["last", "refused", "first"], ["refused", "first"]),
        (["refused", "last", "first", "last"], ["first"]),
        (["first", "somebody else's", "last"], []),
    ],
)
def test_what_was_answered_before_the_other_was_asked_for_has_to_arrive_first(arrived, late):
    assert overtaken(arrived, [FIRST, REFUSED_THEN_TAKEN, LAST]) == late
