"""From a dispatch to what is said: the call to LivePerson, or the signal for a channel's adapter."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any

from conversations.calls import Brought
from conversations.media import link_to
from conversations.models import Consumer, ConversationState, Dispatch, DispatchKind, Message
from conversations.profiles import build_profile
from conversations.texts import part_of
from core.events import AgentMessage, AgentRead, AgentTyping, Attachment, ConversationEnded, QuickReply, Signal
from installations.connectors import Connector
from liveperson.client import Accepted, LivePersonClient, Tokens

_ROLES = {"AGENT": "bot", "CONTROLLER": "system"}


# Towards LivePerson


def liveperson_call(dispatch: Dispatch, connector: Connector, tokens: Tokens) -> partial[Brought]:
    """The call that publishes a dispatch in the conversation and dialog that were chosen for it."""
    assert dispatch.conversation is not None
    place = {
        "tokens": tokens,
        "request_id": dispatch.pk.hex,
        "conversation_id": dispatch.conversation.lp_conversation_id,
        "dialog_id": dispatch.lp_dialog_id,
    }
    return partial(_publish, _SAY[dispatch.kind](dispatch, connector.client, place))


def _publish(say: Callable[[], Accepted | None]) -> Brought:
    accepted = say()
    return Brought(sequence=accepted.sequence if accepted else None)


Say = Callable[[], Accepted | None]


def _say_text(dispatch: Dispatch, client: LivePersonClient, place: dict[str, Any]) -> Say:
    text = part_of(_message(dispatch).content.text, dispatch.payload["part"])
    return partial(client.publish_text, text=text, metadata=_message(dispatch).content.metadata or None, **place)


def _say_file(dispatch: Dispatch, client: LivePersonClient, place: dict[str, Any]) -> Say:
    return partial(
        client.publish_file,
        relative_path=dispatch.progress["relative_path"],
        file_type=dispatch.progress["file_type"],
        caption=dispatch.progress.get("name", ""),
        **place,
    )


def _say_typing(dispatch: Dispatch, client: LivePersonClient, place: dict[str, Any]) -> Say:
    # COMPOSING is sticky: any other state ends it.
    return partial(client.publish_chat_state, chat_state="COMPOSING" if dispatch.payload["on"] else "PAUSE", **place)


def _say_receipt(dispatch: Dispatch, client: LivePersonClient, place: dict[str, Any]) -> Say:
    return partial(
        client.publish_accept_status,
        status=dispatch.payload["status"],
        sequences=tuple(dispatch.payload["sequences"]),
        metadata=dispatch.payload.get("metadata"),
        **place,
    )


def _say_close(dispatch: Dispatch, client: LivePersonClient, place: dict[str, Any]) -> Say:
    assert dispatch.conversation is not None
    # During a survey the main dialog is closed already: who leaves it ends the whole.
    is_survey = dispatch.conversation.state == ConversationState.SURVEY
    return partial(
        client.close_stage if is_survey else client.close_conversation,
        tokens=place["tokens"],
        request_id=place["request_id"],
        conversation_id=place["conversation_id"],
    )


def _say_profile(dispatch: Dispatch, client: LivePersonClient, place: dict[str, Any]) -> Say:
    return partial(
        client.update_profile,
        tokens=place["tokens"],
        request_id=place["request_id"],
        profile=build_profile(dispatch.consumer),
    )


_SAY: dict[str, Callable[[Dispatch, LivePersonClient, dict[str, Any]], Say]] = {
    DispatchKind.TEXT: _say_text,
    DispatchKind.FILE: _say_file,
    DispatchKind.TYPING: _say_typing,
    DispatchKind.RECEIPT: _say_receipt,
    DispatchKind.CLOSE: _say_close,
    DispatchKind.PROFILE: _say_profile,
}


# Towards a channel


def channel_signal(dispatch: Dispatch, consumer: Consumer, connector: Connector) -> Signal:
    """What the channel's adapter is to send; its id is the dispatch's id, the same over retries."""
    common: dict[str, Any] = {
        "id": str(dispatch.pk),
        "conversation_id": str(dispatch.conversation_id or ""),
        "consumer_id": consumer.channel_consumer_id,
        "occurred_at": dispatch.message.occurred_at if dispatch.message else dispatch.created_at,
    }
    if dispatch.kind == DispatchKind.TYPING:
        return AgentTyping(on=dispatch.payload["on"], **common)
    if dispatch.kind == DispatchKind.RECEIPT:
        return AgentRead(message_ids=tuple(dispatch.payload["message_ids"]), **common)
    if dispatch.kind == DispatchKind.CLOSE:
        return ConversationEnded(reason=dispatch.payload["reason"], **common)
    parts = connector.adapter.plan(agent_message(_message(dispatch), **common))
    return dataclasses.replace(parts[dispatch.payload["part"]], id=common["id"])


def agent_message(message: Message, **common: Any) -> AgentMessage:
    """An agent's message as adapters know it, its files as links of ours."""
    content = message.content
    files = {file.index: file for file in message.files.all()} if content.attachments else {}
    return AgentMessage(
        role=_ROLES.get(message.sender_role, "agent"),
        text=content.text,
        quick_replies=tuple(QuickReply(**choice) for choice in content.quick_replies),
        content=content.element,
        attachments=tuple(
            Attachment(
                url=link_to(files[index].pk),
                mime=files[index].mime,
                name=files[index].name,
                caption=content.attachments[index].get("caption", ""),
            )
            for index in range(len(content.attachments))
            if index in files
        ),
        **common,
    )


def _message(dispatch: Dispatch) -> Message:
    assert dispatch.message is not None
    return dispatch.message
