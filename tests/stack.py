"""
The whole site, started as an operator starts it, on free ports with a data folder of its own.

    with running(tmp_path / "data") as stack:
        stack.get("/readyz")
"""

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from connector_site import environment, postgres_home

ROOT = environment.BASE_DIR
READY_WITHIN_S = 90.0
STOP_WITHIN_S = 15.0
_ANY_PORT, _PORTS = 20_000, 12_000


@dataclass
class Stack:
    """A running site."""

    data_dir: Path
    values: dict[str, str]
    process: subprocess.Popen[bytes]
    log: Path
    """What it printed and logged."""

    @property
    def url(self) -> str:
        """Of the site."""
        return f"http://127.0.0.1:{self.values['PORT']}"

    @property
    def simulator_url(self) -> str:
        """Of the simulator, plain http."""
        return f"http://127.0.0.1:{self.values['SIMULATOR_PORT']}"

    @property
    def admin_password(self) -> str:
        """Of the user admin."""
        lines = environment.env_file(self.data_dir).read_text().splitlines()
        return next(line.partition("=")[2] for line in lines if line.startswith("ADMIN_PASSWORD="))

    def get(self, path: str, **options: Any) -> requests.Response:
        """GET from the site."""
        return requests.get(self.url + path, timeout=10, **options)

    def simulator(self, method: str, path: str, body: Any = None) -> Any:
        """Call the simulator's control API, such as ("GET", "accounts/1/conversations"); returns the parsed answer."""
        answer = requests.request(method, f"{self.simulator_url}/_simulator/{path}", json=body, timeout=30)
        answer.raise_for_status()
        return answer.json()

    def manage(self, *arguments: str, **options: Any) -> "subprocess.CompletedProcess[str]":
        """Run a manage.py command against this site, as from another shell."""
        command = [sys.executable, str(ROOT / "manage.py"), *arguments]
        options = {"capture_output": True, "text": True, "timeout": 120, "check": False} | options
        return subprocess.run(command, env=self.values | {"MODE": "local"}, cwd=ROOT, **options)

    def stop(self) -> float:
        """Stop it as its owner would; returns the seconds that took. Kills it when that is more than it may take."""
        began_at = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        return time.monotonic() - began_at


def start(data_dir: Path, *, values: Mapping[str, str] | None = None) -> Stack:
    """Start a site and wait for READY. Raises AssertionError with the end of its log when that does not come."""
    data_dir.parent.mkdir(parents=True, exist_ok=True)
    inherited = {name: value for name, value in os.environ.items() if name not in environment.NAMES}
    ports = dict(zip(("PORT", "SIMULATOR_PORT", "SIMULATOR_TLS_PORT"), map(str, free_ports(3)), strict=True))
    complete = inherited | {"MODE": "local", "DATA_DIR": str(data_dir)} | ports | dict(values or {})
    log = data_dir.with_name(f"{data_dir.name}.log")
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "manage.py"), "run"],
            env=complete,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    stack = Stack(data_dir=data_dir, values=complete, process=process, log=log)
    _wait_until_ready(stack)
    return stack


@contextlib.contextmanager
def running(data_dir: Path, *, values: Mapping[str, str] | None = None) -> Iterator[Stack]:
    """A site for the length of a block; stopped and deleted afterwards."""
    try:
        stack = start(data_dir, values=values)
        try:
            yield stack
        finally:
            stack.stop()
    finally:
        postgres_home.remove(data_dir)
        shutil.rmtree(data_dir, ignore_errors=True)


def free_ports(count: int) -> list[int]:
    """
    Ports that nobody listens on, below those that the kernel gives to whoever asks for any: until a process of ours
    listens there, seconds may pass.
    """
    found: list[int] = []
    with contextlib.ExitStack() as stack:
        while len(found) < count:
            port = _ANY_PORT + secrets.randbelow(_PORTS)
            with contextlib.suppress(OSError):
                stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
                found.append(port)
    return found


def _wait_until_ready(stack: Stack) -> None:
    deadline = time.monotonic() + READY_WITHIN_S
    while f"READY {stack.url}" not in stack.log.read_text(errors="replace").splitlines():
        ended = stack.process.poll() is not None
        if ended or time.monotonic() > deadline:
            stack.process.kill()
            stack.process.wait()
            tail = "\n".join(stack.log.read_text(errors="replace").splitlines()[-40:])
            raise AssertionError(f"The site {'ended' if ended else 'did not get ready'}:\n{tail}")
        time.sleep(0.1)
