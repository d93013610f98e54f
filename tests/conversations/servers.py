"""The two other ends, as small real HTTP servers: where LivePerson's notifications go, and what the channel runs."""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Got:
    """One request that arrived. Names of headers in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Play:
    """What to answer. before: runs first, in the server's thread."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    drop: bool = False
    before: Callable[[], None] = lambda: None


class Server:
    """Keeps what it got in `got`; answers what stands in `plays`, and `default` when that is used up."""

    def __init__(self) -> None:
        self.forget()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                server._answer(self, Got(self.command, self.path, headers, body))

            do_GET = do_POST = do_PUT = _any

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def forget(self) -> None:
        """As it was at the start, for the next test."""
        self.got: list[Got] = []
        self.plays: deque[Play] = deque()
        self.default = Play()
        self.files: dict[str, Play] = {}

    def wait(self, count: int, *, within_s: float = 30.0) -> list[Got]:
        """Wait for that many requests; returns all that came."""
        deadline = time.monotonic() + within_s
        while len(self.got) < count and time.monotonic() < deadline:
            time.sleep(0.005)
        assert len(self.got) >= count, f"{len(self.got)} requests came, not {count}"
        return self.got

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, handler: BaseHTTPRequestHandler, got: Got) -> None:
        if got.method == "GET":
            play = self.files.get(got.path.split("?")[0], Play(status=404))
        else:
            self.got.append(got)
            play = self.plays.popleft() if self.plays else self.default
        play.before()
        time.sleep(play.delay_s)
        if play.drop:
            handler.close_connection = True
            return
        handler.send_response(play.status)
        for name, value in play.headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(play.body)))
        handler.end_headers()
        handler.wfile.write(play.body)
