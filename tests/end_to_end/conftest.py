from collections.abc import Iterator

import pytest

from tests.stack import Stack, running


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One site for all tests of this folder: leave it as usable as you found it, and use an account of your own."""
    with running(tmp_path_factory.mktemp("site") / "data") as started:
        yield started
