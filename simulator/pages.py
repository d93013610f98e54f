"""Pages for people: the index, an agent's desk, a consumer's phone. They change by themselves as things happen."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from . import swift
from .agent import SAMPLE_CARD
from .desk_views import composing, consumer_name, desk_row, profile_rows, transcript, unread
from .errors import ControlError
from .models import Account, Conversation
from .phone_api import file_response, require_phone
from .phone_views import agent_types, bubbles, offered, people

if TYPE_CHECKING:
    from .world import World

_HERE = Path(__file__).parent
_LOOK_S = 0.2
_HEARTBEAT_S = 15.0
_ROWS = 200
_HEADERS = {
    # Whatever a consumer writes, no script but our own can run on these pages.
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src http: https: data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'self'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}

_templates = Environment(
    loader=FileSystemLoader(_HERE / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
    lstrip_blocks=True,
)  # fmt: skip
_templates.filters["urlencode"] = lambda text: quote(str(text), safe="", errors="replace")

Page = Callable[["World", Request], Awaitable[Response]]


def _page(template: str, *, status: int = 200, **facts: Any) -> Response:
    text = _templates.get_template(template).render(**facts)
    # A consumer may send half of a surrogate pair, which UTF-8 cannot carry.
    return HTMLResponse(text.encode("utf-8", "replace"), status_code=status, headers=_HEADERS)


def _served(page: Page, world: "World") -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            return await page(world, request)
        except ControlError as error:
            return _page("message.html", status=error.status, title="Not found", text=error.sentence)

    return endpoint


# -- index


async def index(world: "World", _request: Request) -> Response:
    accounts = [
        {
            "id": account.id,
            "open": sum(1 for one in account.conversations.values() if one.stage == "OPEN"),
            "all": len(account.conversations),
            "installs": [
                {
                    "name": one.manifest.get("display_name") or one.manifest.get("client_name") or one.client_id,
                    "state": world.notifier.state_of(account.id, one.client_id)["state"] if one.enabled else "Disabled",
                }
                for one in account.installs.values()
            ],
        }
        for account in world.state.accounts.values()
    ]
    phones = [{"key": key, **settings} for key, settings in world.phones.settings().items()]
    return _page("index.html", accounts=accounts, phones=phones)


# -- the desk


def _account(world: "World", request: Request) -> Account:
    account = world.state.accounts.get(request.path_params["account"])
    if account is None:
        raise ControlError("No connector has used this account yet. Start from the first page.", status=404)
    return account


def _chosen(account: Account, request: Request) -> Conversation | None:
    wanted = request.query_params.get("c")
    if wanted:
        return account.conversations.get(wanted)
    latest = sorted(account.conversations.values(), key=lambda one: (one.stage == "OPEN", one.started_ms))
    return latest[-1] if latest else None


def _desk_facts(account: Account, request: Request) -> dict[str, Any]:
    conversation = _chosen(account, request)
    newest = list(account.conversations.values())[-_ROWS:]
    rows = sorted((desk_row(account, one) for one in newest), key=lambda row: (row["open"], row["order"]), reverse=True)
    facts: dict[str, Any] = {"account": account, "rows": rows, "conversation": conversation}
    if conversation:
        consumer = account.consumers.get(conversation.ext_consumer_id)
        facts |= {
            "name": consumer_name(account, conversation),
            "profile": profile_rows(consumer.profile if consumer else {}),
            "lines": transcript(account, conversation),
            "typing": composing(conversation, "CONSUMER"),
            "joined": conversation.participant("ASSIGNED_AGENT") is not None,
            "unread": unread(conversation),
        }
    return facts


async def desks(world: "World", _request: Request) -> Response:
    accounts = list(world.state.accounts)
    return RedirectResponse(f"/desk/{accounts[0]}" if len(accounts) == 1 else "/")


async def desk(world: "World", request: Request) -> Response:
    card = [element for element in SAMPLE_CARD["elements"] if element["type"] == "text"]
    return _page("desk.html", sample=card, **_desk_facts(_account(world, request), request))


async def desk_live(world: "World", request: Request) -> Response:
    return _page("desk_live.html", **_desk_facts(_account(world, request), request))


async def desk_file(world: "World", request: Request) -> Response:
    account = _account(world, request)
    stored = world.state.files.get(request.query_params.get("path", ""))
    if stored is None or stored.account != account.id or stored.size is None:
        raise ControlError("This file is not there.", status=404)
    return file_response(swift.read(world, stored), mime=stored.content_type)


# -- the phone


def _phone_facts(world: "World", request: Request) -> dict[str, Any]:
    key = request.path_params["key"]
    settings = require_phone(world, key)
    phone = world.phones.phone(key)
    own = settings["consumer"]
    consumer_id = request.query_params.get("consumer") or own["id"]
    name = own.get("name") if consumer_id == own["id"] else None
    name = request.query_params.get("name") or phone.names.get(consumer_id) or name or consumer_id
    consumer = {**own, "id": consumer_id, "name": name} if consumer_id == own["id"] else {
        "id": consumer_id,
        "name": name,
    }  # fmt: skip
    thread = world.phones.thread(key, consumer_id)
    return {
        "key": key,
        "settings": settings,
        "consumer": consumer,
        "people": people(world.phones, phone),
        "bubbles": bubbles(thread),
        "offered": offered(thread),
        "typing": agent_types(thread),
    }


async def phone(world: "World", request: Request) -> Response:
    return _page("phone.html", **_phone_facts(world, request))


async def phone_live(world: "World", request: Request) -> Response:
    return _page("phone_live.html", **_phone_facts(world, request))


# -- changes


async def _changes(world: "World") -> AsyncIterator[bytes]:
    """Server-sent events: one whenever anything changed, at most a few a second."""
    seen, silent_s = -1, 0.0
    while not world.stopping.is_set():
        if world.state.version != seen:
            seen, silent_s = world.state.version, 0.0
            yield f"data: {seen}\n\n".encode()
        elif silent_s >= _HEARTBEAT_S:
            silent_s = 0.0
            yield b": still here\n\n"
        silent_s += _LOOK_S
        await asyncio.sleep(_LOOK_S)


async def changes(world: "World", _request: Request) -> Response:
    return StreamingResponse(_changes(world), media_type="text/event-stream", headers={"cache-control": "no-store"})


def routes(world: "World") -> list[BaseRoute]:
    table: dict[str, Page] = {
        "/": index,
        "/desk": desks,
        "/desk/{account}": desk,
        "/desk/{account}/live": desk_live,
        "/desk/{account}/file": desk_file,
        "/phone/{key}": phone,
        "/phone/{key}/live": phone_live,
        "/changes": changes,
    }
    listed: list[BaseRoute] = [Route(path, _served(page, world), methods=["GET"]) for path, page in table.items()]
    return [*listed, Mount("/static", StaticFiles(directory=_HERE / "static"))]
