"""Dispatches and their attempts, made ready for pages: how they stand, what went wrong, what is in doubt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.urls import reverse

from conversations.admin_requests import request_of
from conversations.models import (
    Attempt,
    Dispatch,
    DispatchState,
    Outcome,
)

_SETTLED_BY = {
    "answer": "the answer",
    "echo": "its echo",
    "report": "the channel’s report",
    "person": "a person",
    "erasure": "the erasure of its consumer",
}


@dataclass(frozen=True, kw_only=True)
class Tried:
    """One attempt. tone: good, wait or bad."""

    row: Attempt
    tone: str
    word: str
    request: str


@dataclass(frozen=True, kw_only=True)
class Sent:
    """One dispatch. attempts: where they were read already."""

    row: Dispatch
    tone: str
    url: str
    attempts: Sequence[Attempt] | None = None

    @property
    def tries(self) -> list[Tried]:
        """Its attempts, oldest first."""
        known = self.row.attempts.all() if self.attempts is None else self.attempts
        return [tried_of(attempt, self.row) for attempt in sorted(known, key=lambda one: one.pk)]

    @property
    def settled_by(self) -> str:
        """What brought it to its end; empty while it has none."""
        return _SETTLED_BY.get(self.row.resolution, self.row.resolution)


def sent_of(dispatch: Dispatch, *, attempts: Sequence[Attempt] | None = None) -> Sent:
    """A dispatch made ready for a page."""
    return Sent(
        row=dispatch,
        attempts=attempts,
        tone=tone_of(dispatch.state),
        url=reverse("admin:conversations_dispatch_change", args=[dispatch.pk]),
    )


def tried_of(attempt: Attempt, dispatch: Dispatch) -> Tried:
    """An attempt made ready for its page."""
    if attempt.outcome == Outcome.ACCEPTED:
        tone = "good"
    else:
        tone = "bad" if attempt.outcome == Outcome.REJECTED else "wait"
    word = attempt.get_outcome_display() or ("Under way" if attempt.finished_at is None else "Ended")
    return Tried(row=attempt, tone=tone, word=word, request=request_of(dispatch, attempt.step))


def tone_of(state: str) -> str:
    """The colour of a dispatch's state."""
    tones = {"SENT": "good", "UNKNOWN": "wait", "PARKED": "bad", "DEAD": "bad", "FAILED": "bad"}
    return tones.get(state, "plain")


def trouble_of(dispatch: Dispatch) -> str:
    """What is to be said of one that did not simply arrive; nothing of the others."""
    if dispatch.error_code == "consumer_blocked":
        return "Not carried: the consumer was blocked when it came."
    to = "LivePerson" if dispatch.step != "SEND" else "the channel"
    detail = f" {dispatch.error_detail}" if dispatch.error_detail else ""
    return {
        DispatchState.UNKNOWN: f"Whether it reached {to} is not known yet; what comes after it waits.{detail}",
        DispatchState.PARKED: f"Gap: nobody knows whether it reached {to}, and what came after it went on."
        f" It waits for a person.{detail}",
        DispatchState.DEAD: f"Gap: it was given up after {_tries(dispatch)}.{detail}",
        DispatchState.FAILED: f"Gap: it was not taken.{detail}",
        DispatchState.DROPPED: "Gap: it was dropped.",
    }.get(DispatchState(dispatch.state), "")


def _tries(dispatch: Dispatch) -> str:
    return "1 try" if dispatch.attempt_count == 1 else f"{dispatch.attempt_count} tries"


def doubt_of(dispatch: Dispatch) -> str:
    """What is to be said where it may have arrived twice; nothing where it has not."""
    if dispatch.duplicate_seen_at is not None:
        return "It arrived twice: it was sent again in doubt, and the first try turned up after all."
    if dispatch.possible_duplicate:
        return "It may stand there twice: it was sent again without knowing what became of the first try."
    return ""
