"""
App installs: the manifest's rules, and the configuration API that administers installs.

Sources: developers.liveperson.com/connector-api-webhooks-configuration.html and LivePerson's demo connector
(github.com/LivePersonInc/lp-demo-app-connector-api), which uses the configuration API.
"""

import secrets
import string
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import uuid4

from .errors import ApiError, ControlError
from .models import Account, Install
from .notifications import EVENT_KEYS
from .posting import is_loopback
from .wire import Answer, Call, json_answer

if TYPE_CHECKING:
    from .world import World

_SECRET_ALPHABET = string.ascii_lowercase + string.digits
_TEXTS = {
    "client_name": 128,
    "display_name": 128,
    "description": 256,
    "logo_uri": 1024,
    "entry_uri": 1024,
    "scope": 128,
}
_LISTS = ("grant_types", "response_types", "redirect_uris")
_FLAGS = ("enabled", "quick_launch_enabled")
_READ_BACK = ("client_id", "client_secret", "id", "client_id_issued_at", "client_secret_expires_at", "deleted")
_MAX_RETENTION_S = 259_200


def new_secret() -> str:
    return "".join(secrets.choice(_SECRET_ALPHABET) for _ in range(26))


def install(world: "World", account: Account, manifest: dict[str, Any]) -> Install:
    """Add an install; what the manifest leaves out gets LivePerson's usual values."""
    checked = check_manifest(manifest, account=account, own_id=None)
    client_id = str(uuid4())
    complete = {
        "client_name": f"connector-{client_id[:8]}",
        "description": "",
        "enabled": True,
        "grant_types": ["client_credentials"],
        "response_types": ["code"],
        "redirect_uris": [],
        "scope": "msg.consumer",
        "logo_uri": "",
        "quick_launch_enabled": False,
        "entry_uri": "",
        "capabilities": {},
        **checked,
    }
    made = Install(client_id=client_id, client_secret=new_secret(), issued_at_s=int(time.time()), manifest=complete)
    world.state.save_install(account, made)
    return made


def change(world: "World", account: Account, found: Install, members: dict[str, Any]) -> None:
    """Replace the given members of a manifest, each as a whole."""
    found.manifest = {**found.manifest, **check_manifest(members, account=account, own_id=found.client_id)}
    world.state.save_install(account, found)


def rotate_secret(world: "World", account: Account, found: Install) -> None:
    found.client_secret = new_secret()
    world.state.save_install(account, found)


def read_back(found: Install) -> dict[str, Any]:
    return {
        **found.manifest,
        "id": found.client_id,
        "client_id": found.client_id,
        "client_secret": found.client_secret,
        "client_id_issued_at": found.issued_at_s,
        "client_secret_expires_at": 0,
        "deleted": False,
    }


# -- the manifest's rules


def check_manifest(manifest: Any, *, account: Account, own_id: str | None) -> dict[str, Any]:
    """Return the manifest without the members that only reading back adds; raise ControlError for a broken rule."""
    if not isinstance(manifest, dict):
        raise ControlError("Send the app install manifest as a JSON object.")
    known = {*_TEXTS, *_LISTS, *_FLAGS, *_READ_BACK, "capabilities"}
    for name, value in manifest.items():
        if name not in known:
            raise ControlError(f"Remove {name!r} from the manifest: LivePerson's manifest has no such member.")
        if name in _TEXTS and not (isinstance(value, str) and len(value) <= _TEXTS[name]):
            raise ControlError(f"Give {name!r} as a text of at most {_TEXTS[name]} characters.")
        if name in _FLAGS and not isinstance(value, bool):
            raise ControlError(f"Give {name!r} as true or false.")
        if name in _LISTS and not isinstance(value, list):
            raise ControlError(f"Give {name!r} as a list.")
    _check_name(manifest, account=account, own_id=own_id)
    capabilities = manifest.get("capabilities", {})
    if not isinstance(capabilities, dict):
        raise ControlError("Give 'capabilities' as an object.")
    _check_webhooks(capabilities.get("webhooks", {}))
    return {name: value for name, value in manifest.items() if name not in _READ_BACK}


def _check_name(manifest: dict[str, Any], *, account: Account, own_id: str | None) -> None:
    name = manifest.get("client_name")
    for other in account.installs.values():
        if name is not None and other.client_id != own_id and other.manifest.get("client_name") == name:
            raise ControlError(f"Choose another 'client_name': {name!r} is taken on account {account.id}.")


