"""Saying something as the consumer, to see that the way is open: from a consumer's page and from a conversation's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from unfold.widgets import UnfoldAdminTextareaWidget

from access.admin_deeds import Deed, OptionalReasonForm, Told
from conversations.models import Consumer, Conversation
from conversations.services import trying
from core.actor import Actor
from core.ids import new_id


class TryForm(OptionalReasonForm):
    text = forms.CharField(
        label="What to say",
        max_length=trying.LONGEST,
        initial="Is anybody there?",
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        help_text=f"Goes out with “{trying.TAG}” in front of it.",
    )
    once = forms.UUIDField(initial=new_id, widget=forms.HiddenInput)
    field_order = ("text", "reason")


def _consumer_of(row: Consumer | Conversation) -> Consumer:
    return row.consumer if isinstance(row, Conversation) else row


def _say(row: Consumer | Conversation, given: dict[str, Any], actor: Actor) -> Told:
    consumer_id = _consumer_of(row).pk
    trying.say_as_consumer(
        consumer_id=consumer_id, text=given["text"], once=given["once"], actor=actor, reason=given["reason"]
    )
    return Told(sentence="Queued behind what the consumer has said. Its timeline tells how it goes.")


def _who_sees_it(row: Consumer | Conversation) -> Sequence[tuple[str, str]]:
    consumer = _consumer_of(row)
    reach = trying.reach_of(consumer)
    if reach.is_local:
        seen = f"No. Account {reach.account} is of the LivePerson that is simulated on this machine."
    else:
        seen = f"YES. It goes to LivePerson, account {reach.account}, as if the consumer had written it."
    joins = "It joins the open conversation." if reach.conversation else "It opens a new conversation."
    answer = f"What is answered goes to the consumer on {consumer.channel.name}, as always."
    return [("Seen by a real agent", seen), ("Conversation", joins), ("Answers", answer)]


TEST_MESSAGE = Deed(
    name="test-message",
    label="Send a test message",
    icon="science",
    explain="Says something to LivePerson as this consumer. It is marked as a test here and in its words, and takes "
    "its turn behind what the consumer has said.",
    run=_say,
    offered=lambda row: (
        _consumer_of(row).erased_at is None and not _consumer_of(row).is_blocked and getattr(row, "is_open", True)
    ),
    form=TryForm,
    facts=_who_sees_it,
)

__all__ = ["TEST_MESSAGE"]
