"""Reading the body of a request: capped, in whatever way it comes, and never decoded."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

MAX_BODY_BYTES = 256 * 1024


class BodyRefused(Exception):
    """The body is not read; `status` is the HTTP status that says why."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


def read_body(request: HttpRequest) -> bytes:
    """
    The raw bytes of a request. Raises BodyRefused: 411, 413 or 415.

    A chunked body is read from the server's stream: Django knows only Content-Length and would see it as empty.
    """
    encoding = request.META.get("HTTP_CONTENT_ENCODING", "").strip().lower()
    if encoding not in ("", "identity"):
        raise BodyRefused(415, "Send the body without Content-Encoding.")
    is_chunked = "chunked" in request.META.get("HTTP_TRANSFER_ENCODING", "").lower()
    length = request.META.get("CONTENT_LENGTH", "")
    if is_chunked:
        return _read_capped(request.META["wsgi.input"])
    if not length.isascii() or not length.isdigit():
        raise BodyRefused(411, "Send Content-Length, or a chunked body.")
    if int(length) > MAX_BODY_BYTES:
        raise BodyRefused(413, f"The body is larger than {MAX_BODY_BYTES} bytes.")
    return bytes(request.read(int(length)))


def _read_capped(stream: Any) -> bytes:
    body = bytearray()
    while chunk := stream.read(min(65536, MAX_BODY_BYTES + 1 - len(body))):
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise BodyRefused(413, f"The body is larger than {MAX_BODY_BYTES} bytes.")
    return bytes(body)
