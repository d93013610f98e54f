"""Whether a port can be had, asked before a server fails on it with a traceback."""

import errno
import os
import socket
import time

_RELEASE_WITHIN_S = 5.0


def bind_host() -> str:
    """Local mode is for this machine alone; production is reached from outside."""
    return "0.0.0.0" if os.environ.get("MODE") == "production" else "127.0.0.1"  # noqa: S104


def trouble(variable: str, port: int) -> str:
    """
    A sentence about why a port cannot be used, or nothing.

    Waits a little: the children of a supervisor that was killed leave within a second or two.
    """
    deadline = time.monotonic() + _RELEASE_WITHIN_S
    while reason := _try(port):
        if reason != errno.EADDRINUSE:
            return f"{variable}: port {port} cannot be used ({os.strerror(reason)}). Set {variable} to another one."
        if time.monotonic() > deadline:
            return f"{variable}: port {port} is taken by another program. Stop it, or set {variable} to a free port."
        time.sleep(0.2)
    return ""


def _try(port: int) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((bind_host(), port))
        except OSError as error:
            return error.errno or errno.EADDRINUSE
    return 0
