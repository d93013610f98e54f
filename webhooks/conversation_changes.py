"""
The complete state of a conversation: the changes of `cqm.ExConversationChangeNotification`, read one at a time.

Rules and identities: webhooks/parsers.py.
"""

from __future__ import annotations

import hashlib
from typing import Any

from core.errors import BodyUnusable
from core.events import ConversationChanged, DialogState, Json
from core.wire import as_list, canonical, ms_or_zero, optional_id, require_id, require_object, time_from_ms


def parse_conversation_change(change: Json) -> ConversationChanged:
    """Read one change whose type is UPSERT (or missing) or DELETE."""
    kind = str(change.get("type") or "UPSERT").strip().upper()
    result = require_object(change.get("result"), field="result")
    details = result.get("conversationDetails")
    if details is None and kind == "DELETE":
        details = {}
    details = require_object(details, field="result.conversationDetails")
    conversation_id = require_id(
        next(filter(None, (result.get("convId"), result.get("conversationId"), details.get("convId"))), None),
        field="result.convId",
    )
    is_open, stage_is_open = _state_and_stage(details, kind)
    updated_at_ms = ms_or_zero(details.get("metaDataLastUpdateTs")) or ms_or_zero(result.get("lastUpdateTime"))
    content = canonical([kind, details])
    return ConversationChanged(
        identity=f"x:{conversation_id}:{updated_at_ms}:{hashlib.sha256(content).hexdigest()}",
        content=content,
        type="ExConversationChangeNotification",
        lp_conversation_id=conversation_id,
        lp_dialog_id="",
        change=kind,
        updated_at_ms=updated_at_ms,
        state_is_open=is_open,
        stage_is_open=stage_is_open,
        close_reason=optional_id(details.get("closeReason"), field="closeReason"),
        skill_id=_skill_id(details),
        started_at=time_from_ms(details.get("startTs")),
        ended_at=time_from_ms(details.get("endTs")),
        participants=_participants(details),
        dialogs=_dialogs(details, conversation_id=conversation_id, is_open=is_open, kind=kind),
    )


def _state_and_stage(details: Json, kind: str) -> tuple[bool, bool]:
    """Whether state and stage are open. Only CLOSE closes: of LOCKED, and of what may come, we know no such thing."""
    state = optional_id(details.get("state"), field="conversationDetails.state")
    stage = optional_id(details.get("stage"), field="conversationDetails.stage")
    if not (state or stage) and kind != "DELETE":
        raise BodyUnusable("conversationDetails.state is missing.", field="conversationDetails.state")
    return _is_open(state or stage), _is_open(stage or state)


def _is_open(state: str) -> bool:
    return state.upper() not in ("CLOSE", "CLOSED")


def _skill_id(details: Json) -> str:
    handler = details.get("conversationHandlerDetails")
    fallback = handler.get("skillId") if isinstance(handler, dict) else None
    return optional_id(details.get("skillId"), field="skillId") or optional_id(fallback, field="skillId")


def _participants(details: Json) -> tuple[tuple[str, str], ...]:
    listed = details.get("participants")
    if listed is None and isinstance(details.get("participantsPId"), dict):
        by_role = details["participantsPId"]
        listed = [{"id": person, "role": role} for role, people in by_role.items() for person in as_list(people)]
    found = []
    for entry in as_list(listed):
        entry = require_object(entry, field="participants[]")
        person = require_id(entry.get("id"), field="participants[].id")
        role = optional_id(entry.get("role"), field="participants[].role").upper()
        found.append((person, role))
    return tuple(dict.fromkeys(found))


def _dialogs(details: Json, *, conversation_id: str, is_open: bool, kind: str) -> tuple[DialogState, ...]:
    if details.get("dialogs") is None:
        # Before there were several dialogs in a conversation, the conversation was its own main dialog.
        main = DialogState(
            lp_dialog_id=conversation_id, type="MAIN", channel_type="MESSAGING", is_open=is_open, app_install_id=""
        )
        return (main,) if kind == "UPSERT" else ()
    return tuple(_dialog(entry) for entry in as_list(details["dialogs"]))


def _dialog(entry: Any) -> DialogState:
    dialog = require_object(entry, field="dialogs[]")
    meta = dialog.get("metaData")
    app_install_id = meta.get("appInstallId") if isinstance(meta, dict) else None
    return DialogState(
        lp_dialog_id=require_id(dialog.get("dialogId"), field="dialogs[].dialogId"),
        type=optional_id(dialog.get("dialogType"), field="dialogs[].dialogType").upper() or "MAIN",
        channel_type=optional_id(dialog.get("channelType"), field="dialogs[].channelType").upper() or "MESSAGING",
        is_open=_is_open(optional_id(dialog.get("state"), field="dialogs[].state")),
        app_install_id=optional_id(app_install_id, field="dialogs[].metaData.appInstallId"),
        closed_by=optional_id(dialog.get("closedBy"), field="dialogs[].closedBy"),
    )
