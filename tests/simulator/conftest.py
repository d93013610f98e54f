"""The real simulator process on a free port, and a small receiver for its webhooks."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.stack import free_ports

from .channel import ADA, SECRET
from .client import Simulator

ROOT = Path(__file__).resolve().parents[2]


def free_port() -> int:
    return free_ports(1)[0]


class Process:
    """One simulator process that tests may kill and start again on the same data."""

    def __init__(self, data_dir: Path, *, tls_port: int = 0) -> None:
        self.data_dir = data_dir
        self.port, self.tls_port = free_port(), tls_port
        self._process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        arguments = ["--port", str(self.port), "--tls-port", str(self.tls_port), "--data-dir", str(self.data_dir)]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "simulator", *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        line = self._process.stdout.readline()
        assert line == f"simulator READY {self.url}\n"

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(30)
        self._process.stdout.close()

    def stop(self) -> tuple[int, float]:
        """Send SIGTERM; return the exit code and the seconds it took."""
        started = time.monotonic()
        self._process.terminate()
        code = self._process.wait(30)
        self._process.stdout.close()
        return code, time.monotonic() - started


@pytest.fixture(scope="session")
def shared_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    process = Process(tmp_path_factory.mktemp("simulator"), tls_port=free_port())
    process.start()
    yield process
    process.stop()


@pytest.fixture
def simulator(shared_process: Process) -> Simulator:
    """The shared process, emptied."""
    api = Simulator(shared_process.url)
    api.control("POST", "reset")
    return api


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    """A process of the test's own."""
    own = Process(tmp_path)
    own.start()
    yield own
    if own._process.poll() is None:
        own.stop()


class Receiver:
    """Takes webhooks; answers what the test wants, 200 by default."""

    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []
        self.answers: list[int] = []
        self.before_answer: Callable[[], None] = lambda: None
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                raw = receiver._read(self)
                status = receiver.answers.pop(0) if receiver.answers else 200
                entry = {
                    "headers": {k.lower(): v for k, v in self.headers.items()},
                    "raw": raw,
                    "path": self.path,
                    "answered": status,
                    "at": time.monotonic(),
                }
                receiver.got.append(entry)
                receiver.before_answer()
                body = b"" if status == 204 else b"OK"
                self.send_response(status)
                if body:
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    @staticmethod
    def _read(handler: BaseHTTPRequestHandler) -> bytes:
        if handler.headers.get("Transfer-Encoding") != "chunked":
            return handler.rfile.read(int(handler.headers["Content-Length"]))
        raw = b""
        while size := int(handler.rfile.readline(), 16):
            raw += handler.rfile.read(size)
            handler.rfile.readline()
        handler.rfile.readline()
        return raw

    def wait(self, count: int, *, within_s: float = 30) -> list[dict[str, Any]]:
        """Wait for that many requests and return all that came."""
        deadline = time.monotonic() + within_s
        while len(self.got) < count and time.monotonic() < deadline:
            time.sleep(0.01)
        assert len(self.got) >= count, f"{len(self.got)} webhooks came, not {count}"
        return self.got

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    one = Receiver()
    yield one
    one.close()


@pytest.fixture
def phone(simulator: Simulator, receiver: Receiver) -> Simulator:
    """The simulator with one phone, `acme`, whose channel is the receiver."""
    body = {"name": "Acme app", "brand": "Acme", "account": "1", "webhook_url": receiver.url, "secret": SECRET}
    simulator.control("PUT", "phones/acme", {**body, "consumer": ADA})
    return simulator
