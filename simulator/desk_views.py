"""What the desk needs to know about conversations, worked out before the template puts it in words."""

import json
from typing import Any
from urllib.parse import quote

from .models import Account, Conversation, now_ms
from .page_views import TYPING_LASTS_MS, card_parts, clock, quick_titles

_RECEIPT_RANK = {"NACK": 0, "ACCEPT": 1, "READ": 2, "ACCESS": 3, "ACTION": 3}
_RECEIPT_WORDS = {"NACK": "not delivered", "ACCEPT": "delivered", "READ": "read", "ACCESS": "opened", "ACTION": "used"}
_ROLE_NAMES = {
    "CONSUMER": "Consumer",
    "ASSIGNED_AGENT": "Agent",
    "MANAGER": "Manager",
    "AGENT": "Bot",
    "CONTROLLER": "Automatic message",
    "READER": "Reader",
}


def consumer_name(account: Account, conversation: Conversation) -> str:
    consumer = account.consumers.get(conversation.ext_consumer_id)
    profile = consumer.profile if consumer else {}
    found = [sde["personal"] for sde in _sdes(profile) if isinstance(sde.get("personal"), dict)]
    personal: dict[str, Any] = found[0] if found else {}
    first, last = profile.get("firstName"), profile.get("lastName")
    words = (first or personal.get("firstname"), last or personal.get("lastname"))
    return " ".join(str(word) for word in words if word) or conversation.ext_consumer_id


def _sdes(profile: dict[str, Any]) -> list[dict[str, Any]]:
    data = profile.get("authenticatedData")
    found = data.get("lp_sdes") if isinstance(data, dict) else None
    return [sde for sde in found or [] if isinstance(sde, dict)]


def profile_rows(profile: dict[str, Any]) -> list[tuple[str, str]]:
    """Profile and engagement attributes as label and value, whatever their nesting."""
    rows: list[tuple[str, str]] = []
    for name, value in profile.items():
        if name != "authenticatedData":
            _flatten(name, value, rows)
    for sde in _sdes(profile):
        for name, value in sde.items():
            if name != "type":
                _flatten(str(sde.get("type", name)), value, rows)
    return rows


def _flatten(label: str, value: Any, rows: list[tuple[str, str]]) -> None:
    if isinstance(value, dict):
        for name, member in value.items():
            _flatten(f"{label} · {name}", member, rows)
    elif isinstance(value, list):
        rows.append((label, json.dumps(value, ensure_ascii=False)))
    elif value not in ("", None):
        rows.append((label, str(value)))


def desk_row(account: Account, conversation: Conversation) -> dict[str, Any]:
    content = [one for one in conversation.events if one["event"]["type"] in ("ContentEvent", "RichContentEvent")]
    last = content[-1] if content else None
    return {
        "id": conversation.id,
        "name": consumer_name(account, conversation),
        "open": conversation.stage == "OPEN",
        "surveyed": conversation.stage == "OPEN" and conversation.state == "CLOSE",
        "last": _preview(last["event"]) if last else "No message yet",
        "at": clock(last["at"] if last else conversation.started_ms),
        "order": last["at"] if last else conversation.started_ms,
        "unread": len(unread(conversation)),
    }


def _preview(event: dict[str, Any]) -> str:
    message = event.get("message")
    if isinstance(message, str):
        return message[:80]
    return "File" if message is not None else "Card"


def unread(conversation: Conversation) -> list[int]:
    """Sequences of the consumer's messages in the MAIN dialog that no agent has marked as read."""
    seen: set[int] = set()
    written: list[int] = []
    for one in conversation.events:
        if one["dialogId"] != conversation.id:
            continue
        if one["role"] != "CONSUMER" and one["event"].get("status") == "READ":
            seen.update(one["event"]["sequenceList"])
        elif one["role"] == "CONSUMER" and one["event"]["type"] in ("ContentEvent", "RichContentEvent"):
            written.append(one["sequence"])
    return [sequence for sequence in written if sequence not in seen]


def transcript(account: Account, conversation: Conversation) -> list[dict[str, Any]]:
    """The messages in order, each with what became of it."""
    receipts: dict[tuple[str, str, int], str] = {}
    for one in conversation.events:
        if one["event"]["type"] == "AcceptStatusEvent":
            side = "CONSUMER" if one["role"] == "CONSUMER" else "BRAND"
            for sequence in one["event"]["sequenceList"]:
                key = (side, one["dialogId"], sequence)
                receipts[key] = _higher(receipts.get(key), one["event"]["status"])
    lines: list[dict[str, Any]] = []
    dialog_id = conversation.id
    for one in conversation.events:
        if one["event"]["type"] == "AcceptStatusEvent":
            continue
        if one["dialogId"] != dialog_id:
            dialog_id = one["dialogId"]
            lines.append({"kind": "line", "text": "Survey after the conversation"})
        lines.append(_line(account, one, receipts))
    return lines


def _higher(known: str | None, fresh: str) -> str:
    return fresh if known is None or _RECEIPT_RANK.get(fresh, 0) >= _RECEIPT_RANK.get(known, 0) else known


def _line(account: Account, one: dict[str, Any], receipts: dict[tuple[str, str, int], str]) -> dict[str, Any]:
    event, mine = one["event"], one["role"] != "CONSUMER"
    receipt = receipts.get(("CONSUMER" if mine else "BRAND", one["dialogId"], one["sequence"]))
    message = event.get("message")
    return {
        "kind": "message",
        "mine": mine,
        "private": one["audience"] != "ALL",
        "who": _ROLE_NAMES.get(one["role"], one["role"]),
        "at": clock(one["at"]),
        "sequence": one["sequence"],
        "text": message.rstrip("\n") if isinstance(message, str) else "",
        "file": _file(account, message) if isinstance(message, dict) else None,
        "card": card_parts(event.get("content")) if event["type"] == "RichContentEvent" else [],
        "choices": quick_titles(event),
        "receipt": _RECEIPT_WORDS.get(receipt, "") if receipt else "",
    }


def _file(account: Account, message: dict[str, Any]) -> dict[str, Any]:
    path = str(message.get("relativePath", ""))
    kind = str(message.get("fileType", ""))
    return {
        "url": f"/desk/{account.id}/file?path={quote(path, safe='', errors='replace')}",
        "image": kind in ("PNG", "JPG", "JPEG", "GIF"),
        "name": message.get("caption") or f"{kind} file",
    }


def composing(conversation: Conversation, role: str) -> bool:
    state = conversation.chat_states.get(role)
    return state is not None and state["state"] == "COMPOSING" and now_ms() - state["at"] < TYPING_LASTS_MS
