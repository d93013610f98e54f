from __future__ import annotations

from tests.conversations.conftest import door, other_ends, simulator_process, stand, transactional_db

__all__ = ["door", "other_ends", "simulator_process", "stand", "transactional_db"]
