"""Conversations themselves: what consumers and agents do to them, each act announced to the webhooks."""

from typing import Any
from uuid import NAMESPACE_URL, uuid4, uuid5

from . import survey
from .delivery import Notifier
from .models import Account, Consumer, Conversation, Dialog, now_ms
from .notifications import (
    CONVERSATION_CHANGE,
    MESSAGING_EVENT,
    chat_state_change,
    conversation_change,
    event_change,
)
from .state import State

AUTO_MESSAGE_WITHIN_MS = 10_000
AUTO_MESSAGE = "Welcome! One of our agents will be with you shortly."
TTR_SECONDS = {"URGENT": 300, "PRIORITIZED": 600, "NORMAL": 1800, "CUSTOM": 3600}
STAFF_ROLES = ("ASSIGNED_AGENT", "MANAGER", "AGENT", "CONTROLLER", "READER")


def staff_id(account: Account, role: str) -> str:
    """One person or bot per role and account is enough to play every part."""
    return str(uuid5(NAMESPACE_URL, f"staff/{account.id}/{role}"))


class Messaging:
    """LivePerson's messaging service, as far as a connector can see it."""

    def __init__(self, *, state: State, notifier: Notifier) -> None:
        self._state = state
        self._notifier = notifier

    # -- conversations

    def open(
        self, account: Account, consumer: Consumer, *, client_id: str, ttr_type: str = "NORMAL", skill_id: str = "-1",
        campaign: dict[str, Any] | None = None, context: dict[str, Any] | None = None, features: list[str],
        client_properties: dict[str, Any],
    ) -> Conversation:  # fmt: skip
        at = now_ms()
        conversation_id = str(uuid4())
        value_s = TTR_SECONDS[ttr_type]
        person = {"id": consumer.lp_id, "role": "CONSUMER"}
        conversation = Conversation(
            id=conversation_id,
            account=account.id,
            ext_consumer_id=consumer.ext_id,
            lp_consumer_id=consumer.lp_id,
            client_id=client_id,
            started_ms=at,
            updated_ms=at,
            skill_id=skill_id,
            ttr={"ttrType": ttr_type, "value": value_s},
            effective_ttr_ms=at + value_s * 1000,
            campaign=campaign,
            context=context,
            features=features,
            client_properties=client_properties,
            participants=[person],
            dialogs=[
                Dialog(
                    id=conversation_id,
                    type="MAIN",
                    created_ms=at,
                    app_install_id=client_id,
                    participants=[{**person, "state": "ACTIVE"}],
                    updated_ms=at,
                )
            ],
        )
        self._state.save_conversation(account, conversation)
        self._announce(account, conversation)
        return conversation

    def changed(self, account: Account, conversation: Conversation, *, dialog: Dialog | None = None) -> None:
        """Save what a caller changed on the conversation and send its complete state."""
        conversation.updated_ms = max(now_ms(), conversation.updated_ms + 1)
        (dialog or conversation.main).updated_ms = conversation.updated_ms
        self._state.save_conversation(account, conversation)
        self._announce(account, conversation)

    def saved(self, account: Account, conversation: Conversation) -> None:
        """Save what webhooks do not show."""
        self._state.save_conversation(account, conversation)

    def _announce(self, account: Account, conversation: Conversation) -> None:
        self._notifier.emit(
            account,
            key=CONVERSATION_CHANGE,
            wire_type=CONVERSATION_CHANGE,
            conversation=conversation.id,
            changes=[conversation_change(conversation)],
        )

    # -- events

    def publish(
        self, account: Account, conversation: Conversation, *, dialog_id: str, role: str, originator_id: str,
        events: list[dict[str, Any]], metadata: list[Any] | None = None, audience: str = "ALL",
    ) -> list[int]:  # fmt: skip
        """Store events of one kind under their sequences and send them in one notification; return the sequences."""
        stored = [
            self._store(
                conversation,
                {
                    "dialogId": dialog_id,
                    "sequence": conversation.next_sequence.get(dialog_id, 0),
                    "role": role,
                    "originatorId": originator_id,
                    "at": now_ms(),
                    "audience": audience,
                    "event": event,
                    **({} if metadata is None else {"metadata": metadata}),
                },
            )
            for event in events
        ]
        self._follow_response_time(account, conversation, role=role, kind=events[0]["type"])
        if role != "CONSUMER" or account.switches["echo"]:
            self._notifier.emit(
                account,
                key=f"{MESSAGING_EVENT}.{events[0]['type']}",
                wire_type=MESSAGING_EVENT,
                conversation=conversation.id,
                changes=[event_change(conversation, event) for event in stored],
            )
        return [event["sequence"] for event in stored]

    def _store(self, conversation: Conversation, event: dict[str, Any]) -> dict[str, Any]:
        self._state.add_event(conversation, event)
        return event

    def _follow_response_time(self, account: Account, conversation: Conversation, *, role: str, kind: str) -> None:
        if kind == "AcceptStatusEvent" or conversation.state == "CLOSE":
            return
        pending = conversation.effective_ttr_ms != -1
        if role == "CONSUMER" and not pending:
            conversation.effective_ttr_ms = now_ms() + conversation.ttr["value"] * 1000
        elif role not in ("CONSUMER", "CONTROLLER") and pending:
            conversation.effective_ttr_ms = -1
        else:
            return
        self._state.save_conversation(account, conversation)

    def consumer_content(
        self, account: Account, conversation: Conversation, *, dialog: Dialog, event: dict[str, Any],
        metadata: list[Any] | None,
    ) -> int:  # fmt: skip
        """A message of the consumer, with what the account's bots make of it."""
        sequence = self.publish(
            account,
            conversation,
            dialog_id=dialog.id,
            role="CONSUMER",
            originator_id=conversation.lp_consumer_id,
            events=[event],
            metadata=metadata,
        )[0]
        if dialog.type == "POST_SURVEY":
            survey.answered(self, account, conversation, event=event)
        else:
            self._welcome(account, conversation)
        return sequence

    def _welcome(self, account: Account, conversation: Conversation) -> None:
        if conversation.auto_messaged or not account.switches["auto_messages"]:
            return
        conversation.auto_messaged = True
        self._state.save_conversation(account, conversation)
        in_time = now_ms() - conversation.started_ms <= AUTO_MESSAGE_WITHIN_MS
        if in_time and "AUTO_MESSAGES" in conversation.features:
            self.publish(
                account,
                conversation,
                dialog_id=conversation.id,
                role="CONTROLLER",
                originator_id=staff_id(account, "CONTROLLER"),
                events=[{"type": "ContentEvent", "message": AUTO_MESSAGE, "contentType": "text/plain"}],
            )

    def chat_state(
        self, account: Account, conversation: Conversation, *, dialog_id: str, role: str, originator_id: str, state: str
    ) -> None:
        conversation.chat_states[role] = {"state": state, "at": now_ms()}
        self._state.touch()
        if role == "CONSUMER" and not account.switches["echo"]:
            return
        change = chat_state_change(
            conversation, dialog_id=dialog_id, role=role, originator_id=originator_id, state=state
        )
        self._notifier.emit(
            account,
            key=f"{MESSAGING_EVENT}.ChatStateEvent",
            wire_type=MESSAGING_EVENT,
            conversation=conversation.id,
            changes=[change],
        )

    # -- people coming and going

    def join(self, account: Account, conversation: Conversation, *, role: str = "ASSIGNED_AGENT") -> None:
        person = {"id": staff_id(account, role), "role": role}
        if person in conversation.participants:
            return
        conversation.participants.append(person)
        conversation.main.participants.append({**person, "state": "ACTIVE"})
        conversation.was_assigned = conversation.was_assigned or role == "ASSIGNED_AGENT"
        self.changed(account, conversation)

    def leave(self, account: Account, conversation: Conversation, *, skill_id: str | None) -> None:
        """The agent goes: to another skill, or back to the queue of the present one."""
        for people in (conversation.participants, conversation.main.participants):
            people[:] = [one for one in people if one["role"] != "ASSIGNED_AGENT"]
        if skill_id is not None:
            conversation.skill_id = skill_id
        self.changed(account, conversation)

    # -- closing

    def close_main(
        self, account: Account, conversation: Conversation, *, by: str, cause: str, may_survey: bool
    ) -> None:
        """Close the MAIN dialog, and with it the conversation unless a survey is due."""
        if may_survey and survey.is_due(account, conversation):
            self.close_into_survey(account, conversation, by=by, cause=cause)
        else:
            self.close_all(account, conversation, by=by, cause=cause)

    def close_into_survey(self, account: Account, conversation: Conversation, *, by: str, cause: str) -> None:
        """Close the MAIN dialog; the conversation stays open as a stage while the survey runs."""
        at = max(now_ms(), conversation.updated_ms + 1)
        self._close_dialog(conversation.main, by=by, cause=cause, at=at)
        conversation.state = "CLOSE"
        conversation.close_reason = by
        conversation.effective_ttr_ms = -1
        survey.start(self, account, conversation)

    def close_all(self, account: Account, conversation: Conversation, *, by: str, cause: str) -> None:
        """Close everything that is open, without a survey."""
        at = max(now_ms(), conversation.updated_ms + 1)
        for dialog in conversation.dialogs:
            self._close_dialog(dialog, by=by, cause=cause, at=at)
        conversation.state = "CLOSE"
        conversation.close_reason = conversation.close_reason or by
        conversation.effective_ttr_ms = -1
        conversation.stage = "CLOSE"
        conversation.ended_ms = at
        conversation.chat_states.clear()
        self.changed(account, conversation, dialog=conversation.dialogs[-1])

    @staticmethod
    def _close_dialog(dialog: Dialog, *, by: str, cause: str, at: int) -> None:
        if dialog.state == "OPEN":
            dialog.state, dialog.ended_ms, dialog.closed_by, dialog.closed_cause = "CLOSE", at, by, cause
            dialog.updated_ms = at
