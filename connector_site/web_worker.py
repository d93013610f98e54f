"""
gunicorn's threaded worker, which takes no thread for somebody who does not speak.

Its own gives a thread to each connection as soon as it is there, and waits in it for the first byte, for the end of the
request's head, and then for its body. A few dozen connections that say half of something, a byte now and then, would
keep webhooks out. Here the loop waits, and a thread is taken when the whole request has come. A body too long to wait
for, or of a length that is told bit by bit, is read in a thread, in so many of them at most and for so long only.

Who asks for a page and then takes it a byte now and then holds a thread as well. So pages, exports and the REST API
have threads of their own, and wait for each other: some are always left for webhooks, whose answers are a few bytes.
"""

from __future__ import annotations

import contextlib
import errno
import re
import selectors
import socket
import struct
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from gunicorn.workers.gthread import TConn, ThreadWorker

from connector_site.rollups import arrival

REQUEST_MAY_TAKE_S = 10.0
# A body that is read in a thread: the largest that is taken, by a slow line.
BODY_MAY_TAKE_S = 15.0
# Without a byte from a body, or room for a byte of the answer: longer than any network that still works.
SILENCE_S = 20
# Until one of the threads for pages is free.
HELD_MAY_WAIT_S = 30.0
_LOOK_AGAIN_S = 0.2
_LINGER_S = 2.0
_MOST_OF_A_HEAD = 64 * 1024
# What the kernel keeps for us in any case, while nobody reads it.
_MOST_TO_WAIT_FOR = 32 * 1024
_HEAD_ENDS = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,12})[ \t]*\r\n", re.IGNORECASE)
# Its length is not known before its end, or told in a way that only the parser knows; or its sender waits for us.
_OPEN_END = re.compile(rb"\r\n(transfer-encoding|expect|content-length):", re.IGNORECASE)
# Answered in milliseconds and by a few bytes: the kernel has room for them, unless the other side reads nothing.
_SHORT = re.compile(rb"(?:POST|GET) /webhooks/|GET /(?:healthz|readyz)[ ?]")
_BUSY = (
    b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 5\r\nContent-Type: text/plain\r\n\r\n"
    b"The site is busy. Nothing of this request was stored. Try again in a moment.\n"
)
_TOO_LONG = b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
_SILENCE = struct.pack("ll", SILENCE_S, 0)
_NO_WAITING = struct.pack("ll", 0, 10_000)


