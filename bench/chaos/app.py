"""The brands' own apps: a small HTTP server that takes what the site sends over the custom channel, and remembers."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from bench.chaos.signing import is_signed_for_channel

_HANDED_ON = ("content-type", "x-liveperson-")


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """One request that reached an app. at: time.monotonic(). status: what the app answered with."""

    at: float
    webhook_id: str
    type: str
    consumer: str
    text: str
    is_signed: bool
    status: int


@dataclass(frozen=True, kw_only=True)
class Relayed:
    """A notification on its way to the site, taken by the kit."""

    body: bytes
    headers: dict[str, str]


@dataclass(kw_only=True)
class Inbox:
    """
    One brand's app. answer: decides the status and headers of an answer; delay_s: before it.

    A real app that deduplicates by `webhook-id` shows each id once: effects().
    """

    secret: str
    arrivals: list[Arrival] = field(default_factory=list)
    answer: Callable[[str, str], tuple[int, dict[str, str]]] = field(default=lambda webhook_id, text: (200, {}))
    delay_s: float = 0.0
    relayed: list[Relayed] = field(default_factory=list)

    def effects(self) -> dict[str, list[str]]:
        """Per consumer the texts that the app took, in the order in which each webhook-id was first taken."""
        seen: set[str] = set()
        shown: dict[str, list[str]] = {}
        for arrival in self.arrivals:
            if arrival.type != "message.created" or arrival.status != 200 or arrival.webhook_id in seen:
                continue
            seen.add(arrival.webhook_id)
            shown.setdefault(arrival.consumer, []).append(arrival.text)
        return shown

    def texts(self) -> list[str]:
        return [text for texts in self.effects().values() for text in texts]


class Apps:
    """All brands' apps behind one port: /<brand>/ is an inbox, /trap is where a redirect would lead."""

    def __init__(self) -> None:
        self.inboxes: dict[str, Inbox] = {}
        self.trapped = 0
        self.port = 0
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        app = web.Application(client_max_size=1 << 22)
        app.router.add_route("*", "/trap", self._trap)
        app.router.add_post("/relay/{brand}", self._relay)
        app.router.add_post("/{brand}/", self._take)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _trap(self, request: web.Request) -> web.Response:
        self.trapped += 1
        return web.Response(status=200)

    async def _relay(self, request: web.Request) -> web.Response:
        headers = {name: value for name, value in request.headers.items() if name.lower().startswith(_HANDED_ON)}
        inbox = self.inboxes[request.match_info["brand"]]
        inbox.relayed.append(Relayed(body=await request.read(), headers=headers))
        return web.Response(status=200)

    async def _take(self, request: web.Request) -> web.Response:
        inbox = self.inboxes[request.match_info["brand"]]
        try:
            body = await request.read()
        except OSError:
            return web.Response(status=400)  # cut off on its way, which nobody sees
        webhook_id = request.headers.get("webhook-id", "")
        kind, consumer, text = _read(body)
        status, headers = inbox.answer(webhook_id, text)
        inbox.arrivals.append(
            Arrival(
                at=time.monotonic(),
                webhook_id=webhook_id,
                type=kind,
                consumer=consumer,
                text=text,
                is_signed=is_signed_for_channel(request.headers, body, secret=inbox.secret),
                status=status,
            )
        )
        if inbox.delay_s:
            await asyncio.sleep(inbox.delay_s)
        return web.Response(status=status, headers=headers, text="{}")


def _read(body: bytes) -> tuple[str, str, str]:
    envelope: dict[str, Any] = json.loads(body)
    data = envelope.get("data", {})
    return str(envelope.get("type")), str(data.get("consumer", {}).get("id", "")), str(data.get("text", ""))
