"""From something that happened to signed POSTs at every enabled install that subscribed, and the log of them."""

from array import array
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp

from .faults import Faults, Rule
from .journal import AppendLog
from .models import Account, Install, now_ms
from .notifications import body_of
from .outlets import Notification, Outlet
from .posting import Try, new_session, post
from .state import State


class NotificationLog:
    """Every notification on disk, its end in a second line; in memory only what is still on its way."""

    def __init__(self, data_dir: Path) -> None:
        self._log = AppendLog(data_dir / "webhooks.jsonl")
        self._starts = array("Q")
        self._ends = array("Q")
        self.waiting: dict[int, Notification] = {}
        for offset, row in self._log.scan():
            self._restore(offset, row)

    def open(self, *, account: str, client_id: str, key: str, conversation: str, body: bytes) -> Notification:
        notification = Notification(
            n=len(self._starts) + 1,
            id=uuid4().hex,
            account=account,
            client_id=client_id,
            key=key,
            conversation=conversation,
            body=body,
            created_ms=now_ms(),
        )
        row = {
            "n": notification.n,
            "id": notification.id,
            "account": account,
            "client_id": client_id,
            "event": key,
            "conversation": conversation,
            "at": notification.created_ms,
            "body": body.decode(),
        }
        self._starts.append(self._log.append(row))
        self._ends.append(0)  # a first line is never an end
        self.waiting[notification.n] = notification
        return notification

    def close(self, notification: Notification, end: str) -> None:
        tries = [one.row() for one in notification.tries]
        if self.waiting.pop(notification.n, None):
            self._ends[notification.n - 1] = self._log.append({"end": notification.n, "state": end, "tries": tries})

    def since(self, count: int) -> list[dict[str, Any]]:
        return [self._entry(index) for index in range(count, len(self._starts))]

    def clear(self) -> None:
        self._log.clear()
        self._starts, self._ends = array("Q"), array("Q")
        self.waiting.clear()

    def _entry(self, index: int) -> dict[str, Any]:
        row = self._log.read(self._starts[index])
        if self._ends[index]:
            end = self._log.read(self._ends[index])
            state, tries = end["state"], end["tries"]
        else:
            state, tries = "waiting", [one.row() for one in self.waiting[index + 1].tries]
        last = tries[-1] if tries else {"status": None, "milliseconds": None}
        return row | {
            "state": state,
            "attempts": len(tries),
            "status": last["status"],
            "milliseconds": last["milliseconds"],
            "tries": tries,
        }

    def _restore(self, offset: int, row: dict[str, Any]) -> None:
        if "end" in row:
            self._ends[row["end"] - 1] = offset
            self.waiting.pop(row["end"], None)
            return
        self._starts.append(offset)
        self._ends.append(0)
        self.waiting[row["n"]] = Notification(
            n=row["n"],
            id=row["id"],
            account=row["account"],
            client_id=row["client_id"],
            key=row["event"],
            conversation=row["conversation"],
            body=row["body"].encode(),
            created_ms=row["at"],
        )


class Notifier:
    """Hands each notification to the outlets of the account's installs."""

    def __init__(self, *, state: State, faults: Faults, data_dir: Path) -> None:
        self.log = NotificationLog(data_dir)
        self._state = state
        self._faults = faults
        self._outlets: dict[tuple[str, str], Outlet] = {}
        self._session: aiohttp.ClientSession | None = None

    def start(self) -> None:
        """Go on with what a former process could not deliver."""
        self._session = new_session()
        for notification in list(self.log.waiting.values()):
            if notification.account in self._state.accounts:
                self._outlet(notification.account, notification.client_id).add(notification)
            else:
                self.log.close(notification, "cancelled")

    async def stop(self) -> None:
        for outlet in self._outlets.values():
            outlet.stop()
        self._outlets.clear()
        if self._session:
            await self._session.close()

    async def reset(self) -> None:
        await self.stop()
        self.log.clear()
        self._session = new_session()

    def emit(
        self, account: Account, *, key: str, wire_type: str, conversation: str, changes: list[dict[str, Any]]
    ) -> int:
        """Queue one notification for each install that subscribed; return how many those are."""
        subscribed = [one for one in account.installs.values() if one.enabled and one.endpoint(key)]
        if subscribed:
            body = body_of(changes, wire_type=wire_type, quirks=account.switches["quirks"])
            for install in subscribed:
                self._queue(account, install, key=key, conversation=conversation, body=body)
        return len(subscribed)

    def state_of(self, account_id: str, client_id: str) -> dict[str, Any]:
        outlet = self._outlets.get((account_id, client_id))
        return {"state": outlet.state, "waiting": outlet.waiting()} if outlet else {"state": "Up", "waiting": 0}

    def _queue(self, account: Account, install: Install, *, key: str, conversation: str, body: bytes) -> None:
        notification = self.log.open(
            account=account.id, client_id=install.client_id, key=key, conversation=conversation, body=body
        )
        self._outlet(account.id, install.client_id).add(notification)

    def _outlet(self, account_id: str, client_id: str) -> Outlet:
        outlet = self._outlets.get((account_id, client_id))
        if outlet is None:
            outlet = self._outlets[account_id, client_id] = Outlet(
                account=self._state.accounts[account_id],
                client_id=client_id,
                faults=self._faults,
                poster=self._post,
                finish=self.log.close,
            )
        return outlet

    async def _post(self, notification: Notification, install: Install, rule: Rule | None) -> Try:
        if self._session is None:
            raise RuntimeError("Start the notifier before it delivers.")
        return await post(
            self._session,
            account=self._state.accounts[notification.account],
            install=install,
            endpoint=install.endpoint(notification.key) or {},
            body=notification.body,
            rule=rule,
        )
