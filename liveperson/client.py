"""
Client of LivePerson's Send API: opens conversations and sends everything into them, on behalf of a consumer.

Holds no token and no state; usable from any thread and from a plain shell. Every method makes one request that
matters, and raises one error of core.errors when it did not do what it says: see liveperson/errors.py.

Source: developers.liveperson.com/connector-api-send-api-conversation.html, …-send.html, …-examples.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.http import Answer
from core.wire import MAX_ID_LENGTH, MAX_SEQUENCE
from liveperson.auth import Tokens
from liveperson.errors import error_from_response, json_or_none, unusable
from liveperson.files import FileCalls, TemporaryUrl
from liveperson.profile import ConsumerProfile
from liveperson.send_api import Metadata, request
from liveperson.text import message_fits, split_text, text_event

__all__ = [
    "Accepted",
    "ConsumerProfile",
    "LivePersonClient",
    "Opened",
    "TemporaryUrl",
    "Tokens",
    "message_fits",
    "split_text",
]


@dataclass(frozen=True)
class Opened:
    """The main dialog of the new conversation has the same id."""

    lp_conversation_id: str
    request_id: str


@dataclass(frozen=True)
class Accepted:
    """sequence: LivePerson's number of the stored event in its dialog; receipts name it. 0 for chat states."""

    sequence: int
    request_id: str


