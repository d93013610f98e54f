"""Reading the body of a request: capped, in whatever way it comes, and never decoded."""

from __future__ import annotations

from typing import Any

import structlog
from django.http import HttpRequest

logger = structlog.get_logger(__name__)

MAX_BODY_BYTES = 256 * 1024


class BodyRefused(Exception):
    """The body is not read; `status` is the HTTP status that says why."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


def read_body(request: HttpRequest, *, at_most: int = MAX_BODY_BYTES) -> bytes:
    """
    The raw bytes of a request. Raises BodyRefused: 411, 413 or 415, and 400 when the body ends early or its chunks
    are broken.

    A chunked body is read from the server's stream: Django knows only Content-Length and would see it as empty.
    """
    encoding = request.META.get("HTTP_CONTENT_ENCODING", "").strip().lower()
    if encoding not in ("", "identity"):
        raise BodyRefused(415, "Send the body without Content-Encoding.")
    transfer = request.META.get("HTTP_TRANSFER_ENCODING", "").strip().lower()
    if transfer not in ("", "identity", "chunked"):
        raise BodyRefused(415, "Send the body in chunks at most: no other Transfer-Encoding is read.")
    is_chunked = transfer == "chunked"
    length = request.META.get("CONTENT_LENGTH", "")
    if not is_chunked and not (length.isascii() and length.isdigit()):
        raise BodyRefused(411, "Send Content-Length, or a chunked body.")
    # The digits are counted first: Python refuses to read thousands of them.
    if not is_chunked and (len(length) > 12 or int(length) > at_most):
        raise BodyRefused(413, f"The body is larger than {at_most} bytes.")
    try:
        return _read_capped(request.META["wsgi.input"], at_most) if is_chunked else _read_all(request, int(length))
    except BodyRefused:
        raise
    except Exception as error:
        # The sender went away, or its chunks make no sense: the web server has errors of its own for that.
        logger.info("request.body_broken", error=type(error).__name__)
        raise BodyRefused(400, "The body ended early, or its chunks are broken.") from None


def _read_all(request: HttpRequest, length: int) -> bytes:
    body = bytes(request.read(length))
    if len(body) < length:
        raise BodyRefused(400, "The body ended before the length that Content-Length says.")
    return body


def _read_capped(stream: Any, at_most: int) -> bytes:
    body = bytearray()
    while chunk := stream.read(min(65536, at_most + 1 - len(body))):
        body += chunk
        if len(body) > at_most:
            raise BodyRefused(413, f"The body is larger than {at_most} bytes.")
    return bytes(body)
