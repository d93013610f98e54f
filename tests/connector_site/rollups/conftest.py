"""Fixtures: LivePerson and a channel for the tests that count what went the whole way."""

from tests.conversations.conftest import other_ends, simulator_process, stand, transactional_db

__all__ = ["other_ends", "simulator_process", "stand", "transactional_db"]
