"""The control API under /_simulator/: accounts, installs, conversations, logs, faults."""

import json
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from . import agent, installs
from .checks import (
    Check,
    anything,
    is_any_text,
    is_bool,
    is_list,
    is_object,
    is_text,
    list_of,
    members,
    number,
    one_of,
    or_null,
    whole,
)
from .errors import ControlError
from .journal import encode
from .models import CONSUMER_FILE_MAX_BYTES, FILE_TYPES, Account, Consumer, Conversation, Install
from .notifications import EVENT_KEYS, QUIRKS
from .views import conversation_view

if TYPE_CHECKING:
    from .world import World

Handler = Callable[["World", Request], Awaitable[Any]]

_SWITCHES: dict[str, Check] = {
    "survey": is_bool,
    "auto_messages": is_bool,
    "already_open_status": one_of(200, 400),
    "retry": is_object,
    "signature": is_object,
    "echo": is_bool,
    "agent_newline": is_bool,
    "files": is_object,
    "quirks": list_of(one_of(*QUIRKS)),
    "expire_tokens": one_of("app", "consumer"),
}
_NESTED: dict[str, dict[str, Check]] = {
    "retry": {"mode": or_null(one_of("count", "ttl")), "scale": number(0.0001, 100)},
    "signature": {"alg": one_of("sha1", "sha256"), "enc": one_of("base64", "hex")},
    "files": {
        "enabled": is_bool,
        "max_bytes": whole(1, 10 * CONSUMER_FILE_MAX_BYTES),
        "types": list_of(one_of(*FILE_TYPES)),
    },
}


def answered(value: Any, *, status: int = 200) -> Response:
    return Response(encode(value), status_code=status, media_type="application/json")


def same_origin(request: Request) -> None:
    """A page of another site that is open in the same browser must not drive the simulator."""
    origin = request.headers.get("origin")
    if origin and urlsplit(origin).netloc != request.headers.get("host"):
        raise ControlError("Call the simulator from its own pages or from a script.", status=403)


async def body_of(request: Request) -> Any:
    raw = await request.body()
    try:
        return json.loads(raw) if raw else {}
    except (ValueError, RecursionError):
        raise ControlError("Send the body as JSON.") from None


def route(path: str, handlers: dict[str, Handler], world: "World") -> Route:
    """One path of the control API: a handler a method, its result as JSON, its refusals as a sentence."""

    async def endpoint(request: Request) -> Response:
        try:
            same_origin(request)
            result = await handlers[request.method](world, request)
        except ControlError as error:
            return answered({"error": error.sentence}, status=error.status)
        return result if isinstance(result, Response) else answered(result)

    return Route(path, endpoint, methods=list(handlers))


# -- finding things


def _account(world: "World", request: Request) -> Account:
    return world.state.account(request.path_params["account"])


def _install(account: Account, request: Request) -> Install:
    found = account.installs.get(request.path_params["client_id"])
    if found is None:
        raise ControlError(f"Name an install of account {account.id}: this one is unknown.", status=404)
    return found


def _conversation(account: Account, request: Request) -> Conversation:
    found = account.conversations.get(request.path_params["conversation"])
    if found is None:
        raise ControlError(f"Name a conversation of account {account.id}: this one is unknown.", status=404)
    return found


def since(request: Request) -> int:
    raw = request.query_params.get("since", "0")
    if not (raw.isascii() and raw.isdigit()):
        raise ControlError("Give 'since' as the number of entries to leave out.")
    return int(raw)


# -- accounts and installs


def _account_view(world: "World", account: Account) -> dict[str, Any]:
    installed = [
        {
            "client_id": one.client_id,
            "enabled": one.enabled,
            "manifest": one.manifest,
            "webhooks": world.notifier.state_of(account.id, one.client_id),
        }
        for one in account.installs.values()
    ]
    return {"account": account.id, **account.switches, "installs": installed}


async def list_accounts(world: "World", _request: Request) -> Any:
    return {"accounts": [_account_view(world, account) for account in world.state.accounts.values()]}


async def read_account(world: "World", request: Request) -> Any:
    return _account_view(world, _account(world, request))


async def switch_account(world: "World", request: Request) -> Any:
    body = members(await body_of(request), _SWITCHES)
    for name, shape in _NESTED.items():
        if name in body:
            members(body[name], shape, where=repr(name))
    account = _account(world, request)
    for name, value in body.items():
        if name == "expire_tokens":
            generation = f"{value}_generation"
            setattr(account, generation, getattr(account, generation) + 1)
        elif name in _NESTED:
            account.switches[name] = {**account.switches[name], **value}
        else:
            account.switches[name] = value
    world.state.save_account(account)
    return _account_view(world, account)


