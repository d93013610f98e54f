"""
Taking a backup while the site runs.

The rows first, all as of one moment; then the files. A file is written before its row is committed and never changed,
so whatever a row of the dump names is there, unless retention or an erasure has removed both since.
"""

from __future__ import annotations

import os
import shutil
import tomllib
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
from django.core.files.storage import default_storage
from django.db import models, transaction
from psycopg import sql

from access.models import Brand
from audit import api as audit
from audit.models import AuditEntry
from connector_site import postgres_tools
from connector_site.backup_folder import DUMP, FILE_SUMS, Manifest, copy, open_private, sum_of, write_manifest
from connector_site.environment import BASE_DIR
from connector_site.postgres_tools import Place
from connector_site.reencryption import sealed_models
from conversations.media import storage_path
from conversations.models import Consumer, Conversation, Dispatch, MediaFile, Message
from core.actor import COMMAND
from core.errors import ConfigurationError
from core.vault import search_key_id
from installations.models import AppInstallation, Channel
from webhooks.models import Delivery, Event

COUNTED: tuple[type[models.Model], ...] = (
    Brand, AppInstallation, Channel, Consumer, Conversation, Message, MediaFile, Dispatch, Delivery, Event, AuditEntry,
)  # fmt: skip
# Doorbells, sign-ins and signs of life: worth nothing where they are restored.
_WITHOUT_ROWS = ("django_q_*", "django_session", "axes_*", "connector_site_heartbeat")
_TELL_EVERY = 1000
Tell = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class _File:
    id: uuid.UUID
    sha256: str


def take(folder: Path, *, tell: Tell) -> Manifest:
    """
    Make a backup in a folder that does not exist yet. Raises ConfigurationError.

    It is put there as a whole, under its name only when it is complete.
    """
    folder = folder.absolute()
    at = postgres_tools.place()
    tool = postgres_tools.find("pg_dump", server_major=at.major)
    with _under_another_name(folder) as unfinished:
        with _snapshot(at) as (session, snapshot):
            manifest = _describe(session, at)
            files = _named_files(session)
            tell(f"Dumping the database: {sum(manifest.counts.values())} rows of what counts.")
            left_out = [f"--exclude-table-data={pattern}" for pattern in _WITHOUT_ROWS]
            how = ["--format=custom", "--no-owner", "--no-privileges", f"--snapshot={snapshot}", *left_out]
            postgres_tools.run(tool, [*how, f"--file={unfinished / DUMP}"], at=at)
        _copy_files(unfinished, files, manifest, tell=tell)
        manifest.sums = {name: sum_of(unfinished / name) for name in (DUMP, FILE_SUMS)}
        manifest.finished_at = datetime.now(UTC).isoformat()
        write_manifest(unfinished, manifest)
        _record(manifest)
    tell(f"The backup is in {folder}. It holds no key: keep ENCRYPTION_KEYS and SECRET_KEY in another place.")
    return manifest


@transaction.atomic
def _record(manifest: Manifest) -> None:
    """Before the folder has its name: there is no backup that the trail does not tell of."""
    data = {"started_at": manifest.started_at, "rows": sum(manifest.counts.values())}
    audit.record("backup.taken", actor=COMMAND, subject=None, data=data)


@contextmanager
def _under_another_name(folder: Path) -> Iterator[Path]:
    if folder.exists() or folder.is_symlink():
        raise ConfigurationError(f"{folder} exists already. Name a folder that does not: each backup has its own.")
    unfinished = folder.with_name(f".{folder.name}.unfinished-{os.getpid()}")
    try:
        unfinished.mkdir(mode=0o700)
    except OSError as error:
        raise ConfigurationError(f"No folder can be made in {folder.parent} ({error.strerror}).") from None
    try:
        yield unfinished
        os.sync()  # the name promises that all of it is on the disk
        unfinished.rename(folder)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise


@contextmanager
def _snapshot(at: Place) -> Iterator[tuple[psycopg.Connection[Any], str]]:
    """A moment of the database, to be looked at by several connections."""
    with psycopg.connect(at.conninfo, password=at.password or None) as session:
        session.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        session.read_only = True
        session.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        row = session.execute("SELECT pg_export_snapshot()").fetchone()
        assert row is not None
        yield session, row[0]


def _describe(session: psycopg.Connection[Any], at: Place) -> Manifest:
    applied = session.execute("SELECT app || '.' || name FROM django_migrations ORDER BY id").fetchall()
    return Manifest(
        started_at=datetime.now(UTC).isoformat(),
        version=tomllib.loads((BASE_DIR / "pyproject.toml").read_text())["project"]["version"],
        postgres=at.version,
        migrations=[name for (name,) in applied],
        counts=counts(session),
        keys=_keys_in_use(session),
        search_key=search_key_id(),
    )


def counts(session: psycopg.Connection[Any]) -> dict[str, int]:
    """Rows of each table that people ask about."""
    found = {}
    for model in COUNTED:
        row = session.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(model._meta.db_table)))
        found[model._meta.db_table] = row.fetchone()[0]  # type: ignore[index]
    return found


def _keys_in_use(session: psycopg.Connection[Any]) -> list[str]:
    """Ids of the keys that something is sealed under: core.encryption says where in a value the id stands."""
    query = "SELECT DISTINCT encode(substring(sealed FROM 2 FOR 4), 'hex') FROM {} WHERE length(sealed) > 5"
    found: set[str] = set()
    for model in sealed_models():
        rows = session.execute(sql.SQL(query).format(sql.Identifier(model._meta.db_table)))
        found.update(key_id for (key_id,) in rows)
    return sorted(found)


def _named_files(session: psycopg.Connection[Any]) -> list[_File]:
    rows = session.execute("SELECT id, sha256 FROM conversations_mediafile ORDER BY id")
    return [_File(id=file_id, sha256=bytes(sha256).hex()) for file_id, sha256 in rows]


def _copy_files(folder: Path, files: list[_File], manifest: Manifest, *, tell: Tell) -> None:
    (folder / "files").mkdir(mode=0o700)
    with open_private(folder / FILE_SUMS) as sums:
        for number, one in enumerate(files, start=1):
            found = _copy_one(folder / "files", one)
            if found:
                sums.write(f"{found}  files/{storage_path(one.id)}\n".encode())
                if found != one.sha256:
                    manifest.files_changed.append(str(one.id))
            elif MediaFile.objects.filter(pk=one.id).exists():
                manifest.files_missing.append(str(one.id))
            if number % _TELL_EVERY == 0:
                tell(f"Copied {number} of {len(files)} files.")


def _copy_one(files: Path, one: _File) -> str:
    """The SHA-256 of what was copied; empty when the file is not there."""
    name = storage_path(one.id)
    try:
        with default_storage.open(name) as source:
            target = files / name
            target.parent.mkdir(mode=0o700, exist_ok=True)
            return copy(source, target)  # type: ignore[arg-type]
    except FileNotFoundError:
        return ""
