"""Standard Webhooks (standardwebhooks.com), as the custom channel uses them in both directions."""

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Mapping

TOLERANCE_S = 300
PREFIX = "whsec_"


def decode_secret(secret: str) -> bytes:
    """Return the key in a whsec_ secret; raises ValueError when it is none."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        key = b""
    if not key or not secret.startswith(PREFIX):
        raise ValueError("Give the secret as whsec_ followed by base64.")
    return key


def _signature(key: bytes, *, webhook_id: str, timestamp: str, body: bytes) -> str:
    signed = f"{webhook_id}.{timestamp}.".encode("utf-8", "surrogateescape") + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def signed_headers(secret: str, *, webhook_id: str, body: bytes) -> dict[str, str]:
    timestamp = str(int(time.time()))
    signature = _signature(decode_secret(secret), webhook_id=webhook_id, timestamp=timestamp, body=body)
    return {"webhook-id": webhook_id, "webhook-timestamp": timestamp, "webhook-signature": signature}


def is_authentic(secret: str, *, headers: Mapping[str, str], body: bytes) -> bool:
    webhook_id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not webhook_id or not (timestamp.isascii() and timestamp.isdigit()):
        return False
    if abs(time.time() - int(timestamp)) > TOLERANCE_S:
        return False
    wanted = _signature(decode_secret(secret), webhook_id=webhook_id, timestamp=timestamp, body=body).encode()
    given = headers.get("webhook-signature", "").encode("utf-8", "surrogateescape").split(b" ")
    return any(hmac.compare_digest(wanted, one) for one in given)
