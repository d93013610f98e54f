"""
gunicorn's threaded worker, which takes no thread for somebody who does not speak.

Its own gives a thread to each connection as soon as it is there, and waits in it for the first byte and then for the
end of the request's head. A few dozen connections that say nothing, or half a head, would keep webhooks out. Here the
loop waits, a thread is taken when the head has come, and whoever then falls silent is cut off.
"""

from __future__ import annotations

import contextlib
import errno
import selectors
import socket
import struct
import time
from functools import partial
from typing import Any

from gunicorn.workers.gthread import TConn, ThreadWorker

HEAD_MAY_TAKE_S = 10.0
# Without a byte from a body, or room for a byte of the answer: longer than any network that still works.
SILENCE_S = 20
_LOOK_AGAIN_S = 0.2
_MOST_OF_A_HEAD = 64 * 1024
_HEAD_ENDS = b"\r\n\r\n"
_TOO_LONG = b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
_SILENCE = struct.pack("ll", SILENCE_S, 0)


class HeadFirstWorker(ThreadWorker):
    """Its loop runs in one thread; only that one touches what is waiting."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Oldest first, as all may take equally long. The value: whether the poller watches it.
        self._waiting: dict[TConn, bool] = {}
        self._look_again_at = 0.0

    def accept(self, listener: socket.socket) -> None:
        """Take a connection without a thread for it."""
        try:
            client, address = listener.accept()
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.ECONNABORTED, errno.EWOULDBLOCK):
                raise
            return
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            client.setsockopt(socket.SOL_SOCKET, option, _SILENCE)
        self.nr_conns += 1
        self._wait_for_head(TConn(self.cfg, client, address, listener.getsockname()))

    def on_client_socket_readable(self, conn: TConn, client: socket.socket) -> None:
        """The next request of a connection that was kept alive has begun."""
        self.poller.unregister(client)
        self.keepalived_conns.remove(conn)
        self._wait_for_head(conn)

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """As the library's, and looks again now and then at heads that have begun."""
        has_half_heads = not all(self._waiting.values())
        super().wait_for_and_dispatch_events(min(timeout, _LOOK_AGAIN_S) if has_half_heads else timeout)
        now = time.monotonic()
        if has_half_heads and now >= self._look_again_at:
            self._look_again_at = now + _LOOK_AGAIN_S
            for conn in [conn for conn, is_watched in self._waiting.items() if not is_watched]:
                self._look_at(conn)

    def murder_pending(self) -> None:
        """Called once a turn of the loop: whoever has not said a whole head in time is let go."""
        super().murder_pending()
        now = time.monotonic()
        for conn in list(self._waiting):
            if conn.timeout > now:
                break
            self._let_go(conn)

    def _cap_keepalive(self, deadline: float) -> None:
        # The worker stops: who has said nothing yet asks the next one.
        super()._cap_keepalive(deadline)
        for conn in self._waiting:
            conn.timeout = min(conn.timeout, deadline)

    def _wait_for_head(self, conn: TConn) -> None:
        conn.timeout = time.monotonic() + HEAD_MAY_TAKE_S
        conn.sock.setblocking(False)
        self._waiting[conn] = True
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._on_first_byte, conn))

    def _on_first_byte(self, conn: TConn, client: socket.socket) -> None:
        self.poller.unregister(client)  # half a head would make it readable for ever
        self._waiting[conn] = False
        self._look_at(conn)

    def _look_at(self, conn: TConn) -> None:
        try:
            begun = conn.sock.recv(_MOST_OF_A_HEAD, socket.MSG_PEEK)
        except BlockingIOError:
            return
        except OSError:
            begun = b""
        if not begun:
            self._let_go(conn)
        elif _HEAD_ENDS in begun:
            del self._waiting[conn]
            conn.data_ready = True
            self.enqueue_req(conn)
        elif len(begun) == _MOST_OF_A_HEAD:
            with contextlib.suppress(OSError):
                conn.sock.send(_TOO_LONG)
            self._let_go(conn)

    def _let_go(self, conn: TConn) -> None:
        if self._waiting.pop(conn):
            self.poller.unregister(conn.sock)
        self.nr_conns -= 1
        conn.close()
