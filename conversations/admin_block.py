"""What a person can do about a consumer who must not reach the agents."""

from __future__ import annotations

from typing import Any

from access.admin_deeds import Deed, ReasonForm, Told
from conversations.models import Consumer
from conversations.services import blocks
from core.actor import Actor


def _block(row: Consumer, given: dict[str, Any], actor: Actor) -> Told:
    blocks.block_consumer(consumer_id=row.pk, actor=actor, reason=given["reason"])
    return Told(sentence="Blocked: what this consumer writes from now on is stored here, and goes no further.")


def _unblock(row: Consumer, given: dict[str, Any], actor: Actor) -> Told:
    blocks.unblock_consumer(consumer_id=row.pk, actor=actor, reason=given["reason"])
    return Told(sentence="Unblocked: what this consumer writes from now on goes to LivePerson again.")


BLOCK = Deed(
    name="block",
    label="Block",
    icon="block",
    explain="What the consumer writes from now on is stored and shown here, and not carried to LivePerson: no agent "
    "sees it. What was said before goes on, and agents can still answer in a conversation that is open; close it to "
    "end that. The consumer is not told. Do not name the person in the reason: it stays.",
    run=_block,
    offered=lambda row: not row.is_blocked and row.erased_at is None,
    form=ReasonForm,
    tone="danger",
)
UNBLOCK = Deed(
    name="unblock",
    label="Unblock",
    icon="undo",
    explain="What the consumer writes after it goes to LivePerson. What was written meanwhile stays here.",
    run=_unblock,
    offered=lambda row: row.is_blocked,
    form=ReasonForm,
    tone="main",
)

__all__ = ["BLOCK", "UNBLOCK"]