async def add_install(world: "World", request: Request) -> Any:
    made = installs.install(world, _account(world, request), await body_of(request))
    return {"client_id": made.client_id, "client_secret": made.client_secret}


async def change_install(world: "World", request: Request) -> Any:
    account = _account(world, request)
    found = _install(account, request)
    body = await body_of(request)
    if not isinstance(body, dict):
        raise ControlError("Send manifest members as a JSON object.")
    rotate = body.pop("rotate_secret", False)
    if is_bool(rotate):
        raise ControlError("Give 'rotate_secret' as true or false.")
    if body:
        installs.change(world, account, found, body)
    if rotate:
        installs.rotate_secret(world, account, found)
    return {"client_id": found.client_id, "client_secret": found.client_secret, "enabled": found.enabled}


# -- conversations


async def list_conversations(world: "World", request: Request) -> Any:
    account = _account(world, request)
    return {"conversations": [conversation_view(account, one) for one in account.conversations.values()]}


async def read_conversation(world: "World", request: Request) -> Any:
    account = _account(world, request)
    return conversation_view(account, _conversation(account, request))


async def act(world: "World", request: Request) -> Any:
    account = _account(world, request)
    return agent.perform(world, account, _conversation(account, request), await body_of(request))


async def add_foreign_conversation(world: "World", request: Request) -> Any:
    """A conversation that no connector opened: a consumer of another channel of the account."""
    shape = {"ext_consumer_id": is_text, "text": is_any_text, "client_id": is_text}
    body = members(await body_of(request), shape, required=("ext_consumer_id",))
    account, ext_id = _account(world, request), body["ext_consumer_id"]
    consumer = account.consumers.get(ext_id)
    if consumer is None:
        consumer = Consumer(ext_id=ext_id, lp_id=world.keys.digest("consumer", account.id, ext_id))
        world.state.save_consumer(account, consumer)
    if consumer.lp_id in account.open_by_consumer:
        raise ControlError("Choose another consumer: this one has an open conversation.")
    conversation = world.messaging.open(
        account, consumer, client_id=body.get("client_id", "another-channel"), features=[], client_properties={}
    )
    if body.get("text"):
        event = {"type": "ContentEvent", "contentType": "text/plain", "message": body["text"]}
        world.messaging.consumer_content(account, conversation, dialog=conversation.main, event=event, metadata=None)
    return conversation_view(account, conversation)


async def notify(world: "World", request: Request) -> Any:
    """Send a notification made by hand, signed like any other: unknown types, several changes, DELETE."""
    shape = {"type": is_text, "changes": is_list, "event": one_of(*EVENT_KEYS), "conversation": anything}
    body = members(await body_of(request), shape, required=("type", "changes"))
    queued = world.notifier.emit(
        _account(world, request),
        key=body.get("event", EVENT_KEYS[0]),
        wire_type=body["type"],
        conversation=str(body.get("conversation", "by-hand")),
        changes=body["changes"],
    )
    return {"queued": queued}


# -- logs, faults, reset


async def list_requests(world: "World", request: Request) -> Any:
    return {"requests": world.requests.since(since(request))}


async def list_webhooks(world: "World", request: Request) -> Any:
    return {"webhooks": world.notifier.log.since(since(request))}


async def read_faults(world: "World", _request: Request) -> Any:
    return {"faults": world.faults.listed()}


async def set_faults(world: "World", request: Request) -> Any:
    return {"faults": world.faults.replace(await body_of(request))}


async def clear_faults(world: "World", _request: Request) -> Any:
    world.faults.clear()
    return {"faults": []}


async def reset(world: "World", _request: Request) -> Any:
    await world.reset()
    return {"reset": True}


def routes(world: "World") -> list[Route]:
    account = "/_simulator/accounts/{account}"
    table: dict[str, dict[str, Handler]] = {
        "/_simulator/accounts": {"GET": list_accounts},
        account: {"GET": read_account, "PATCH": switch_account},
        f"{account}/installs": {"POST": add_install},
        f"{account}/installs/{{client_id}}": {"PATCH": change_install},
        f"{account}/conversations": {"GET": list_conversations, "POST": add_foreign_conversation},
        f"{account}/conversations/{{conversation}}": {"GET": read_conversation},
        f"{account}/conversations/{{conversation}}/agent": {"POST": act},
        f"{account}/notify": {"POST": notify},
        "/_simulator/requests": {"GET": list_requests},
        "/_simulator/webhooks": {"GET": list_webhooks},
        "/_simulator/faults": {"GET": read_faults, "PUT": set_faults, "DELETE": clear_faults},
        "/_simulator/reset": {"POST": reset},
    }
    return [route(path, handlers, world) for path, handlers in table.items()]
