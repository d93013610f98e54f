"""Phones over HTTP: their control calls, their inbox, their files."""

from typing import TYPE_CHECKING, Any
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from .checks import Check, is_any_text, is_object, is_text, members, one_of
from .control import Handler, body_of, route, since
from .errors import ControlError
from .standard_webhooks import decode_secret
from .wire import Answer, BodyTooLarge, drop, json_answer, read_call, write, write_with_fault

if TYPE_CHECKING:
    from .world import World

MAX_FILE = 10 * 1024 * 1024
EVENT_TYPES = (
    "message.received",
    "typing.started",
    "typing.stopped",
    "message.status",
    "conversation.closed",
    "quick_reply.chosen",
)
_SETTINGS: dict[str, Check] = {
    "name": is_text,
    "brand": is_text,
    "account": is_text,
    "webhook_url": is_text,
    "secret": is_text,
    "consumer": is_object,
}
_CONSUMER: dict[str, Check] = {"id": is_text, "name": is_any_text, "profile": is_object}
# Types that a browser may show without running anything in them.
_SHOWN = ("image/png", "image/jpeg", "image/gif", "image/webp", "application/pdf", "text/plain")


def require_phone(world: "World", key: str) -> dict[str, Any]:
    settings = world.phones.settings().get(key)
    if settings is None:
        raise ControlError(f"PUT /_simulator/phones/{key} first: no phone has this key.", status=404)
    return settings


def _key(request: Request) -> str:
    return request.path_params["key"]


async def list_phones(world: "World", _request: Request) -> Any:
    listed = [
        {"key": key, **{name: value for name, value in settings.items() if name != "secret"}, "page": f"/phone/{key}"}
        for key, settings in world.phones.settings().items()
    ]
    return {"phones": listed}


async def put_phone(world: "World", request: Request) -> Any:
    required = ("name", "brand", "webhook_url", "secret", "consumer")
    settings = members(await body_of(request), _SETTINGS, required=required)
    members(settings["consumer"], _CONSUMER, required=("id",), where="'consumer'")
    try:
        decode_secret(settings["secret"])
    except ValueError as error:
        raise ControlError(str(error)) from None
    if not settings["webhook_url"].startswith(("http://", "https://")):
        raise ControlError("Give 'webhook_url' as an http or https address.")
    world.phones.configure(_key(request), settings)
    return {"key": _key(request), "page": f"/phone/{_key(request)}", "inbox": f"/phones/{_key(request)}/inbox"}


async def list_messages(world: "World", request: Request) -> Any:
    require_phone(world, _key(request))
    return {"messages": world.phones.posts(_key(request), since=since(request))}


async def say(world: "World", request: Request) -> Any:
    require_phone(world, _key(request))
    body = await body_of(request)
    if not isinstance(body, dict):
        raise ControlError("Send the event's members as a JSON object.")
    kind = body.pop("type", "message.received")
    wrong_kind = one_of(*EVENT_TYPES)(kind)
    if wrong_kind:
        raise ControlError(f"Give 'type' as {wrong_kind}.")
    webhook_id = body.pop("webhook_id", None)
    if webhook_id is not None and is_text(webhook_id):
        raise ControlError("Give 'webhook_id' as a text that is not empty.")
    return await world.phones.say(_key(request), kind=kind, data=body, webhook_id=webhook_id)


# -- files


async def add_file(world: "World", request: Request) -> Any:
    require_phone(world, _key(request))
    data = await request.body()
    if not data or len(data) > MAX_FILE:
        raise ControlError("Send the file's bytes as the body, 10 MB at most.")
    file_id = uuid4().hex
    mime = request.headers.get("content-type", "application/octet-stream").split(";")[0].strip()
    world.state.files_dir.joinpath(f"phone-{file_id}").write_bytes(data)
    world.state.put("phone_files", file_id, {"mime": mime, "size": len(data)})
    return {"url": f"{request.url.scheme}://{request.headers['host']}/phone-files/{file_id}"}


async def read_file(world: "World", request: Request) -> Any:
    meta = world.state.table("phone_files").get(request.path_params["file"])
    if meta is None:
        raise ControlError("Ask for a file that a phone has sent: this one is unknown.", status=404)
    data = world.state.files_dir.joinpath(f"phone-{request.path_params['file']}").read_bytes()
    return file_response(data, mime=meta["mime"])


def file_response(data: bytes, *, mime: str, name: str | None = None) -> Response:
    """A file of unknown origin: shown when it is harmless, else offered for download."""
    shown = mime in _SHOWN
    headers = {"x-content-type-options": "nosniff", "content-security-policy": "default-src 'none'; sandbox"}
    if not shown:
        headers["content-disposition"] = "attachment"
    return Response(data, media_type=mime if shown else "application/octet-stream", headers=headers)


# -- the inbox


class Inbox:
    """Where the channel posts to: verified, taken once per webhook-id, recorded in any case."""

    def __init__(self, world: "World") -> None:
        self._world = world

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        key = scope["path_params"]["key"]
        settings = self._world.phones.settings().get(key)
        try:
            call = await read_call(scope, receive)
        except ConnectionError:
            return
        except BodyTooLarge:
            await write(send, json_answer({"error": "too large"}, status=413))
            return
        if settings is None or call.method != "POST":
            status = 404 if settings is None else 405
            await write(send, json_answer({"error": "POST to the inbox of a known phone."}, status=status))
            return
        phones = self._world.phones
        rule = self._world.faults.take(on="phone", account=settings.get("account"))
        verified = phones.verify(key, call)
        processed = verified and not (rule and rule.do in ("reset", "status"))
        answer = self._answer_of(verified=verified)
        if rule and rule.do == "status":
            body = {"error": "fault rule"} if rule.body is None else rule.body
            answer = json_answer(body, status=rule.status, headers=rule.headers)
        lost = rule is not None and rule.do in ("reset", "lose_answer")
        duplicate = phones.record(
            key, call, verified=verified, processed=processed,
            status=None if lost else answer.status, fault=rule.do if rule else None,
        )  # fmt: skip
        if rule and rule.do == "reset":
            await drop(scope, receive)
            return
        if duplicate and processed:
            answer = json_answer({"duplicate": True})
        await write_with_fault(scope, receive, send, answer=answer, rule=rule, faults=self._world.faults)

    @staticmethod
    def _answer_of(*, verified: bool) -> Answer:
        return json_answer({"ok": True}) if verified else json_answer({"error": "wrong signature"}, status=401)


def routes(world: "World") -> list[Route]:
    phone = "/_simulator/phones/{key}"
    table: dict[str, dict[str, Handler]] = {
        "/_simulator/phones": {"GET": list_phones},
        phone: {"PUT": put_phone},
        f"{phone}/messages": {"GET": list_messages},
        f"{phone}/say": {"POST": say},
        f"{phone}/files": {"POST": add_file},
        "/phone-files/{file}": {"GET": read_file},
    }
    listed = [route(path, handlers, world) for path, handlers in table.items()]
    return [Route("/phones/{key}/inbox", Inbox(world)), *listed]
