"""Processes by parentage, from /proc: what may be killed is what we started, and what that started."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import psutil

from connector_site.processes import die_with_parent

ROOT = Path(__file__).resolve().parents[2]


class Part:
    """One part of the site as a child of ours, in a session of its own; its log in a file."""

    def __init__(self, name: str, arguments: list[str], *, env: Mapping[str, str], log: Path) -> None:
        self.name = name
        self.restarts = 0
        self.wanted = False
        self._arguments = [sys.executable, *arguments]
        self._env = dict(env)
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.wanted = True
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                self._arguments,
                cwd=ROOT,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=die_with_parent(signal.SIGKILL),
            )

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def descendants(self) -> list[int]:
        """Everything that it started, and that those started; without itself."""
        return descendants_of(self.pid) if self.is_running else []

    def kill(self) -> None:
        if self.is_running:
            kill(self.pid)

    def stop(self, *, grace_s: float) -> None:
        """As an operator would; what is left after the grace is killed."""
        self.wanted = False
        if self._process is None:
            return
        left = self.descendants()
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(grace_s)
        if self.is_running:
            left += self.descendants()
            self._process.kill()
            self._process.wait()
        for pid in left:
            if psutil.pid_exists(pid) and f"DATA_DIR={self._env['DATA_DIR']}" in _environment_of(pid):
                kill(pid)

    def keep_alive(self) -> None:
        """What a machine's own service manager does: start again what has ended."""
        if self.wanted and not self.is_running:
            self.restarts += 1
            self.start()


def descendants_of(pid: int) -> list[int]:
    try:
        return [child.pid for child in psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def children_of(pid: int) -> list[int]:
    try:
        return [child.pid for child in psutil.Process(pid).children()]
    except psutil.NoSuchProcess:
        return []


def kill(pid: int, number: signal.Signals = signal.SIGKILL) -> bool:
    """Signal one process; False when it was gone already."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def owner_of_port(port: int, *, among: list[int]) -> int | None:
    """Which of these processes has a connection from this local port."""
    for pid in among:
        with contextlib.suppress(psutil.Error):
            for connection in psutil.Process(pid).net_connections(kind="tcp4"):
                if connection.laddr and connection.laddr.port == port:
                    return pid
    return None


def _environment_of(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/environ").read_text(errors="replace").split("\0")
    except OSError:
        return []