class WholeRequestWorker(ThreadWorker):
    """Its loop runs in one thread; only that one touches what is waiting."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Oldest first, as all may take equally long. The value: whether the poller watches it.
        self._waiting: dict[_Connection, bool] = {}
        # In a thread that still has to read; and until when it may. Of pages, which wait for each other, apart.
        self._reading: dict[_Connection, float] = {}
        self._reading_for_page: dict[_Connection, float] = {}
        self._look_again_at = 0.0
        # Pages and the like: in a thread, and those that wait for one of theirs.
        self._served: set[_Connection] = set()
        self._held: deque[_Connection] = deque()
        # Answered and closed by us; and until when we wait for the other side to have read and to close, too.
        self._lingering: dict[socket.socket, float] = {}
        self._most_read = max(1, self.cfg.threads // 2)
        self._most_served = max(1, self.cfg.threads * 3 // 4)

    def get_thread_pool(self) -> ThreadPoolExecutor:
        """However many pages are served and bodies are read, so many threads are left for what is short."""
        left = max(1, self.cfg.threads // 4)
        return ThreadPoolExecutor(max_workers=self._most_read + self._most_served + left)

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
        self._wait_for_request(_Connection(self.cfg, client, address, listener.getsockname(), linger=self._linger))

    def on_client_socket_readable(self, conn: _Connection, client: socket.socket) -> None:
        """The next request of a connection that was kept alive has begun."""
        self.poller.unregister(client)
        self.keepalived_conns.remove(conn)
        self._wait_for_request(conn)

    def enqueue_req(self, conn: _Connection) -> None:
        """Called by the library for what has been read already of the next request: that may be a part of it."""
        self._begin(conn)
        self._waiting[conn] = False
        self._look_at(conn)

    def finish_request(self, conn: _Connection, done: Any) -> None:
        """Its thread is free again."""
        self._reading.pop(conn, None)
        self._reading_for_page.pop(conn, None)
        self._served.discard(conn)
        super().finish_request(conn, done)
        self._serve_held()

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """As the library's, and looks again now and then at requests that have begun."""
        has_begun = not all(self._waiting.values())
        super().wait_for_and_dispatch_events(min(timeout, _LOOK_AGAIN_S) if has_begun else timeout)
        now = time.monotonic()
        if has_begun and now >= self._look_again_at:
            self._look_again_at = now + _LOOK_AGAIN_S
            for conn in [conn for conn, is_watched in self._waiting.items() if not is_watched]:
                self._look_at(conn)

    def murder_pending(self) -> None:
        """Called once a turn of the loop: whoever has not said a whole request in time is let go."""
        super().murder_pending()
        now = time.monotonic()
        for client, until in list(self._lingering.items()):
            if until <= now or _has_closed(client):
                del self._lingering[client]
                client.close()
        for conn, until in (*self._reading.items(), *self._reading_for_page.items()):
            if until <= now:
                # Its thread hears that the body has ended early. An answer that is on its way goes on.
                with contextlib.suppress(OSError):
                    conn.sock.shutdown(socket.SHUT_RD)
        for conn in list(self._waiting):
            if conn.timeout > now:
                break
            self._let_go(conn)
        while self._held and self._held[0].came_at + HELD_MAY_WAIT_S <= now:
            conn = self._held.popleft()
            with contextlib.suppress(OSError):
                conn.sock.send(_BUSY)
            self.nr_conns -= 1
            conn.close(graceful=True)

    def _cap_keepalive(self, deadline: float) -> None:
        # The worker stops: who has said nothing yet asks the next one.
        super()._cap_keepalive(deadline)
        for conn in self._waiting:
            conn.timeout = min(conn.timeout, deadline)

    def _begin(self, conn: _Connection) -> None:
        conn.timeout = time.monotonic() + REQUEST_MAY_TAKE_S
        conn.awaited = None
        conn.sock.setblocking(False)

    def _wait_for_request(self, conn: _Connection) -> None:
        self._begin(conn)
        self._watch(conn, 1)

    def _watch(self, conn: _Connection, count: int) -> None:
        """Have the poller say when so many bytes can be read, or when there will be no more."""
        _wake_at(conn.sock, count)
        self._waiting[conn] = True
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._on_readable, conn))

    def _on_readable(self, conn: _Connection, client: socket.socket) -> None:
        self.poller.unregister(client)  # half a request would make it readable for ever
        self._waiting[conn] = False
        self._look_at(conn)

    def _look_at(self, conn: _Connection) -> None:
        known = conn.parser.unreader.buf.getvalue() if conn.parser else b""
        come = _come_to(conn.sock)
        head, end, body = (known + (come or b"")).partition(_HEAD_ENDS)
        if end:
            self._look_at_body(conn, head + end, has=len(body), come=come)
        elif come == b"":
            self._let_go(conn)
        elif len(head) >= _MOST_OF_A_HEAD:
            with contextlib.suppress(OSError):
                conn.sock.send(_TOO_LONG)
            self._let_go(conn)

    def _look_at_body(self, conn: _Connection, head: bytes, *, has: int, come: bytes | None) -> None:
        """Of a request whose head has come."""
        length = _length_of_body(head)
        # Woken for the whole of it, and it is not there: it ends early, which a thread tells its sender.
        has_ended = conn.awaited is not None and conn.awaited == length and has < length
        is_short, conn.is_read_in_thread = _SHORT.match(head), length is None or length > _MOST_TO_WAIT_FOR or has_ended
        if not conn.is_read_in_thread and length is not None and has < length and come != b"":
            conn.awaited = length
            self._watch(conn, length - has + len(come or b""))
        elif not is_short:
            self._has_come(conn)
            self._held.append(conn)
            self._serve_held()
        elif not conn.is_read_in_thread:
            self._has_come(conn)
            self._take_thread(conn, silence=_NO_WAITING)
        elif len(self._reading) < self._most_read:
            self._reading[conn] = time.monotonic() + BODY_MAY_TAKE_S
            self._has_come(conn)
            self._take_thread(conn, silence=_NO_WAITING)

    def _has_come(self, conn: _Connection) -> None:
        del self._waiting[conn]
        _wake_at(conn.sock, 1)
        conn.came_at = time.monotonic()

    def _serve_held(self) -> None:
        while self._held and len(self._served) < self._most_served:
            conn = self._held.popleft()
            self._served.add(conn)
            if conn.is_read_in_thread:
                self._reading_for_page[conn] = time.monotonic() + BODY_MAY_TAKE_S
            self._take_thread(conn, silence=_SILENCE)

    def _take_thread(self, conn: _Connection, *, silence: bytes) -> None:
        """silence: how long the answer waits for room for a byte."""
        with contextlib.suppress(OSError):
            conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, silence)
        conn.data_ready = True
        super().enqueue_req(conn)

    def handle(self, conn: _Connection) -> Any:
        """Called by the library in the thread that serves the request."""
        arrival.note(conn.came_at)
        return super().handle(conn)

    def handle_request(self, req: Any, conn: _Connection) -> Any:
        """Called by the library in that thread. Who leaves no room for the answer is let go."""
        try:
            return super().handle_request(req, conn)
        except BlockingIOError:
            return False

    def _linger(self, client: socket.socket) -> None:
        try:
            client.shutdown(socket.SHUT_WR)
            client.setblocking(False)
        except OSError:
            client.close()
        else:
            self._lingering[client] = time.monotonic() + _LINGER_S

    def _let_go(self, conn: _Connection) -> None:
        if self._waiting.pop(conn):
            self.poller.unregister(conn.sock)
        self.nr_conns -= 1
        conn.close()


