"""Who signed a body: the vectors, every way to get a header wrong, and one changed bit."""

from __future__ import annotations

import base64
import hashlib
import hmac
from array import array
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import BodyUnusable, WebhookRejected
from tests.fixtures import names_in, read
from webhooks.signatures import ALGORITHMS, verify

SECRET = b"s3cr3t-demo-0001"
BODY = b'{"a":1}'
AUTO = ALGORITHMS["AUTO"]

# Computed apart from this code, with OpenSSL. The second body is not ASCII.
LONG_BODY = (
    '{"kind":"notification","body":{"changes":[{"sequence":4,"originatorId":"agent-7","originatorMetadata":'
    '{"id":"agent-7","role":"ASSIGNED_AGENT"},"serverTimestamp":1700000000123,"event":{"type":"ContentEvent",'
    '"message":"Grüße 👋","contentType":"text/plain"},"conversationId":"11111111-2222-4333-8444-555555555555",'
    '"dialogId":"11111111-2222-4333-8444-555555555555"}]},"type":"ms.MessagingEventNotification"}'
).encode()
VECTORS = [
    (BODY, "sha1=tEv6ZJCIegsafKX+8CnFPHBB5+c="),
    (BODY, "sha1=b44bfa6490887a0b1a7ca5fef029c53c7041e7e7"),
    (BODY, "sha1=B44BFA6490887A0B1A7CA5FEF029C53C7041E7E7"),
    (BODY, "sha256=7dlr2Z1Eew5oH0cI7gXI8d6biBL2TOQVLHLUXMl5VrY="),
    (BODY, "sha256=edd96bd99d447b0e681f4708ee05c8f1de9b8812f64ce4152c72d45cc97956b6"),
    (LONG_BODY, "sha1=aT5pxUQblOb0Y1ZRxdppBccKyaU="),
    (LONG_BODY, "sha1=693e69c5441b94e6f4635651c5da6905c70ac9a5"),
    (LONG_BODY, "sha256=Z4V9C1O0+e9THNOJPkIMffiImWfnoxcd+RIcxgmfzcw="),
    (LONG_BODY, "sha256=67857d0b53b4f9ef531cd3893e420c7df8889967e7a3171df9121cc6099fcdcc"),
]


def sign(body: bytes = BODY, *, secret: bytes = SECRET, algorithm: str = "sha1", encoding: str = "base64") -> str:
    digest = hmac.new(secret, body, getattr(hashlib, algorithm)).digest()
    value = base64.b64encode(digest).decode() if encoding == "base64" else digest.hex()
    return f"{algorithm}={value}"


def is_accepted(header: Any, *, body: bytes = BODY, secrets: Any = (("a", SECRET),), allowed: Any = AUTO) -> bool:
    try:
        verify(body=body, header=header, secrets=secrets, allowed_algorithms=allowed)
    except WebhookRejected as error:
        assert not isinstance(error, BodyUnusable)
        return False
    return True


@pytest.mark.parametrize(("body", "header"), VECTORS)
def test_vectors_verify(body: bytes, header: str) -> None:
    assert verify(body=body, header=header, secrets=[("a", SECRET)], allowed_algorithms=AUTO) == "a"
    assert verify(body=body, header=header.encode(), secrets=[("a", SECRET)], allowed_algorithms=AUTO) == "a"


def test_a_digest_of_the_text_forced_into_ascii_does_not_verify() -> None:
    units = array("H", LONG_BODY.decode().encode("utf-16-le"))
    lossy = bytes(unit if unit < 128 else ord("?") for unit in units)
    assert sign(lossy) == "sha1=J1+Jk2tKyJA7BZyg4VqOwPbx8Hs="
    assert not is_accepted(sign(lossy), body=LONG_BODY)


@pytest.mark.parametrize("algorithm", ["sha1", "sha256"])
@pytest.mark.parametrize("encoding", ["base64", "hex"])
@pytest.mark.parametrize("name", names_in("liveperson"))
def test_every_fixture_verifies_as_the_bytes_that_it_is(name: str, algorithm: str, encoding: str) -> None:
    body = read("liveperson", name)
    header = sign(body, algorithm=algorithm, encoding=encoding)
    assert is_accepted(header, body=body)
    assert not is_accepted(header, body=body + b"\n")


