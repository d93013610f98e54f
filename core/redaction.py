"""Masks what must not be read: secrets and tokens in answers that are kept as evidence."""

from __future__ import annotations

import re

ANSWER_HEAD_CHARS = 512
_MASK = "•••"
_TOKENS = re.compile(
    r"eyJ[\w-]{5,}\.[\w-]{5,}\.[\w-]*"  # a JWT
    r"|whsec_[\w+/=-]+"
    r"|(?i:(?:secret|token|password|authorization|temp_url_sig|signature)[\"']?\s*[:=]\s*[\"']?)[^\s\"',&}]+"
)


def redact(text: str) -> str:
    """The text with everything that looks like a token or a secret masked, and control characters made visible."""
    return "".join(
        ch if ch.isprintable() or ch == "\n" else "\N{REPLACEMENT CHARACTER}" for ch in _TOKENS.sub(_MASK, text)
    )


def answer_head(body: bytes) -> str:
    """The beginning of a provider's answer, fit to be stored and shown."""
    return redact(body[: ANSWER_HEAD_CHARS * 4].decode("utf-8", "replace"))[:ANSWER_HEAD_CHARS]