def _check_webhooks(webhooks: Any) -> None:
    if not isinstance(webhooks, dict):
        raise ControlError("Give 'capabilities.webhooks' as an object.")
    for key, entry in webhooks.items():
        if not isinstance(entry, dict):
            raise ControlError(f"Give the webhooks entry {key!r} as an object.")
        if key == "retry":
            retention_s = entry.get("retention_time")
            if type(retention_s) is not int or not 2 <= retention_s <= _MAX_RETENTION_S:
                raise ControlError(f"Give 'retention_time' as whole seconds from 2 to {_MAX_RETENTION_S}.")
        elif key in EVENT_KEYS:
            _check_entry(key, entry)
        else:
            raise ControlError(f"Remove {key!r} from the webhooks: the event types are {', '.join(EVENT_KEYS)}.")


def _check_entry(key: str, entry: dict[str, Any]) -> None:
    if not _is_allowed_endpoint(entry.get("endpoint")):
        raise ControlError(f"Give {key} an 'endpoint' that starts with https:// (http:// only on loopback).")
    retries = entry.get("max_retries", 0)
    if type(retries) is not int or not 0 <= retries <= 5:
        raise ControlError(f"Give 'max_retries' of {key} as a whole number from 0 to 5.")
    headers = entry.get("headers", [])
    if not isinstance(headers, list) or not all(_is_header(header) for header in headers):
        raise ControlError(f"Give the headers of {key} as a list of header_name and header_value, both one-line texts.")


def _is_header(header: Any) -> bool:
    if not isinstance(header, dict) or set(header) != {"header_name", "header_value"} or not header["header_name"]:
        return False
    return all(isinstance(value, str) and value.isprintable() for value in header.values())


def _is_allowed_endpoint(endpoint: Any) -> bool:
    if not isinstance(endpoint, str):
        return False
    try:
        parts = urlsplit(endpoint)
    except ValueError:
        return False
    host = parts.hostname or ""
    return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host)))


# -- the configuration API


def _administered(world: "World", call: Call) -> Account:
    scheme, _, bearer = call.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not bearer.strip():
        raise ApiError(401, {"error": "Send Authorization: Bearer with the session of an administrator."})
    return world.state.account(call.account)


def _found(account: Account, call: Call) -> Install:
    found = account.installs.get(call.params["install"])
    if found is None:
        raise ApiError(404, {"error": "no such app install"})
    return found


def _require_revision(account: Account, call: Call) -> None:
    if call.headers.get("if-match", "").strip('"') != str(account.revision):
        raise ApiError(412, {"error": "Send If-Match with the ac-revision of the latest reading."})


def _manifest(call: Call) -> Any:
    try:
        return call.json()
    except ValueError:
        raise ApiError(400, {"error": "the body is not JSON"}) from None


def _answer(account: Account, body: Any, *, status: int = 200) -> Answer:
    return json_answer(body, status=status, headers={"ac-revision": str(account.revision)})


def installations(world: "World", call: Call) -> Answer:
    """GET: all installs of the account. POST: a new one."""
    account = _administered(world, call)
    if call.method == "GET":
        return _answer(account, [read_back(one) for one in account.installs.values()])
    if call.method != "POST":
        raise ApiError(405, {"error": "use GET or POST"})
    try:
        made = install(world, account, _manifest(call))
    except ControlError as error:
        raise ApiError(400, {"error": error.sentence}) from None
    return _answer(account, read_back(made), status=201)


def installation(world: "World", call: Call) -> Answer:
    """GET, PUT (replaces the whole manifest) or DELETE of one install; the last two need If-Match."""
    account = _administered(world, call)
    found = _found(account, call)
    if call.method == "GET":
        return _answer(account, read_back(found))
    if call.method not in ("PUT", "DELETE"):
        raise ApiError(405, {"error": "use GET, PUT or DELETE"})
    _require_revision(account, call)
    if call.method == "DELETE":
        world.state.remove_install(account, found.client_id)
        return _answer(account, {**read_back(found), "deleted": True})
    try:
        found.manifest = check_manifest(_manifest(call), account=account, own_id=found.client_id)
    except ControlError as error:
        raise ApiError(400, {"error": error.sentence}) from None
    world.state.save_install(account, found)
    return _answer(account, read_back(found))
