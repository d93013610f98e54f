"""The indexes that lead through consumers, conversations, messages and sends: for lists of the admin and of the API."""

from __future__ import annotations

import uuid
from typing import Any

from django.db.models import QuerySet

from access.newest import Walks, along_each, by
from conversations.selectors import TROUBLED_STATES
from installations.models import Channel


def _channels_of_account(rows: QuerySet[Any], account_id: uuid.UUID) -> list[QuerySet[Any]]:
    """Messages and dispatches know their channel, and an account has a few."""
    return along_each(rows, "channel_id", Channel.objects.filter(account=account_id).values_list("pk", flat=True))


CONSUMER_WALKS = Walks(by={"channel": by("channel_id"), "account": by("account_id")})
CONVERSATION_WALKS = Walks(by={"consumer": by("consumer_id"), "channel": by("channel_id"), "account": by("account_id")})
MESSAGE_WALKS = Walks(
    by={
        "conversation": by("-conversation_id"),
        "consumer": by("consumer_id"),
        "channel": by("channel_id"),
        "account": _channels_of_account,
    }
)
DISPATCH_WALKS = Walks(
    by={
        "message": by("message_id"),
        "conversation": by("conversation_id"),
        "consumer": by("consumer_id"),
        "channel": by("channel_id"),
        "account": _channels_of_account,
    },
    in_brand={"state": TROUBLED_STATES},
)

__all__ = ["CONSUMER_WALKS", "CONVERSATION_WALKS", "DISPATCH_WALKS", "MESSAGE_WALKS"]