def test_an_empty_body_with_its_own_digest_verifies() -> None:
    assert is_accepted(sign(b""), body=b"")


GOOD = sign()
VALUE = GOOD.partition("=")[2]
HEX = sign(encoding="hex").partition("=")[2]


@pytest.mark.parametrize(
    "header",
    [
        pytest.param("", id="empty"),
        pytest.param(b"", id="empty_bytes"),
        pytest.param(VALUE, id="no_prefix"),
        pytest.param(HEX, id="no_prefix_hex"),
        pytest.param("sha1", id="no_equals_sign"),
        pytest.param("sha1=", id="no_value"),
        pytest.param(f"={VALUE}", id="no_algorithm"),
        pytest.param(f"md5={VALUE}", id="unknown_algorithm"),
        pytest.param(f"sha512={VALUE}", id="stronger_but_unknown_algorithm"),
        pytest.param(f"sha256={VALUE}", id="sha1_called_sha256"),
        pytest.param(f"SHA1={VALUE}", id="algorithm_in_capitals"),
        pytest.param(f" sha1={VALUE}", id="blank_before"),
        pytest.param(f"sha1 ={VALUE}", id="blank_in_prefix"),
        pytest.param(f"sha1= {VALUE}", id="blank_after_prefix"),
        pytest.param(f"{GOOD} ", id="blank_behind"),
        pytest.param(f"{GOOD}\n", id="line_break_behind"),
        pytest.param(f"sha1={VALUE[:9]}\n{VALUE[9:]}", id="line_break_inside"),
        pytest.param(f"sha1={VALUE[:9]} {VALUE[9:]}", id="blank_inside"),
        pytest.param(GOOD.rstrip("="), id="no_padding"),
        pytest.param(f"{GOOD}=", id="too_much_padding"),
        pytest.param(f"{GOOD}AAAA", id="garbage_behind"),
        pytest.param(f"sha1={HEX}00", id="garbage_behind_hex"),
        pytest.param(f"sha1={HEX[:16]}", id="first_8_bytes_in_hex"),
        pytest.param(sign()[:16], id="cut"),
        pytest.param(f"sha1={VALUE.lower()}", id="base64_in_small_letters"),
        pytest.param("sha1=" + VALUE.replace("+", "-").replace("/", "_"), id="url_alphabet"),
        pytest.param(f"sha1={VALUE[:-2]}d=", id="stray_bits_under_the_padding"),
        pytest.param(f"sha1={VALUE},sha1={VALUE}", id="two_in_one"),
        pytest.param(f"sha1={'é' * 28}", id="latin_1"),
        pytest.param("sha1=\xff\xfe".encode("latin-1"), id="latin_1_bytes"),
        pytest.param(b"\x00\xff" * 20, id="any_bytes"),
        pytest.param(f"sha1={'日' * 28}", id="beyond_latin_1"),
        pytest.param("sha1=\ud800", id="half_pair"),
        pytest.param("sha1=" + "A" * 1_000_000, id="huge"),
        pytest.param("=" * 100_000, id="many_equals_signs"),
        pytest.param("sha1=" + "0" * 40, id="zeros"),
    ],
)
def test_wrong_header_is_rejected(header: str | bytes) -> None:
    assert not is_accepted(header)


def test_the_vector_of_stray_bits_decodes_to_the_same_digest() -> None:
    """Without this the case above would prove nothing."""
    assert base64.b64decode(f"{VALUE[:-2]}d=") == base64.b64decode(VALUE)


def test_every_valid_secret_verifies_and_tells_which_it_was() -> None:
    secrets = [("old", b"one"), ("new", b"two"), ("newest", b"three")]
    for name, secret in secrets:
        found = verify(body=BODY, header=sign(secret=secret), secrets=secrets, allowed_algorithms=AUTO)
        assert found == name


def test_of_two_equal_secrets_the_first_is_named() -> None:
    secrets = [("newest", SECRET), ("older", SECRET)]
    assert verify(body=BODY, header=sign(), secrets=secrets, allowed_algorithms=AUTO) == "newest"


