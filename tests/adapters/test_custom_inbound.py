"""The custom channel: what it sends us, to the letter of its contract."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.base import ChannelAdapter, Secret, content_of
from core.errors import BodyUnusable
from tests.adapters.cases import NOW, InboundCases
from tests.adapters.custom import ADAPTER, GOOD, envelope, secret_of, sign_by_hand
from tests.fixtures import names_in, read
from tests.fixtures.custom.outcomes import OUTCOMES, REQUEST_ID


def parse(body: bytes, request_id: str = REQUEST_ID) -> Any:
    (event,) = ADAPTER.parse_inbound(body, {"webhook-id": request_id})
    return event


def refused_field(body: bytes) -> str:
    with pytest.raises(BodyUnusable) as refused:
        parse(body)
    return refused.value.field


class TestInbound(InboundCases):
    adapter: ClassVar[ChannelAdapter] = ADAPTER
    required: ClassVar[tuple[str, ...]] = ("type", "data", "data.id", "data.consumer", "data.consumer.id", "data.text")
    tolerance: ClassVar[timedelta | None] = timedelta(minutes=5)

    def secret(self, number: int = 1) -> Secret:
        return secret_of(number)

    def message(self, *, id: str = "m-1", text: str = "Hello") -> bytes:
        return envelope(id=id, consumer={"id": "+15550100"}, text=text)

    def message_without(self, field: str) -> bytes:
        whole = json.loads(self.message())
        *path, name = field.split(".")
        holder = whole
        for step in path:
            holder = holder[step]
        del holder[name]
        return json.dumps(whole).encode()

    def unknown_type(self) -> bytes:
        return envelope("message.edited", id="m-1")

    def sign(self, body: bytes, *, secret: Secret, at: datetime = NOW, request_id: str = "req-1") -> Mapping[str, str]:
        return sign_by_hand(body, secret=secret, at=at, request_id=request_id)


# --- in: the fixtures -------------------------------------------------------------------------------------------


def test_every_fixture_has_an_outcome_and_every_outcome_a_fixture() -> None:
    assert names_in("custom") == sorted(OUTCOMES)


@pytest.mark.parametrize("name", sorted(OUTCOMES))
def test_request_becomes_its_event(name: str) -> None:
    assert parse(read("custom", name)) == OUTCOMES[name]


# --- in: identity -----------------------------------------------------------------------------------------------


def test_the_request_is_identified_by_its_webhook_id() -> None:
    assert ADAPTER.request_identity({"Webhook-Id": "msg_1"}) == "msg_1"


def test_what_has_no_id_of_its_own_is_identified_by_its_request() -> None:
    body = read("custom", "typing_started__plain")
    assert parse(body, "msg_1").identity != parse(body, "msg_2").identity


def test_a_message_and_a_choice_share_one_space_of_ids() -> None:
    consumer = {"id": "+15550100"}
    message = parse(envelope(id="m-1", consumer=consumer, text="Yes"))
    choice = parse(envelope("quick_reply.chosen", id="m-1", consumer=consumer, choice="1-a"))
    assert message.identity == choice.identity
    assert content_of(message) != content_of(choice)


@pytest.mark.parametrize(
    "changes",
    [
        {"text": "Hello!"},
        {"consumer": {"id": "+15550101"}},
        {"attachments": [{"url": "https://cdn.test/a"}]},
    ],
)
def test_other_content_under_a_known_id_shows(changes: dict[str, Any]) -> None:
    good = {"id": "m-1", "consumer": {"id": "+15550100"}, "text": "Hello"}
    first, other = parse(envelope(**good)), parse(envelope(**{**good, **changes}))
    assert first.identity == other.identity
    assert content_of(first) != content_of(other)


def test_a_new_name_or_time_is_no_other_content() -> None:
    good = {"id": "m-1", "text": "Hello"}
    first = parse(envelope(**good, consumer={"id": "+1", "name": "Ada"}))
    later = json.loads(envelope(**good, consumer={"id": "+1", "name": "Ada L.", "profile": {"a": 1}}))
    later["timestamp"] = "2026-11-21T12:00:00Z"
    assert content_of(parse(json.dumps(later).encode())) == content_of(first)


# --- in: members ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "data"),
    [
        ("data.id", {"id": None}),
        ("data.id", {"id": ""}),
        ("data.id", {"id": 17}),
        ("data.id", {"id": ["m-1"]}),
        ("data.id", {"id": "m" * 257}),
        ("data.id", {"id": "m\x00"}),
        ("data.id", {"id": "m\ud800"}),
        ("data.id", {"id": "m\r\nx"}),
        ("data.consumer", {"consumer": None}),
        ("data.consumer", {"consumer": "+15550100"}),
        ("data.consumer.id", {"consumer": {}}),
        ("data.consumer.id", {"consumer": {"id": ""}}),
        ("data.consumer.id", {"consumer": {"id": 15550100}}),
        ("data.consumer.id", {"consumer": {"id": True}}),
        ("data.consumer.id", {"consumer": {"id": "c" * 257}}),
        ("data.consumer.id", {"consumer": {"id": "c\x00"}}),
        ("data.consumer.name", {"consumer": {"id": "c", "name": 5}}),
        ("data.consumer.name", {"consumer": {"id": "c", "name": "n" * 257}}),
        ("data.consumer.profile", {"consumer": {"id": "c", "profile": "gold"}}),
        ("data.consumer.profile", {"consumer": {"id": "c", "profile": []}}),
        ("data.text", {"text": None}),
        ("data.text", {"text": 42}),
        ("data.text", {"text": ["Hello"]}),
        ("data.text", {"text": " \n "}),
        ("data.attachments", {"attachments": {"url": "https://cdn.test/a"}}),
        ("data.attachments", {"attachments": "https://cdn.test/a"}),
        ("data.attachments", {"attachments": [{"url": "https://cdn.test/a"}] * 11}),
        ("data.attachments[0]", {"attachments": ["https://cdn.test/a"]}),
        ("data.attachments[0].url", {"attachments": [{}]}),
        ("data.attachments[1].url", {"attachments": [{"url": "https://cdn.test/a"}, {"url": ""}]}),
        ("data.attachments[0].url", {"attachments": [{"url": 5}]}),
        ("data.attachments[0].url", {"attachments": [{"url": "file:///etc/passwd"}]}),
        ("data.attachments[0].url", {"attachments": [{"url": "ftp://cdn.test/a"}]}),
        ("data.attachments[0].url", {"attachments": [{"url": "javascript:alert(1)"}]}),
        ("data.attachments[0].url", {"attachments": [{"url": "data:text/plain,x"}]}),
        ("data.attachments[0].url", {"attachments": [{"url": "//cdn.test/a"}]}),
        ("data.attachments[0].url", {"attachments": [{"url": "https://"}]}),
        ("data.attachments[0].url", {"attachments": [{"url": "https://cdn.test:99999/a"}]}),
        ("data.attachments[0].url", {"attachments": [{"url": "https://[::1/a"}]}),
        ("data.attachments[0].url", {"attachments": [{"url": "https://cdn.test/a b"}]}),
        ("data.attachments[0].url", {"attachments": [{"url": "https://cdn.test/a\r\nx"}]}),
        ("data.attachments[0].url", {"attachments": [{"url": "https://cdn.test/" + "a" * 2048}]}),
        ("data.attachments[0].mime", {"attachments": [{"url": "https://cdn.test/a", "mime": 5}]}),
        ("data.attachments[0].name", {"attachments": [{"url": "https://cdn.test/a", "name": ["a"]}]}),
    ],
)
def test_unusable_member_of_a_message_is_named(field: str, data: dict[str, Any]) -> None:
    assert refused_field(envelope(**{**GOOD, **data})) == field


@pytest.mark.parametrize(
    ("field", "kind", "data"),
    [
        ("data.consumer", "typing.started", {}),
        ("data.consumer.id", "typing.stopped", {"consumer": {}}),
        ("data.consumer", "conversation.closed", {}),
        ("data.id", "message.status", {"status": "read"}),
        ("data.status", "message.status", {"id": "x"}),
        ("data.status", "message.status", {"id": "x", "status": "lost"}),
        ("data.status", "message.status", {"id": "x", "status": ["read"]}),
        ("data.reason", "message.status", {"id": "x", "status": "failed", "reason": {"code": 5}}),
        ("data.id", "quick_reply.chosen", {"consumer": {"id": "c"}, "choice": "1"}),
        ("data.consumer", "quick_reply.chosen", {"id": "m", "choice": "1"}),
        ("data.choice", "quick_reply.chosen", {"id": "m", "consumer": {"id": "c"}}),
        ("data.choice", "quick_reply.chosen", {"id": "m", "consumer": {"id": "c"}, "choice": 1}),
    ],
)
def test_unusable_member_of_other_types_is_named(field: str, kind: str, data: dict[str, Any]) -> None:
    assert refused_field(envelope(kind, **data)) == field


@pytest.mark.parametrize(
    ("field", "body"),
    [
        ("", b"[]"),
        ("", b'"message.received"'),
        ("", b"null"),
        ("type", b"{}"),
        ("type", b'{"type":7,"data":{}}'),
        ("type", b'{"type":"","data":{}}'),
        ("data", b'{"type":"message.received"}'),
        ("data", b'{"type":"message.received","data":[]}'),
        ("data", b'{"type":"message.received","data":null}'),
    ],
)
def test_unusable_envelope_is_named(field: str, body: bytes) -> None:
    assert refused_field(body) == field


def test_longest_id_is_read() -> None:
    event = parse(envelope(**{**GOOD, "id": "m" * 256, "consumer": {"id": "ü" * 256}}))
    assert len(event.message_id) == 256
    assert len(event.consumer.id) == 256


def test_a_long_text_is_read_whole() -> None:
    assert len(parse(envelope(**{**GOOD, "text": "x" * 200_000})).text) == 200_000


def test_a_name_is_one_line_and_a_profile_can_be_stored() -> None:
    consumer = {"id": "c", "name": " Ada\r\nLovelace\x00 ", "profile": {"a\x00": ["\ud800", {"b": "\x00"}]}}
    event = parse(envelope(**{**GOOD, "consumer": consumer}))
    assert event.consumer.name == "Ada  Lovelace\N{SYMBOL FOR NULL}"
    assert event.consumer.profile == {"a␀": ["\ufffd", {"b": "␀"}]}


_ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)
_KINDS = ["message.received", "typing.started", "conversation.closed", "quick_reply.chosen", "message.status", "x"]
_DATA = st.dictionaries(st.sampled_from(["id", "consumer", "text", "attachments", "choice", "status", "reason"]), _ODD)


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(_KINDS), _DATA | _ODD, st.sampled_from(["", "timestamp"]), _ODD)
def test_no_body_raises_anything_but_body_unusable(kind: str, data: Any, name: str, odd: Any) -> None:
    body = json.dumps({"type": kind, "data": data, name or "more": odd}).encode()
    try:
        parse(body)
    except BodyUnusable as error:
        assert error.detail
