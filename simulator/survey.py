"""
The post conversation survey: a bot that asks two questions in a dialog of its own.

Source: developers.liveperson.com/connector-api-webhooks-webhooks-examples.html
"""

import secrets
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_URL, uuid5

from .models import Account, Conversation, Dialog, now_ms

if TYPE_CHECKING:
    from .messaging import Messaging

QUESTIONS = (
    ("How satisfied were you with our service? 1 is poor, 5 is excellent.", ("1", "2", "3", "4", "5")),
    ("Was your question answered?", ("Yes", "No")),
)
THANKS = "Thank you for your feedback."
_STYLE = {"bold": False, "italic": False, "size": "medium", "color": "#333333", "background-color": "#ffffff",
          "border-color": "#cccccc", "border-radius": 14}  # fmt: skip


def bot_id(account: Account) -> str:
    return str(uuid5(NAMESPACE_URL, f"staff/{account.id}/SURVEY"))


def is_due(account: Account, conversation: Conversation) -> bool:
    announced = "MULTI_DIALOG" in conversation.features
    return bool(account.switches["survey"]) and announced and conversation.was_assigned


def start(messaging: "Messaging", account: Account, conversation: Conversation) -> None:
    """Open the survey dialog beside the closed MAIN dialog and ask the first question."""
    at = max(now_ms(), conversation.updated_ms + 1)
    agent = conversation.participant("ASSIGNED_AGENT")
    people = [{"id": conversation.lp_consumer_id, "role": "CONSUMER"}, {"id": bot_id(account), "role": "AGENT"}]
    if agent:
        people.append({"id": agent["id"], "role": "READER"})
    dialog = Dialog(
        id=secrets.token_urlsafe(16),  # 22 characters, not a UUID
        type="POST_SURVEY",
        created_ms=at,
        app_install_id=str(uuid5(NAMESPACE_URL, "survey-app")),
        participants=people,
        updated_ms=at,
    )
    conversation.dialogs.append(dialog)
    conversation.survey_step = 0
    messaging.changed(account, conversation, dialog=dialog)
    _ask(messaging, account, conversation, dialog)


def _ask(messaging: "Messaging", account: Account, conversation: Conversation, dialog: Dialog) -> None:
    text, choices = QUESTIONS[conversation.survey_step]
    question_id = f"q-{conversation.survey_step + 1}"
    question = {
        "type": "Question",
        "id": question_id,
        "surveyId": dialog.id,
        "provider": "AC",
        "replies": [{"id": f"a-{number}", "text": choice} for number, choice in enumerate(choices, 1)],
    }
    say(messaging, account, conversation, dialog, text=text, quick_replies=_replies(question_id, choices),
        metadata=[question])  # fmt: skip


def _replies(question_id: str, choices: tuple[str, ...]) -> dict[str, Any]:
    return {
        "type": "quickReplies",
        "itemsPerRow": 8,
        "replies": [
            {
                "type": "button",
                "title": choice,
                "tooltip": choice,
                "style": _STYLE,
                "click": {
                    "metadata": [{"type": "Answer", "questionId": question_id, "id": f"a-{number}", "provider": "AC"}],
                    "actions": [{"type": "publishText", "text": choice}],
                },
            }
            for number, choice in enumerate(choices, 1)
        ],
    }


def say(
    messaging: "Messaging", account: Account, conversation: Conversation, dialog: Dialog, *, text: str,
    quick_replies: dict[str, Any] | None = None, metadata: list[Any] | None = None,
) -> int:  # fmt: skip
    event: dict[str, Any] = {"type": "ContentEvent", "message": text, "contentType": "text/plain"}
    if quick_replies:
        event["quickReplies"] = quick_replies
    return messaging.publish(
        account,
        conversation,
        dialog_id=dialog.id,
        role="AGENT",
        originator_id=bot_id(account),
        events=[event],
        metadata=metadata,
    )[0]


def answered(messaging: "Messaging", account: Account, conversation: Conversation, *, event: dict[str, Any]) -> None:
    """Take an answer, one of the choices or the word skip; then ask on or finish."""
    dialog = conversation.open_survey
    if dialog is None:
        return
    text = str(event.get("message", "")).strip()
    choices = QUESTIONS[conversation.survey_step][1]
    chosen = next((one for one in choices if one.lower() == text.lower()), None)
    if chosen is None and text.lower() != "skip":
        say(messaging, account, conversation, dialog, text="Please choose one of the answers, or write skip.")
        return
    _keep(conversation, chosen)
    conversation.survey_step += 1
    messaging.saved(account, conversation)
    if conversation.survey_step < len(QUESTIONS):
        _ask(messaging, account, conversation, dialog)
        return
    say(messaging, account, conversation, dialog, text=THANKS)
    messaging.close_all(account, conversation, by="AGENT", cause="Completed")


def _keep(conversation: Conversation, chosen: str | None) -> None:
    csat = conversation.csat or {"csatRate": None, "csatResolutionConfirmation": None, "status": "SKIPPED"}
    if chosen is not None:
        if conversation.survey_step == 0:
            csat["csatRate"] = int(chosen)
        else:
            csat["csatResolutionConfirmation"] = chosen == "Yes"
        csat["status"] = "FILLED" if None not in csat.values() else "PARTIALLY_FILLED"
    conversation.csat = csat
