"""LivePerson's notifications about one conversation, and the signature that goes with them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Any

AGENT = "agent-77"
START_MS = int(time.time() * 1000) - 600_000  # ten minutes ago: what is days old is refused
MESSAGING = "ms.MessagingEventNotification"
CONVERSATION = "cqm.ExConversationChangeNotification"


def encode(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def sign(body: bytes, secret: str, *, algorithm: str = "sha1", encoding: str = "base64") -> str:
    digest = hmac.new(secret.encode(), body, getattr(hashlib, algorithm)).digest()
    return f"{algorithm}={base64.b64encode(digest).decode() if encoding == 'base64' else digest.hex()}"


def notification(*changes: dict[str, Any], type: str = MESSAGING) -> bytes:
    return encode({"kind": "notification", "body": {"changes": list(changes)}, "type": type})


def event(
    conversation: str,
    sequence: int | None,
    event: dict[str, Any],
    *,
    role: str = "ASSIGNED_AGENT",
    who: str = AGENT,
    dialog: str = "",
    **more: Any,
) -> dict[str, Any]:
    change = {
        "originatorId": who,
        "originatorMetadata": {"id": who, "role": role},
        "event": event,
        "conversationId": conversation,
        "dialogId": dialog or conversation,
        **more,
    }
    if sequence is not None:
        change |= {"sequence": sequence, "serverTimestamp": START_MS + sequence}
    return change


def said(conversation: str, sequence: int, text: str, **more: Any) -> dict[str, Any]:
    return event(conversation, sequence, {"type": "ContentEvent", "contentType": "text/plain", "message": text}, **more)


def receipt(conversation: str, sequence: int, status: str, *sequences: int, **more: Any) -> dict[str, Any]:
    content = {"type": "AcceptStatusEvent", "status": status, "sequenceList": list(sequences)}
    return event(conversation, sequence, content, **more)


def typed(conversation: str, state: str, **more: Any) -> dict[str, Any]:
    return event(conversation, None, {"type": "ChatStateEvent", "chatState": state}, **more)


def changed(
    conversation: str,
    *,
    consumer: str,
    at: int = 0,
    state: str = "OPEN",
    stage: str = "OPEN",
    client_id: str = "",
    dialogs: list[dict[str, Any]] | None = None,
    **details: Any,
) -> dict[str, Any]:
    """at: milliseconds after the start."""
    main = {"dialogId": conversation, "dialogType": "MAIN", "channelType": "MESSAGING", "state": state}
    if client_id:
        main["metaData"] = {"appInstallId": client_id}
    return {
        "type": "UPSERT",
        "result": {
            "convId": conversation,
            "conversationDetails": {
                "participants": [{"id": consumer, "role": "CONSUMER"}],
                "dialogs": [main] if dialogs is None else dialogs,
                "state": state,
                "stage": stage,
                "startTs": START_MS,
                "metaDataLastUpdateTs": START_MS + at,
                "skillId": "-1",
                **details,
            },
        },
    }


def conversation_notification(*changes: dict[str, Any]) -> bytes:
    return notification(*changes, type=CONVERSATION)
