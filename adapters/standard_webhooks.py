"""
Signatures by Standard Webhooks: `webhook-id`, `webhook-timestamp`, and `webhook-signature: v1,<base64> v1,<base64> …`.

The library makes the signatures. Its own `verify` is not used: it reads the clock itself, decodes leniently, and
raises whatever the decoders raise.

Source: github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
import secrets as random_secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from standardwebhooks import Webhook

from adapters.base import Secret, header
from core.errors import CredentialsRejected, WebhookRejected

TOLERANCE = timedelta(minutes=5)

_PREFIX = "whsec_"
_KEY_BYTES = 32
_SHORTEST_KEY, _LONGEST_KEY = 24, 64
_TIMESTAMP = re.compile(r"[1-9][0-9]{0,10}", re.ASCII)
_MESSAGE_ID = re.compile(r"[\x21-\x7e]{1,256}")
_MAX_SIGNATURES = 32


def new_secret() -> str:
    return _PREFIX + base64.b64encode(random_secrets.token_bytes(_KEY_BYTES)).decode("ascii")


def check_secret(value: bytes) -> str:
    """A sentence that says what is wrong with a secret, "" when it can be used."""
    if not value.startswith(_PREFIX.encode()):
        return "The secret must begin with whsec_."
    try:
        key = base64.b64decode(value[len(_PREFIX) :], validate=True)
    except (binascii.Error, ValueError):
        return "What follows whsec_ must be Base64."
    if not _SHORTEST_KEY <= len(key) <= _LONGEST_KEY:
        return f"The secret must hold {_SHORTEST_KEY} to {_LONGEST_KEY} bytes."
    return ""


def verify(*, headers: Mapping[str, str], body: bytes, secrets: Sequence[Secret], now: datetime) -> Any:
    """
    Return the id of the secret that signed the request; the first one where several did.

    Every secret is tried against every signature in the header. Raises WebhookRejected, and nothing else; a body that
    is not UTF-8 cannot have been signed by this standard.
    """
    message_id = header(headers, "webhook-id")
    timestamp = header(headers, "webhook-timestamp")
    given = header(headers, "webhook-signature")
    if not (message_id and timestamp and given):
        raise WebhookRejected(
            "The request is not signed: webhook-id, webhook-timestamp or webhook-signature is missing."
        )
    if not _MESSAGE_ID.fullmatch(message_id):
        raise WebhookRejected("webhook-id must be 1 to 256 visible ASCII characters.")
    if not _TIMESTAMP.fullmatch(timestamp):
        raise WebhookRejected("webhook-timestamp must be whole seconds since 1970.")
    signed_at = datetime.fromtimestamp(int(timestamp), tz=UTC)
    if abs(now - signed_at) > TOLERANCE:
        raise WebhookRejected("webhook-timestamp is more than five minutes off.")
    text = _as_text(body)
    candidates = [part.encode("ascii", "replace") for part in given.split(" ")[:_MAX_SIGNATURES]]
    matches = [secret.id for secret in secrets if _is_signed(candidates, secret, message_id, signed_at, text)]
    if text is None or not matches:
        raise WebhookRejected("The signature does not match under any secret of this channel.")
    return matches[0]


def sign(*, message_id: str, body: bytes, secrets: Sequence[Secret], now: datetime) -> dict[str, str]:
    """The three headers, with one signature for each secret that can be used; CredentialsRejected where none can."""
    signatures = [
        hook.sign(msg_id=message_id, timestamp=now.astimezone(UTC), data=body.decode("utf-8"))
        for hook in map(_hook_of, secrets)
        if hook is not None
    ]
    if not signatures:
        raise CredentialsRejected("The channel has no secret that can sign. Add one.")
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(signatures),
    }


def _is_signed(candidates: list[bytes], secret: Secret, message_id: str, signed_at: datetime, text: str | None) -> bool:
    hook = _hook_of(secret)
    if hook is None or text is None:
        return False
    expected = hook.sign(msg_id=message_id, timestamp=signed_at, data=text).encode("ascii")
    # Counted to the end: no shortcut tells which signature matched.
    return sum(hmac.compare_digest(expected, candidate) for candidate in candidates) > 0


def _hook_of(secret: Secret) -> Webhook | None:
    """The library's signer; None for a secret that must never verify or sign, such as an empty one."""
    return None if check_secret(secret.value) else Webhook(secret.value.decode("ascii"))


def _as_text(body: bytes) -> str | None:
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        return None
