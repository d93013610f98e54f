"""
Delivery to one app install: a lane per conversation, and LivePerson's two retry modes.

By number: a failed notification is tried again 30 s later, up to max_retries, and later ones overtake it.
By time to live: the first failure fails the install; everything is stored and kept in order until the endpoint answers
again (states Up, Failed, In transition, Recovered) or the retention time is over.

Source: developers.liveperson.com/connector-api-webhooks-retry-policy.html
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from .faults import WEBHOOK_KINDS, Faults, Rule
from .models import Account, Install, now_ms
from .posting import Try

RETRY_GAP_S = 30.0
FIRST_GAP_S = 2.0
LONGEST_GAP_S = 300.0
DRAIN_PERIOD_S = 4.0
DEFAULT_RETENTION_S = 86_400.0
_AT_ONCE = 64
_OVERTAKEN_WITHIN_S = 2.0


@dataclass(eq=False)
class Notification:
    """One POST that one install must get."""

    n: int
    id: str
    account: str
    client_id: str
    key: str
    conversation: str
    body: bytes
    created_ms: int
    tries: list[Try] = field(default_factory=list)
    faulted: bool = False


@dataclass(eq=False)
class Lane:
    """The notifications of one conversation, in order."""

    queue: deque[Notification] = field(default_factory=deque)
    more: asyncio.Event = field(default_factory=asyncio.Event)
    busy: bool = False


Poster = Callable[[Notification, Install, Rule | None], Awaitable[Try]]
Finish = Callable[[Notification, str], None]


class Outlet:
    """All that is on its way to one install."""

    def __init__(self, *, account: Account, client_id: str, faults: Faults, poster: Poster, finish: Finish) -> None:
        self.state = "Up"
        self._account = account
        self._client_id = client_id
        self._faults = faults
        self._poster = poster
        self._finish = finish
        self._lanes: dict[str, Lane] = {}
        self._gate = asyncio.Event()
        self._gate.set()
        self._at_once = asyncio.Semaphore(_AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()
        self._stored: set[int] = set()

    def add(self, notification: Notification) -> None:
        lane = self._lanes.get(notification.conversation)
        if lane is None:
            lane = self._lanes[notification.conversation] = Lane()
            lane.queue.append(notification)
            self._spawn(self._drain(notification.conversation, lane))
        else:
            lane.queue.append(notification)
            lane.more.set()

    def stop(self) -> None:
        for task in self._tasks:
            task.cancel()

    def waiting(self) -> int:
        return sum(len(lane.queue) for lane in self._lanes.values())

    # -- what the account and the manifest say

    @property
    def _install(self) -> Install | None:
        install = self._account.installs.get(self._client_id)
        return install if install and install.enabled else None

    @property
    def _scale(self) -> float:
        return self._account.switches["retry"]["scale"]

    def _by_time(self, install: Install) -> bool:
        mode = self._account.switches["retry"]["mode"]
        return mode == "ttl" or (mode is None and install.retention_s is not None)

    def _expired(self, notification: Notification, install: Install) -> bool:
        if not self._by_time(install):
            return False
        retention_s = install.retention_s if install.retention_s is not None else DEFAULT_RETENTION_S
        return now_ms() - notification.created_ms > retention_s * self._scale * 1000

    # -- a lane

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _drain(self, conversation: str, lane: Lane) -> None:
        while lane.queue:
            if not self._gate.is_set():
                await self._gate.wait()
                continue
            lane.busy = True
            try:
                await self._next(lane)
            finally:
                lane.busy = False
        del self._lanes[conversation]

    async def _next(self, lane: Lane) -> None:
        head = lane.queue[0]
        install = self._install
        if install is None or install.endpoint(head.key) is None:
            self._leave(lane, head, "cancelled")
            return
        if self._expired(head, install):
            self._leave(lane, head, "expired")
            return
        rule = self._faults.take(
            on="webhook", account=self._account.id, leave_out=WEBHOOK_KINDS if head.faulted or head.tries else ()
        )
        if rule and await self._held_up(lane, head, rule):
            return
        if await self._attempt(head, install, rule):
            if rule and rule.do == "duplicate":
                await self._attempt(head, install, rule)
            self._leave(lane, head, "delivered")
        else:
            self._failed(lane, head, install)

    async def _held_up(self, lane: Lane, head: Notification, rule: Rule) -> bool:
        """Do what the rule asks for before the POST; True when the lane must look again at its head."""
        if rule.do == "reset":
            self._leave(lane, head, "dropped")
            return True
        if rule.do == "delay":
            await asyncio.sleep(rule.seconds if rule.seconds is not None else 1.0)
        elif rule.do == "hold":
            head.faulted = True
            await self._faults.lifted(rule)
            return True
        elif rule.do == "reorder":
            head.faulted = True
            await self._let_one_pass(lane, rule)
            return True
        return False

    async def _let_one_pass(self, lane: Lane, rule: Rule) -> None:
        if len(lane.queue) < 2:
            lane.more.clear()
            wait_s = rule.seconds if rule.seconds is not None else _OVERTAKEN_WITHIN_S
            try:
                await asyncio.wait_for(lane.more.wait(), wait_s)
            except TimeoutError:
                return
        lane.queue[0], lane.queue[1] = lane.queue[1], lane.queue[0]
        lane.queue[0].faulted = True

    def _leave(self, lane: Lane, notification: Notification, end: str) -> None:
        lane.queue.remove(notification)
        self._end(notification, end)

    def _end(self, notification: Notification, end: str) -> None:
        self._finish(notification, end)
        if self._stored:
            self._stored.discard(notification.n)
            if not self._stored and self.state == "In transition":
                self.state = "Recovered"
                self._spawn(self._settle())

    async def _attempt(self, notification: Notification, install: Install, rule: Rule | None) -> bool:
        async with self._at_once:
            outcome = await self._poster(notification, install, rule)
        notification.tries.append(outcome)
        return outcome.succeeded

    # -- failures

    def _failed(self, lane: Lane, head: Notification, install: Install) -> None:
        endpoint = install.endpoint(head.key) or {}
        if not self._by_time(install):
            lane.queue.remove(head)
            self._count(head, endpoint)
        elif endpoint.get("max_retries") == 0:
            # Said explicitly, it exempts the endpoint: its failures do not fail the install.
            self._leave(lane, head, "failed")
        else:
            self._fail()

    def _count(self, notification: Notification, endpoint: dict[str, Any]) -> None:
        if len(notification.tries) > endpoint.get("max_retries", 0):
            self._end(notification, "failed")
        else:
            self._spawn(self._retry_alone(notification))

    async def _retry_alone(self, notification: Notification) -> None:
        await asyncio.sleep(RETRY_GAP_S * self._scale)
        install = self._install
        endpoint = install.endpoint(notification.key) if install else None
        if install is None or endpoint is None:
            self._end(notification, "cancelled")
            return
        rule = self._faults.take(on="webhook", account=self._account.id, leave_out=WEBHOOK_KINDS)
        if rule and rule.do == "reset":
            self._end(notification, "dropped")
        elif await self._attempt(notification, install, rule):
            self._end(notification, "delivered")
        else:
            self._count(notification, endpoint)

    def _fail(self) -> None:
        if self._gate.is_set():
            self.state = "Failed"
            self._gate.clear()
            self._stored.clear()
            self._spawn(self._probe())

    async def _probe(self) -> None:
        gap_s = FIRST_GAP_S
        while True:
            await asyncio.sleep(gap_s * self._scale)
            if await self._first_stored_goes():
                break
            gap_s = min(gap_s * 2, LONGEST_GAP_S)
        self._stored = {one.n for lane in self._lanes.values() for one in lane.queue}
        self.state = "In transition" if self._stored else "Recovered"
        self._gate.set()
        if not self._stored:
            await self._settle()

    async def _first_stored_goes(self) -> bool:
        """Try the oldest stored notification; True when the endpoint answers or nothing is left to try."""
        while True:
            lanes = [lane for lane in self._lanes.values() if lane.queue and not lane.busy]
            if not lanes:
                return not any(lane.busy for lane in self._lanes.values())
            lane = min(lanes, key=lambda one: one.queue[0].n)
            head, install = lane.queue[0], self._install
            endpoint = install.endpoint(head.key) if install else None
            if install is None or endpoint is None:
                self._leave(lane, head, "cancelled")
            elif self._expired(head, install):
                self._leave(lane, head, "expired")
            else:
                rule = self._faults.take(on="webhook", account=self._account.id, leave_out=WEBHOOK_KINDS)
                if await self._attempt(head, install, rule):
                    self._leave(lane, head, "delivered")
                    return True
                if endpoint.get("max_retries") != 0:
                    return False
                self._leave(lane, head, "failed")

    async def _settle(self) -> None:
        await asyncio.sleep(DRAIN_PERIOD_S * self._scale)
        if self.state == "Recovered":
            self.state = "Up"
