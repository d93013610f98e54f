"""
Check that a webhook body was signed by LivePerson with one of an installation's client secrets.

The header is `<algorithm>=<HMAC of the raw body>`: sha1 by default, sha256 for accounts that asked for it; the HMAC in
Base64 or hexadecimal. It covers nothing but the body: there is no timestamp and no id, so a replay verifies.

Source: developers.liveperson.com/connector-api-webhooks-notification-protocol.html
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Collection, Sequence
from typing import TypeVar

from core.errors import WebhookRejected

SecretId = TypeVar("SecretId")

DIGESTS = {b"sha1": hashlib.sha1, b"sha256": hashlib.sha256}

# What an installation's signature policy allows.
ALGORITHMS: dict[str, frozenset[str]] = {"AUTO": frozenset({"sha1", "sha256"}), "SHA256": frozenset({"sha256"})}

# The longest good header is "sha256=" and 64 hexadecimal digits.
_MAX_HEADER_LENGTH = 128


def verify(
    *,
    body: bytes,
    header: bytes | str,
    secrets: Sequence[tuple[SecretId, bytes]],
    allowed_algorithms: Collection[str],
) -> SecretId:
    """
    Return the id of the secret that signed `body`; the first one where several did.

    body: the request body exactly as received; re-serialised JSON does not match.
    secrets: (id, UTF-8 bytes of the client secret); every one is tried, so that the time taken does not tell which
    one matched. An empty secret never verifies.

    Raises WebhookRejected for whatever else the header holds, and nothing but that.
    """
    # "replace" puts a "?" where a header cannot come from a wire; it is in neither alphabet.
    given = header.encode("latin-1", "replace") if isinstance(header, str) else bytes(header)
    if not given:
        raise WebhookRejected("The request is not signed: the header x-liveperson-signature is missing.")
    algorithm, separator, value = given.partition(b"=")
    if len(given) > _MAX_HEADER_LENGTH or not separator or algorithm not in DIGESTS:
        raise WebhookRejected("The signature header is not one of sha1=… and sha256=….")
    if algorithm.decode("ascii") not in allowed_algorithms:
        raise WebhookRejected("The signature uses an algorithm that this installation does not allow.")

    # Zero bytes do not count at the end of a key, so a secret of nothing else is as good as an empty one.
    matches = [
        secret_id
        for secret_id, secret in secrets
        if _is_signed(body, key=secret, algorithm=algorithm, value=value) and any(secret)
    ]
    if not matches:
        raise WebhookRejected("The signature does not match the body under any secret of this installation.")
    return matches[0]


def _is_signed(body: bytes, *, key: bytes, algorithm: bytes, value: bytes) -> bool:
    digest = hmac.new(key, body, DIGESTS[algorithm]).digest()
    # Compared in encoded form: decoding would also accept missing padding, line breaks and stray bits.
    in_base64 = hmac.compare_digest(base64.b64encode(digest), value)
    in_hex = hmac.compare_digest(digest.hex().encode("ascii"), value.lower())
    return in_base64 | in_hex
