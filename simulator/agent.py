"""What an agent, a manager, a bot or the system does to a conversation, over the control API or the desk."""

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import survey, swift
from .checks import Check, anything, is_any_text, is_list, is_object, list_of, members, one_of, whole
from .errors import ControlError
from .messaging import STAFF_ROLES, staff_id
from .models import FILE_TYPES, Account, Conversation
from .png import sample_png

if TYPE_CHECKING:
    from .world import World

_AGENT_FILE_MAX = 5 * 1024 * 1024


def _text_or_texts(value: Any) -> str | None:
    return is_any_text(value) and list_of(is_any_text)(value) and "a text or a list of texts"


_SHAPE: dict[str, Check] = {
    "do": anything,
    "text": _text_or_texts,
    "content": is_object,
    "quickReplies": is_object,
    "sequences": list_of(whole(0, 1_000_000_000)),
    "metadata": is_list,
    "role": one_of(*STAFF_ROLES, "SYSTEM"),
}

SAMPLE_CARD: dict[str, Any] = {
    "type": "vertical",
    "tag": "card",
    "elements": [
        {"type": "text", "text": "Parcel 4711", "tag": "title", "style": {"bold": True, "size": "large"}},
        {"type": "text", "text": "in transit", "tag": "subtitle"},
        {
            "type": "button",
            "title": "Redeliver",
            "click": {
                "actions": [{"type": "publishText", "text": "Redeliver please"}],
                "metadata": [{"type": "ExternalId", "id": "btn-redeliver"}],
            },
        },
        {
            "type": "button",
            "title": "Track",
            "click": {"actions": [{"type": "link", "name": "Track", "uri": "https://track.example.test/4711"}]},
        },
    ],
}


@dataclass(frozen=True, slots=True)
class Act:
    world: "World"
    account: Account
    conversation: Conversation
    body: dict[str, Any]

    @property
    def role(self) -> str:
        return self.body.get("role", "ASSIGNED_AGENT")

    @property
    def originator_id(self) -> str:
        return staff_id(self.account, self.role)

    @property
    def texts(self) -> list[str]:
        given = self.body.get("text", "")
        texts: list[str] = given if isinstance(given, list) else [given]
        if not texts or not all(texts):
            raise ControlError("Add a 'text' that is not empty.")
        return texts


def perform(world: "World", account: Account, conversation: Conversation, body: Any) -> dict[str, Any]:
    """Do one act and say what came of it: the sequences it took, and the conversation's state."""
    members(body, _SHAPE, required=("do",), where="the act")
    handler = _ACTS.get(body["do"]) if isinstance(body["do"], str) else None
    if handler is None:
        raise ControlError(f"Give 'do' as one of {', '.join(_ACTS)}.")
    if body.get("role") == "SYSTEM" and body["do"] != "close":
        raise ControlError("Use the role SYSTEM to close only.")
    sequences = handler(Act(world, account, conversation, body)) or []
    return {
        "id": conversation.id,
        "state": conversation.state,
        "stage": conversation.stage,
        "sequences": sequences,
        "sequence": sequences[0] if sequences else None,
    }


# -- what needs an open conversation


def _require_open(act: Act) -> None:
    if act.conversation.state == "CLOSE":
        raise ControlError("Choose an open conversation: this one is closed.")


def _require_part(act: Act) -> None:
    """Whoever acts takes part: an agent who is not in the conversation joins it first."""
    _require_open(act)
    if act.role in ("ASSIGNED_AGENT", "MANAGER", "AGENT"):
        act.world.messaging.join(act.account, act.conversation, role=act.role)


def _publish(act: Act, events: list[dict[str, Any]], *, audience: str = "ALL") -> list[int]:
    return act.world.messaging.publish(
        act.account,
        act.conversation,
        dialog_id=act.conversation.id,
        role=act.role,
        originator_id=act.originator_id,
        events=events,
        metadata=act.body.get("metadata"),
        audience=audience,
    )


def _join(act: Act) -> None:
    _require_part(act)


def _text_events(act: Act) -> list[dict[str, Any]]:
    ending = "\n" if act.account.switches["agent_newline"] and act.role in ("ASSIGNED_AGENT", "MANAGER") else ""
    events: list[dict[str, Any]] = [
        {"type": "ContentEvent", "message": text + ending, "contentType": "text/plain"} for text in act.texts
    ]
    if "quickReplies" in act.body:
        events[-1]["quickReplies"] = act.body["quickReplies"]
    return events


def _say(act: Act) -> list[int]:
    events = _text_events(act)
    _require_part(act)
    return _publish(act, events)


def _whisper(act: Act) -> list[int]:
    events = _text_events(act)
    _require_part(act)
    return _publish(act, events, audience="AGENTS_AND_MANAGERS")


def _rich(act: Act) -> list[int]:
    event: dict[str, Any] = {"type": "RichContentEvent", "content": act.body.get("content", SAMPLE_CARD)}
    if "quickReplies" in act.body:
        event["quickReplies"] = act.body["quickReplies"]
    _require_part(act)
    return _publish(act, [event])


