"""What the kit sent, and what came back: every attempt with its answer. No answer is an outcome of its own."""

from __future__ import annotations

import asyncio
import hashlib
import random
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import aiohttp

ASKED_FOR_S = 6.0  # longer than LivePerson waits for an answer
_MOST_AT_ONCE = 64
_FIRST_GAP_S, _LONGEST_GAP_S = 0.5, 8.0


@dataclass(frozen=True, kw_only=True)
class Answer:
    """status: None when none came, for whatever reason: nobody knows what the other side did."""

    at: float
    elapsed_s: float
    status: int | None
    trouble: str = ""
    body: bytes = b""


@dataclass(kw_only=True)
class Sent:
    """One thing to deliver, in bytes that stay the same. headers: made afresh for each attempt."""

    key: str
    source: str
    consumer: str
    url: str
    body: bytes
    headers: Callable[[], dict[str, str]] = field(repr=False)
    sequence: int | None = None
    answers: list[Answer] = field(default_factory=list)

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.body).hexdigest()

    @property
    def is_acked(self) -> bool:
        return any(answer.status == 200 for answer in self.answers)

    @property
    def asked_at(self) -> float:
        """When the first attempt began: it may be stored from then on, whatever that one was answered."""
        return min((answer.at for answer in self.answers), default=float("inf"))

    @property
    def acked_by(self) -> float:
        """When the first 200 was there: it is stored by then."""
        acks = (answer.at + answer.elapsed_s for answer in self.answers if answer.status == 200)
        return min(acks, default=float("inf"))


class Sender:
    """Posts like LivePerson and like a brand's app: again and again until it is answered 200."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None
        self._at_once = asyncio.Semaphore(_MOST_AT_ONCE)
        self.lag_s = 0.0
        """The worst delay of our own event loop: what is measured is no better than this."""

    async def start(self) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=1.0),
            timeout=aiohttp.ClientTimeout(total=ASKED_FOR_S),
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def stop(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def post(self, item: Sent) -> Answer:
        """One attempt, entered into the ledger."""
        assert self._session is not None
        began_at = time.monotonic()
        status, trouble, body = None, "", b""
        try:
            async with self._session.post(
                item.url, data=item.body, headers=item.headers(), allow_redirects=False
            ) as answer:
                body = await answer.read()
                status = answer.status
        except TimeoutError:
            trouble = "no answer in time"
        except (aiohttp.ClientError, OSError) as error:
            trouble = type(error).__name__
        done = Answer(
            at=began_at, elapsed_s=time.monotonic() - began_at, status=status, trouble=trouble, body=body[:500]
        )
        item.answers.append(done)
        return done

    async def deliver(self, item: Sent, *, within_s: float, chance: random.Random) -> bool:
        """Attempts until one is answered 200, ever further apart like LivePerson's, only beginning sooner."""
        deadline = time.monotonic() + within_s
        gap_s = _FIRST_GAP_S
        while time.monotonic() < deadline:
            async with self._at_once:
                answer = await self.post(item)
            if answer.status == 200:
                return True
            await asyncio.sleep(gap_s * chance.uniform(0.7, 1.3))
            gap_s = min(2 * gap_s, _LONGEST_GAP_S)
        return False

    async def deliver_all(self, items: Iterable[Sent], *, per_s: float, within_s: float, chance: random.Random) -> None:
        """Begin one after the other at a steady pace, whatever the answers: the pace of the world, not of the site."""
        began_at, tasks = time.monotonic(), []
        for number, item in enumerate(items):
            await asyncio.sleep(max(0.0, began_at + number / per_s - time.monotonic()))
            tasks.append(asyncio.create_task(self.deliver(item, within_s=within_s, chance=chance)))
        await asyncio.gather(*tasks)
