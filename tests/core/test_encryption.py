"""Secrets at rest: bound to their row, under a ring of keys."""

from __future__ import annotations

import base64
import secrets

import pytest

from core.encryption import KeyRing, SealBroken, context_of, keyed_hash, parse_keys
from core.errors import ConfigurationError, ConnectorError

OLD, NEW = secrets.token_bytes(32), secrets.token_bytes(32)
HERE = context_of("installations_secret", "row-1", "sealed")


def test_what_was_sealed_opens_in_its_place() -> None:
    ring = KeyRing([NEW])

    assert ring.open(ring.seal(b"secret", context=HERE), context=HERE) == b"secret"


def test_the_same_secret_is_sealed_differently_each_time() -> None:
    ring = KeyRing([NEW])

    assert ring.seal(b"secret", context=HERE) != ring.seal(b"secret", context=HERE)


def test_what_was_sealed_does_not_show_the_secret_or_the_key() -> None:
    sealed = KeyRing([NEW]).seal(b"a-long-secret", context=HERE)

    assert b"a-long-secret" not in sealed
    assert NEW not in sealed


@pytest.mark.parametrize(
    "elsewhere",
    [
        context_of("installations_secret", "row-2", "sealed"),
        context_of("installations_secret", "row-1", "other"),
        context_of("channels_secret", "row-1", "sealed"),
        "",
    ],
)
def test_a_ciphertext_that_was_moved_does_not_open(elsewhere: str) -> None:
    ring = KeyRing([NEW])

    with pytest.raises(SealBroken, match="does not belong to its row"):
        ring.open(ring.seal(b"secret", context=HERE), context=elsewhere)


def test_an_older_key_still_opens_and_the_newest_seals() -> None:
    sealed = KeyRing([OLD]).seal(b"secret", context=HERE)
    both = KeyRing([NEW, OLD])

    assert both.open(sealed, context=HERE) == b"secret"
    assert not both.is_newest(sealed)
    assert both.is_newest(both.seal(b"secret", context=HERE))


def test_without_its_key_a_value_does_not_open_and_the_sentence_says_what_to_do() -> None:
    sealed = KeyRing([OLD]).seal(b"secret", context=HERE)

    with pytest.raises(SealBroken, match="Add that key"):
        KeyRing([NEW]).open(sealed, context=HERE)


@pytest.mark.parametrize("place", [0, 1, 5, 17, -1])
def test_one_changed_bit_anywhere_breaks_the_seal(place: int) -> None:
    ring = KeyRing([NEW])
    sealed = bytearray(ring.seal(b"secret", context=HERE))
    sealed[place] ^= 1

    with pytest.raises(SealBroken):
        ring.open(bytes(sealed), context=HERE)


@pytest.mark.parametrize("sealed", [b"", b"\x01", b"\x01" * 17, b"plain text", bytes(100)])
def test_what_was_never_sealed_is_no_secret(sealed: bytes) -> None:
    with pytest.raises(SealBroken):
        KeyRing([NEW]).open(sealed, context=HERE)


def test_an_empty_secret_can_be_sealed() -> None:
    ring = KeyRing([NEW])

    assert ring.open(ring.seal(b"", context=HERE), context=HERE) == b""


def test_a_broken_seal_is_a_matter_of_the_site_and_of_no_delivery() -> None:
    assert issubclass(SealBroken, ConfigurationError)
    assert not issubclass(SealBroken, ConnectorError)


@pytest.mark.parametrize("keys", [[], [b"short"], [NEW, b"x" * 31]])
def test_keys_of_another_length_are_refused(keys: list[bytes]) -> None:
    with pytest.raises(ConfigurationError, match="32 bytes"):
        KeyRing(keys)


def test_a_ring_does_not_show_its_keys() -> None:
    assert repr(KeyRing([NEW, OLD])) == "<KeyRing of 2 keys>"


def test_keys_are_read_newest_first() -> None:
    text = f"{base64.b64encode(NEW).decode()} , {base64.b64encode(OLD).decode()},"

    assert parse_keys(text) == [NEW, OLD]


def test_keys_that_are_not_base64_are_refused_without_being_shown() -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_keys("not-base64-canary!")
    assert "canary" not in str(caught.value)


def test_a_keyed_hash_finds_the_same_and_tells_nothing_without_the_key() -> None:
    assert keyed_hash("+15550100", key=NEW) == keyed_hash("+15550100", key=NEW)
    assert keyed_hash("+15550100", key=NEW) != keyed_hash("+15550100", key=OLD)
    assert keyed_hash("+15550100", key=NEW) != keyed_hash("+15550101", key=NEW)
    assert len(keyed_hash("half a pair \ud800", key=NEW)) == 16