def _file(act: Act) -> list[int]:
    shape = {
        "caption": is_any_text,
        "fileType": one_of(*FILE_TYPES),
        "data": is_any_text,
        "preview": is_any_text,
        "relativePath": is_any_text,
    }
    content = members(act.body.get("content", {}), shape, where="the file's content")
    data, file_type = _file_bytes(content), content.get("fileType", "PNG")
    _require_part(act)
    if "relativePath" in content:
        path = content["relativePath"]
    else:
        stored = swift.keep(act.world, act.account, owner=act.originator_id, file_type=file_type, data=data)
        path = stored.path
    message = {"caption": content.get("caption", ""), "relativePath": path, "fileType": file_type}
    if "preview" in content:
        message["preview"] = content["preview"]
    return _publish(act, [{"type": "ContentEvent", "contentType": "hosted/file", "message": message}])


def _file_bytes(content: dict[str, Any]) -> bytes:
    if "data" not in content:
        return sample_png()
    try:
        data = base64.b64decode(content["data"], validate=True)
    except (binascii.Error, ValueError):
        raise ControlError("Give the file's 'data' in base64.") from None
    if len(data) > _AGENT_FILE_MAX:
        raise ControlError("Send a file of at most 5 MB.")
    return data


def _chat_state(act: Act, state: str) -> None:
    _require_part(act)
    act.world.messaging.chat_state(
        act.account,
        act.conversation,
        dialog_id=act.conversation.id,
        role=act.role,
        originator_id=act.originator_id,
        state=state,
    )


def _typing(act: Act) -> None:
    _chat_state(act, "COMPOSING")


def _stop_typing(act: Act) -> None:
    _chat_state(act, "ACTIVE")


def _receipt(act: Act, status: str) -> list[int]:
    _require_part(act)
    sequences = act.body.get("sequences", _without_receipt(act.conversation, status))
    if not sequences:
        return []
    return _publish(act, [{"type": "AcceptStatusEvent", "status": status, "sequenceList": sequences}])


def _without_receipt(conversation: Conversation, status: str) -> list[int]:
    """Sequences of the consumer's messages that nobody has given this receipt for."""
    content: list[int] = []
    done: set[int] = set()
    for event in conversation.events:
        if event["dialogId"] != conversation.id:
            continue
        kind = event["event"]["type"]
        if event["role"] == "CONSUMER" and kind in ("ContentEvent", "RichContentEvent"):
            content.append(event["sequence"])
        elif event["role"] != "CONSUMER" and event["event"].get("status") in (status, "READ"):
            done.update(event["event"]["sequenceList"])
    return [sequence for sequence in content if sequence not in done]


def _accept(act: Act) -> list[int]:
    return _receipt(act, "ACCEPT")


def _read(act: Act) -> list[int]:
    return _receipt(act, "READ")


def _transfer(act: Act) -> None:
    """To the skill named in `text`, or without one back to the queue."""
    _require_open(act)
    skill_id = act.texts[0] if "text" in act.body else None
    act.world.messaging.leave(act.account, act.conversation, skill_id=skill_id)


def _close(act: Act) -> None:
    """Close as AGENT, or as SYSTEM (auto-close, never a survey); during a survey: end it."""
    by = "SYSTEM" if act.role == "SYSTEM" else "AGENT"
    conversation, messaging = act.conversation, act.world.messaging
    if conversation.stage == "CLOSE":
        raise ControlError("Choose an open conversation: this one is closed.")
    if conversation.state == "CLOSE":
        messaging.close_all(act.account, conversation, by=by, cause="Completed")
    else:
        cause = "Closed by system" if by == "SYSTEM" else "Closed by agent"
        messaging.close_main(act.account, conversation, by=by, cause=cause, may_survey=by == "AGENT")


def _survey(act: Act) -> list[int]:
    """With `text`: let the bot of the running survey say it. Without: close and survey, whatever the switch says."""
    conversation, messaging = act.conversation, act.world.messaging
    dialog = conversation.open_survey
    if "text" in act.body:
        if dialog is None:
            raise ControlError("Start a survey first: send the act without 'text'.")
        texts, replies = act.texts, act.body.get("quickReplies")
        metadata = act.body.get("metadata")
        return [
            survey.say(
                messaging, act.account, conversation, dialog, text=text, quick_replies=replies, metadata=metadata
            )
            for text in texts
        ]
    _require_open(act)
    messaging.close_into_survey(act.account, conversation, by="AGENT", cause="Closed by agent")
    return []


_ACTS: dict[str, Callable[[Act], list[int] | None]] = {
    "join": _join,
    "say": _say,
    "rich": _rich,
    "file": _file,
    "typing": _typing,
    "stop_typing": _stop_typing,
    "accept": _accept,
    "read": _read,
    "whisper": _whisper,
    "transfer": _transfer,
    "close": _close,
    "survey": _survey,
}
