"""The real web server as `manage.py web` starts it, on the test's database, and requests that no library would send."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from django.db import connection

from tests.simulator.conftest import ROOT, free_port

READY_WITHIN_S = 30.0


def database_url() -> str:
    """Of the database that the tests use."""
    known = connection.settings_dict
    parts = {"host": known["HOST"], "port": known["PORT"], "user": known["USER"], "password": known["PASSWORD"]}
    return f"postgresql:///{known['NAME']}?{urlencode({name: value for name, value in parts.items() if value})}"


class Web:
    def __init__(self, **values: str) -> None:
        self.port = free_port()
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 -- closed by stop()
        self._process = subprocess.Popen(
            [sys.executable, str(ROOT / "manage.py"), "web"],
            env=os.environ | {"DATABASE_URL": database_url(), "PORT": str(self.port), "WEB_CONCURRENCY": "1"} | values,
            cwd=Path(ROOT),
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
        )
        self._wait()

    @property
    def log(self) -> str:
        self._log.seek(0)
        return self._log.read().decode("utf-8", "replace")

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(60)
        self._log.close()

    def connect(self) -> Wire:
        return Wire(socket.create_connection(("127.0.0.1", self.port), timeout=10))

    def exchange(self, *parts: bytes) -> Answer:
        """Send bytes over a connection of their own; returns the first answer."""
        with self.connect() as wire:
            for part in parts:
                wire.send(part)
            return wire.read()

    def _wait(self) -> None:
        deadline = time.monotonic() + READY_WITHIN_S
        while True:
            try:
                if (
                    self.exchange(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n").status
                    == 200
                ):
                    return
            except OSError:
                pass
            assert self._process.poll() is None, self.log
            assert time.monotonic() < deadline, self.log
            time.sleep(0.05)


@dataclass(frozen=True)
class Answer:
    """status 0: the connection ended without an answer."""

    status: int
    head: str = ""
    body: bytes = b""

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Wire:
    """One connection."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._rest = b""

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def send(self, data: bytes) -> None:
        try:
            self._socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the server has said what it had to say; it can still be read

    def read(self) -> Answer:
        """The next answer on this connection."""
        while b"\r\n\r\n" not in self._rest:
            if not self._more():
                return Answer(0)
        head, _, self._rest = self._rest.partition(b"\r\n\r\n")
        text = head.decode("latin-1")
        if text.startswith("HTTP/1.1 100"):
            return self.read()
        found = re.search(r"(?im)^content-length: *([0-9]+)", text)
        length = int(found[1]) if found else 0
        while len(self._rest) < length and self._more():
            pass
        body, self._rest = self._rest[:length], self._rest[length:]
        return Answer(int(text.split(" ")[1]), text, body)

    def close(self) -> None:
        self._socket.close()

    def _more(self) -> bool:
        try:
            data = self._socket.recv(65536)
        except (ConnectionResetError, TimeoutError):
            return False
        self._rest += data
        return bool(data)


def chunked(*chunks: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + end
