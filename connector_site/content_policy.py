"""What a browser may load and run on our pages: the Content-Security-Policy of each answer."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from csp.constants import HEADER, NONE, SELF, UNSAFE_EVAL, UNSAFE_INLINE
from csp.middleware import CSPMiddleware
from csp.utils import build_policy
from django.http import HttpRequest, HttpResponseBase

# For programs and for what is no page: nothing is loaded, nothing runs, nobody frames it.
_NOTHING: dict[str, Any] = {
    "default-src": [NONE],
    "base-uri": [NONE],
    "form-action": [NONE],
    "frame-ancestors": [NONE],
}
# Everything from our own host, and no script inside a page. Styles may stand there: the library of the admin writes its
# colours into each page, and widths and places of what it moves into elements.
_PAGE: dict[str, Any] = {
    **_NOTHING,
    "script-src": [SELF],
    "style-src": [SELF, UNSAFE_INLINE],
    "img-src": [SELF, "data:"],
    "font-src": [SELF, "data:"],
    "connect-src": [SELF],
    "object-src": [NONE],
    "form-action": [SELF],
}
# Alpine, by which the admin's library moves things, makes functions of attributes. So no text of a stranger may become
# one: tests/access/test_hostile_text.py looks at every page for that.
_ADMIN: dict[str, Any] = {**_PAGE, "script-src": [SELF, UNSAFE_EVAL]}

# By what an address begins with; the first that fits.
_BY_PLACE = (
    ("/admin/", _ADMIN),
    ("/api/v1/docs/", _PAGE),
    ("/api/", _NOTHING),
    ("/webhooks/", _NOTHING),
    ("", _PAGE),
)


class ContentPolicy(CSPMiddleware):
    """The library's middleware, with a policy by address that is put together once."""

    def process_request(self, request: HttpRequest) -> None:
        """No page of ours has a script inside that a nonce would be needed for."""

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """Where a view has said something stricter, that stays."""
        response.setdefault(HEADER, _policy_at(request.path_info))
        return response


def _policy_at(path: str) -> str:
    return next((text for start, text in _texts() if path.startswith(start)), "")


@lru_cache(maxsize=1)
def _texts() -> tuple[tuple[str, str], ...]:
    return tuple((start, build_policy(config=policy)) for start, policy in _BY_PLACE)
