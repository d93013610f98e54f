"""
The transport under core/http.py: connections that go only to judged addresses and never outlive their call's deadline.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import certifi
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.poolmanager import PoolManager
from urllib3.util.ssl_ import create_urllib3_context

from core.errors import NotSent
from core.http_guard import OutboundPolicy, Target

MAX_IDLE_S = 2.0
_HOSTS_WITH_A_POOL = 256

Resolve = Callable[[str, int], list[str]]


# --- one call and its deadline ---------------------------------------------------------------------------------------


@dataclass
class Call:
    """What the transport must know of the call that its thread is making, and how far it got."""

    target: Target
    deadline_at: float
    deadline_s: float
    policy: OutboundPolicy
    resolve: Resolve
    step: str = "connecting to"
    has_written: bool = False

    def remaining_s(self) -> float:
        left_s = self.deadline_at - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        return left_s


class _Local(threading.local):
    call: Call | None = None

    @property
    def remaining_s(self) -> float:
        # Outside of a call nothing may be read or written: a socket is never shared between calls that overlap.
        if self.call is None:
            raise TimeoutError
        return self.call.remaining_s()


# A request lives and dies in one thread, and urllib3 has no way to hand anything down to its sockets.
current = _Local()


class _DeadlineSocket(socket.socket):
    """Every read and write gets only what is left of the call's time, so that a drip of bytes cannot prolong it."""

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        self.settimeout(current.remaining_s)
        return super().recv_into(*args, **kwargs)

    def sendall(self, *args: Any, **kwargs: Any) -> None:
        self.settimeout(current.remaining_s)
        return super().sendall(*args, **kwargs)


class DeadlineTLSSocket(ssl.SSLSocket):
    """The same under TLS, where sendall() is a loop around send(). The handshake has a total timeout by itself."""

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        self.settimeout(current.remaining_s)
        return super().recv_into(*args, **kwargs)

    def send(self, *args: Any, **kwargs: Any) -> int:
        self.settimeout(current.remaining_s)
        return super().send(*args, **kwargs)


# --- the transport ---------------------------------------------------------------------------------------------------


class _GuardedConnection(HTTPConnection):
    released_at = 0.0

    def _new_conn(self) -> socket.socket:
        assert current.call is not None
        sock = _connect(current.call, self._dns_host.strip("[]"), self.port, self.socket_options or [])
        current.call.step = "agreeing on TLS with"
        return sock

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()
        assert current.call is not None
        # From here on nobody knows what arrived, even if this very write fails.
        current.call.has_written = True
        super().send(data)


class _GuardedTLSConnection(_GuardedConnection, HTTPSConnection):
    pass


class _FreshPool(HTTPConnectionPool):
    ConnectionCls = _GuardedConnection

    def _get_conn(self, timeout: float | None = None) -> Any:
        conn = super()._get_conn(timeout)
        if time.monotonic() - getattr(conn, "released_at", 0.0) >= MAX_IDLE_S:
            conn.close()  # it connects again by itself
        return conn

    def _put_conn(self, conn: Any) -> None:
        if conn is not None:
            conn.released_at = time.monotonic()
        super()._put_conn(conn)


class _FreshTLSPool(_FreshPool, HTTPSConnectionPool):
    ConnectionCls = _GuardedTLSConnection


class GuardedAdapter(HTTPAdapter):
    def __init__(self, tls: ssl.SSLContext, pool_size: int) -> None:
        self._tls = tls
        super().__init__(pool_connections=_HOSTS_WITH_A_POOL, pool_maxsize=pool_size, max_retries=0)

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **options: Any) -> None:
        self.poolmanager = PoolManager(
            num_pools=connections, maxsize=maxsize, block=block, ssl_context=self._tls, **options
        )
        self.poolmanager.pool_classes_by_scheme = {"http": _FreshPool, "https": _FreshTLSPool}

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """Nothing: our context verifies. The inherited one makes each connection load the whole bundle again."""


def _connect(call: Call, host: str, port: int, options: Any) -> socket.socket:
    """Connect to an address that the policy allows; the name is not resolved a second time."""
    if host != call.target.host:
        raise NotSent(f"{call.target.host} was not called: its address can be read in two ways.")
    addresses = _addresses(call, host, port)
    call.policy.check_addresses(host, addresses)
    trouble: OSError = OSError("no address")
    for position, address in enumerate(addresses):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        sock = _DeadlineSocket(family, socket.SOCK_STREAM)
        try:
            for option in options:
                sock.setsockopt(*option)
            # An address that does not answer must leave time for the next one.
            sock.settimeout(call.remaining_s() / (len(addresses) - position))
            sock.connect((address, port))
            sock.settimeout(call.remaining_s())
            return sock
        except OSError as error:
            sock.close()
            trouble = error
    reason = "in time" if isinstance(trouble, TimeoutError) else f"({trouble.strerror or 'no reason given'})"
    raise NotSent(f"No connection to {host} {reason}. Nothing was sent.")


def _addresses(call: Call, host: str, port: int) -> list[str]:
    """
    Resolve a name within the call's time. The system's resolver cannot be interrupted, so it gets a thread of its own.
    """
    if ":" in host or host.replace(".", "").isdigit():
        return [host]
    found: list[str] = []
    done = threading.Event()

    def look_up() -> None:
        try:
            found.extend(call.resolve(host, port))
        except (OSError, UnicodeError):
            pass  # no address: said by whoever asked
        finally:
            done.set()

    threading.Thread(target=look_up, name="resolve", daemon=True).start()
    if not done.wait(call.remaining_s()):
        raise NotSent(f"The name {host} was not resolved within {call.deadline_s:g} s. Nothing was sent.")
    return list(dict.fromkeys(found))


def system_resolve(host: str, port: int) -> list[str]:
    return [str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def default_tls() -> ssl.SSLContext:
    context = create_urllib3_context()
    context.load_verify_locations(certifi.where())
    return context
