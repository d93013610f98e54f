"""The custom channel: signatures by Standard Webhooks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters import standard_webhooks
from adapters.base import Secret
from core.errors import BodyUnusable, WebhookRejected
from tests.adapters.cases import NOW
from tests.adapters.custom import ADAPTER, GOOD, envelope, secret_of, sign_by_hand

# Checked with the library of the standard.
VECTOR_SECRET = Secret(id="v", value=b"whsec_Y3VzdG9tLWNoYW5uZWwtc2hhcmVkLXNlY3JldC0wMDE=")
VECTOR_NOW = datetime.fromtimestamp(1_700_000_000, tz=UTC)
VECTORS = [
    (
        "msg_2TESTcustom0001",
        b'{"type":"message","id":"ext-1","from":{"id":"user-9"},"text":"hi"}',
        "v1,C6zokCXwbwlxfn3w4pWG9mVcwJqWDT1hPB/YN9s9FlI=",
    ),
    (
        "msg_OUT0001",
        b'{"type":"message.send","id":"part-0001","to":{"id":"user-9"},"text":"hello"}',
        "v1,uRjzUxrwXdrjcu3IzwTHY5l5MNjPVZe9B7Sw72bWnCo=",
    ),
]


def verify(body: bytes, headers: Mapping[str, str], *secrets: Secret, now: datetime = NOW) -> Any:
    return ADAPTER.verify(method="POST", headers=headers, body=body, path_suffix="", secrets=secrets, now=now)


@pytest.mark.parametrize(("message_id", "body", "signature"), VECTORS)
def test_vectors_verify_and_are_made(message_id: str, body: bytes, signature: str) -> None:
    headers = {"webhook-id": message_id, "webhook-timestamp": "1700000000", "webhook-signature": signature}
    assert verify(body, headers, VECTOR_SECRET, now=VECTOR_NOW) == "v"
    made = standard_webhooks.sign(message_id=message_id, body=body, secrets=[VECTOR_SECRET], now=VECTOR_NOW)
    assert made == headers


def test_any_signature_of_several_will_do() -> None:
    body = envelope(**GOOD)
    headers = sign_by_hand(body, secret=secret_of(2))
    for around in ("v1,AAAA {}", "{} v1,AAAA", "v2,x {}", "v1a,xx {} v1,", "junk {}", " {}"):
        many = {**headers, "webhook-signature": around.format(headers["webhook-signature"])}
        assert verify(body, many, secret_of(1), secret_of(2)) == "secret-2"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda signature: signature.removeprefix("v1,"),
        lambda signature: signature.replace("v1,", "v2,"),
        lambda signature: signature.replace("v1,", "V1,"),
        lambda signature: signature.replace("v1,", "v1a,"),
        lambda signature: signature.replace("v1,", "v1, "),
        lambda signature: signature.rstrip("="),
        lambda signature: signature + "=",
        lambda signature: signature[:20],
        lambda signature: signature[:20] + "\n" + signature[20:],
        lambda signature: signature + ",v1",
        lambda signature: f"{signature},{signature}",
        lambda signature: "x " * 40 + signature,
    ],
)
def test_a_spoilt_signature_does_not_verify(spoil: Callable[[str], str]) -> None:
    body = envelope(**GOOD)
    headers = sign_by_hand(body, secret=secret_of())
    with pytest.raises(WebhookRejected):
        verify(body, {**headers, "webhook-signature": spoil(headers["webhook-signature"])}, secret_of())


@pytest.mark.parametrize(
    "timestamp",
    ["", "0", "-1", "+1795255230", "1795255230.0", "1795255230000", "01795255230", "now", "١٧٩٥٢٥٥٢٣٠", "1e9", "NaN"],
)
def test_a_timestamp_is_whole_seconds_and_nothing_else(timestamp: str) -> None:
    body = envelope(**GOOD)
    assert int(NOW.timestamp()) == 1_795_255_230
    with pytest.raises(WebhookRejected):
        verify(body, sign_by_hand(body, secret=secret_of(), timestamp=timestamp or "x"), secret_of())


@pytest.mark.parametrize("request_id", ["", "a b", "é", "x" * 257, "a\nb"])
def test_a_webhook_id_that_cannot_be_kept_is_refused(request_id: str) -> None:
    body = envelope(**GOOD)
    with pytest.raises(WebhookRejected):
        verify(body, sign_by_hand(body, secret=secret_of(), request_id=request_id), secret_of())


def test_the_longest_webhook_id_is_kept_whole() -> None:
    body = envelope(**GOOD)
    headers = sign_by_hand(body, secret=secret_of(), request_id="x" * 256)
    assert verify(body, headers, secret_of()) == "secret-1"
    assert ADAPTER.request_identity(headers) == "x" * 256


def test_id_and_time_are_signed_too() -> None:
    body = envelope(**GOOD)
    headers = sign_by_hand(body, secret=secret_of())
    for name, value in (("webhook-id", "req-2"), ("webhook-timestamp", str(int(NOW.timestamp()) + 1))):
        with pytest.raises(WebhookRejected):
            verify(body, {**headers, name: value}, secret_of())


def test_a_body_that_is_not_utf8_cannot_be_signed_by_this_standard() -> None:
    body = envelope(**GOOD).replace(b"Hello", b"\xff\xfe")
    with pytest.raises(WebhookRejected) as rejected:
        verify(body, sign_by_hand(body, secret=secret_of()), secret_of())
    assert not isinstance(rejected.value, BodyUnusable)


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=200).filter(lambda text: text.isprintable()), st.data())
def test_what_is_signed_verifies_and_one_changed_byte_does_not(text: str, data: st.DataObject) -> None:
    body = envelope(**{**GOOD, "text": text})
    headers = sign_by_hand(body, secret=secret_of())
    assert verify(body, headers, secret_of()) == "secret-1"
    place = data.draw(st.integers(0, len(body) - 1))
    changed = body[:place] + bytes([body[place] ^ (1 << data.draw(st.integers(0, 7)))]) + body[place + 1 :]
    with pytest.raises(WebhookRejected):
        verify(changed, headers, secret_of())
