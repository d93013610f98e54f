"""
Hosted files: temp URLs as OpenStack Swift makes them, PUT and GET of the bytes.

Sources: developers.liveperson.com/connector-api-send-api-examples.html (file sharing),
docs.openstack.org/swift/latest/api/temporary_url_middleware.html
"""

import time
from datetime import UTC, datetime
from hashlib import sha256
from hmac import compare_digest
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from .errors import ApiError
from .models import Account, StoredFile
from .wire import Answer, Call

if TYPE_CHECKING:
    from .world import World

TEMP_URL_S = 60
CONTENT_TYPES = {
    "JPG": "image/jpeg",
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "GIF": "image/gif",
    "PDF": "application/pdf",
    "DOCX": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "PPTX": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "XLSX": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


def _size(value: Any) -> int | None:
    """Sizes arrive as texts or numbers."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else None


def new_place(world: "World", account: Account, *, owner: str, file_size: Any, file_type: Any) -> StoredFile | None:
    """Reserve a path for a file, or None when the account does not take such a file."""
    rules = account.switches["files"]
    size = _size(file_size)
    if not rules["enabled"] or file_type not in rules["types"] or size is None or not 0 < size <= rules["max_bytes"]:
        return None
    stored = StoredFile(
        path=_path(account, owner=owner, file_type=file_type),
        account=account.id,
        file_type=file_type,
        max_bytes=rules["max_bytes"],
    )
    world.state.save_file(stored)
    return stored


def keep(world: "World", account: Account, *, owner: str, file_type: str, data: bytes) -> StoredFile:
    """Store a file of an agent."""
    stored = StoredFile(
        path=_path(account, owner=owner, file_type=file_type),
        account=account.id,
        file_type=file_type,
        max_bytes=len(data),
    )
    _write(world, stored, data)
    return stored


def _path(account: Account, *, owner: str, file_type: str) -> str:
    stamp = datetime.now(UTC).strftime("%d-%m-%Y_%H-%M-%S-%f")[:-3]
    return f"/v1/AUTH_async-images/{account.id}/{owner}_uuid_{uuid4()}_{stamp}.{file_type}"


def temp_url(world: "World", *, path: str, method: str) -> dict[str, Any]:
    expires = str(int(time.time()) + TEMP_URL_S)
    signature = world.keys.temp_url_signature(method=method, expires=expires, path=path)
    return {"relativePath": path, "queryParams": {"temp_url_sig": signature, "temp_url_expires": expires}}


def _disk(world: "World", stored: StoredFile) -> Any:
    return world.state.files_dir / sha256(stored.path.encode()).hexdigest()


def _write(world: "World", stored: StoredFile, data: bytes) -> None:
    _disk(world, stored).write_bytes(data)
    stored.size = len(data)
    stored.content_type = CONTENT_TYPES.get(stored.file_type, "application/octet-stream")
    world.state.save_file(stored)


def read(world: "World", stored: StoredFile) -> bytes:
    return _disk(world, stored).read_bytes()


def _check_url(world: "World", call: Call) -> StoredFile:
    expires, given = call.query.get("temp_url_expires", ""), call.query.get("temp_url_sig", "")
    wanted = world.keys.temp_url_signature(method=call.method, expires=expires, path=call.path)
    good = compare_digest(wanted, given.lower()) if given.isascii() else False
    if not good or not expires.isdigit() or int(expires) < time.time():
        raise ApiError(401, {"error": "401 Unauthorized: Temp URL invalid"})
    stored = world.state.files.get(call.path)
    if stored is None:
        raise ApiError(404, {"error": "not found"})
    return stored


def upload(world: "World", call: Call) -> Answer:
    stored = _check_url(world, call)
    if len(call.body) > stored.max_bytes:
        raise ApiError(413, {"error": "the file is too large"})
    _write(world, stored, call.body)
    return Answer(201, b"", note={"size": len(call.body)})


def download(world: "World", call: Call) -> Answer:
    stored = _check_url(world, call)
    if stored.size is None:
        raise ApiError(404, {"error": "not found"})
    headers = {"content-type": stored.content_type, "x-content-type-options": "nosniff"}
    return Answer(200, read(world, stored), headers, {"size": stored.size})
