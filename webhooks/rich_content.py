"""
Structured content as plain text, and the choices in it.

The element tree: developers.liveperson.com/structured-content-introduction-to-structured-content.html
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from core.events import Json, QuickReply
from core.wire import as_list, storable, storable_tree


@dataclass
class Flattened:
    """
    lines: the tree from top to bottom: texts as they are, images and links with their address, choices numbered.
    quick_replies: the choices; the number before a choice's title is the number that its id begins with.
    """

    event_key: str
    lines: list[str] = field(default_factory=list)
    quick_replies: list[QuickReply] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def add_line(self, *parts: Any) -> None:
        """A line of the parts that are there, as `caption: address`."""
        line = ": ".join(dict.fromkeys(part for part in map(_words, parts) if part))
        if line:
            self.lines.append(line)

    def add_choice(self, *, title: Any, text: Any, click: Json) -> None:
        """A numbered line and a choice; `text` is what the consumer says by choosing it."""
        said, shown = _words(text), _words(title)
        if not (said or shown):
            return
        number = len(self.quick_replies) + 1
        self.quick_replies.append(
            QuickReply(
                id=choice_id(self.event_key, number),
                title=shown or said,
                text=storable(text) if isinstance(text, str) else said or shown,  # LivePerson wants it verbatim
                metadata=[storable_tree(item) for item in as_list(click.get("metadata")) if isinstance(item, dict)],
            )
        )
        self.lines.append(f"{number}. {shown or said}")


def choice_id(event_key: str, number: int) -> str:
    """
    The id of the choice that stands `number`th in its message: the same whenever the event is read, and another in
    every other message, so that a choice that comes back tells by itself which message it answers.
    """
    digest = hashlib.sha256(f"{event_key}:{number}".encode()).hexdigest()
    return f"{number}-{digest[:16]}"


def flatten(element: Any, quick_replies: Any, *, event_key: str) -> Flattened:
    """Flatten an element tree (or none) and the quick replies beside it; ignores what it does not know."""
    found = Flattened(event_key)
    _walk(element, found)
    replies = quick_replies.get("replies") if isinstance(quick_replies, dict) else quick_replies
    for reply in as_list(replies):
        _walk(reply, found)
    return found


def _walk(element: Any, found: Flattened) -> None:
    if isinstance(element, list):
        for item in element:
            _walk(item, found)
    elif isinstance(element, dict):
        kind = element.get("type")
        _ELEMENTS.get(kind if isinstance(kind, str) else "", _add_other)(element, found)
        _walk(element.get("elements"), found)


def _add_text(element: Json, found: Flattened) -> None:
    found.add_line(element.get("text"))
    _add_links(_click(element), None, found)


def _add_image(element: Json, found: Flattened) -> None:
    found.add_line(element.get("caption"), element.get("url"))
    _add_links(_click(element), None, found)


def _add_link_preview(element: Json, found: Flattened) -> None:
    found.add_line(element.get("title"), element.get("url"))


def _add_map(element: Json, found: Flattened) -> None:
    found.add_line(element.get("tooltip"), _place(element))


def _add_template(element: Json, found: Flattened) -> None:
    found.add_line(element.get("title"))
    for answer in as_list(element.get("resp")):
        found.add_choice(title=answer, text=answer, click={})


def _add_button(element: Json, found: Flattened) -> None:
    _add_clickable(element.get("title") or element.get("tooltip"), _click(element), found)


def _add_checkbox(element: Json, found: Flattened) -> None:
    _add_clickable(element.get("text"), _click(element), found)


def _add_nothing(_element: Json, _found: Flattened) -> None:
    """A submit button sends what was ticked in a list; in a text every tick is a message of its own."""


def _add_other(element: Json, found: Flattened) -> None:
    """A container, or what we do not know: its words, if it has any, as a choice where it can be clicked."""
    _add_clickable(element.get("text") or element.get("title"), _click(element), found)


_ELEMENTS: dict[str, Callable[[Json, Flattened], None]] = {
    "text": _add_text,
    "image": _add_image,
    "linkPreview": _add_link_preview,
    "map": _add_map,
    "template": _add_template,
    "button": _add_button,
    "checkbox": _add_checkbox,
    "submitButton": _add_nothing,
}


def _click(element: Json) -> Json:
    click = element.get("click")
    return click if isinstance(click, dict) else {}


def _add_clickable(title: Any, click: Json, found: Flattened) -> None:
    """What may be clicked: a choice where clicking says something, else a line with the address that it opens."""
    for action in _actions(click):
        said = action.get("text") if action.get("type") == "publishText" else action.get("publishText")
        if _words(said):
            found.add_choice(title=title, text=said, click=click)
            _add_links(click, None, found)
            return
    if not _add_links(click, title, found):
        found.add_line(title)


def _add_links(click: Json, title: Any, found: Flattened) -> bool:
    before = len(found.lines)
    for action in _actions(click):
        if action.get("type") == "link":
            found.add_line(title or action.get("name"), action.get("uri"))
        elif action.get("type") == "navigate":
            found.add_line(title or action.get("name"), _place(action))
    return len(found.lines) > before


def _actions(click: Json) -> list[Json]:
    return [action for action in as_list(click.get("actions")) if isinstance(action, dict)]


def _place(holder: Json) -> str:
    """A point on the map as a geo URI (RFC 5870), "" where there is none."""
    latitude, longitude = holder.get("la"), holder.get("lo")
    if any(isinstance(part, bool) or not isinstance(part, (int, float)) for part in (latitude, longitude)):
        return ""
    return f"geo:{latitude},{longitude}"


def _words(value: Any) -> str:
    """Text, or a number as text; "" for anything else."""
    if isinstance(value, str):
        return storable(value).strip()
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    return ""
