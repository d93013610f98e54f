"""What the tests of the custom channel share: its adapter, secrets, and a signature that is made by hand."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import datetime
from typing import Any

from adapters.base import Secret
from adapters.custom import CustomAdapter
from tests.adapters.cases import NOW

ADAPTER = CustomAdapter()
KEYS = [hashlib.sha256(f"key {number}".encode()).digest() for number in range(10)]
GOOD: dict[str, Any] = {"id": "m-1", "consumer": {"id": "+15550100"}, "text": "Hello"}


def secret_of(number: int = 1) -> Secret:
    return Secret(id=f"secret-{number}", value=b"whsec_" + base64.b64encode(KEYS[number]))


def sign_by_hand(
    body: bytes, *, secret: Secret, at: datetime = NOW, request_id: str = "req-1", timestamp: str = ""
) -> dict[str, str]:
    """Written from the standard's text, apart from our code and from the library."""
    key = base64.b64decode(secret.value.removeprefix(b"whsec_"))
    timestamp = timestamp or str(int(at.timestamp()))
    digest = hmac.new(key, f"{request_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return {
        "webhook-id": request_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


def envelope(kind: str = "message.received", **data: Any) -> bytes:
    return json.dumps({"type": kind, "timestamp": "2026-11-21T10:00:00Z", "data": data}).encode()
