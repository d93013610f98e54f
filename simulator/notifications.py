"""
The bodies of webhook notifications.

Sources: developers.liveperson.com/connector-api-webhooks-notification-protocol.html, …-webhooks-events.html,
…-webhooks-webhooks-examples.html
"""

import json
from typing import Any

from .journal import encode
from .models import Conversation, Dialog, now_ms

CONVERSATION_CHANGE = "cqm.ExConversationChangeNotification"
MESSAGING_EVENT = "ms.MessagingEventNotification"
EVENT_KEYS = (
    CONVERSATION_CHANGE,
    f"{MESSAGING_EVENT}.ContentEvent",
    f"{MESSAGING_EVENT}.RichContentEvent",
    f"{MESSAGING_EVENT}.AcceptStatusEvent",
    f"{MESSAGING_EVENT}.ChatStateEvent",
)

QUIRKS = ("null_metadata", "no_conversation_id", "no_sent_ts", "subscription_id", "unicode_escapes", "chunked")
"""Variants of the same notification that LivePerson has been seen to send, or may."""


def _dialog(dialog: Dialog) -> dict[str, Any]:
    record: dict[str, Any] = {
        "dialogId": dialog.id,
        "dialogType": dialog.type,
        "channelType": "MESSAGING",
        "participantsDetails": dialog.participants,
        "metaData": {"appInstallId": dialog.app_install_id},
        "state": dialog.state,
        "creationTs": dialog.created_ms,
        "metaDataLastUpdateTs": dialog.updated_ms,
    }
    if dialog.state == "CLOSE":
        record |= {"endTs": dialog.ended_ms, "closedBy": dialog.closed_by, "closedCause": dialog.closed_cause}
    return record


def conversation_change(conversation: Conversation, *, kind: str = "UPSERT") -> dict[str, Any]:
    """The complete present state of the conversation: an upsert, never a delta."""
    details: dict[str, Any] = {
        "skillId": conversation.skill_id,
        "participants": conversation.participants,
        "dialogs": [_dialog(dialog) for dialog in conversation.dialogs],
        "brandId": conversation.account,
        "state": conversation.state,
        "stage": conversation.stage,
        "startTs": conversation.started_ms,
        "metaDataLastUpdateTs": conversation.updated_ms,
        "ttr": conversation.ttr,
        "conversationHandlerDetails": {"accountId": conversation.account, "skillId": conversation.skill_id},
    }
    optional = {
        "closeReason": conversation.close_reason,
        "endTs": conversation.ended_ms,
        "csat": conversation.csat,
        "campaignInfo": conversation.campaign,
        "context": conversation.context,
    }
    details |= {name: value for name, value in optional.items() if value is not None}
    result = {
        "convId": conversation.id,
        "effectiveTTR": conversation.effective_ttr_ms,
        "conversationDetails": details,
    }
    return {"type": kind, "result": result}


def event_change(conversation: Conversation, event: dict[str, Any]) -> dict[str, Any]:
    """A stored event (one that has a sequence) as webhooks carry it."""
    change: dict[str, Any] = {
        "sequence": event["sequence"],
        "originatorId": event["originatorId"],
        "originatorMetadata": {"id": event["originatorId"], "role": event["role"]},
        "serverTimestamp": event["at"],
        "event": event["event"],
        "conversationId": conversation.id,
        "dialogId": event["dialogId"],
        "messageAudience": event["audience"],
    }
    if event.get("metadata") is not None:
        change["metadata"] = event["metadata"]
    return change


def chat_state_change(
    conversation: Conversation, *, dialog_id: str, role: str, originator_id: str, state: str
) -> dict[str, Any]:
    """Chat states are transient: neither sequence nor time."""
    return {
        "originatorId": originator_id,
        "originatorMetadata": {"id": originator_id, "role": role},
        "event": {"type": "ChatStateEvent", "chatState": state},
        "conversationId": conversation.id,
        "dialogId": dialog_id,
    }


def _quirky(change: dict[str, Any], quirks: list[str]) -> dict[str, Any]:
    if "event" in change:
        if "null_metadata" in quirks:
            change = {"metadata": None, **change}
        if "no_conversation_id" in quirks:
            change = {name: value for name, value in change.items() if name != "conversationId"}
    return change


def body_of(changes: list[dict[str, Any]], *, wire_type: str, quirks: list[str]) -> bytes:
    """The bytes that are signed and sent: compact JSON, non-ASCII readable unless a quirk asks for escapes."""
    body: dict[str, Any] = {}
    if "no_sent_ts" not in quirks:
        body["sentTs"] = now_ms()
    if "subscription_id" in quirks:
        body["subscriptionId"] = "1"
    body["changes"] = [_quirky(change, quirks) for change in changes] if quirks else changes
    notification = {"kind": "notification", "body": body, "type": wire_type}
    if "unicode_escapes" in quirks:
        return json.dumps(notification, separators=(",", ":")).encode()
    return encode(notification)
