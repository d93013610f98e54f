"""How the control API and the desk show a conversation."""

from typing import Any

from .models import Account, Conversation


def event_view(event: dict[str, Any]) -> dict[str, Any]:
    """A stored event in flat form; `text` is what a person would read, if anything."""
    content = event["event"]
    message = content.get("message")
    view: dict[str, Any] = {
        "dialogId": event["dialogId"],
        "sequence": event["sequence"],
        "role": event["role"],
        "type": content["type"],
        "text": message if isinstance(message, str) else None,
        "at": event["at"],
        "originatorId": event["originatorId"],
        "messageAudience": event["audience"],
        "metadata": event.get("metadata"),
    }
    if isinstance(message, dict):
        view["text"] = message.get("caption") or None
        view["file"] = message
    for name in ("contentType", "status", "sequenceList", "content", "quickReplies"):
        if name in content:
            view[name] = content[name]
    return view


def conversation_view(account: Account, conversation: Conversation) -> dict[str, Any]:
    consumer = account.consumers.get(conversation.ext_consumer_id)
    return {
        "id": conversation.id,
        "state": conversation.state,
        "stage": conversation.stage,
        "consumer": {
            "ext_consumer_id": conversation.ext_consumer_id,
            "lp_consumer_id": conversation.lp_consumer_id,
        },
        "profile": consumer.profile if consumer else {},
        "client_id": conversation.client_id,
        "skillId": conversation.skill_id,
        "ttr": conversation.ttr,
        "closeReason": conversation.close_reason,
        "csat": conversation.csat,
        "campaignInfo": conversation.campaign,
        "conversationContext": conversation.context,
        "features": conversation.features,
        "clientProperties": conversation.client_properties,
        "participants": conversation.participants,
        "dialogs": [
            {"dialogId": one.id, "dialogType": one.type, "state": one.state, "closedBy": one.closed_by}
            for one in conversation.dialogs
        ],
        "chatStates": {role: one["state"] for role, one in conversation.chat_states.items()},
        "startedAt": conversation.started_ms,
        "endedAt": conversation.ended_ms,
        "events": [event_view(event) for event in conversation.events],
    }
