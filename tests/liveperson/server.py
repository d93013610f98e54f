"""
A real HTTP server that answers with exactly the bytes it is told, at the pace it is told.

Not built on http.server, which would refuse to send most of what a broken server sends.
"""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

CLOSE = "close"
RESET = "reset"
Step = bytes | float | str
Play = Callable[["Received"], Iterable[Step]]


@dataclass(frozen=True)
class Received:
    """One request that arrived. connection: counts connections, so that tests see which one was used."""

    method: str
    target: str
    headers: dict[str, str]  # names in lower case
    body: bytes
    connection: int

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(urlsplit(self.target).query).items()}

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def http(status: int = 200, body: bytes = b"", **headers: str) -> list[Step]:
    """A proper answer. Header names are written with underscores."""
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return [("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body]


def as_json(value: Any, status: int = 200, **headers: str) -> list[Step]:
    return http(status, json.dumps(value).encode(), Content_Type="application/json", **headers)


@dataclass
class ScriptedServer:
    """
    play: what to answer to a request: bytes are sent, a number is a pause in seconds, CLOSE and RESET end the
    connection. Without either at the end the connection stays open for the next request.
    """

    play: Play = field(default=lambda _: http())
    tls: ssl.SSLContext | None = None
    before: Iterable[Step] = ()  # played before a request is read: a server that misbehaves from the start
    reads: bool = True  # False: connects, agrees on TLS, and never reads

    def __post_init__(self) -> None:
        self.requests: list[Received] = []
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self._open: set[socket.socket] = set()
        self._stopping = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def stop(self) -> None:
        self._stopping.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> ScriptedServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _accept(self) -> None:
        while not self._stopping.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection, self.connections), daemon=True).start()

    def _serve(self, connection: socket.socket, number: int) -> None:
        self._open.add(connection)
        try:
            if not self._act(connection, self.before):
                return
            if self.tls:
                connection = self.tls.wrap_socket(connection, server_side=True)
                self._open.add(connection)
            if not self.reads:
                self._stopping.wait(30)
                return
            with connection.makefile("rb") as reader:
                while received := _read(reader, number):
                    self.requests.append(received)
                    if not self._act(connection, self.play(received)):
                        return
        except OSError:
            pass
        finally:
            connection.close()
            self._open.discard(connection)

    def _act(self, connection: socket.socket, steps: Iterable[Step]) -> bool:
        """Play the steps; False when the connection is to end."""
        for step in steps:
            if isinstance(step, bytes):
                connection.sendall(step)
            elif isinstance(step, str):
                if step == RESET:
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return False
            elif self._stopping.wait(step):
                return False
        return True


def _read(reader: Any, connection: int) -> Received | None:
    first = reader.readline().decode("latin-1").split()
    if len(first) < 2:
        return None
    headers = {}
    while line := reader.readline().strip().decode("latin-1"):
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    body = reader.read(int(headers.get("content-length", "0")))
    return Received(first[0], first[1], headers, body, connection)


def seconds_of(action: Callable[[], Any]) -> float:
    started = time.monotonic()
    action()
    return time.monotonic() - started