def test_a_retired_secret_does_not_verify() -> None:
    assert not is_accepted(sign(secret=b"retired"), secrets=[("a", SECRET)])


def test_without_a_secret_nothing_verifies() -> None:
    assert not is_accepted(sign(), secrets=[])
    assert not is_accepted(sign(secret=b""), secrets=[])


def test_an_empty_secret_never_verifies() -> None:
    assert not is_accepted(sign(secret=b""), secrets=[("a", b"")])
    assert not is_accepted(sign(secret=b""), secrets=[("a", b""), ("b", SECRET)])
    assert is_accepted(sign(), secrets=[("a", b""), ("b", SECRET)])


@pytest.mark.parametrize("length", [1, 16, 64])
def test_a_secret_of_zero_bytes_is_as_good_as_empty(length: int) -> None:
    assert not is_accepted(sign(secret=b""), secrets=[("a", bytes(length))])


def test_sha1_is_refused_where_only_sha256_is_allowed() -> None:
    assert not is_accepted(sign(algorithm="sha1"), allowed=ALGORITHMS["SHA256"])
    assert is_accepted(sign(algorithm="sha256"), allowed=ALGORITHMS["SHA256"])


def test_every_secret_is_tried_whichever_one_matches(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[bytes] = []
    made = hmac.new

    def counting(key: bytes, *rest: Any) -> Any:
        tried.append(key)
        return made(key, *rest)

    monkeypatch.setattr("webhooks.signatures.hmac.new", counting)
    secrets = [(name, name.encode()) for name in ("one", "two", "three")]
    for name, secret in secrets:
        header = sign(secret=secret)
        tried.clear()
        assert verify(body=BODY, header=header, secrets=secrets, allowed_algorithms=AUTO) == name
        assert tried == [secret for _, secret in secrets]


def test_no_error_tells_a_secret_or_the_body() -> None:
    with pytest.raises(WebhookRejected) as rejected:
        verify(body=b"private words", header="sha1=none", secrets=[("a", SECRET)], allowed_algorithms=AUTO)
    told = f"{rejected.value!r} {rejected.value} {rejected.value.detail}"
    assert SECRET.decode() not in told
    assert "private" not in told


@settings(max_examples=400, deadline=None)
@given(
    body=st.binary(max_size=200),
    secret=st.binary(min_size=1, max_size=40).filter(any),
    algorithm=st.sampled_from(["sha1", "sha256"]),
    encoding=st.sampled_from(["base64", "hex"]),
    data=st.data(),
)
def test_what_is_signed_verifies_and_one_changed_bit_does_not(
    body: bytes, secret: bytes, algorithm: str, encoding: str, data: st.DataObject
) -> None:
    header = sign(body, secret=secret, algorithm=algorithm, encoding=encoding).encode()
    secrets = [("a", secret)]
    assert is_accepted(header, body=body, secrets=secrets)

    changed = flip_a_bit(header, data)
    prefix = f"{algorithm}=".encode()
    same_hex = encoding == "hex" and changed.startswith(prefix) and changed.lower() == header
    assert is_accepted(changed, body=body, secrets=secrets) is same_hex
    assert not is_accepted(header, body=flip_a_bit(body, data) if body else b"x", secrets=secrets)
    other = flip_a_bit(secret, data)
    # HMAC fills a key up with zero bytes, so zero bytes at its end do not count.
    assert is_accepted(header, body=body, secrets=[("a", other)]) is (other.rstrip(b"\0") == secret.rstrip(b"\0"))


def flip_a_bit(original: bytes, data: st.DataObject) -> bytes:
    place = data.draw(st.integers(0, len(original) * 8 - 1))
    changed = bytearray(original)
    changed[place // 8] ^= 1 << (place % 8)
    return bytes(changed)


@settings(max_examples=400, deadline=None)
@given(st.one_of(st.text(), st.binary(), st.text().map(lambda value: f"sha256={value}")))
def test_no_header_raises_anything_but_a_rejection(header: str | bytes) -> None:
    assert not is_accepted(header)
