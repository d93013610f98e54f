"""
A TCP proxy that breaks connections on purpose: between a worker and LivePerson, a worker and a brand's app, and
between the processes and PostgreSQL.

An exchange begins with the first bytes that a client sends after an answer. Each one draws its own fault, so that a
share of the requests on one kept-alive connection can be broken and the others not.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

_READ_BYTES = 1 << 16
_RST = struct.pack("ii", 1, 0)

# What can happen to one exchange, in the order of how far the request gets.
BEFORE = "reset_before"  # no byte reaches the other side
INSIDE = "reset_inside"  # half of the first bytes do
LOSE_ANSWER = "lose_answer"  # all of it does; the connection is reset when the answer comes
HALF_ANSWER = "half_answer"  # half of the answer comes, then a reset
HALF_CLOSE = "half_close"  # half of the answer comes, then an orderly end
SWALLOW = "swallow"  # the answer never comes
DRIP = "drip"  # the answer comes a byte a second
KILL_CONNECTED = "kill_connected"  # the caller is killed when it has connected and begun to write
KILL_ASKED = "kill_asked"  # … when its request has arrived
KILL_ANSWERED = "kill_answered"  # … when the answer is about to reach it
KILLS = (KILL_CONNECTED, KILL_ASKED, KILL_ANSWERED)


@dataclass(kw_only=True)
class Faults:
    """
    kinds: drawn evenly, for the share `rate` of the exchanges. times: how many at most.

    about: only those whose first bytes hold this.
    """

    kinds: Sequence[str] = ()
    rate: float = 0.0
    times: int | None = None
    about: bytes = b""
    delay_s: float = 0.0


@dataclass(eq=False)
class _Link:
    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    fault: str = ""
    began_at: float = 0.0
    is_answered: bool = True
    pumps: list[asyncio.Task[None]] = field(default_factory=list)

    def reset(self) -> None:
        for writer in (self.client, self.server):
            with contextlib.suppress(OSError):
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST)
            writer.transport.abort()

    @property
    def client_port(self) -> int:
        return int(self.client.get_extra_info("peername")[1])


class Proxy:
    """One listening port in front of one address: (host, port), or the path of a Unix socket."""

    def __init__(
        self, name: str, upstream: tuple[str, int] | str, *, seed: str, kill_client: Callable[[int], bool] | None = None
    ) -> None:
        """kill_client: kills whoever owns a local port; used by the faults that kill the caller."""
        self.name = name
        self.faults = Faults()
        self.broken: dict[str, int] = {}
        self.stuck_s: list[float] = []
        """For each exchange whose answer dripped or never came: how long its caller waited until it gave up."""
        self.killed_at: list[float] = []
        self.hides_ends = False
        """Whether the server is not told that a client has gone: as when a machine vanishes, and its last words too."""
        self._upstream = upstream
        self._random = random.Random(f"{seed}/{name}")
        self._kill_client = kill_client
        self._links: set[_Link] = set()
        self._open = asyncio.Event()
        self._open.set()
        self._is_refusing = False
        self._server: asyncio.Server | None = None
        self.port = 0

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=_READ_BYTES)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        self.reset_all()

    # --- whole connections -------------------------------------------------------------------------------------------

    def black_hole(self) -> None:
        """Take bytes and connections, and let nothing through either way until heal()."""
        self._open.clear()

    def refuse(self) -> None:
        """Cut every connection and each new one at once, until heal()."""
        self._is_refusing = True
        self.reset_all()

    def heal(self) -> None:
        """Let everything through again; what waited in a black hole goes on, as a network's own retries would."""
        self.faults = Faults()
        self._is_refusing = False
        self._open.set()

    def reset_all(self) -> None:
        for link in list(self._links):
            link.reset()
            for pump in link.pumps:
                pump.cancel()

    # --- one connection ----------------------------------------------------------------------------------------------

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_refusing:
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST)
            writer.transport.abort()
            return
        await self._open.wait()
        try:
            if isinstance(self._upstream, str):
                up_reader, up_writer = await asyncio.open_unix_connection(self._upstream)
            else:
                up_reader, up_writer = await asyncio.open_connection(*self._upstream)
        except OSError:
            writer.transport.abort()
            return
        link = _Link(client=writer, server=up_writer)
        self._links.add(link)
        link.pumps = [
            asyncio.create_task(self._until_end(link, self._forth(link, reader))),
            asyncio.create_task(self._until_end(link, self._back(link, up_reader))),
        ]
        await asyncio.wait(link.pumps)
        self._links.discard(link)
        for one in (writer, up_writer):
            one.close()

    async def _until_end(self, link: _Link, pump: Coroutine[Any, Any, None]) -> None:
        """One way of a connection. An error on either side ends both."""
        try:
            await pump
        except OSError:
            if self.hides_ends:
                await asyncio.Event().wait()
            link.reset()

    async def _forth(self, link: _Link, reader: asyncio.StreamReader) -> None:
        """From the client to the server."""
        while chunk := await reader.read(_READ_BYTES):
            if link.is_answered:
                link.is_answered, link.began_at = False, time.monotonic()
                link.fault = self._draw(chunk)
            if self.faults.delay_s:
                await asyncio.sleep(self.faults.delay_s)
            await self._open.wait()
            if link.fault in (BEFORE, KILL_CONNECTED):
                self._strike(link)
                return
            if link.fault == INSIDE:
                link.server.write(chunk[: len(chunk) // 2])
                await link.server.drain()
                self._strike(link)
                return
            link.server.write(chunk)
            await link.server.drain()
        if self.hides_ends:
            await asyncio.Event().wait()
        if link.fault in (SWALLOW, DRIP) and not link.is_answered:
            self.stuck_s.append(time.monotonic() - link.began_at)
            link.reset()
            link.pumps[1].cancel()
            return
        with contextlib.suppress(OSError, RuntimeError):
            link.server.write_eof()

    async def _back(self, link: _Link, reader: asyncio.StreamReader) -> None:
        """From the server to the client."""
        while chunk := await reader.read(_READ_BYTES):
            await self._open.wait()
            if link.fault and not link.is_answered and await self._break_answer(link, chunk):
                return
            if self.faults.delay_s:
                await asyncio.sleep(self.faults.delay_s)
            link.is_answered = True
            link.client.write(chunk)
            await link.client.drain()
        with contextlib.suppress(OSError, RuntimeError):
            link.client.write_eof()

    async def _break_answer(self, link: _Link, chunk: bytes) -> bool:
        """True when nothing more may follow."""
        if link.fault in (LOSE_ANSWER, KILL_ASKED, KILL_ANSWERED):
            if link.fault == KILL_ANSWERED:
                link.client.write(chunk)
                await link.client.drain()
            self._strike(link)
            return True
        if link.fault in (HALF_ANSWER, HALF_CLOSE):
            link.client.write(chunk[: len(chunk) // 2])
            await link.client.drain()
            self._note(link.fault)
            if link.fault == HALF_ANSWER:
                await asyncio.sleep(0.02)  # a reset at once would take back what was just written
                link.reset()
            else:
                link.client.write_eof()
            return True
        self._note(link.fault)
        for byte in chunk if link.fault == DRIP else b"":
            link.client.write(bytes([byte]))
            await link.client.drain()
            await asyncio.sleep(1.0)
        await asyncio.Event().wait()  # until the client goes, which ends this task
        return True

    def _strike(self, link: _Link) -> None:
        if link.fault in KILLS:
            if self._kill_client is not None and self._kill_client(link.client_port):
                self._note(link.fault)
                self.killed_at.append(time.monotonic())
            elif self.faults.times is not None:
                self.faults.times += 1  # it was gone already: the next one
        else:
            self._note(link.fault)
        link.reset()

    def _note(self, kind: str) -> None:
        self.broken[kind] = self.broken.get(kind, 0) + 1

    def _draw(self, first: bytes) -> str:
        faults = self.faults
        if not faults.kinds or faults.about not in first or self._random.random() >= faults.rate:
            return ""
        if faults.times is not None:
            if faults.times <= 0:
                return ""
            faults.times -= 1
        return self._random.choice(list(faults.kinds))
