"""
What a backup is made of: a dump of the database, the files that its rows name, and a manifest that vouches for both.

    manifest.json    what it holds, of when, by which version, which keys it needs, the SHA-256 of the two parts below
    database.dump    pg_dump's own format
    files.sha256     one line a file, as sha256sum prints and checks it
    files/ab/…       the files

No key is in it: the manifest names them by the heads of their digests.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

FORMAT = 1
MANIFEST, DUMP, FILE_SUMS = "manifest.json", "database.dump", "files.sha256"
_LINE = re.compile(r"([0-9a-f]{64})  files/([0-9a-f]{2}/[0-9a-f]{32})")
_CHUNK = 1 << 20


class BackupDamaged(Exception):
    """The folder is no whole backup; the text says what is wrong with it."""


@dataclass(kw_only=True)
class Manifest:
    """
    keys: ids of the encryption keys that its secrets are under. search_key: id of the SECRET_KEY's part in searches.
    files_missing: rows whose file was not on the disk. files_changed: whose bytes are not those that were stored.
    """

    started_at: str
    version: str
    postgres: int
    migrations: list[str]
    counts: dict[str, int]
    keys: list[str]
    search_key: str
    finished_at: str = ""
    files_missing: list[str] = field(default_factory=list)
    files_changed: list[str] = field(default_factory=list)
    sums: dict[str, str] = field(default_factory=dict)
    format: int = FORMAT


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Last of all: its presence says that the rest is there."""
    with open_private(folder / MANIFEST) as file:
        file.write(json.dumps(asdict(manifest), indent=2).encode())


def read_manifest(folder: Path) -> Manifest:
    """What a backup says of itself. Raises BackupDamaged."""
    try:
        told: Any = json.loads((folder / MANIFEST).read_bytes())
    except FileNotFoundError:
        raise BackupDamaged(f"{folder} holds no {MANIFEST}: it is no backup, or not a whole one.") from None
    except (OSError, ValueError) as error:
        raise BackupDamaged(f"{folder / MANIFEST} cannot be read ({type(error).__name__}).") from None
    if not isinstance(told, dict) or told.get("format") != FORMAT:
        raise BackupDamaged(f"{folder / MANIFEST} is of a format that this version does not know.")
    try:
        return Manifest(**told)
    except TypeError:
        raise BackupDamaged(f"{folder / MANIFEST} does not say all that it has to.") from None


def check_sums(folder: Path, manifest: Manifest) -> None:
    """Read everything and compare it with what the manifest vouches for. Raises BackupDamaged."""
    for name in (DUMP, FILE_SUMS):
        _check_one(folder / name, manifest.sums.get(name, ""))
    for name, wanted in listed_files(folder):
        _check_one(folder / "files" / name, wanted)


def listed_files(folder: Path) -> Iterator[tuple[str, str]]:
    """Name below files/ and SHA-256 of each file. Raises BackupDamaged."""
    with (folder / FILE_SUMS).open() as lines:
        for line in lines:
            found = _LINE.fullmatch(line.rstrip("\n"))
            if found is None:
                raise BackupDamaged(f"{folder / FILE_SUMS} holds a line that is none of ours.")
            yield found.group(2), found.group(1)


def sum_of(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def copy(source: BinaryIO, target: Path) -> str:
    """Copy into a new file that only its owner may read; returns the SHA-256 of what was copied."""
    digest = hashlib.sha256()
    with open_private(target) as file:
        while chunk := source.read(_CHUNK):
            digest.update(chunk)
            file.write(chunk)
    return digest.hexdigest()


def open_private(path: Path) -> BinaryIO:
    """A new file for its owner alone."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def _check_one(path: Path, wanted: str) -> None:
    try:
        found = sum_of(path)
    except OSError as error:
        raise BackupDamaged(f"{path} cannot be read ({error.strerror}): the backup is not whole.") from None
    if found != wanted:
        raise BackupDamaged(f"{path} is damaged: its bytes are not those that were backed up. Use another backup.")
