"""Reading requests and writing answers, well or - when a fault rule asks for it - badly."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from starlette.types import Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from .faults import Faults, Rule
from .journal import encode

MAX_BODY = 32 * 1024 * 1024
_TRANSPORT = "simulator.transport"
GARBAGE = b"\x00\xff<html>this is not what you asked for"


class DroppableProtocol(HttpToolsProtocol):
    """Hands the connection to the application, which may drop it."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {_TRANSPORT: self.transport}  # type: ignore[dict-item]


def _refuse_constant(name: str) -> None:
    raise ValueError(f"JSON knows no {name}.")


@dataclass(slots=True)
class Call:
    """One request, read whole."""

    method: str
    path: str
    account: str
    params: dict[str, str]
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def host(self) -> str:
        return self.headers.get("host", "127.0.0.1")

    def json(self) -> Any:
        """Return the parsed body; raises ValueError when it is not JSON in UTF-8."""
        try:
            return json.loads(self.body.decode(), parse_constant=_refuse_constant)
        except RecursionError:
            raise ValueError("The JSON is nested too deeply.") from None


@dataclass(slots=True)
class Answer:
    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    note: dict[str, Any] = field(default_factory=dict)
    """What the request log should say beyond the request itself."""


def json_answer(body: Any, *, status: int = 200, headers: dict[str, str] | None = None, **note: Any) -> Answer:
    return Answer(status, encode(body), {"content-type": "application/json;charset=utf-8", **(headers or {})}, note)


class BodyTooLarge(Exception):
    """The request body is larger than anything the API takes."""


async def read_body(receive: Receive) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionError("The client went away while sending its request.")
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > MAX_BODY:
            raise BodyTooLarge
        chunks.append(chunk)
        if not message.get("more_body"):
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)


async def read_call(scope: Scope, receive: Receive) -> Call:
    params = scope.get("path_params", {})
    return Call(
        method=scope["method"],
        path=scope["path"],
        account=params.get("account", ""),
        params=params,
        query=dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)),
        headers={name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]},
        body=await read_body(receive),
    )


async def write(send: Send, answer: Answer) -> None:
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers.items()]
    headers.append((b"content-length", str(len(answer.body)).encode()))
    start: Message = {"type": "http.response.start", "status": answer.status, "headers": headers}
    await send(start)
    await send({"type": "http.response.body", "body": answer.body})


async def dribble(data: bytes, *, seconds: float) -> AsyncIterator[bytes]:
    """The data in some twenty pieces, spread over the given time."""
    step = max(1, len(data) // 20)
    pieces = [data[start : start + step] for start in range(0, len(data), step)]
    for piece in pieces:
        await asyncio.sleep(seconds / len(pieces))
        yield piece


async def write_slowly(send: Send, answer: Answer, *, seconds: float) -> None:
    """Send the head at once and the body in small pieces over the given time."""
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers.items()]
    headers.append((b"content-length", str(len(answer.body)).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    async for piece in dribble(answer.body, seconds=seconds):
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def drop(scope: Scope, receive: Receive) -> None:
    """Cut the connection without a byte of an answer."""
    scope["extensions"][_TRANSPORT].abort()
    while (await receive())["type"] != "http.disconnect":
        pass


async def write_with_fault(
    scope: Scope, receive: Receive, send: Send, *, answer: Answer, rule: Rule | None, faults: Faults
) -> None:
    """Write the answer of a request that was processed, broken in the way the rule says."""
    if rule is None or rule.do == "status":
        await write(send, answer)
    elif rule.do == "delay":
        await asyncio.sleep(rule.seconds if rule.seconds is not None else 1.0)
        await write(send, answer)
    elif rule.do == "hold":
        await faults.lifted(rule)
        await write(send, answer)
    elif rule.do == "slow_body":
        await write_slowly(send, answer, seconds=rule.seconds if rule.seconds is not None else 5.0)
    elif rule.do == "garbage":
        await write(send, Answer(200, GARBAGE, {"content-type": "application/json"}))
    else:  # lose_answer, reset
        await drop(scope, receive)
