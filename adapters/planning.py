"""How a message is cut into parts that a channel takes: pure, and the same whenever it is done again."""

from __future__ import annotations

import dataclasses
import unicodedata
import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING

from core.events import AgentMessage

if TYPE_CHECKING:
    from adapters.base import Capabilities

# A part is not cut at a blank that would leave it shorter than this share of what fits.
_SHORTEST_SHARE = 0.5
_JOINERS = "\u200d\ufe0e\ufe0f"  # what holds an emoji of several code points together


def plan_parts(message: AgentMessage, capabilities: Capabilities) -> list[AgentMessage]:
    """
    The texts in order, then the files, as many to a part as the channel takes; choices stand on the last text.

    Choices that the channel cannot show, and that the text does not list yet, are listed in it.
    """
    text = message.text
    choices = message.quick_replies
    if len(choices) > capabilities.quick_replies_max:
        if message.content is None:  # the text of structured content has them already
            text = "\n".join([text, *(f"{number}. {choice.title}" for number, choice in enumerate(choices, 1))]).strip()
        choices = ()
    texts = list(split_text(text, most=capabilities.text_max, unit=capabilities.text_unit))
    files = message.attachments
    a_part = max(capabilities.attachments_max, 1)
    parts = [dataclasses.replace(message, text=piece, quick_replies=(), attachments=()) for piece in texts]
    # One text and its files travel together where the channel takes files.
    if len(parts) == 1 and capabilities.attachments_max:
        parts[0], files = dataclasses.replace(parts[0], attachments=files[:a_part]), files[a_part:]
    parts += [
        dataclasses.replace(message, text="", quick_replies=(), attachments=files[start : start + a_part])
        for start in range(0, len(files), a_part)
    ]
    if not parts:
        return [message]
    on = max(len(texts) - 1, 0)
    content = message.content if capabilities.structured_content else None
    parts = [dataclasses.replace(part, content=None) for part in parts]
    parts[on] = dataclasses.replace(parts[on], quick_replies=choices, content=content)
    return [dataclasses.replace(part, id=part_id(message.id, number)) for number, part in enumerate(parts)]


def part_id(message_id: str, number: int) -> str:
    """The message's own id for the first part, ids derived from it for the others."""
    return message_id if number == 0 else str(uuid.uuid5(uuid.NAMESPACE_OID, f"{message_id}/{number}"))


def split_text(text: str, *, most: int | None, unit: str) -> Iterator[str]:
    """
    Pieces of a text, none longer than `most` of the unit; joined, they are the text again.

    Cut behind a blank where there is one in the second half of what fits, else between characters, never inside what
    a reader sees as one: a letter and its marks, an emoji of several code points.
    """
    start = 0
    while start < len(text):
        end = len(text) if most is None else _furthest(text, start, most=most, unit=unit)
        if end < len(text):
            end = _good_cut(text, start, end)
        yield text[start:end]
        start = end


def _furthest(text: str, start: int, *, most: int, unit: str) -> int:
    room, position = most, start
    while position < len(text):
        room -= _size(text[position], unit)
        if room < 0:
            break
        position += 1
    return max(position, start + 1)  # a limit smaller than one character is passed rather than looped on


def _size(character: str, unit: str) -> int:
    if unit == "utf16":
        return 2 if character > "\uffff" else 1
    if unit == "bytes":
        return len(character.encode("utf-8", "surrogatepass"))
    return 1


def _good_cut(text: str, start: int, end: int) -> int:
    shortest = start + max(int((end - start) * _SHORTEST_SHARE), 1)
    for position in range(end, shortest, -1):
        if text[position - 1].isspace():
            return position
    for position in range(end, shortest, -1):
        if not _holds_together(text[position - 1], text[position]):
            return position
    return end


def _holds_together(left: str, right: str) -> bool:
    is_flag = "\U0001f1e6" <= left <= "\U0001f1ff" and "\U0001f1e6" <= right <= "\U0001f1ff"
    is_skin_tone = "\U0001f3fb" <= right <= "\U0001f3ff"
    return bool(unicodedata.combining(right)) or right in _JOINERS or left == "\u200d" or is_flag or is_skin_tone
