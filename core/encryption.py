"""
Encryption of secrets at rest: AES-256-GCM under a ring of keys, each value bound to the row that holds it.

A sealed value is: version (1 byte) | key id (4 bytes) | nonce (12 bytes) | ciphertext and tag. The key id is the head
of the key's SHA-256, so a value names its key without revealing it. The context (table, row id, column) is
authenticated: a ciphertext moved to another row does not open.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from core.errors import ConfigurationError

_VERSION = b"\x01"
_KEY_ID_BYTES = 4
_NONCE_BYTES = 12
_HEADER_BYTES = len(_VERSION) + _KEY_ID_BYTES + _NONCE_BYTES


class SealBroken(ConfigurationError):
    """A stored secret cannot be opened: its key is missing from ENCRYPTION_KEYS, or the row was tampered with."""


class KeyRing:
    """Several keys, newest first: the first one seals, any one opens."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        """keys: 32 bytes each, newest first. Raises ConfigurationError when there is none or one has another length."""
        if not keys or any(len(key) != 32 for key in keys):
            raise ConfigurationError("ENCRYPTION_KEYS needs at least one key, each 32 bytes in base64, newest first.")
        self._newest_id = _key_id(keys[0])
        self._ciphers = {_key_id(key): AESGCM(key) for key in keys}

    def __repr__(self) -> str:
        return f"<KeyRing of {len(self._ciphers)} keys>"

    @property
    def key_ids(self) -> frozenset[str]:
        """What names its keys without telling them, in hex."""
        return frozenset(key_id.hex() for key_id in self._ciphers)

    def seal(self, plaintext: bytes, *, context: str) -> bytes:
        """Encrypt under the newest key. context: table, row id and column, as `context_of` builds it."""
        nonce = os.urandom(_NONCE_BYTES)
        ciphertext = self._ciphers[self._newest_id].encrypt(nonce, plaintext, context.encode())
        return _VERSION + self._newest_id + nonce + ciphertext

    def open(self, sealed: bytes, *, context: str) -> bytes:
        """Decrypt; raises SealBroken when the key is unknown or the value does not belong to this context."""
        sealed = bytes(sealed)
        if len(sealed) <= _HEADER_BYTES or sealed[:1] != _VERSION:
            raise SealBroken("A stored secret has an unknown format.")
        cipher = self._ciphers.get(sealed[1 : 1 + _KEY_ID_BYTES])
        if cipher is None:
            raise SealBroken("A stored secret was encrypted with a key that is not in ENCRYPTION_KEYS. Add that key.")
        try:
            return cipher.decrypt(sealed[1 + _KEY_ID_BYTES : _HEADER_BYTES], sealed[_HEADER_BYTES:], context.encode())
        except InvalidTag:
            raise SealBroken("A stored secret does not belong to its row: it was moved or changed.") from None

    def is_newest(self, sealed: bytes) -> bool:
        """Whether a value is under the newest key already."""
        return bytes(sealed)[1 : 1 + _KEY_ID_BYTES] == self._newest_id


def context_of(table: str, row_id: object, column: str) -> str:
    """The place a sealed value belongs to."""
    return f"{table}|{row_id}|{column}"


def parse_keys(text: str) -> list[bytes]:
    """Keys from ENCRYPTION_KEYS: base64, comma separated, newest first. Raises ConfigurationError."""
    try:
        return [base64.b64decode(part.strip(), validate=True) for part in text.split(",") if part.strip()]
    except binascii.Error:
        raise ConfigurationError("ENCRYPTION_KEYS holds something that is not base64.") from None


def keyed_hash(value: str, *, key: bytes) -> bytes:
    """A 16-byte keyed hash for exact search of personal identifiers without storing them in an index."""
    return hmac.digest(key, value.encode("utf-8", "surrogatepass"), "sha256")[:16]


def _key_id(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()[:_KEY_ID_BYTES]
