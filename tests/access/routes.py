"""Every route of the site, as the URL resolver knows them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.urls import get_resolver

_PARAMETER = re.compile(r"<(?:\w+:)?(\w+)>")


@dataclass(frozen=True, kw_only=True)
class Route:
    """text: the patterns from the root down, joined; it names the route."""

    text: str

    def url(self, **values: Any) -> str:
        """An address of this route."""
        return "/" + _PARAMETER.sub(lambda found: str(values[found[1]]), self.text)

    @property
    def parameters(self) -> list[str]:
        return _PARAMETER.findall(self.text)


def all_routes() -> list[Route]:
    """The leaves of the URLconf."""
    return [Route(text=text) for text in _texts(get_resolver().url_patterns, "")]


def _texts(patterns: list[Any], before: str) -> Iterator[str]:
    for pattern in patterns:
        text = before + str(pattern.pattern)
        if hasattr(pattern, "url_patterns"):
            yield from _texts(pattern.url_patterns, text)
        else:
            yield text
