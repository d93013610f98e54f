"""
Consumers' phones: the far end of a custom channel, that is a brand's own app in many hands.

A phone signs what its consumers write and posts it to the channel's webhook; its inbox takes what the channel sends.
"""

import json
from array import array
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp

from .journal import AppendLog, encode
from .models import now_ms
from .posting import new_session
from .standard_webhooks import is_authentic, signed_headers
from .state import State
from .wire import Call

_THREAD_LENGTH = 300
_SAY_TIMEOUT_S = 30.0
WITH_OWN_ID = ("message.received", "quick_reply.chosen")
"""Event types whose data.id the phone makes up when the caller gives none."""


@dataclass
class Thread:
    """What one consumer sees; the complete record is in the log."""

    entries: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=_THREAD_LENGTH))
    said: dict[str, dict[str, Any]] = field(default_factory=dict)
    typing_at: int | None = None
    receipts: dict[str, str] = field(default_factory=dict)


@dataclass
class Phone:
    key: str
    offsets: array = field(default_factory=lambda: array("Q"))
    seen: set[str] = field(default_factory=set)
    threads: dict[str, Thread] = field(default_factory=dict)
    consumer_of: dict[str, str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)


class Phones:
    """All phones, their settings in the state's table `phones` and their traffic in a log of its own."""

    def __init__(self, *, state: State, data_dir: Path) -> None:
        self._state = state
        self._log = AppendLog(data_dir / "phones.jsonl")
        self._phones: dict[str, Phone] = {}
        self._session: aiohttp.ClientSession | None = None
        for offset, row in self._log.scan():
            self._apply(offset, row)

    # -- settings

    def settings(self) -> dict[str, dict[str, Any]]:
        return self._state.table("phones")

    def configure(self, key: str, settings: dict[str, Any]) -> None:
        self._state.put("phones", key, settings)

    def phone(self, key: str) -> Phone:
        found = self._phones.get(key)
        if found is None:
            found = self._phones[key] = Phone(key)
        return found

    def thread(self, key: str, consumer_id: str) -> Thread:
        return self.phone(key).threads.setdefault(consumer_id, Thread())

    # -- what arrives

    def verify(self, key: str, call: Call) -> bool:
        return is_authentic(self.settings()[key]["secret"], headers=call.headers, body=call.body)

    def record(
        self, key: str, call: Call, *, verified: bool, processed: bool, status: int | None, fault: str | None
    ) -> bool:
        """Note a post that reached the inbox; return whether its webhook-id had been seen before."""
        phone = self.phone(key)
        webhook_id = call.headers.get("webhook-id", "")
        try:
            content = call.json()
        except ValueError:
            content = None
        known = content if isinstance(content, dict) else {}
        entry = {
            "n": len(phone.offsets) + 1,
            "type": known.get("type"),
            "webhook_id": webhook_id,
            "verified": verified,
            "duplicate": verified and webhook_id in phone.seen,
            "data": known.get("data", content),
            "at": now_ms(),
            "processed": processed,
            "status": status,
            "fault": fault,
        }
        self._write({"phone": key, "post": entry})
        return entry["duplicate"]

    def posts(self, key: str, *, since: int) -> list[dict[str, Any]]:
        return [self._log.read(offset)["post"] for offset in self.phone(key).offsets[since:]]

    # -- what the consumer does

    async def say(self, key: str, *, kind: str, data: dict[str, Any], webhook_id: str | None = None) -> dict[str, Any]:
        """Sign one event, post it to the channel's webhook and report the answer."""
        settings = self.settings()[key]
        if kind in WITH_OWN_ID and "id" not in data:
            data = {"id": f"m-{uuid4()}", **data}
        if "consumer" not in data and kind != "message.status":
            data = {**data, "consumer": settings["consumer"]}
        stamp = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        body = encode({"type": kind, "timestamp": stamp, "data": data})
        webhook_id = webhook_id or f"msg_{uuid4().hex}"
        status, answer = await self._post(settings, webhook_id=webhook_id, body=body)
        self._write({"phone": key, "said": {"type": kind, "data": data, "at": now_ms(), "status": status}})
        return {"status": status, "answer": answer, "id": data.get("id"), "webhook_id": webhook_id}

    async def _post(self, settings: dict[str, Any], *, webhook_id: str, body: bytes) -> tuple[int, Any]:
        if self._session is None:
            self._session = new_session()
        headers = {"Content-Type": "application/json"}
        headers |= signed_headers(settings["secret"], webhook_id=webhook_id, body=body)
        limit = aiohttp.ClientTimeout(total=_SAY_TIMEOUT_S, sock_connect=5)
        try:
            async with self._session.post(
                settings["webhook_url"], data=body, headers=headers, allow_redirects=False, timeout=limit
            ) as answer:
                text = await answer.text(errors="replace")
                status = answer.status
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as problem:
            return 0, {"error": f"The connector could not be reached: {type(problem).__name__}."}
        try:
            return status, json.loads(text)
        except ValueError:
            return status, {"text": text[:2000]}

    async def stop(self) -> None:
        if self._session:
            await self._session.close()

    def reset(self) -> None:
        self._log.clear()
        self._phones.clear()

    # -- what the pages show, rebuilt from the log at every start

    def _write(self, row: dict[str, Any]) -> None:
        self._apply(self._log.append(row), row)
        self._state.touch()

    def _apply(self, offset: int, row: dict[str, Any]) -> None:
        phone = self.phone(row["phone"])
        if "said" in row:
            self._apply_said(phone, row["said"])
            return
        post = row["post"]
        phone.offsets.append(offset)
        if post["verified"] and post["processed"] and not post["duplicate"]:
            phone.seen.add(post["webhook_id"])
            self._apply_post(phone, post)

    def _apply_said(self, phone: Phone, said: dict[str, Any]) -> None:
        kind, data = said["type"], said["data"]
        if kind == "message.status":
            for thread in phone.threads.values():
                thread.receipts[str(data.get("id"))] = str(data.get("status"))
            return
        consumer = data.get("consumer")
        if not isinstance(consumer, dict) or not isinstance(consumer.get("id"), str):
            return
        phone.names[consumer["id"]] = str(consumer.get("name") or consumer["id"])
        if kind.startswith("typing."):
            return
        thread = phone.threads.setdefault(consumer["id"], Thread())
        entry = {"from": "consumer", "kind": kind, "data": data, "at": said["at"], "status": said["status"]}
        thread.entries.append(entry)
        if "id" in data:
            thread.said[str(data["id"])] = entry

    def _apply_post(self, phone: Phone, post: dict[str, Any]) -> None:
        data = post["data"] if isinstance(post["data"], dict) else {}
        if post["type"] == "message.read":
            for thread in phone.threads.values():
                for one in data.get("ids") or []:
                    if str(one) in thread.said:
                        thread.said[str(one)]["read"] = True
            return
        consumer_id = self._consumer_id(phone, data)
        if consumer_id is None:
            return
        thread = phone.threads.setdefault(consumer_id, Thread())
        if post["type"] == "agent.typing":
            thread.typing_at = post["at"] if data.get("on") else None
            return
        if post["type"] == "message.created":
            thread.typing_at = None
        thread.entries.append({"from": "brand", "kind": post["type"], "data": data, "at": post["at"]})

    def _consumer_id(self, phone: Phone, data: dict[str, Any]) -> str | None:
        """Whom a post is for: it says so, or names a conversation that an earlier one tied to a consumer."""
        consumer = data.get("consumer")
        conversation = str(data.get("conversation"))
        if isinstance(consumer, dict) and isinstance(consumer.get("id"), str):
            phone.consumer_of[conversation] = consumer["id"]
            return consumer["id"]
        known = phone.consumer_of.get(conversation)
        if known is None and phone.key in self.settings():
            return self.settings()[phone.key]["consumer"]["id"]
        return known