class LivePersonClient(FileCalls):
    """The whole Send API. One instance per account and set of features; cheap to make."""

    # --- opening and closing -----------------------------------------------------------------------------------------

    def open_conversation(
        self,
        *,
        tokens: Tokens,
        request_ids: tuple[str, str],
        profile: ConsumerProfile | Mapping[str, Any] | None = None,
        campaign_id: str = "",
        engagement_id: str = "",
        skill_id: str = "",
        context: Mapping[str, Any] | None = None,
        ttr: str = "",
    ) -> Opened:
        """
        Open a conversation, the consumer's profile first.

        request_ids: of the profile and of the opening. context: LivePerson's conversationContext; what it asks for
        where nothing is known is the default. ttr: NORMAL, PRIORITIZED or URGENT.

        Raises ConversationAlreadyOpen when the consumer has one that we may not know.
        """
        opening: dict[str, Any] = {
            "brandId": self.account_id,
            "channelType": "MESSAGING",
            "conversationContext": dict(
                context or {"visitorId": "", "sessionId": "", "interactionContextId": "2", "type": "SharkContext"}
            ),
        }
        if ttr:
            opening["ttrDefName"] = ttr
        if campaign_id and engagement_id:
            opening["campaignInfo"] = {"campaignId": campaign_id, "engagementId": engagement_id}
        if skill_id:
            opening["skillId"] = skill_id
        batch = [
            request(request_ids[0], "userprofile.SetUserProfile", _profile_body(profile)),
            request(request_ids[1], "cm.ConsumerRequestConversation", opening),
        ]
        answer = self._post("conversation", tokens, batch)
        return Opened(_opened_id(answer, request_ids, tokens), request_ids[1])

    def close_conversation(self, *, tokens: Tokens, request_id: str, conversation_id: str) -> None:
        """Close the main dialog; a survey may follow if the brand has one."""
        change = {"field": "ConversationStateField", "conversationState": "CLOSE"}
        self._update(tokens, request_id, conversation_id, change)

    def close_dialog(self, *, tokens: Tokens, request_id: str, conversation_id: str, dialog_id: str) -> None:
        """Close one dialog: the main one to get to the survey, the survey's to leave it."""
        dialog = {"dialogId": dialog_id, "state": "CLOSE", "closedCause": "Closed by consumer"}
        self._update(tokens, request_id, conversation_id, {"field": "DialogChange", "type": "UPDATE", "dialog": dialog})

    def close_stage(self, *, tokens: Tokens, request_id: str, conversation_id: str) -> None:
        """Close the whole conversation, so that no survey follows."""
        self._update(tokens, request_id, conversation_id, {"field": "Stage", "conversationState": "CLOSE"})

    # --- publishing --------------------------------------------------------------------------------------------------

    def publish_text(
        self,
        *,
        tokens: Tokens,
        request_id: str,
        conversation_id: str,
        dialog_id: str,
        text: str,
        metadata: Metadata | None = None,
    ) -> Accepted:
        """Say something as the consumer. metadata: of the button or quick reply that was chosen, verbatim."""
        body = text_event(conversation_id=conversation_id, dialog_id=dialog_id, text=text)
        return self._publish(tokens, request_id, body, metadata)

    def publish_file(
        self,
        *,
        tokens: Tokens,
        request_id: str,
        conversation_id: str,
        dialog_id: str,
        relative_path: str,
        file_type: str,
        caption: str = "",
        preview: str = "",
        metadata: Metadata | None = None,
    ) -> Accepted:
        """
        Show a file that was uploaded before (see liveperson/files.py).

        file_type: PNG, JPG, JPEG, GIF or what else the account allows. preview: a data URI of less than 30 KB.
        """
        message = {"relativePath": relative_path, "fileType": file_type.upper()}
        message |= {"caption": caption} if caption else {}
        message |= {"preview": preview} if preview else {}
        event = {"type": "ContentEvent", "contentType": "hosted/file", "message": message}
        return self._publish(tokens, request_id, _event(conversation_id, dialog_id, event), metadata)

    def publish_chat_state(
        self,
        *,
        tokens: Tokens,
        request_id: str,
        conversation_id: str,
        dialog_id: str,
        chat_state: str,
        metadata: Metadata | None = None,
    ) -> Accepted:
        """
        Tell what the consumer is doing: ACTIVE, INACTIVE, GONE, COMPOSING, PAUSE. COMPOSING lasts until another state
        is sent, and a message does not end it. Not for survey dialogs.
        """
        event = {"type": "ChatStateEvent", "chatState": chat_state}
        return self._publish(tokens, request_id, _event(conversation_id, dialog_id, event), metadata)

    def publish_accept_status(
        self,
        *,
        tokens: Tokens,
        request_id: str,
        conversation_id: str,
        dialog_id: str,
        status: str,
        sequences: Sequence[int],
        metadata: Metadata | None = None,
    ) -> Accepted:
        """
        Tell what became of the agent's events. status: ACCEPT, READ, ACCESS, NACK, or ACTION with the metadata of what
        was pressed. The receipt is a stored event itself and takes a sequence of its own.
        """
        event = {"type": "AcceptStatusEvent", "status": status, "sequenceList": list(sequences)}
        return self._publish(tokens, request_id, _event(conversation_id, dialog_id, event), metadata)

    # --- everything else ---------------------------------------------------------------------------------------------

    def update_profile(self, *, tokens: Tokens, request_id: str, profile: ConsumerProfile | Mapping[str, Any]) -> None:
        """Replace what the agent sees about the consumer."""
        self.send(tokens=tokens, request_id=request_id, type="userprofile.SetUserProfile", body=_profile_body(profile))

    def set_ttr(self, *, tokens: Tokens, request_id: str, conversation_id: str, ttr: str, value_s: int) -> None:
        """How soon an answer is due. ttr: NORMAL, PRIORITIZED, URGENT or CUSTOM."""
        # This one is documented as a list; the others as the bare object.
        self._update(tokens, request_id, conversation_id, [{"field": "TTRField", "ttrType": ttr, "value": value_s}])

    def submit_csat(
        self,
        *,
        tokens: Tokens,
        request_id: str,
        conversation_id: str,
        rate: int,
        resolved: bool,
        status: str = "FILLED",
    ) -> None:
        """
        The legacy satisfaction survey, normally after the close. rate: 1 to 5. status: FILLED, PARTIALLY_FILLED or
        SKIPPED.

        Source: developers.liveperson.com/messaging-window-api-tutorials-legacy-post-conversation-survey-pcs-csat.html
        """
        change = {"field": "CSATRate", "csatRate": rate, "csatResolutionConfirmation": resolved, "status": status}
        self._update(tokens, request_id, conversation_id, change)

    def _publish(self, tokens: Tokens, request_id: str, body: dict[str, Any], metadata: Metadata | None) -> Accepted:
        answer, found = self._sent(tokens, request_id, "ms.PublishEvent", body, metadata)
        sequence = found.get("sequence")
        if body["event"]["type"] == "ChatStateEvent" and sequence is None:
            sequence = 0  # chat states are not stored
        if not isinstance(sequence, int) or isinstance(sequence, bool) or not 0 <= sequence <= MAX_SEQUENCE:
            raise unusable(answer, "it holds no sequence", hide=tokens.secrets)
        return Accepted(sequence, request_id)

    def _update(
        self,
        tokens: Tokens,
        request_id: str,
        conversation_id: str,
        change: dict[str, Any] | list[dict[str, Any]],
    ) -> None:
        body = {"conversationId": conversation_id, "conversationField": change}
        self.send(tokens=tokens, request_id=request_id, type="cm.UpdateConversationField", body=body)


def _event(conversation_id: str, dialog_id: str, event: dict[str, Any]) -> dict[str, Any]:
    return {"dialogId": dialog_id, "conversationId": conversation_id, "event": event}


def _profile_body(profile: ConsumerProfile | Mapping[str, Any] | None) -> dict[str, Any]:
    return dict(profile.as_body()) if isinstance(profile, ConsumerProfile) else dict(profile or {})


def _opened_id(answer: Answer, request_ids: tuple[str, str], tokens: Tokens) -> str:
    """
    The id in the item that has one: LivePerson's own examples answer in another order, and the item's code counts
    whatever the HTTP status.
    """
    payload = json_or_none(answer)
    for item in payload if isinstance(payload, list) else []:
        body = item.get("body") if isinstance(item, dict) and item.get("code") == "OK" else None
        found = body.get("conversationId") if isinstance(body, dict) else None
        if isinstance(found, str) and 0 < len(found) <= MAX_ID_LENGTH and found.isprintable():
            if item.get("reqId") not in request_ids:
                raise unusable(answer, "it names another request", hide=tokens.secrets)
            return found
    raise error_from_response(answer, hide=tokens.secrets)
