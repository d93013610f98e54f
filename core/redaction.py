"""Masks what must not be read: secrets and tokens in answers that are kept as evidence."""

from __future__ import annotations

import re

ANSWER_HEAD_CHARS = 512
# Stands for what is not shown.
MASK = "•••"
# The name of something secret, what may stand between it and its value (quotes, also escaped ones of JSON in JSON, and
# the scheme of an Authorization header), and the value: up to the closing quote where it is quoted.
_NAME = r"(?i:secret|token|password|authorization|on-behalf|api[_-]?key|temp_url_sig|signature)"
_GAP = r"\\*[\"']?\s*[:=]\s*(?i:(?:bearer|basic)\s+)?"
_QUOTED = r"(\\*[\"'])(?i:(?:bearer|basic)\s+)?(?:(?!\1)(?:\\.|.))*"
_TOKENS = re.compile(
    r"eyJ[\w-]{5,}\.[\w-]{5,}\.[\w-]*"  # a JWT
    r"|whsec_[\w+/=-]+"
    rf"|{_NAME}{_GAP}(?:{_QUOTED}|[^\s\"',&}}]+)"
)


def redact(text: str) -> str:
    """The text with everything that looks like a token or a secret masked, and control characters made visible."""
    return "".join(
        ch if ch.isprintable() or ch == "\n" else "\N{REPLACEMENT CHARACTER}" for ch in _TOKENS.sub(MASK, text)
    )


def answer_head(body: bytes) -> str:
    """The beginning of a provider's answer, fit to be stored and shown."""
    return redact(body[: ANSWER_HEAD_CHARS * 4].decode("utf-8", "replace"))[:ANSWER_HEAD_CHARS]
