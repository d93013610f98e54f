"""How rows are written: NDJSON, one object a line, or CSV (RFC 4180, UTF-8) that a spreadsheet opens without harm."""

from __future__ import annotations

import csv
import io
import json
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from rest_framework.utils.encoders import JSONEncoder

# What makes a spreadsheet take a cell for a formula; the wide forms are understood by some of them as well.
_FORMULA_SIGNS = frozenset("=+-@\t\r\n＝＋－＠﹢﹣﹦﹫−")
# Some spreadsheets pass these over when they look for the first sign.
_PASSED_OVER = frozenset({"Zs", "Cf", "Cc"})

Row = Mapping[str, Any]


class Form(Protocol):
    content_type: str
    ending: str

    def head(self, names: Sequence[str]) -> bytes:
        """What comes before the first row."""

    def write(self, names: Sequence[str], rows: Iterable[Row]) -> bytes:
        """Some rows, each a line that ends with its line break."""


class NdJson:
    content_type = "application/x-ndjson"
    ending = "ndjson"

    def head(self, names: Sequence[str]) -> bytes:
        return b""

    def write(self, names: Sequence[str], rows: Iterable[Row]) -> bytes:
        return "".join(f"{as_json(row)}\n" for row in rows).encode()


class Csv:
    """The first line names the members. Neither a mark of the byte order nor anything else stands before it."""

    content_type = "text/csv; charset=utf-8; header=present"
    ending = "csv"

    def head(self, names: Sequence[str]) -> bytes:
        return self._lines([list(names)])

    def write(self, names: Sequence[str], rows: Iterable[Row]) -> bytes:
        return self._lines([cell(row.get(name)) for name in names] for row in rows)

    def _lines(self, lines: Iterable[Sequence[Any]]) -> bytes:
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator="\r\n").writerows(lines)
        return text.getvalue().encode()


FORMS: dict[str, Form] = {"ndjson": NdJson(), "csv": Csv()}


def as_json(value: Any) -> str:
    """On one line: a line break in a text is written as an escape."""
    return json.dumps(value, cls=JSONEncoder, ensure_ascii=False, separators=(",", ":"))


def cell(value: Any) -> Any:
    """
    A value as it stands in a cell: numbers as they are, nothing for null, JSON for what has parts.

    A text that a spreadsheet would take for a formula gets an apostrophe in front.
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return value
    text = value if isinstance(value, str) else as_json(value)
    has_parts = isinstance(value, (str, Mapping, Sequence))
    # A lone value, such as an id or a time: without the quotes of JSON.
    return defused(text if has_parts else text.strip('"'))


def defused(text: str) -> str:
    """The text, with an apostrophe in front where it could be a formula."""
    return f"'{text}" if _could_be_formula(text) else text


def _could_be_formula(text: str) -> bool:
    for character in text:
        if character in _FORMULA_SIGNS:
            return True
        if unicodedata.category(character) not in _PASSED_OVER:
            return False
    return False
