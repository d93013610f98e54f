"""
An export of all messages from a real web process: how fast, in how much memory, and whether a cut one can be taken up.

20,000 messages; LONG=1: a million; BENCH_ROWS=200000: so many. The reader cuts the answer in the middle of a line, and
goes on with the cursor of the last whole one. What arrived is compared with the table: every id once, in its order.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import requests

from bench.lists import database
from bench.report import Figure
from bench.site import ROOT, free_port, say

if TYPE_CHECKING:
    import psutil

MOST_MEMORY_MB = 200
# Of no length that a line, a batch or a piece of the answer ends with.
_READ_BYTES = 100_003
_READY_WITHIN_S = 60


@dataclass(kw_only=True)
class _Got:
    """What a reader has of an export. digest: of the ids, in the order in which they came."""

    rows: int = 0
    cursor: str = ""
    digest: Any = field(default_factory=sha256)
    rest: bytes = b""

    def take(self, piece: bytes) -> None:
        *lines, self.rest = (self.rest + piece).split(b"\n")
        for line in lines:
            row = json.loads(line)
            self.digest.update(row["id"].encode())
            self.cursor = row["cursor"]
            self.rows += 1


def measure() -> list[Figure]:
    given = os.environ.get("BENCH_ROWS", "")
    messages = int(given) if given.isdigit() else 1_000_000 if os.environ.get("LONG") == "1" else 20_000
    with database.server() as url:
        _fill(messages, url)
        with _web() as (address, process):
            memory = _Memory(process)
            got, elapsed_s = _export(address, messages)
            peak_mb = memory.stop()
        wanted_rows, wanted_digest = _table()
    is_same = (got.rows, got.digest.hexdigest()) == (wanted_rows, wanted_digest)
    say(f"  {got.rows:,} rows in {elapsed_s:.0f} s, {peak_mb:.0f} MB at most; the same as in the table: {is_same}")
    return [
        Figure(
            figure=f"export of {messages:,} messages", value=got.rows / elapsed_s, unit="rows/s",
            against="NDJSON, read by one client, cut once",
        ),
        Figure(
            figure="export, memory of the web process at its peak", value=peak_mb, unit="MB",
            target=f"< {MOST_MEMORY_MB}", gate=True, met=peak_mb < MOST_MEMORY_MB,
        ),
        Figure(
            figure="export cut and taken up, rows missing or doubled", value=abs(wanted_rows - got.rows), unit="rows",
            against=f"the table's {wanted_rows:,} ids, by count and digest", target="0, same ids", gate=True,
            met=is_same,
        ),
    ]  # fmt: skip


def _fill(messages: int, url: str) -> None:
    from bench.lists.load import fill
    from conversations.models import Message

    database.use(f"site_{messages}", on=url)
    if not Message.objects.exists():
        say(f"  {messages:,} messages:")
        fill(messages)


def _export(address: str, messages: int) -> tuple[_Got, float]:
    """Read half of it, cut it, then read the rest."""
    key = _key()
    got, began_s = _Got(), time.monotonic()
    while True:
        asked = {"cursor": got.cursor} if got.cursor else {}
        until = messages // 2 if not asked else None
        with requests.get(
            f"{address}/api/v1/messages/export/", params=asked, headers={"Authorization": f"Bearer {key}"},
            stream=True, timeout=60,
        ) as answer:  # fmt: skip
            answer.raise_for_status()
            for piece in answer.iter_content(_READ_BYTES):
                got.take(piece)
                if until is not None and got.rows >= until and got.rest:
                    break
            else:
                return got, time.monotonic() - began_s
        say(f"    cut after {got.rows:,} rows and {len(got.rest)} bytes of another")
        got.rest = b""


def _key() -> str:
    from access.models import User
    from connector_site import api_keys
    from core.actor import COMMAND

    owner, _ = User.objects.get_or_create(username="exporter", defaults={"is_superuser": True})
    return api_keys.create(owner=owner, days=1, actor=COMMAND, wanted=api_keys.Wanted(name="bench export")).secret


def _table() -> tuple[int, str]:
    from conversations.models import Message

    rows, digest = 0, sha256()
    for message_id in Message.objects.order_by("-pk").values_list("pk", flat=True).iterator(chunk_size=20_000):
        digest.update(str(message_id).encode())
        rows += 1
    return rows, digest.hexdigest()


# --- the web process -------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _web() -> Iterator[tuple[str, psutil.Process]]:
    """`manage.py web` with one process that answers, on the database that is in use; yields its address and itself."""
    import psutil
    from django.db import connection

    known, port = connection.settings_dict, free_port()
    url = f"postgresql:///{known['NAME']}?host={known['HOST']}&user={known['USER']}"
    if known["PORT"]:
        url += f"&port={known['PORT']}"
    environ = {**os.environ, "DATABASE_URL": url, "PORT": str(port), "WEB_CONCURRENCY": "1"}
    with subprocess.Popen(
        [sys.executable, "manage.py", "web"], cwd=ROOT, env=environ, stdout=subprocess.DEVNULL, stderr=sys.stderr
    ) as process:
        try:
            address = f"http://127.0.0.1:{port}"
            _wait_until_ready(address, process)
            (answering,) = psutil.Process(process.pid).children()
            yield address, answering
        finally:
            process.send_signal(signal.SIGTERM)


def _wait_until_ready(address: str, process: subprocess.Popen[bytes]) -> None:
    ends_s = time.monotonic() + _READY_WITHIN_S
    while True:
        with contextlib.suppress(requests.ConnectionError):
            if requests.get(f"{address}/healthz", timeout=5).ok:
                return
        if process.poll() is not None or time.monotonic() > ends_s:
            raise SystemExit("The web server did not become ready.")
        time.sleep(0.1)


class _Memory:
    """The most memory that a process held at a time, looked at twenty times a second."""

    def __init__(self, process: psutil.Process) -> None:
        self._process = process
        self._most = 0
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def stop(self) -> float:
        """In megabytes."""
        self._is_over.set()
        self._thread.join()
        return self._most / 1_000_000

    def _look(self) -> None:
        while not self._is_over.wait(0.05):
            self._most = max(self._most, self._process.memory_info().rss)
