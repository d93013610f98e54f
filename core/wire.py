"""
Reading what strangers sent: JSON in raw bytes, and the ids, numbers and texts inside it.

One rule for all of it. A body is usable when it is UTF-8 (a leading byte order mark is ignored) and strict JSON: no
NaN or Infinity, no number too large to represent, no member twice in one object, not nested deeper than `MAX_DEPTH`.
Everything else raises BodyUnusable, never RecursionError, ValueError or UnicodeError. Errors name the member that is
wrong and never hold a value.
"""

from __future__ import annotations

import json
import math
import re
from datetime import UTC, datetime
from typing import Any

from core.errors import BodyUnusable

MAX_DEPTH = 100
MAX_ID_LENGTH = 256
MAX_WORD_LENGTH = 64
MAX_SEQUENCE = 2**31 - 1

# A time in milliseconds has thirteen digits from 2001 to 2286. Shorter ones are seconds, longer ones microseconds.
_FIRST_MS, _LAST_MS = 10**12, 10**13 - 1

_SURROGATE = re.compile("[\ud800-\udfff]")
_CONTROL_OR_SURROGATE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_WHOLE_NUMBER = re.compile(r"(?:0|[1-9][0-9]{0,18})", re.ASCII)


def read_json(body: bytes) -> Any:
    """Turn raw bytes into plain data, by the rule above."""
    value, problem = None, ""
    try:
        value = json.loads(
            body.decode("utf-8-sig"),
            object_pairs_hook=_object_without_repeats,
            parse_float=_finite,
            parse_constant=_refuse_constant,
        )
    except UnicodeDecodeError:
        problem = "The body is not UTF-8."
    except RecursionError:
        problem = f"The body is nested deeper than {MAX_DEPTH} levels."
    except _Refused as refusal:
        problem = refusal.sentence
    except ValueError:
        problem = "The body is not JSON."
    if not problem and is_deeper_than(value, MAX_DEPTH):
        problem = f"The body is nested deeper than {MAX_DEPTH} levels."
    if problem:
        # Raised out here so that the decoder's error, which holds the whole body, is not kept as its context.
        raise BodyUnusable(problem)
    return value


def is_deeper_than(value: Any, levels: int) -> bool:
    """Tell whether objects and lists are nested more than `levels` deep; walks without recursion."""
    layer = [value] if isinstance(value, (dict, list)) else []
    for _ in range(levels):
        layer = [inner for outer in layer for inner in _containers_in(outer)]
    return bool(layer)


def _containers_in(outer: dict[str, Any] | list[Any]) -> list[Any]:
    inner_values = outer.values() if isinstance(outer, dict) else outer
    return [value for value in inner_values if isinstance(value, (dict, list))]


def canonical(value: Any) -> bytes:
    """The same bytes for the same data, whatever the order of the members was."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode("ascii")


def storable(text: str) -> str:
    """
    Text that PostgreSQL can hold, in text and in JSON alike.

    NUL becomes the visible U+2400, half a surrogate pair becomes U+FFFD; everything else stays as it is.
    """
    return _SURROGATE.sub("\ufffd", text.replace("\x00", "\u2400"))


def storable_tree(value: Any) -> Any:
    """The same for every text in plain data; as deep as `read_json` lets anything be."""
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, dict):
        return {storable(key): storable_tree(item) for key, item in value.items()}
    if isinstance(value, list):
        return [storable_tree(item) for item in value]
    return value


def as_list(value: Any) -> list[Any]:
    """A list as it is, nothing for null, and a bare element where a list is declared as a list of one."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def require_object(value: Any, *, field: str) -> dict[str, Any]:
    if value is None:
        raise BodyUnusable(f"{field} is missing.", field=field)
    if not isinstance(value, dict):
        raise BodyUnusable(f"{field} must be an object.", field=field)
    return value


def require_id(value: Any, *, field: str) -> str:
    """An opaque id: text, or a whole number written without quotes; no control characters, at most 256 long."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**18:
        value = str(value)
    if value is None or value == "":
        raise BodyUnusable(f"{field} is missing.", field=field)
    if not isinstance(value, str):
        raise BodyUnusable(f"{field} must be text.", field=field)
    if len(value) > MAX_ID_LENGTH:
        raise BodyUnusable(f"{field} is longer than {MAX_ID_LENGTH} characters.", field=field)
    if _CONTROL_OR_SURROGATE.search(value):
        raise BodyUnusable(f"{field} holds control characters.", field=field)
    return value


def optional_id(value: Any, *, field: str) -> str:
    """The same, or "" where it is absent, null or empty."""
    return "" if value is None or value == "" else require_id(value, field=field)


def require_word(value: Any, *, field: str, most: int = MAX_WORD_LENGTH) -> str:
    """One of the sender's enumerated words, such as a role; an unknown word is as good as a known one."""
    word = require_id(value, field=field).strip()
    if not isinstance(value, str) or not word or len(word) > most:
        raise BodyUnusable(f"{field} must be a word of at most {most} characters.", field=field)
    return word


def require_sequence(value: Any, *, field: str) -> int:
    """
    A sequence number: 0 to 2**31 - 1, as a number or as its decimal digits in quotes.

    Not true or false, not 3.0, not "03", not "+3".
    """
    if value is None:
        raise BodyUnusable(f"{field} is missing.", field=field)
    number = whole_number(value)
    if number is None or not 0 <= number <= MAX_SEQUENCE:
        raise BodyUnusable(f"{field} must be a whole number from 0 to {MAX_SEQUENCE}.", field=field)
    return number


def whole_number(value: Any) -> int | None:
    """The number, given as a number or as its decimal digits in quotes; None for anything else."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and _WHOLE_NUMBER.fullmatch(value):
        return int(value)
    return None


def ms_or_zero(value: Any) -> int:
    """A time in milliseconds since 1970, or 0 where it is absent or cannot be one."""
    number = whole_number(value)
    return number if number is not None and _FIRST_MS <= number <= _LAST_MS else 0


def time_from_ms(value: Any) -> datetime | None:
    """The same as a datetime, None where it is absent or cannot be one."""
    number = ms_or_zero(value)
    if not number:
        return None
    return datetime.fromtimestamp(number // 1000, tz=UTC).replace(microsecond=number % 1000 * 1000)


class _Refused(ValueError):
    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


def _object_without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # Two readers of one body could disagree about which of the two holds; what was signed must mean one thing.
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Refused("The body names a member twice in one object.")
    return found


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise _Refused("The body holds a number that is too large.")
    return number


def _refuse_constant(_name: str) -> None:
    raise _Refused("The body holds NaN or Infinity, which JSON does not have.")
