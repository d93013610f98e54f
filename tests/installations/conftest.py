from tests.conversations.conftest import door, simulator_process, stand, transactional_db

__all__ = ["door", "simulator_process", "stand", "transactional_db"]
