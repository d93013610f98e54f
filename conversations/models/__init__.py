"""What people say to each other, and what must be sent for it."""

from conversations.models.consumers import Consumer, ConsumerToken
from conversations.models.conversations import Conversation, ConversationState, Dialog
from conversations.models.media import MediaFile
from conversations.models.messages import (
    Audience,
    Direction,
    Message,
    MessageContent,
    MessageKind,
    MessageStatus,
    OrderMark,
    RemovedBy,
)
from conversations.models.outbox import Attempt, Dispatch, DispatchKind, DispatchState, Lane, Outcome, Step
from conversations.models.removals import Erasure, Redating, Removed
from conversations.models.usage import Reckoning, RemovedFile, UsageConsumer, UsageCount, UsageStorage, UsageWalk

__all__ = [
    "Attempt",
    "Audience",
    "Consumer",
    "ConsumerToken",
    "Conversation",
    "ConversationState",
    "Dialog",
    "Direction",
    "Dispatch",
    "DispatchKind",
    "DispatchState",
    "Erasure",
    "Lane",
    "MediaFile",
    "Message",
    "MessageContent",
    "MessageKind",
    "MessageStatus",
    "OrderMark",
    "Outcome",
    "Reckoning",
    "Redating",
    "Removed",
    "RemovedBy",
    "RemovedFile",
    "Step",
    "UsageConsumer",
    "UsageCount",
    "UsageStorage",
    "UsageWalk",
]
