"""
What a participant did in a dialog: the changes of `ms.MessagingEventNotification`, read one at a time.

Rules and identities: webhooks/parsers.py, which hands over changes whose `event.type` it has seen.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from core.errors import BodyUnusable
from core.events import (
    AcceptStatusChanged,
    Attachment,
    ChatStateChanged,
    ContentPublished,
    DialogEvent,
    Json,
    RichContentPublished,
)
from core.wire import (
    as_list,
    canonical,
    optional_id,
    require_object,
    require_sequence,
    require_word,
    storable,
    storable_tree,
    time_from_ms,
)
from webhooks.rich_content import flatten

MAX_SEQUENCES = 10_000

_MIME_TYPES = {
    "PNG": "image/png",
    "JPG": "image/jpeg",
    "JPEG": "image/jpeg",
    "GIF": "image/gif",
    "PDF": "application/pdf",
    "DOCX": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "PPTX": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "XLSX": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "MP3": "audio/mpeg",
    "MP4": "video/mp4",
    "TXT": "text/plain",
}


def _parse_content(change: Json) -> ContentPublished:
    event, facts = change["event"], _stored_event(change)
    content_type = _content_type(event)
    said: dict[str, Any] = {}
    evidence: Any = None
    if content_type == "text/plain":
        said["text"] = _text(event.get("message"), role=facts["role"])
        key = f"{facts['lp_dialog_id']}:{facts['sequence']}"
        said["quick_replies"] = tuple(flatten(None, event.get("quickReplies"), event_key=key).quick_replies)
    elif content_type == "hosted/file":
        said["attachment"] = _hosted_file(event.get("message"))
    else:
        # A form's answers or a file elsewhere: told apart by a digest, never looked at, never carried.
        said["unsupported"] = content_type
        evidence = hashlib.sha256(canonical(event.get("message"))).hexdigest()
    metadata = _metadata(change)
    content = _content(facts, said, metadata, evidence)
    return ContentPublished(**facts, content=content, **said, metadata=metadata)


def _parse_rich_content(change: Json) -> RichContentPublished:
    event, facts = change["event"], _stored_event(change)
    # An older schema calls the tree `message`.
    tree = event.get("content") if event.get("content") is not None else event.get("message")
    element = storable_tree(require_object(tree, field="event.content"))
    key = f"{facts['lp_dialog_id']}:{facts['sequence']}"
    flat = flatten(element, event.get("quickReplies"), event_key=key)
    metadata = _metadata(change)
    choices = tuple(flat.quick_replies)
    content = _content(facts, {"element": element, "quick_replies": choices}, metadata, None)
    return RichContentPublished(
        **facts, content=content, element=element, text=flat.text, quick_replies=choices, metadata=metadata
    )


def _parse_accept_status(change: Json) -> AcceptStatusChanged:
    event, facts = change["event"], _stored_event(change)
    status = require_word(event.get("status"), field="event.status").upper()
    if event.get("sequenceList") is None:
        raise BodyUnusable("event.sequenceList is missing.", field="event.sequenceList")
    listed = as_list(event["sequenceList"])
    if len(listed) > MAX_SEQUENCES:
        raise BodyUnusable(f"event.sequenceList holds more than {MAX_SEQUENCES} numbers.", field="event.sequenceList")
    sequences = tuple(dict.fromkeys(require_sequence(number, field="event.sequenceList") for number in listed))
    content = _content(facts, {"status": status, "sequences": sequences}, [], None)
    return AcceptStatusChanged(**facts, content=content, status=status, sequences=sequences)


def _parse_chat_state(change: Json) -> ChatStateChanged:
    event, facts = change["event"], _dialog_event(change)
    chat_state = require_word(event.get("chatState"), field="event.chatState", most=32).upper()
    identity = f"t:{facts['lp_dialog_id']}:{facts['originator_id']}:{chat_state}"
    content = _content(facts, {"chat_state": chat_state}, [], None)
    return ChatStateChanged(**facts, identity=identity, content=content, sequence=None, chat_state=chat_state)


DIALOG_EVENTS: dict[str, Callable[[Json], DialogEvent]] = {
    "ContentEvent": _parse_content,
    "RichContentEvent": _parse_rich_content,
    "AcceptStatusEvent": _parse_accept_status,
    "ChatStateEvent": _parse_chat_state,
}


def _dialog_event(change: Json) -> dict[str, Any]:
    """What every event in a dialog tells."""
    conversation_id = optional_id(change.get("conversationId"), field="conversationId")
    dialog_id = optional_id(change.get("dialogId"), field="dialogId")
    if not (conversation_id or dialog_id):
        raise BodyUnusable("dialogId is missing.", field="dialogId")
    originator = change.get("originatorMetadata")
    originator = {} if originator is None else require_object(originator, field="originatorMetadata")
    audience = change.get("messageAudience")
    return {
        "type": require_word(change["event"].get("type"), field="event.type"),
        # The main dialog has the id of its conversation, so either stands for both.
        "lp_conversation_id": conversation_id or dialog_id,
        "lp_dialog_id": dialog_id or conversation_id,
        "originator_id": optional_id(change.get("originatorId"), field="originatorId")
        or optional_id(originator.get("id"), field="originatorMetadata.id"),
        # Without a role nobody can tell the consumer's own echo from an answer: unreadable rather than guessed.
        "role": require_word(originator.get("role"), field="originatorMetadata.role").upper(),
        "server_at": time_from_ms(change.get("serverTimestamp")),
        "audience": "ALL" if audience is None else require_word(audience, field="messageAudience").upper(),
    }


def _stored_event(change: Json) -> dict[str, Any]:
    """The same for events that LivePerson stores and numbers."""
    facts = _dialog_event(change)
    sequence = require_sequence(change.get("sequence"), field="sequence")
    return {**facts, "sequence": sequence, "identity": f"c:{facts['lp_dialog_id']}:{sequence}:{facts['type']}"}


def _content(facts: Json, said: Json, metadata: list[Json], evidence: Any) -> bytes:
    """
    Canonical bytes of what an event says.

    Left out is what may differ when the same event comes again: times, and the conversation id, which some
    notifications omit.
    """
    who = {name: facts[name] for name in ("type", "originator_id", "role", "audience")}
    return canonical([who, {name: _plain(value) for name, value in said.items()}, metadata, evidence])


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value if isinstance(value, (str, int, dict, list)) else vars(value)


def _content_type(event: Json) -> str:
    named = event.get("contentType")
    if named is None:
        return "text/plain"
    return require_word(named, field="event.contentType", most=256).partition(";")[0].strip().lower()


def _text(message: Any, *, role: str) -> str:
    if isinstance(message, (int, float)) and not isinstance(message, bool):
        message = str(message)
    if message is None:
        raise BodyUnusable("event.message is missing.", field="event.message")
    if not isinstance(message, str):
        raise BodyUnusable("event.message must be text.", field="event.message")
    # The agents' workspace leaves a line break behind; the consumer's echo is compared with what was sent.
    return storable(message) if role == "CONSUMER" else storable(message).rstrip()


def _hosted_file(message: Any) -> Attachment:
    file = require_object(message, field="event.message")
    path = file.get("relativePath")
    if not isinstance(path, str) or not path or len(path) > 2048 or not path.isprintable():
        raise BodyUnusable("event.message.relativePath is missing or not a path.", field="event.message.relativePath")
    file_type = file.get("fileType")
    file_type = "" if file_type is None else require_word(file_type, field="event.message.fileType").upper()
    caption = file.get("caption")
    return Attachment(
        relative_path=path,
        mime=_MIME_TYPES.get(file_type, ""),
        name=path.rpartition("/")[2][-128:],
        caption=storable(caption) if isinstance(caption, str) else "",
        file_type=file_type,
    )


def _metadata(change: Json) -> list[Json]:
    return [storable_tree(item) for item in as_list(change.get("metadata")) if isinstance(item, dict)]
