"""The one key ring of this process, from the settings; and the keyed hash that belongs to it."""

from __future__ import annotations

import hashlib
from functools import cache

from django.conf import settings

from core.encryption import KeyRing, keyed_hash, parse_keys


@cache
def key_ring() -> KeyRing:
    """The process's key ring."""
    return KeyRing(parse_keys(settings.ENCRYPTION_KEYS))


@cache
def _search_key() -> bytes:
    # Derived from SECRET_KEY, not from the key ring: it has to survive a rotation of the encryption keys, or searches
    # would stop finding rows written before it.
    return hashlib.sha256(b"connector-site search|" + settings.SECRET_KEY.encode()).digest()


def search_hash(value: str) -> bytes:
    """What an exact search for a personal identifier looks up."""
    return keyed_hash(value, key=_search_key())


def search_key_id() -> str:
    """Names the key of these hashes without telling it: under another one, old consumers are not found by search."""
    return hashlib.sha256(_search_key()).hexdigest()[:8]
