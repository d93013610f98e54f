"""A running site of the kit's own: `manage.py run` on free ports with a data folder that goes with it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

ROOT = Path(__file__).resolve().parent.parent
_READY_WITHIN_S = 180


@dataclass(frozen=True, kw_only=True)
class Site:
    url: str
    simulator_url: str
    data_dir: Path

    def simulator(self, method: str, path: str, body: Any = None) -> Any:
        """A call of the simulator's control API."""
        answer = requests.request(method, f"{self.simulator_url}/_simulator/{path}", json=body, timeout=60)
        answer.raise_for_status()
        return answer.json()


@contextlib.contextmanager
def running_site() -> Iterator[Site]:
    """Start everything, make Django usable in this process, and stop everything in the end."""
    data_dir = Path(tempfile.mkdtemp(prefix="connector-site-bench-"))
    ports = {name: str(free_port()) for name in ("PORT", "SIMULATOR_PORT", "SIMULATOR_TLS_PORT")}
    environ = {**os.environ, "MODE": "local", "DATA_DIR": str(data_dir), **ports}
    environ.pop("DATABASE_URL", None)
    process = subprocess.Popen(
        [sys.executable, "manage.py", "run"],
        cwd=ROOT,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=(data_dir / "run.log").open("w"),
        text=True,
    )
    try:
        _wait_until_ready(process)
        os.environ.update(environ)
        _set_up_django()
        yield Site(
            url=f"http://127.0.0.1:{ports['PORT']}",
            simulator_url=f"http://127.0.0.1:{ports['SIMULATOR_PORT']}",
            data_dir=data_dir,
        )
    finally:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=30)
        shutil.rmtree(data_dir, ignore_errors=True)


def _wait_until_ready(process: subprocess.Popen[str]) -> None:
    lines: list[str] = []
    ready = threading.Event()

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line)
            if line.startswith("READY "):
                ready.set()

    threading.Thread(target=read, daemon=True).start()
    deadline = time.monotonic() + _READY_WITHIN_S
    while not ready.wait(0.1):
        if process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit("The site did not become ready:\n" + "".join(lines))


def _set_up_django() -> None:
    sys.path.insert(0, str(ROOT))
    os.environ["DJANGO_SETTINGS_MODULE"] = "connector_site.settings"
    import django

    django.setup()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def say(text: str) -> None:
    """Progress, to stderr: stdout is for the table."""
    print(text, file=sys.stderr, flush=True)


def as_json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
