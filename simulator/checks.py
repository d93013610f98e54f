"""Checks of the control API's bodies: an unknown member or value is refused with a sentence, never ignored."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from .errors import ControlError

# A check returns what it expected when the value does not fit, else None.
Check = Callable[[Any], str | None]


def is_bool(value: Any) -> str | None:
    return None if isinstance(value, bool) else "true or false"


def is_text(value: Any) -> str | None:
    return None if isinstance(value, str) and value else "a text that is not empty"


def is_any_text(value: Any) -> str | None:
    return None if isinstance(value, str) else "a text"


def is_object(value: Any) -> str | None:
    return None if isinstance(value, dict) else "an object"


def is_list(value: Any) -> str | None:
    return None if isinstance(value, list) else "a list"


def anything(_value: Any) -> str | None:
    return None


def is_text_map(value: Any) -> str | None:
    fits = isinstance(value, dict) and all(isinstance(v, str) for v in value.values())
    return None if fits else "an object whose values are texts"


def one_of(*choices: Any) -> Check:
    expected = "one of " + ", ".join(json.dumps(choice) for choice in choices)

    def check(value: Any) -> str | None:
        # By type too: to Python, True equals 1.
        return None if any(type(value) is type(one) and value == one for one in choices) else expected

    return check


def number(low: float, high: float) -> Check:
    def check(value: Any) -> str | None:
        fits = isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high
        return None if fits else f"a number from {low} to {high}"

    return check


def whole(low: int, high: int) -> Check:
    def check(value: Any) -> str | None:
        fits = isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
        return None if fits else f"a whole number from {low} to {high}"

    return check


def list_of(check: Check) -> Check:
    def check_all(value: Any) -> str | None:
        if not isinstance(value, list):
            return "a list"
        wrong = next((expected for expected in map(check, value) if expected), None)
        return f"a list, each entry {wrong}" if wrong else None

    return check_all


def or_null(check: Check) -> Check:
    def check_or_null(value: Any) -> str | None:
        expected = None if value is None else check(value)
        return f"null or {expected}" if expected else None

    return check_or_null


def members(body: Any, shape: Mapping[str, Check], *, required: tuple[str, ...] = (), where: str = "the body") -> dict:
    """Return the body when it is an object with known members and fitting values; else raise ControlError."""
    if not isinstance(body, dict):
        raise ControlError(f"Send {where} as a JSON object.")
    for name in body:
        if name not in shape:
            raise ControlError(f"Remove {name!r} from {where}: it may hold {', '.join(sorted(shape))}.")
    for name in required:
        if name not in body:
            raise ControlError(f"Add {name!r} to {where}.")
    for name, value in body.items():
        expected = shape[name](value)
        if expected:
            raise ControlError(f"Give {name!r} in {where} as {expected}.")
    return body
