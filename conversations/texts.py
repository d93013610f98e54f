"""Texts on their way to LivePerson: cut so that each request fits, and recognised when they come back."""

from __future__ import annotations

import hashlib

from liveperson.text import message_fits, split_text


def parts_of(text: str) -> list[str]:
    """The text in as many parts as LivePerson's limit asks for; the same whenever it is done again."""
    return [text] if message_fits(text=text) else split_text(text=text)


def part_of(text: str, number: int) -> str:
    """One of these parts, counted from 0."""
    return parts_of(text)[number]


def digest_of(text: str) -> bytes:
    """What an echo is recognised by. White space at the end is left out: workspaces add and drop it."""
    return hashlib.sha256(text.rstrip().encode("utf-8", "surrogatepass")).digest()
