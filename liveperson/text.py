"""
Does a text fit into one request, and where to cut it when it does not.

LivePerson refuses a SEND whose JSON is longer than 5000 characters. Whether it counts characters beyond the basic
plane (most emoji) once or twice is not documented; they are counted twice here, as Java and JavaScript do.
Source: LivePerson's quick start guide, livepersoninc.github.io/lp-devassist-connectors
"""

from __future__ import annotations

import unicodedata
from typing import Any

from core.http import encode_json, mend

MAX_REQUEST_LENGTH = 5000
# Where a text is cut it need not be known yet which conversation it goes to: every id is taken to be this long.
_ID_ROOM = "x" * 64

_ZERO_WIDTH_JOINER = 0x200D
_SHORT_ESCAPES = frozenset('"\\\n\r\t\b\f')


def text_event(*, conversation_id: str, dialog_id: str, text: str) -> dict[str, Any]:
    """The body of a request that publishes a text."""
    event = {"type": "ContentEvent", "contentType": "text/plain", "message": text}
    return {"dialogId": dialog_id, "conversationId": conversation_id, "event": event}


def request_object(
    *, request_id: str, type: str, body: Any, metadata: list[dict[str, Any]] | None = None
) -> dict[str, Any]:
    """The envelope of a request. metadata: sibling of the body, goes back as it came."""
    request = {"kind": "req", "id": request_id, "type": type, "body": body}
    return {**request, "metadata": metadata} if metadata else request


def message_fits(*, text: str, metadata: list[dict[str, Any]] | None = None) -> bool:
    """Tell whether a text can be published in one request, whatever the ids in it."""
    return _length(text) <= _room(metadata)


def split_text(*, text: str, metadata: list[dict[str, Any]] | None = None) -> list[str]:
    """
    The text in as many parts as it takes. Joined they are the text again, but for parts of nothing but spaces.

    Cut after white space where there is any in the second half of a part, else between two characters as a reader
    sees them: never inside a combined letter, an emoji sequence or a flag.
    """
    text = mend(text)
    room = max(_room(metadata), 100)
    parts: list[str] = []
    start = 0
    while start < len(text):
        end = _end_of_part(text, start, room)
        parts.append(text[start:end])
        start = end
    return [part for part in parts if not part.isspace()] or parts[:1]


def _room(metadata: list[dict[str, Any]] | None) -> int:
    body = text_event(conversation_id=_ID_ROOM, dialog_id=_ID_ROOM, text="")
    empty = request_object(request_id=_ID_ROOM, type="ms.PublishEvent", body=body, metadata=metadata)
    return MAX_REQUEST_LENGTH - len(encode_json(empty).decode().encode("utf-16-le")) // 2


def _length(text: str) -> int:
    return sum(map(_cost, text))


def _cost(character: str) -> int:
    """How long a character is inside a JSON string."""
    if character in _SHORT_ESCAPES:
        return 2
    if character < " ":
        return 6
    return 2 if character > "\uffff" else 1


def _end_of_part(text: str, start: int, room: int) -> int:
    end, used = start, 0
    while end < len(text) and used + _cost(text[end]) <= room:
        used += _cost(text[end])
        end += 1
    if end == len(text):
        return end
    middle = start + (end - start) // 2
    for cut in range(end, middle, -1):
        if text[cut - 1].isspace() and _is_boundary(text, cut):
            return cut
    for cut in range(end, start, -1):
        if _is_boundary(text, cut):
            return cut
    return end  # one character with thousands of marks on it


def _is_boundary(text: str, cut: int) -> bool:
    """
    Tell whether a reader sees two characters here: the rules of UAX 29 that need no tables beyond Python's own.
    """
    before, after = text[cut - 1], text[cut]
    if before == "\r" and after == "\n":
        return False
    if unicodedata.category(after) in ("Mn", "Me", "Mc") or _extends(ord(after)):
        return False
    if ord(before) == _ZERO_WIDTH_JOINER or unicodedata.combining(before) == 9:  # 9: a virama, which joins consonants
        return False
    if _is_hangul_initial(before) and (_is_hangul_initial(after) or "\uac00" <= after <= "\ud7a3"):
        return False
    if _is_regional(before) and _is_regional(after):
        flags_before = 0
        while flags_before < cut and _is_regional(text[cut - 1 - flags_before]):
            flags_before += 1
        return flags_before % 2 == 0
    return True


def _extends(code: int) -> bool:
    """Joiners, skin tones, tags of flags, half-width voice marks, vowels and finals that are letters by category."""
    return (
        code in (0x200C, _ZERO_WIDTH_JOINER, 0x0E33, 0x0EB3, 0xFF9E, 0xFF9F)
        or 0x1F3FB <= code <= 0x1F3FF
        or 0xE0020 <= code <= 0xE007F
        or 0x1160 <= code <= 0x11FF
        or 0xD7B0 <= code <= 0xD7FB
    )


def _is_regional(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"


def _is_hangul_initial(character: str) -> bool:
    return "\u1100" <= character <= "\u115f" or "\ua960" <= character <= "\ua97c"
