"""Rows for lists to be walked through."""

from __future__ import annotations

from django.utils import timezone

from conversations.models import Message
from core.ids import new_id
from tests.factories import World


def add_messages(world: World, statuses: list[str], *, first: int = 0) -> list[Message]:
    """Messages from the agent, oldest first."""
    rows = [
        Message(
            id=new_id(), brand=world.brand, consumer=world.consumer, conversation=world.conversation,
            channel=world.channel, direction="TO_CHANNEL", sender_role="ASSIGNED_AGENT", status=status,
            lp_dialog_id="walked", lp_sequence=number, occurred_at=timezone.now(),
        )
        for number, status in enumerate(statuses, start=first)
    ]  # fmt: skip
    return Message.objects.bulk_create(rows)
