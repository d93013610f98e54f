"""Commands on a database that is away, empty or behind: a sentence that says what to do, never a traceback."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db.migrations.recorder import MigrationRecorder

from connector_site import embedded_postgres, environment, postgres_home
from connector_site.embedded_postgres import EmbeddedPostgres
from tests.conversations.conftest import transactional_db
from tests.stack import free_ports
from tests.webhooks.web import database_url

__all__ = ["transactional_db"]

OURS = [
    ["check_invariants"],
    ["reencrypt"],
    ["worker"],
    ["web"],
    ["qcluster"],
    ["api_key", "create", "--user", "admin"],
    ["createsuperuser", "--noinput"],
    ["onboard", "--brand", "acme", "--account", "12345678", "--client-id", "52d4ae6e-f56e-4a3f-8f9a-3a2d0b0c7d1e"]
    + ["--secret-file", "/dev/null", "--channel", "custom"],
]


def manage(*arguments: str, data_dir: Path, **values: str) -> "subprocess.CompletedProcess[str]":
    inherited = {name: value for name, value in os.environ.items() if name not in environment.NAMES}
    return subprocess.run(
        [sys.executable, str(environment.BASE_DIR / "manage.py"), *arguments],
        env=inherited | {"MODE": "local", "DATA_DIR": str(data_dir), "PORT": str(free_ports(1)[0])} | values,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def the_sentence(done: "subprocess.CompletedProcess[str]") -> str:
    """What a command that could not start said: one line, and status 1."""
    assert done.returncode == 1, done.stderr
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.endswith(".")
    return line


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedPostgres]:
    """Up from its start() on; commands are told of it by DATABASE_URL, or the last one to leave would stop it."""
    one = EmbeddedPostgres(tmp_path / "data")
    yield one
    one.stop()
    postgres_home.remove(one.data_dir)


@pytest.mark.parametrize("command", ["check_invariants", "worker", "web"])
def test_a_folder_that_no_site_has_used_is_named(tmp_path: Path, command: str) -> None:
    said = the_sentence(manage(command, data_dir=tmp_path / "typo"))
    assert f"DATA_DIR={tmp_path / 'typo'}" in said
    assert "make run" in said
    assert not (tmp_path / "typo" / "postgres").exists()  # no database is made for a slip of the pen


def test_an_empty_schema_is_to_be_migrated(server: EmbeddedPostgres) -> None:
    server.start(tie_to_parent=True)
    for command in OURS:
        said = the_sentence(manage(*command, data_dir=server.data_dir, DATABASE_URL=server.url))
        assert "is empty" in said
        assert "manage.py migrate" in said


def test_an_old_schema_is_to_be_migrated(transactional_db: None, tmp_path: Path) -> None:
    """The tests' own database: to migrate another takes long."""
    where = {"data_dir": tmp_path, "DATABASE_URL": database_url()}
    known = MigrationRecorder.Migration.objects.filter(app="webhooks")
    kept = list(known)
    known.delete()
    try:
        for name in ("check_invariants", "web"):
            said = the_sentence(manage(name, **where))
            assert "webhooks.0001_initial" in said
            assert "manage.py migrate" in said
    finally:
        known.bulk_create(kept)
    assert manage("check_invariants", **where).returncode == 0


@pytest.mark.parametrize("command", ["check_invariants", "worker", "web", "migrate", "showmigrations"])
def test_a_database_that_is_away_is_named_without_its_password(tmp_path: Path, command: str) -> None:
    (port,) = free_ports(1)
    url = f"postgresql://site:Tr0ub4dor@127.0.0.1:{port}/site"
    said = the_sentence(manage(command, data_dir=tmp_path / "data", DATABASE_URL=url))
    assert f"127.0.0.1:{port}" in said
    assert "Connection refused" in said
    assert "Tr0ub4dor" not in said


def test_a_database_that_goes_away_under_a_command_is_a_sentence_too(server: EmbeddedPostgres) -> None:
    server.start(tie_to_parent=True)
    where = {"data_dir": server.data_dir, "DATABASE_URL": server.url}
    cut_off = "SELECT pg_terminate_backend(pg_backend_pid())"
    code = f"from django.db import connection; connection.cursor().execute('{cut_off}')"
    said = the_sentence(manage("shell", "--no-imports", "-c", code, **where))
    assert "cannot be used (terminating connection due to administrator command)" in said


@pytest.mark.parametrize("setting", ["fsync", "full_page_writes", "synchronous_commit"])
def test_nothing_is_served_from_a_database_that_may_forget(
    server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    monkeypatch.setitem(embedded_postgres._SETTINGS, setting, "off")
    server.start(tie_to_parent=True)
    for command in ("web", "worker"):
        said = the_sentence(manage(command, data_dir=server.data_dir, DATABASE_URL=server.url))
        assert f"{setting} = off" in said


def test_a_command_asked_for_its_usage_needs_no_database(tmp_path: Path) -> None:
    done = manage("onboard", "--help", data_dir=tmp_path / "data")
    assert done.returncode == 0
    assert "--client-id" in done.stdout
    assert not (tmp_path / "data" / "postgres" / "log").exists()  # of a server that was started


def test_a_python_without_the_packages_says_what_to_do() -> None:
    done = subprocess.run(
        [sys.executable, "-S", str(environment.BASE_DIR / "manage.py"), "web"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert f"{sys.executable} has no package psycopg. On your machine run `make setup`" in done.stderr
    assert "Traceback" not in done.stderr
