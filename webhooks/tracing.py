"""How a person's ids are found in a body, however the sender wrote them down."""

from __future__ import annotations

import json
import re
import uuid
from functools import cached_property
from typing import Any
from urllib.parse import quote, unquote_plus

from conversations.services.erasure import Traces

# An id shorter than this stands in many a number or word: it counts only where it is the whole of a value.
_LONG_ENOUGH = 6
# Such a name of a member is a word of the protocol, whoever is called the same.
_PLAIN_WORD = re.compile(r"[A-Za-z_]+")


class Needles:
    """The traces of one consumer, as what is looked for."""

    def __init__(self, traces: Traces, *, consumer_id: uuid.UUID | None = None) -> None:
        self.consumer_id = consumer_id
        self.conversations = frozenset(traces.conversations)
        self._person = traces.person
        self._patterns = {one: _pattern(one) for one in (*traces.person, *traces.conversations)}

    @cached_property
    def as_bytes(self) -> list[bytes]:
        """Every way in which an id may be written: a body without any of them needs no closer look."""
        forms = set(self.conversations)
        for one in self._person:
            forms |= _forms(one)
        return [form.encode() for form in sorted(forms)]

    def any_in(self, *texts: str) -> bool:
        """Whether one of the ids stands in a text, as an id of its own."""
        return any(pattern.search(text) for pattern in self._patterns.values() for text in texts)

    @property
    def telling(self) -> list[str]:
        """The person's ids that are long enough to mean nobody else wherever they stand."""
        return [one for one in self._person if len(one) >= _LONG_ENOUGH]

    def is_person(self, consumer_id: str) -> bool:
        """Whether a channel's id of a consumer is this person's."""
        return consumer_id in self._person


def readings_of(raw: bytes) -> list[str]:
    """A body as text in every way in which it may have been meant: as it stands, and as JSON or as a form."""
    text = raw.decode("utf-8", "replace")
    try:
        return [text, text_of(json.loads(raw))]
    except (ValueError, RecursionError):
        return [text, unquote_plus(text)]


def values_of(value: Any) -> str:
    """Plain data as text without the names of its members, apart from names that are no plain words."""
    return text_of(_without_names(value))


def _without_names(value: Any) -> Any:
    if isinstance(value, dict):
        names = [name for name in value if not _PLAIN_WORD.fullmatch(name)]
        return [*names, *(_without_names(one) for one in value.values())]
    return [_without_names(one) for one in value] if isinstance(value, list) else value


def text_of(value: Any) -> str:
    """Plain data as text without escapes, apart from those of quotes."""
    return json.dumps(value, ensure_ascii=False)


def _pattern(one: str) -> re.Pattern[str]:
    # As text_of writes it.
    forms = "|".join(re.escape(form) for form in {one, json.dumps(one, ensure_ascii=False)[1:-1]})
    if len(one) < _LONG_ENOUGH:
        return re.compile(rf"(?:(?<=[\"'])|(?<==))(?:{forms})(?=[\"'&]|$)")
    return re.compile(rf"(?<![\w+])(?:{forms})(?!\w)")


def _forms(one: str) -> set[str]:
    escaped = json.dumps(one)[1:-1]
    signs = "".join(char if char.isalnum() and char.isascii() else f"\\u{ord(char):04x}" for char in one)
    percent = quote(one, safe="")
    forms = {one, escaped, json.dumps(one, ensure_ascii=False)[1:-1], escaped.replace("/", "\\/"), signs, percent}
    upper = {re.sub(r"\\u[0-9a-f]{4}", lambda found: f"\\u{found[0][2:].upper()}", form) for form in forms}
    lower = {re.sub(r"%[0-9A-F]{2}", lambda found: found[0].lower(), form) for form in forms}
    return forms | upper | lower | {percent.replace("%20", "+")}
