"""A provider's server for tests: real HTTP on loopback, scripted answers, a record of what arrived."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from core.http import HttpClient, OutboundPolicy


@dataclass(frozen=True)
class Arrived:
    method: str
    path: str
    headers: dict[str, str]  # names in lower case
    body: bytes


@dataclass(frozen=True, kw_only=True)
class Scripted:
    """One answer. reset: drop the connection instead. echo: answer with the body that arrived."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b"{}"
    delay_s: float = 0.0
    reset: bool = False
    echo: bool = False


class _QuietServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """A connection that a test dropped is no news."""


class Provider:
    """Answers with what is scripted, the last of it over and over."""

    def __init__(self) -> None:
        self.arrived: list[Arrived] = []
        self.script: list[Scripted] = [Scripted()]
        self.let_go = threading.Event()
        self._server = _QuietServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/hook"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    def answers(self, *script: Scripted) -> None:
        self.script = list(script)

    def stop(self) -> None:
        self.let_go.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=5)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        provider = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                provider.arrived.append(Arrived(self.command, self.path, headers, body))
                step = provider.script.pop(0) if len(provider.script) > 1 else provider.script[0]
                provider.let_go.wait(step.delay_s)
                if step.reset:
                    # Linger of zero: the peer sees a reset, not a tidy end.
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    self.connection.close()
                    self.close_connection = True
                    return
                answer = body if step.echo else step.body
                self.send_response(step.status)
                for name, value in step.headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                if step.status != 204:
                    self.wfile.write(answer)

            def log_message(self, *_: Any) -> None:
                """Quiet."""

        return Handler


@contextmanager
def running_provider() -> Iterator[Provider]:
    provider = Provider()
    try:
        yield provider
    finally:
        provider.stop()


class HurriedHttp:
    """The real client with a deadline that a test can wait for."""

    def __init__(self, deadline_s: float) -> None:
        self._client = HttpClient(OutboundPolicy(host_suffixes=None, allow_private=True))
        self._deadline_s = deadline_s

    def request(self, method: str, url: str, **rest: Any) -> Any:
        return self._client.request(method, url, **{**rest, "deadline_s": min(rest["deadline_s"], self._deadline_s)})

    def close(self) -> None:
        self._client.close()


def unused_url() -> str:
    """An address on which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}/hook"
