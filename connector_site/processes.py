"""Processes that we start, watch and stop; shared by `run` and `worker`. Free of Django."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence

_PR_SET_PDEATHSIG = 1
_PAUSES_S = (0.0, 0.5, 1.0, 2.0, 5.0)
_STABLE_AFTER_S = 5.0


class Child:
    """
    One process, in a session of its own: the terminal's Ctrl-C reaches its parent alone, who then stops it in order.

    SIGTERM goes to its main process only, SIGKILL to all that it started: django-q2 hangs on the opposite.
    """

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        when_orphaned: signal.Signals = signal.SIGTERM,
    ) -> None:
        """when_orphaned: what the kernel sends it when our process is killed and cannot stop it."""
        self.name = name
        self._argv = list(argv)
        self._env = dict(env or {})
        self._when_orphaned = when_orphaned
        self._process: subprocess.Popen[bytes] | None = None
        self.started_at = 0.0

    @property
    def pid(self) -> int | None:
        """Of its main process; None before the start."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start it, from the main thread: the kernel ties it to the thread that started it."""
        self.started_at = time.monotonic()
        self._process = subprocess.Popen(
            self._argv,
            env=os.environ | self._env,
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr.fileno(),  # what our own standard output says is for whoever started us
            start_new_session=True,
            preexec_fn=die_with_parent(self._when_orphaned),
        )

    def exit_status(self) -> int | None:
        """None while it runs; negative when a signal ended it."""
        return self._process.poll() if self._process else None

    def is_running(self) -> bool:
        """Whether its main process runs."""
        return self._process is not None and self._process.poll() is None

    def ask_to_stop(self) -> None:
        """Let it finish what it does."""
        if self._process is not None and self.is_running():
            self._process.terminate()

    def kill(self) -> None:
        """End it and everything in its session that is still there, its main process too."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def stop_all(children: Sequence[Child], *, grace_s: float) -> list[Child]:
    """Ask all to stop, together; kill whatever is left after the grace. Returns those that had to be killed."""
    for child in children:
        child.ask_to_stop()
    deadline = time.monotonic() + grace_s
    while any(child.is_running() for child in children) and time.monotonic() < deadline:
        time.sleep(0.05)
    late = [child for child in children if child.is_running()]
    for child in children:
        child.kill()  # also what a finished main process left behind
    return late


class Spacing:
    """How long to wait before the next restart: not at first, longer in a crash loop, not again once it is stable."""

    def __init__(self) -> None:
        self._failures = 0

    def pause_s(self, *, ran_s: float) -> float:
        """ran_s: for how long the process ran this time."""
        if ran_s >= _STABLE_AFTER_S:
            self._failures = 0
        pause_s = _PAUSES_S[min(self._failures, len(_PAUSES_S) - 1)]
        self._failures += 1
        return pause_s


def die_with_parent(with_signal: signal.Signals) -> Callable[[], None]:
    """For a child between fork and exec: ask the kernel for a signal when the parent ends, however it ends (Linux)."""
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    parent = os.getpid()

    def ask() -> None:
        if libc is None:
            return
        libc.prctl(_PR_SET_PDEATHSIG, int(with_signal), 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return ask


def describe(exit_status: int) -> str:
    """An exit status in words."""
    if exit_status < 0:
        with contextlib.suppress(ValueError):
            return f"killed by {signal.Signals(-exit_status).name}"
    return f"exit status {exit_status}"
