"""What people say to each other, and what must be sent for it."""

from conversations.models.consumers import Consumer, ConsumerToken
from conversations.models.conversations import Conversation, ConversationState, Dialog
from conversations.models.media import MediaFile
from conversations.models.messages import Audience, Direction, Message, MessageContent, MessageKind, MessageStatus
from conversations.models.outbox import Attempt, Dispatch, DispatchKind, DispatchState, Lane, Outcome, Step

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
    "Lane",
    "MediaFile",
    "Message",
    "MessageContent",
    "MessageKind",
    "MessageStatus",
    "Outcome",
    "Step",
]
