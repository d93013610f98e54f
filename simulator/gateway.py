"""Every request to the LivePerson API passes here: fault rules, the handler, the request log, the answer."""

import logging
import time
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.types import Receive, Scope, Send

from .errors import ITEM_CODES, ApiError, auth_error, item
from .faults import Rule
from .journal import AppendLog
from .models import now_ms
from .wire import Answer, BodyTooLarge, Call, drop, json_answer, read_call, write, write_with_fault

if TYPE_CHECKING:
    from .world import World

logger = logging.getLogger("simulator")

Handler = Callable[["World", Call], Answer]


class RequestLog:
    """Every request that reached the API, on disk; in memory only where each one starts."""

    def __init__(self, data_dir: Path) -> None:
        self._log = AppendLog(data_dir / "requests.jsonl")
        self._offsets = array("Q", (offset for offset, _ in self._log.scan()))

    def add(self, entry: dict[str, Any]) -> None:
        self._offsets.append(self._log.append({"n": len(self._offsets) + 1, **entry}))

    def since(self, count: int) -> list[dict[str, Any]]:
        return [self._log.read(offset) for offset in self._offsets[count:]]

    def clear(self) -> None:
        self._log.clear()
        self._offsets = array("Q")


def _fault_answer(rule: Rule, call: Call) -> Answer:
    """Answer with the rule's status in the shape that the asked service would use."""
    if rule.body is not None:
        return json_answer(rule.body, status=rule.status, headers=rule.headers)
    if rule.on in ("send", "conversation"):
        if rule.status == 401:
            return json_answer(auth_error(40102).body, status=401, headers=rule.headers)
        code = ITEM_CODES.get(rule.status, str(rule.status))
        return json_answer(item(code, {"msg": code}, _request_id(call)), status=rule.status, headers=rule.headers)
    if rule.on == "token":
        body = {"error": "invalid_client" if rule.status == 401 else "server_error", "error_description": "fault rule"}
        return json_answer(body, status=rule.status, headers=rule.headers)
    if rule.on == "consumer" and rule.status == 401:
        return json_answer(auth_error(40102).body, status=401, headers=rule.headers)
    return json_answer({"error": "fault rule"}, status=rule.status, headers=rule.headers)


def _request_id(call: Call) -> Any:
    try:
        body = call.json()
    except ValueError:
        return None
    return body.get("id") if isinstance(body, dict) else None


def _logged_body(call: Call, *, on: str) -> Any:
    """The request as the log shows it: JSON parsed, files as their size, token requests without the secret."""
    if on == "token":
        return None
    if on == "upload":
        return {"bytes": len(call.body)}
    if not call.body:
        return None
    try:
        return call.json()
    except ValueError:
        return {"unreadable": call.body[:2000].decode("utf-8", "replace")}


class Endpoint:
    """One place of the API as an ASGI application."""

    def __init__(self, world: "World", *, on: str, handler: Handler) -> None:
        self._world = world
        self._on = on
        self._handler = handler

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        try:
            call = await read_call(scope, receive)
        except ConnectionError:
            return
        except BodyTooLarge:
            await write(send, json_answer({"error": "Send a smaller body."}, status=413))
            return
        rule = self._world.faults.take(on=self._on, account=call.account)
        if rule and rule.do == "reset":
            self._log(call, started=started, rule=rule, answer=None, processed=False)
            await drop(scope, receive)
            return
        processed = not (rule and rule.do == "status")
        answer = self._process(call) if processed else _fault_answer(rule, call)  # type: ignore[arg-type]
        self._log(call, started=started, rule=rule, answer=answer, processed=processed)
        await write_with_fault(scope, receive, send, answer=answer, rule=rule, faults=self._world.faults)

    def _process(self, call: Call) -> Answer:
        try:
            return self._handler(self._world, call)
        except ApiError as error:
            return json_answer(error.body, status=error.status)
        except Exception:
            logger.exception("simulator.request.crashed")
            return json_answer({"error": "The simulator failed; its log says why."}, status=500)

    def _log(self, call: Call, *, started: float, rule: Rule | None, answer: Answer | None, processed: bool) -> None:
        self._world.requests.add(
            {
                "at": now_ms(),
                "on": self._on,
                "account": call.account,
                "method": call.method,
                "path": call.path,
                "processed": processed,
                "status": answer.status if answer else None,
                "fault": rule.do if rule else None,
                "answered": not (rule and rule.do in ("reset", "lose_answer")),
                "ms": round((time.perf_counter() - started) * 1000, 2),
                "body": _logged_body(call, on=self._on),
                **(answer.note if answer else {}),
            }
        )