class _Connection(TConn):
    """
    Nobody waits for its end: the library does, in the loop, two seconds for each that does not close.

    awaited: the length of the body that the poller was asked to wait for, in this request. came_at: when a thread was
    asked for, as all of it had come. is_read_in_thread: its body has not come yet.
    """

    awaited: int | None
    is_read_in_thread: bool
    came_at: float

    def __init__(self, *args: Any, linger: Callable[[socket.socket], None]) -> None:
        super().__init__(*args)
        self._linger = linger

    def close(self, graceful: bool = False) -> None:
        if graceful:
            self._linger(self.sock)
        else:
            super().close()


def _has_closed(client: socket.socket) -> bool:
    """What it still says is thrown away: unread, it would make the kernel take back the end of the answer."""
    try:
        return not client.recv(_MOST_OF_A_HEAD)
    except BlockingIOError:
        return False
    except OSError:
        return True


def _wake_at(client: socket.socket, count: int) -> None:
    with contextlib.suppress(OSError):  # it was reset meanwhile; whoever reads will hear of it
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, count)


def _come_to(client: socket.socket) -> bytes | None:
    """What has come and was not read yet; None while nothing has, b"" when nothing will."""
    try:
        return client.recv(_MOST_OF_A_HEAD, socket.MSG_PEEK)
    except BlockingIOError:
        return None
    except OSError:
        return b""


def _length_of_body(head: bytes) -> int | None:
    """None where the head does not say it plainly. A head that makes no sense is for the parser."""
    told = _LENGTH.search(head)
    rest = head.replace(told[0], b"\r\n", 1) if told else head
    if _OPEN_END.search(rest):
        return None
    return int(told[1]) if told else 0
