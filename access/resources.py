"""What a key can be limited to: the resources of the REST API, by the names that stand in its addresses."""

from __future__ import annotations

# Fixed names: other programs rely on them.
RESOURCES: tuple[str, ...] = (
    "brands",
    "accounts",
    "installations",
    "channels",
    "consumers",
    "conversations",
    "messages",
    "deliveries",
    "dispatches",
    "attempts",
    "audit-log",
    "usage",
    "find",
)
