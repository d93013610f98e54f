from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.conversations.conftest import door, other_ends, simulator_process, stand, transactional_db

if TYPE_CHECKING:
    from tests.factories import World

__all__ = ["door", "other_ends", "simulator_process", "stand", "transactional_db", "world"]


@pytest.fixture
def world(db: None) -> World:
    """A brand with everything in it. Imported inside, because pytest reads this file before Django is set up."""
    from tests.factories import make_world

    return make_world(slug="amber", mark="AMBERXQJ7")
