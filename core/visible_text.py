"""
Text of strangers, made readable for people: what has no picture of its own, or turns others around, becomes a mark.

What belongs to ordinary writing stays as it is: the joiner inside an emoji, the non-joiner inside a Persian word, tags
of a flag, variation selectors.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

_KEPT = frozenset("\n\t")
_ZWJ, _ZWNJ = "\u200d", "\u200c"
_FLAG = "\U0001f3f4"
_SHORT = {
    "\u200b": "ZWSP",
    "\u200c": "ZWNJ",
    "\u200d": "ZWJ",
    "\u200e": "LRM",
    "\u200f": "RLM",
    "\u202a": "LRE",
    "\u202b": "RLE",
    "\u202c": "PDF",
    "\u202d": "LRO",
    "\u202e": "RLO",
    "\u2060": "WJ",
    "\u2066": "LRI",
    "\u2067": "RLI",
    "\u2068": "FSI",
    "\u2069": "PDI",
    "\u061c": "ALM",
    "\u00ad": "SHY",
    "\u2028": "LS",
    "\u2029": "PS",
    "\ufeff": "BOM",
    "\r": "CR",
}
# Drawn as nothing although Unicode calls them letters.
_BLANK_LETTERS = frozenset("\u115f\u1160\u3164\uffa0\u2800")
_ODD = frozenset({"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"})
_MOST_STACKED = 4


def parts(text: str) -> Iterator[tuple[str, str]]:
    """
    The text in pieces: (piece, "") is shown as it is, (mark, name) stands for what would not be seen.

    A heap of combining marks on one letter is cut after a few, so that it does not paint over its neighbours.
    """
    plain: list[str] = []
    stacked = 0
    for place, char in enumerate(text):
        stacked = stacked + 1 if unicodedata.combining(char) else 0
        if stacked > _MOST_STACKED:
            is_last = not unicodedata.combining(text[place + 1 : place + 2] or " ")
            piece = (f"+{stacked - _MOST_STACKED}", "more combining marks on this letter") if is_last else None
        elif _is_odd(text, place):
            piece = (_mark_of(char), _name_of(char))
        else:
            plain.append(char)
            continue
        if plain:
            yield "".join(plain), ""
            plain = []
        if piece:
            yield piece
    if plain:
        yield "".join(plain), ""


def visible(text: str) -> str:
    """The same as one plain string, for places without markup: titles, messages, names of links."""
    return "".join(f"⟨{piece}⟩" if name else piece for piece, name in parts(text))


def _is_odd(text: str, place: int) -> bool:
    char = text[place]
    if char in _KEPT:
        return False
    if char in _BLANK_LETTERS:
        return True
    if unicodedata.category(char) not in _ODD:
        return False
    if char == "\r":
        return text[place + 1 : place + 2] != "\n"
    return not _belongs(text, place)


def _belongs(text: str, place: int) -> bool:
    """Whether an invisible character does its ordinary work here."""
    char = text[place]
    before, after = text[place - 1 : place], text[place + 1 : place + 2]
    if char == _ZWJ:
        return _is_picture(before) and _is_picture(after)
    if char == _ZWNJ:
        return before.isalpha() and after.isalpha() and not before.isascii()
    if "\U000e0020" <= char <= "\U000e007f":
        start = text.rfind(_FLAG, 0, place)
        return start >= 0 and all("\U000e0020" <= c <= "\U000e007f" for c in text[start + 1 : place])
    return False


def _is_picture(char: str) -> bool:
    return bool(char) and (unicodedata.category(char) in ("So", "Sk", "Mn") or char in "♀♂⚕")


def _mark_of(char: str) -> str:
    if char in _SHORT:
        return _SHORT[char]
    if ord(char) < 0x20:
        return chr(0x2400 + ord(char))
    return f"U+{ord(char):04X}"


def _name_of(char: str) -> str:
    return f"U+{ord(char):04X} {unicodedata.name(char, 'unnamed character')}"
