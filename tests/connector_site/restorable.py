"""A second database beside the tests' own: what is backed up in the one is restored into the other."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
from django.db import connection

from connector_site.environment import BASE_DIR
from tests.conversations.stand import forget_caches


def url_of(database: str) -> str:
    return urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{database}").geturl()


@dataclass(frozen=True, kw_only=True)
class Told:
    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def manage(*arguments: str | Path, database: str = "", data_dir: Path | str = "", **values: str) -> Told:
    """A command as an operator types it; by default against the database of this test."""
    environment = os.environ | {
        "DATABASE_URL": url_of(database or connection.settings_dict["NAME"]),
        "DATA_DIR": str(data_dir or os.environ["DATA_DIR"]),
        **values,
    }
    command = [sys.executable, str(BASE_DIR / "manage.py"), *map(str, arguments)]
    done = subprocess.run(command, env=environment, cwd=BASE_DIR, capture_output=True, text=True, timeout=240)
    return Told(status=done.returncode, out=done.stdout, err=done.stderr)


@dataclass(frozen=True, kw_only=True)
class Second:
    """A database that is empty at first, and a DATA_DIR for it."""

    name: str
    data_dir: Path

    @property
    def url(self) -> str:
        return url_of(self.name)

    def manage(self, *arguments: str | Path, **values: str) -> Told:
        return manage(*arguments, database=self.name, data_dir=self.data_dir, **values)

    def ask(self, query: str) -> Any:
        with psycopg.connect(self.url) as session:
            return session.execute(query).fetchall()  # type: ignore[arg-type]

    @contextlib.contextmanager
    def in_use(self) -> Iterator[None]:
        """This process works on it, instead of on the tests' own."""
        usual = connection.settings_dict["NAME"]
        connection.close()
        connection.settings_dict["NAME"] = self.name
        forget_caches()
        try:
            yield
        finally:
            connection.close()
            connection.settings_dict["NAME"] = usual
            forget_caches()


@contextlib.contextmanager
def second_database(data_dir: Path) -> Iterator[Second]:
    name = f"second_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as session:
        session.execute(f'CREATE DATABASE "{name}" TEMPLATE template0')  # type: ignore[arg-type]
        try:
            yield Second(name=name, data_dir=data_dir)
        finally:
            session.execute(f'DROP DATABASE "{name}" WITH (FORCE)')  # type: ignore[arg-type]
