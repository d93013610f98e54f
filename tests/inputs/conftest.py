"""Fixtures of the input suite, and the size of what it generates."""

from __future__ import annotations

from tests.conversations.conftest import door, other_ends, transactional_db
from tests.webhooks.conftest import web

__all__ = ["door", "other_ends", "transactional_db", "web"]
