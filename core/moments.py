"""Times in sentences."""

from __future__ import annotations

from datetime import UTC, datetime


def in_utc(at: datetime) -> str:
    """As sentences name a time; pages show it in the reader's zone (`told` of access.templatetags.readable)."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
