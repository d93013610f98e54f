"""The table of all addresses."""

from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from . import control, identity, installs, pages, phone_api, send_api, swift
from .control import answered
from .gateway import Endpoint, Handler

if TYPE_CHECKING:
    from .world import World


def _api_routes(world: "World") -> list[BaseRoute]:
    """LivePerson's API; the busiest first, since routes are tried in order."""
    conversation = "/api/account/{account}/messaging/consumer/conversation"
    service = "/api/account/{account}/service"
    install = "/api/account/{account}/configuration/app-install/installations"
    table: list[tuple[str, list[str], str, Handler]] = [
        (f"{conversation}/send", ["POST"], "send", send_api.send),
        (conversation, ["POST"], "conversation", send_api.open_conversation),
        ("/api/account/{account}/consumer", ["POST"], "consumer", identity.consumer_token),
        ("/sentinel/api/account/{account}/app/token", ["POST"], "token", identity.app_token),
        ("/sentinel/api/v2/account/{account}/app/token", ["POST"], "token", identity.app_token),
        (f"{service}/{{service}}/baseURI.json", ["GET"], "domain", identity.one_domain),
        (f"{service}/{{service}}/baseURI", ["GET"], "domain", identity.one_domain),
        (f"{service}/baseURI.json", ["GET"], "domain", identity.all_domains),
        (f"{service}/baseURI", ["GET"], "domain", identity.all_domains),
        ("/v1/AUTH_async-images/{account}/{name}", ["PUT"], "upload", swift.upload),
        ("/v1/AUTH_async-images/{account}/{name}", ["GET"], "download", swift.download),
        (install, ["GET", "POST"], "install", installs.installations),
        (f"{install}/{{install}}", ["GET", "PUT", "DELETE"], "install", installs.installation),
    ]
    return [
        Route(path, Endpoint(world, on=on, handler=handler), methods=methods) for path, methods, on, handler in table
    ]


async def _not_found(request: Request, _error: Exception) -> Response:
    return answered({"error": f"Ask for another address: nothing is at {request.url.path}."}, status=404)


async def _wrong_method(request: Request, _error: Exception) -> Response:
    return answered({"error": f"Use another method: {request.method} does not fit this address."}, status=405)


def build_app(world: "World") -> Starlette:
    routes = [*_api_routes(world), *phone_api.routes(world), *control.routes(world), *pages.routes(world)]
    return Starlette(routes=routes, exception_handlers={404: _not_found, 405: _wrong_method})
