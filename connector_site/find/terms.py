"""What somebody types to find something: refused where it can be no id, and a phone number in all its forms."""

from __future__ import annotations

import re
import unicodedata
import uuid
from dataclasses import dataclass

from core.ids import id_in

# As long as the longest id that is stored.
MOST_CHARS = 300

_PREFIXED = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,31}:(?P<id>.+)", re.DOTALL)
# Digits as people group them.
_PHONE = re.compile(r"[+0-9 ()\[\]/.\-]+")
_TRUNK_ZERO = re.compile(r"[(\[] ?0 ?[)\]]")
_FEWEST_DIGITS, _MOST_DIGITS = 5, 18


class BadTerm(ValueError):
    """Nothing can be called this. The text is a sentence for who typed it."""


@dataclass(frozen=True, kw_only=True)
class Term:
    """
    What is looked for.

    person: every form in which a channel may have told it as the id of a person. ids: as an id that a machine gave.
    own_id: where it can be an id of ours.
    """

    person: tuple[str, ...]
    ids: tuple[str, ...]
    own_id: uuid.UUID | None


def read_term(given: object) -> Term:
    """Understand what was typed. Raises BadTerm."""
    if not isinstance(given, str):
        raise BadTerm("Give what to look for as text.")
    if len(given) > MOST_CHARS:
        raise BadTerm(f"That is longer than any id: give {MOST_CHARS} characters at most.")
    # A line's end comes along when a whole line is copied.
    if any(unicodedata.category(char) in ("Cc", "Cs") for char in given.removesuffix("\n")):
        raise BadTerm("That holds characters that no id has. Type it, or copy it anew.")
    text = given.strip()
    if not text:
        raise BadTerm("Give what to look for: an id or a phone number.")
    own_id = id_in(text)
    ids = (text, str(own_id)) if own_id else (text,)
    return Term(person=_forms_of(text), ids=tuple(dict.fromkeys(ids)), own_id=own_id)


def _forms_of(text: str) -> tuple[str, ...]:
    forms = [text]
    if found := _PREFIXED.fullmatch(text):
        forms.append(found["id"].strip())
    for one in list(forms):
        forms += _phone_forms(one)
    return tuple(dict.fromkeys(filter(None, forms)))


def _phone_forms(text: str) -> list[str]:
    """A phone number with a plus, bare, and with two zeros; nothing where it is none."""
    plain = "".join(_plain(char) for char in unicodedata.normalize("NFKC", text))
    if not _PHONE.fullmatch(plain):
        return []
    forms = []
    # In +49 (0) 30 the zero is for callers from the country itself.
    for written in dict.fromkeys((plain, _TRUNK_ZERO.sub("", plain))):
        number = re.sub(r"[^+0-9]", "", written)
        digits = number[1:] if number.startswith("+") else number.removeprefix("00")
        if digits.isdigit() and _FEWEST_DIGITS <= len(digits) <= _MOST_DIGITS:
            forms += [f"+{digits}", digits, f"00{digits}"]
    return forms


def _plain(char: str) -> str:
    category = unicodedata.category(char)
    if category == "Zs":
        return " "
    # Marks of direction come along when a number is copied from a page.
    return {"Pd": "-", "Cf": ""}.get(category, char)


__all__ = ["MOST_CHARS", "BadTerm", "Term", "read_term"]
