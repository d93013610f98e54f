"""What a person can do to a consumer: hold everything of theirs, or erase it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from access.admin_deeds import Deed, ReasonForm, Told
from access.rules import Verb
from conversations.models import Consumer
from conversations.services import erasure, holds
from core.actor import Actor


def _hold(row: Consumer, given: dict[str, Any], actor: Actor) -> Told:
    holds.hold_consumer(consumer_id=row.pk, actor=actor, reason=given["reason"])
    return Told(sentence="Held: nothing of this consumer is removed until the hold is lifted.")


def _lift(row: Consumer, given: dict[str, Any], actor: Actor) -> Told:
    holds.lift_hold_of_consumer(consumer_id=row.pk, actor=actor, reason=given["reason"])
    return Told(sentence="The hold is lifted: what is past its day is removed within the hour.")


def _erase(row: Consumer, given: dict[str, Any], actor: Actor) -> Told:
    erasure.erase_consumer(consumer_id=row.pk, actor=actor, reason=given["reason"])
    return Told(
        sentence="Erased: name, ids, words and files have gone, and nothing is sent any more. Last traces in what "
        "arrived are looked for now; this page says when that has ended."
    )


def words_of(*, messages: int, conversations: int) -> str:
    """How much was said, as the pages that erase or export it put it."""
    several = "message" if messages == 1 else "messages"
    return f"{messages} {several}, in {conversations} conversation{'' if conversations == 1 else 's'}"


def _what_would_go(row: Consumer) -> Sequence[tuple[str, str]]:
    told = erasure.preview(row)
    facts = [
        ("Words of", words_of(messages=told.messages, conversations=told.conversations)),
        ("Files", str(told.files)),
        ("Dropped without being sent", str(told.to_be_sent)),
        ("Also", "name, number, profile, ids and tokens; what arrived from and about this person"),
        ("Stays", "that there were messages, when, and what became of them; this act and its reason"),
    ]
    return [*facts, ("Stands against it", told.obstacle)] if told.obstacle else facts


HOLD = Deed(
    name="hold",
    label="Legal hold",
    icon="gavel",
    explain="Nothing of this consumer is removed while the hold stands: neither when the brand's retention ends, nor "
    "on request.",
    run=_hold,
    offered=lambda row: not row.is_held and row.erased_at is None,
    form=ReasonForm,
    verb=Verb.OWN,
)
LIFT_HOLD = Deed(
    name="lift-hold",
    label="Lift the legal hold",
    icon="lock_open",
    explain="What the brand's retention has ended for is removed after it.",
    run=_lift,
    offered=lambda row: row.is_held,
    form=ReasonForm,
    verb=Verb.OWN,
)
ERASE = Deed(
    name="erase",
    label="Erase this consumer",
    icon="person_remove",
    explain="Removes the person from the whole site. It cannot be taken back. What LivePerson and the channel have "
    "stored themselves stays with them. A message that the person writes later begins a new consumer. Do not name the "
    "person in the reason: it stays.",
    run=_erase,
    offered=lambda row: row.erased_at is None,
    form=ReasonForm,
    verb=Verb.OWN,
    tone="danger",
    facts=_what_would_go,
)
