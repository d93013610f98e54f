"""
Domain API, Sentinel (AppJWT) and IDP (ConsumerJWS).

Sources: developers.liveperson.com/domain-api.html, oauth-2-0-client-credentials.html,
connector-api-send-api-authorization-and-authentication.html
"""

import re
import time
from dataclasses import dataclass
from hmac import compare_digest
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from .errors import ApiError, auth_error
from .models import Account, Consumer, Install
from .wire import Answer, Call, json_answer

if TYPE_CHECKING:
    from .world import World

# Only services that this simulator really offers: asking for another is an error, as a misspelt name is.
SERVICES = ("asyncMessagingEnt", "sentinel", "idp", "swift", "accountConfigReadWrite")

APP_JWT_LIFETIME_S = 3600
_KID = "appjwt-13-05-17"
_ACCOUNT_ID = re.compile(r"[A-Za-z0-9]{1,40}")


# -- domains


def _base_uri(call: Call, service: str) -> dict[str, str]:
    return {"service": service, "account": call.account, "baseURI": call.host}


def _known_site(world: "World", call: Call) -> None:
    if not _ACCOUNT_ID.fullmatch(call.account):
        raise ApiError(401, {"error": "invalid site"})
    world.state.account(call.account)


def all_domains(world: "World", call: Call) -> Answer:
    _known_site(world, call)
    return json_answer({"baseURIs": [_base_uri(call, service) for service in SERVICES]})


def one_domain(world: "World", call: Call) -> Answer:
    _known_site(world, call)
    service = call.params["service"]
    if service not in SERVICES:
        raise ApiError(400, {"error": "unknown service"})
    return json_answer(_base_uri(call, service))


# -- AppJWT


def _oauth_error(status: int, error: str, description: str) -> ApiError:
    return ApiError(status, {"error": error, "error_description": description})


def app_token(world: "World", call: Call) -> Answer:
    """Client credentials; parameters may stand in the query or the form, as LivePerson's own pages show both."""
    account = world.state.account(call.account)
    given = {**call.query, **dict(parse_qsl(call.body.decode("latin-1")))}
    if "/v2/" not in call.path and given.get("v") != "1.0":
        raise _oauth_error(400, "invalid_request", "v=1.0 is missing")
    for name in ("grant_type", "client_id", "client_secret"):
        if not given.get(name):
            raise _oauth_error(400, "invalid_request", f"{name} is missing")
    if given["grant_type"] != "client_credentials":
        raise _oauth_error(400, "unsupported_grant_type", "use client_credentials")
    install = account.installs.get(given["client_id"])
    if not install or not compare_digest(install.client_secret.encode(), given["client_secret"].encode()):
        raise _oauth_error(401, "invalid_client", "client authentication failed")
    if not install.enabled:
        raise _oauth_error(403, "unauthorized_client", "the application is disabled")
    issued_s = int(time.time())
    claims = {
        "aud": account.id,
        "azp": install.client_id,
        "scope": "msg.consumer",
        "iss": "Sentinel",
        "exp": issued_s + APP_JWT_LIFETIME_S,
        "iat": issued_s,
    }
    token = world.keys.sign(kid=_kid(account.app_generation), claims=claims)
    return json_answer({"access_token": token, "token_type": "Bearer"}, client_id=install.client_id)


def _kid(generation: int) -> str:
    """A new generation ends older tokens on request: their claims hold nothing that could tell them apart."""
    return f"{_KID}-{generation}" if generation else _KID


def _bare(token: str) -> str:
    return token[7:] if token[:7].lower() == "bearer " else token


def require_app(world: "World", call: Call) -> tuple[Account, Install]:
    """Return account and install of the AppJWT in the request, or raise the error LivePerson names."""
    token = call.headers.get("authorization")
    if not token:
        raise auth_error(40105)
    found = world.keys.read(_bare(token))
    if found is None or "azp" not in found[1]:
        raise auth_error(40102)
    header, claims = found
    if claims.get("iss") != "Sentinel":
        raise auth_error(40001)
    account = world.state.account(call.account)
    install = account.installs.get(claims["azp"])
    expired = claims["exp"] <= time.time() or header.get("kid") != _kid(account.app_generation)
    if claims["aud"] != account.id or install is None or expired:
        raise auth_error(40102)
    return account, install


# -- ConsumerJWS


def consumer_token(world: "World", call: Call) -> Answer:
    account, _ = require_app(world, call)
    try:
        body = call.json()
    except ValueError:
        body = None
    ext_id = body.get("ext_consumer_id") if isinstance(body, dict) else None
    if not isinstance(ext_id, str) or not ext_id:
        raise ApiError(400, {"error": "ext_consumer_id is missing"})
    consumer = account.consumers.get(ext_id)
    if consumer is None:
        consumer = Consumer(ext_id=ext_id, lp_id=world.keys.digest("consumer", account.id, ext_id))
        world.state.save_consumer(account, consumer)
    claims = {"account_id": account.id, "ext_consumer_id": ext_id, "lp_consumer_id": consumer.lp_id}
    token = world.keys.sign(kid=_kid(account.consumer_generation), claims=claims)
    return json_answer({"token": token}, status=201, ext_consumer_id=ext_id)


@dataclass(frozen=True, slots=True)
class Caller:
    account: Account
    install: Install
    consumer: Consumer


def require_caller(world: "World", call: Call) -> Caller:
    """Return who calls the Send API: the application by its AppJWT, for the consumer of the ConsumerJWS."""
    account, install = require_app(world, call)
    token = call.headers.get("x-lp-on-behalf")
    if not token:
        raise auth_error(40104)
    found = world.keys.read(token)
    if found is None:
        raise auth_error(40103)
    header, claims = found
    consumer = account.consumers.get(_text(claims.get("ext_consumer_id")))
    expired = header.get("kid") != _kid(account.consumer_generation)
    if claims.get("account_id") != account.id or consumer is None or expired:
        raise auth_error(40103)
    return Caller(account, install, consumer)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
