"""What a phone shows to its consumer, worked out before the template puts it in words."""

from typing import Any

from .models import now_ms
from .page_views import TYPING_LASTS_MS, card_parts, clock, is_image, safe_url
from .phones import Phone, Phones, Thread


def bubbles(thread: Thread) -> list[dict[str, Any]]:
    """What one consumer sees of a conversation, oldest first."""
    titles: dict[str, str] = {}
    seen = []
    for one in thread.entries:
        if one["from"] == "consumer":
            seen.append(_own_bubble(one, titles))
        else:
            titles |= {choice["id"]: choice["title"] for choice in _choices(one)}
            seen.append(_brand_bubble(one, thread))
    return seen


def _choices(entry: dict[str, Any]) -> list[dict[str, str]]:
    found = _data(entry).get("quick_replies")
    return [
        {"id": str(one.get("id")), "title": str(one.get("title") or one.get("text") or one.get("id"))}
        for one in (found if isinstance(found, list) else [])
        if isinstance(one, dict)
    ]


def _data(entry: dict[str, Any]) -> dict[str, Any]:
    return entry["data"] if isinstance(entry["data"], dict) else {}


def _attachments(data: dict[str, Any]) -> list[dict[str, Any]]:
    found = data.get("attachments")
    return [
        {
            "url": safe_url(one.get("url")),
            "image": is_image(one.get("mime")),
            "name": one.get("caption") or one.get("name") or "File",
        }
        for one in (found if isinstance(found, list) else [])
        if isinstance(one, dict)
    ]


def _own_bubble(entry: dict[str, Any], titles: dict[str, str]) -> dict[str, Any]:
    data = _data(entry)
    if entry["kind"] == "conversation.closed":
        return {"kind": "line", "text": f"You ended the chat · {clock(entry['at'])}"}
    sent = 200 <= entry["status"] < 300
    if not sent:
        tick = f"not sent ({entry['status'] or 'no connection'})"
    else:
        tick = "read" if entry.get("read") else "sent"
    return {
        "kind": "message",
        "mine": True,
        "text": str(data.get("text") or titles.get(str(data.get("choice"))) or data.get("choice") or ""),
        "attachments": _attachments(data),
        "at": clock(entry["at"]),
        "tick": tick,
        "failed": not sent,
    }


def _brand_bubble(entry: dict[str, Any], thread: Thread) -> dict[str, Any]:
    data = _data(entry)
    if entry["kind"] == "conversation.closed":
        return {"kind": "line", "text": f"Conversation closed · {clock(entry['at'])}"}
    if entry["kind"] != "message.created":
        return {"kind": "line", "text": str(entry["kind"])}
    message_id = str(data.get("id", ""))
    card = card_parts(data.get("content"))
    return {
        "kind": "message",
        "mine": False,
        "id": message_id,
        "unread": bool(message_id) and thread.receipts.get(message_id) != "read",
        "text": "" if card else str(data.get("text") or ""),
        "card": card,
        "attachments": _attachments(data),
        "at": clock(entry["at"]),
    }


def offered(thread: Thread) -> list[dict[str, str]]:
    """Quick replies stay on offer until the next message or the end of the conversation."""
    last = thread.entries[-1] if thread.entries else None
    if last is None or last["from"] != "brand" or last["kind"] != "message.created":
        return []
    return _choices(last)


def agent_types(thread: Thread) -> bool:
    return thread.typing_at is not None and now_ms() - thread.typing_at < TYPING_LASTS_MS


def people(phones: Phones, phone: Phone) -> list[dict[str, str]]:
    """Everybody who has used this phone page or been written to over it."""
    own = phones.settings()[phone.key]["consumer"]
    names = {own["id"]: own.get("name") or own["id"], **phone.names}
    for consumer_id in phone.threads:
        names.setdefault(consumer_id, consumer_id)
    return [{"id": consumer_id, "name": name} for consumer_id, name in names.items()]
