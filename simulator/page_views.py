"""What desk and phone share: times, links that are safe to offer, structured content in flat form."""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

TYPING_LASTS_MS = 60_000


def clock(ms: int) -> str:
    """The time of day, with the day itself where it is not today."""
    at = datetime.fromtimestamp(ms / 1000, tz=UTC).astimezone()
    today = datetime.now(UTC).astimezone().date()
    return at.strftime("%H:%M") if at.date() == today else at.strftime("%-d %b, %H:%M")


def safe_url(value: Any) -> str:
    """A link that a consumer or brand sent: only the web's own schemes, never javascript: and the like."""
    if not isinstance(value, str):
        return ""
    try:
        return value if urlsplit(value.strip()).scheme in ("http", "https") else ""
    except ValueError:
        return ""


def is_image(mime: Any) -> bool:
    return isinstance(mime, str) and mime.startswith("image/")


# -- rich content, in whatever nesting it comes


def card_parts(content: Any) -> list[dict[str, Any]]:
    """Structured content as a flat list of texts, pictures, buttons and places."""
    parts: list[dict[str, Any]] = []
    _collect(content, parts, depth=0)
    return parts


def _collect(element: Any, parts: list[dict[str, Any]], *, depth: int) -> None:
    if not isinstance(element, dict) or depth > 30:
        return
    kind = element.get("type")
    if kind in ("text", "checkbox"):
        parts.append({"kind": "text", "text": element.get("text"), "bold": element.get("tag") == "title"})
    elif kind in ("image", "linkPreview"):
        parts.append({"kind": kind, "url": safe_url(element.get("url")), "text": element.get("caption") or ""})
    elif kind in ("button", "submitButton"):
        parts.append({"kind": "button", "text": element.get("title"), **_press(element)})
    elif kind == "map":
        parts.append({"kind": "text", "text": f"Place: {element.get('la')}, {element.get('lo')}", "bold": False})
    for child in element.get("elements") or []:
        _collect(child, parts, depth=depth + 1)


def _press(element: dict[str, Any]) -> dict[str, Any]:
    click = element.get("click")
    actions = click.get("actions") if isinstance(click, dict) else None
    for action in actions if isinstance(actions, list) else []:
        if isinstance(action, dict) and action.get("type") == "link":
            return {"link": safe_url(action.get("uri"))}
    return {"link": ""}


def quick_titles(event: dict[str, Any]) -> list[str]:
    replies = event.get("quickReplies")
    found = replies.get("replies") if isinstance(replies, dict) else None
    return [str(one.get("title")) for one in found or [] if isinstance(one, dict)]
