"""Harm to a PostgreSQL of a test's own."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import psutil

from connector_site.embedded_postgres import EmbeddedPostgres


@contextlib.contextmanager
def stopped(server: EmbeddedPostgres) -> Iterator[None]:
    """Down, in order; it comes back at the end."""
    server.stop()
    try:
        yield
    finally:
        server.start(tie_to_parent=True)


@contextlib.contextmanager
def frozen(server: EmbeddedPostgres) -> Iterator[None]:
    """All its processes stand still: connections stay open, nothing is refused, nothing answers."""
    pid = server._pid()
    assert pid is not None
    postmaster = psutil.Process(pid)
    postmaster.suspend()  # first: it could start more of them
    parts = postmaster.children()
    for part in parts:
        part.suspend()
    try:
        yield
    finally:
        for part in [*parts, postmaster]:
            with contextlib.suppress(psutil.NoSuchProcess):
                part.resume()
