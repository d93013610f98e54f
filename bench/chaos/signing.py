"""Both signatures, written down from their specifications and not from the product."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Mapping


def liveperson_headers(body: bytes, *, secret: str, account: str, client_id: str) -> dict[str, str]:
    """Source: developers.liveperson.com/connector-api-webhooks-notification-protocol.html"""
    digest = hmac.new(secret.encode(), body, hashlib.sha1).digest()
    return {
        "content-type": "application/json",
        "x-liveperson-account-id": account,
        "x-liveperson-client-id": client_id,
        "x-liveperson-signature": "sha1=" + base64.b64encode(digest).decode(),
    }


def channel_headers(body: bytes, *, secret: str, webhook_id: str) -> dict[str, str]:
    """Source: github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md"""
    stamp = str(int(time.time()))
    return {
        "content-type": "application/json",
        "webhook-id": webhook_id,
        "webhook-timestamp": stamp,
        "webhook-signature": "v1," + _standard(body, secret, webhook_id, stamp),
    }


def is_signed_for_channel(headers: Mapping[str, str], body: bytes, *, secret: str) -> bool:
    """Whether what reached the brand's app was signed with the channel's secret, just now."""
    webhook_id, stamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not stamp.isdigit() or abs(time.time() - int(stamp)) > 300:
        return False
    wanted = "v1," + _standard(body, secret, webhook_id, stamp)
    return wanted in headers.get("webhook-signature", "").split(" ")


def _standard(body: bytes, secret: str, webhook_id: str, stamp: str) -> str:
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{webhook_id}.{stamp}.".encode() + body
    return base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
