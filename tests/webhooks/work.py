"""What the workers do with deliveries, done here and now."""

from __future__ import annotations

from webhooks.applying import apply_some


def apply_all() -> None:
    """All that has arrived and waits for nothing."""
    while apply_some():
        pass
