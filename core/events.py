"""
Our own vocabulary of what happens, independent of any wire format.

Parsers and adapters translate wire formats into these; services understand nothing else. Times are aware datetimes in
UTC or None where the sender gave none that can be represented.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

Json = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Attachment:
    """A file that travels with a message. Exactly one of `url` and `relative_path` tells where its bytes are."""

    url: str = ""
    relative_path: str = ""  # LivePerson's storage; needs a temporary URL to be read
    mime: str = ""
    name: str = ""
    caption: str = ""
    file_type: str = ""  # LivePerson's upper-case type, such as "PNG"


@dataclass(frozen=True, kw_only=True)
class QuickReply:
    """One choice offered to the consumer; `metadata` goes back to LivePerson verbatim when it is chosen."""

    id: str
    title: str
    text: str
    metadata: list[Json] = field(default_factory=list)


# --- from a channel ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class ConsumerRef:
    """Who wrote on a channel: the provider's own id, and what it tells about the person."""

    id: str
    name: str = ""
    profile: Json = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ChannelEvent:
    """identity: the channel's own id of this event, unique within the channel and its kind of event."""

    identity: str
    consumer: ConsumerRef | None
    occurred_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class ConsumerMessage(ChannelEvent):
    message_id: str
    text: str = ""
    attachments: tuple[Attachment, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ConsumerTyping(ChannelEvent):
    on: bool


@dataclass(frozen=True, kw_only=True)
class ConsumerClosed(ChannelEvent):
    """The consumer ended the conversation on the channel."""


@dataclass(frozen=True, kw_only=True)
class QuickReplyChosen(ChannelEvent):
    message_id: str
    choice: str


@dataclass(frozen=True, kw_only=True)
class MessageStatusReported(ChannelEvent):
    """The channel tells what became of a message that we sent; `message_id` is the id that we sent."""

    message_id: str
    status: Literal["delivered", "read", "failed"]
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class ChannelEventIgnored(ChannelEvent):
    """Authentic, understood, and of no use to us."""

    why: str


# --- from LivePerson --------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class LivePersonEvent:
    """
    One change of a notification.

    identity: what makes it the same event when it arrives again (see webhooks/parsers.py).
    content: canonical bytes of what it says; the same identity with other content is a conflict.
    """

    identity: str
    content: bytes
    type: str  # LivePerson's own name: ContentEvent, RichContentEvent, AcceptStatusEvent, ChatStateEvent, …
    lp_conversation_id: str
    lp_dialog_id: str


@dataclass(frozen=True, kw_only=True)
class DialogEvent(LivePersonEvent):
    """Something a participant did in a dialog."""

    sequence: int | None
    originator_id: str
    role: str
    server_at: datetime | None
    audience: str  # "ALL" unless LivePerson says otherwise

    @property
    def is_from_consumer(self) -> bool:
        return self.role == "CONSUMER"


@dataclass(frozen=True, kw_only=True)
class ContentPublished(DialogEvent):
    """A text or a file. `unsupported` holds the contentType of what we cannot carry (forms, external files)."""

    text: str = ""
    attachment: Attachment | None = None
    quick_replies: tuple[QuickReply, ...] = ()
    unsupported: str = ""
    metadata: list[Json] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class RichContentPublished(DialogEvent):
    """Structured content: the element tree as it came, a flat text for channels without it, and the choices in it."""

    element: Json
    text: str
    quick_replies: tuple[QuickReply, ...] = ()
    metadata: list[Json] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class AcceptStatusChanged(DialogEvent):
    status: str  # ACCEPT, READ, ACCESS, NACK, ACTION
    sequences: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class ChatStateChanged(DialogEvent):
    chat_state: str


@dataclass(frozen=True, kw_only=True)
class DialogState:
    lp_dialog_id: str
    type: str  # MAIN, POST_SURVEY, OTHER
    channel_type: str
    is_open: bool
    app_install_id: str
    closed_by: str = ""


@dataclass(frozen=True, kw_only=True)
class ConversationChanged(LivePersonEvent):
    """The complete state of a conversation; `updated_at_ms` is LivePerson's metaDataLastUpdateTs, 0 when absent."""

    change: str  # UPSERT, DELETE
    updated_at_ms: int
    state_is_open: bool
    stage_is_open: bool
    close_reason: str
    skill_id: str
    started_at: datetime | None
    ended_at: datetime | None
    participants: tuple[tuple[str, str], ...]  # (participant id, role)
    dialogs: tuple[DialogState, ...]

    @property
    def consumer_ids(self) -> tuple[str, ...]:
        return tuple(person for person, role in self.participants if role == "CONSUMER")


@dataclass(frozen=True, kw_only=True)
class EventUnreadable(LivePersonEvent):
    """A change that we cannot make sense of: quarantined, with the reason."""

    why: str


@dataclass(frozen=True, kw_only=True)
class EventUnknown(LivePersonEvent):
    """A change of a type that we do not know: a recorded outcome, not an error."""


# --- towards a channel ------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class AgentMessage:
    """id: our own id of this part; the channel's id for deduplication, the same over retries."""

    id: str
    conversation_id: str
    consumer_id: str
    occurred_at: datetime
    role: str  # "agent", "bot" or "system"
    text: str = ""
    quick_replies: tuple[QuickReply, ...] = ()
    content: Json | None = None
    attachments: tuple[Attachment, ...] = ()


@dataclass(frozen=True, kw_only=True)
class AgentTyping:
    id: str
    conversation_id: str
    consumer_id: str
    occurred_at: datetime
    on: bool


@dataclass(frozen=True, kw_only=True)
class AgentRead:
    """message_ids: the channel's own ids of the messages that the agent read."""

    id: str
    conversation_id: str
    consumer_id: str
    occurred_at: datetime
    message_ids: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ConversationEnded:
    id: str
    conversation_id: str
    consumer_id: str
    occurred_at: datetime
    reason: str


Signal = AgentMessage | AgentTyping | AgentRead | ConversationEnded
