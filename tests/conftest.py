"""
What every test run needs: an environment of its own, one PostgreSQL for all its processes, and no way to the outside.

The environment is prepared when this file is imported, because pytest-django reads the settings right after that. With
pytest-xdist the first process prepares it and the others inherit it.
"""

import gc
import ipaddress
import os
import secrets
import shutil
import socket
import tempfile
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from connector_site import environment, postgres_home
from connector_site.embedded_postgres import EmbeddedPostgres
from tools.run_tests import WHOLE_SITE, chromium

if TYPE_CHECKING:
    from tests.factories import World

TESTS = Path(__file__).parent
_server: EmbeddedPostgres | None = None


def _prepare() -> EmbeddedPostgres | None:
    """Replace what the developer's shell says about the site; a database server named there is used, nothing else."""
    for name in set(environment.NAMES) - {"DATABASE_URL"}:
        os.environ.pop(name, None)
    data_dir = Path(tempfile.mkdtemp(prefix="connector-site-tests-"))
    os.environ |= {
        "MODE": "test",
        "DATA_DIR": str(data_dir),
        "SECRET_KEY": secrets.token_urlsafe(48),
        "ENCRYPTION_KEYS": b64encode(secrets.token_bytes(32)).decode(),
        "ADMIN_PASSWORD": secrets.token_urlsafe(12),
        "ALLOW_PRIVATE_OUTBOUND": "1",
        "API_REQUESTS_PER_MINUTE": "1000000",
        # Where nobody listens: what asks LivePerson, without a simulator of its own, is told at once.
        "LIVEPERSON_DOMAIN_API": "http://127.0.0.1:9",
        "DJANGO_SETTINGS_MODULE": "connector_site.settings",
    }
    if os.environ.get("DATABASE_URL", "").strip():
        return None
    server = EmbeddedPostgres(data_dir)
    server.start(tie_to_parent=True)
    os.environ["DATABASE_URL"] = server.url
    return server


if "PYTEST_XDIST_WORKER" not in os.environ:
    _server = _prepare()


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Load the settings: pytest-django sets Django up only where somebody has."""
    from django.conf import settings

    assert settings.MODE == "test"


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop and delete what this run started."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        return
    data_dir = Path(os.environ["DATA_DIR"])
    if _server is not None:
        _server.stop()
        postgres_home.remove(data_dir)
    shutil.rmtree(data_dir, ignore_errors=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The folder says what kind of test it is; nobody has to remember the mark. No browser: said, not passed over."""
    has_browser = chromium() is not None
    for item in items:
        for folder in ("end_to_end", "browser"):
            if TESTS / folder in item.path.parents:
                item.add_marker(getattr(pytest.mark, folder))
        for mark in WHOLE_SITE:
            if item.get_closest_marker(mark) and TESTS / mark not in item.path.parents:
                raise pytest.UsageError(
                    f"{item.nodeid} is marked {mark}, and `make test` looks for it in tests/{mark}."
                )
        if not has_browser and (item.get_closest_marker("browser") or TESTS / "pages" in item.path.parents):
            item.add_marker(pytest.mark.skip(reason="browser tests NOT RUN: there is no Chromium"))


def pytest_collection_finish() -> None:
    """What is loaded by now stays until the end: the collector need not walk through it again and again."""
    gc.collect()
    gc.freeze()


# --- no way to the outside -------------------------------------------------------------------------------------------


class OutsideHostRefused(RuntimeError):
    """A test tried to reach a host that is not this machine; not an OSError, so that no retry swallows it."""


@pytest.fixture(autouse=True, scope="session")
def _refuse_outside_hosts() -> Iterator[None]:
    """Let sockets reach this machine only."""
    patch = pytest.MonkeyPatch()
    for name in ("connect", "connect_ex", "sendto"):
        patch.setattr(socket.socket, name, _guarded(getattr(socket.socket, name)))
    yield
    patch.undo()


def _guarded(method: Any) -> Any:
    def guarded(self: socket.socket, *arguments: Any) -> Any:
        if self.family in (socket.AF_INET, socket.AF_INET6) and not _is_this_machine(arguments[-1]):
            raise OutsideHostRefused(f"This test tried to reach {arguments[-1]!r}. Point it at a server of its own.")
        return method(self, *arguments)

    return guarded


def _is_this_machine(address: Any) -> bool:
    host = str(address[0])
    if host in ("", "localhost"):
        return True
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


# --- Django ----------------------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True, scope="session")
def _quick_passwords() -> Iterator[None]:
    """Hash passwords cheaply: the real hasher takes a third of a second, on purpose."""
    from django.test import override_settings

    with override_settings(PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"]):
        yield


@pytest.fixture(autouse=True, scope="session")
def _static_files_found_once() -> Iterator[None]:
    """Each test client has middleware of its own, which would look through the folders of all static files."""
    from whitenoise.middleware import WhiteNoiseMiddleware

    found: dict[str, Any] = {}
    look = WhiteNoiseMiddleware.add_files_from_finders

    def look_once(middleware: WhiteNoiseMiddleware) -> None:
        if not found:
            look(middleware)
            found.update(middleware.files)
        middleware.files.update(found)

    patch = pytest.MonkeyPatch()
    patch.setattr(WhiteNoiseMiddleware, "add_files_from_finders", look_once)
    yield
    patch.undo()


@pytest.fixture(autouse=True, scope="session")
def _patient_with_this_machine() -> Iterator[None]:
    """
    Requests made inside this process wait for PostgreSQL for longer than the site's own: where a disk or a processor is
    busy they would be told 503 now and then. How quick the site is, is asked of web servers in processes of their own.
    """
    from core.postgres import patience
    from webhooks import patience as webhooks_patience

    patch = pytest.MonkeyPatch()
    patch.setattr(patience, "QUICK_S", 30.0)
    patch.setattr(webhooks_patience, "STATEMENT_TIMEOUT_MS", 30_000)
    yield
    patch.undo()


@pytest.fixture
def world(db: None) -> "World":
    """A brand with everything in it. Imported inside, because pytest reads this file before Django is set up."""
    from tests.factories import make_world

    return make_world(slug="amber", mark="AMBERXQJ7")
