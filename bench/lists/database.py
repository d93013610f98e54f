"""Databases of the kit, on an embedded PostgreSQL that goes with it; where BENCH_KEEP names a folder, it stays."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict

from bench.site import ROOT


@contextlib.contextmanager
def server() -> Iterator[str]:
    """
    The product's embedded PostgreSQL with the product's settings, and Django set up for it; yields its address.

    BENCH_KEEP: a data folder that is kept, so that what was filled once is measured again.
    """
    from connector_site import environment, postgres_home
    from connector_site.embedded_postgres import EmbeddedPostgres

    kept = os.environ.get("BENCH_KEEP", "")
    data_dir = Path(kept or tempfile.mkdtemp(prefix="connector-site-bench-")).resolve()
    for name in environment.NAMES:
        os.environ.pop(name, None)
    os.environ |= {"MODE": "local", "DATA_DIR": str(data_dir)}
    embedded = EmbeddedPostgres(data_dir)
    try:
        embedded.start(tie_to_parent=True)
        os.environ["DATABASE_URL"] = embedded.url
        environment.load()
        set_up_django()
        yield embedded.url
    finally:
        embedded.stop()
        if not kept:
            postgres_home.remove(data_dir)
            shutil.rmtree(data_dir, ignore_errors=True)


def use(name: str, *, on: str) -> None:
    """Have Django speak to this database of the server from now on, made and migrated where that is needed."""
    from django.core.management import call_command
    from django.db import connection

    with psycopg.connect(on, autocommit=True) as server_connection:
        if not server_connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
            server_connection.execute(f'CREATE DATABASE "{name}"')
    connection.close()
    place = conninfo_to_dict(on)
    connection.settings_dict |= {"HOST": place["host"], "USER": place["user"], "NAME": name}
    call_command("migrate", verbosity=0)


def set_up_django() -> None:
    sys.path.insert(0, str(ROOT))
    os.environ["DJANGO_SETTINGS_MODULE"] = "connector_site.settings"
    import django

    django.setup()
