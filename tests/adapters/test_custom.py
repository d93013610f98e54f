"""The custom channel: its contract to the letter, in both directions."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from standardwebhooks import Webhook

from adapters import standard_webhooks
from adapters.base import ChannelAdapter, Secret, content_of
from adapters.custom import CustomAdapter
from core.errors import BodyUnusable, ContentUnsupported, CredentialsRejected, RequestRejected, WebhookRejected
from core.events import (
    AgentRead,
    AgentTyping,
    Attachment,
    ConversationEnded,
    QuickReply,
    Signal,
)
from tests.adapters.cases import NOW, InboundCases, OutboundCases
from tests.adapters.provider import HurriedHttp, Provider, Scripted
from tests.fixtures import names_in, read
from tests.fixtures.custom.outcomes import OUTCOMES, REQUEST_ID

ADAPTER = CustomAdapter()
KEYS = [hashlib.sha256(f"key {number}".encode()).digest() for number in range(10)]


def secret_of(number: int = 1) -> Secret:
    return Secret(id=f"secret-{number}", value=b"whsec_" + base64.b64encode(KEYS[number]))


def sign_by_hand(
    body: bytes, *, secret: Secret, at: datetime = NOW, request_id: str = "req-1", timestamp: str = ""
) -> dict[str, str]:
    """Written from the standard's text, apart from our code and from the library."""
    key = base64.b64decode(secret.value.removeprefix(b"whsec_"))
    timestamp = timestamp or str(int(at.timestamp()))
    digest = hmac.new(key, f"{request_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return {
        "webhook-id": request_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


def envelope(kind: str = "message.received", **data: Any) -> bytes:
    return json.dumps({"type": kind, "timestamp": "2026-11-21T10:00:00Z", "data": data}).encode()


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

_GOOD: dict[str, Any] = {"id": "m-1", "consumer": {"id": "+15550100"}, "text": "Hello"}


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
    assert refused_field(envelope(**{**_GOOD, **data})) == field


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
    event = parse(envelope(**{**_GOOD, "id": "m" * 256, "consumer": {"id": "ü" * 256}}))
    assert len(event.message_id) == 256
    assert len(event.consumer.id) == 256


def test_a_long_text_is_read_whole() -> None:
    assert len(parse(envelope(**{**_GOOD, "text": "x" * 200_000})).text) == 200_000


def test_a_name_is_one_line_and_a_profile_can_be_stored() -> None:
    consumer = {"id": "c", "name": " Ada\r\nLovelace\x00 ", "profile": {"a\x00": ["\ud800", {"b": "\x00"}]}}
    event = parse(envelope(**{**_GOOD, "consumer": consumer}))
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


# --- in: signatures ---------------------------------------------------------------------------------------------

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
    body = envelope(**_GOOD)
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
    body = envelope(**_GOOD)
    headers = sign_by_hand(body, secret=secret_of())
    with pytest.raises(WebhookRejected):
        verify(body, {**headers, "webhook-signature": spoil(headers["webhook-signature"])}, secret_of())


@pytest.mark.parametrize(
    "timestamp",
    ["", "0", "-1", "+1795255230", "1795255230.0", "1795255230000", "01795255230", "now", "١٧٩٥٢٥٥٢٣٠", "1e9", "NaN"],
)
def test_a_timestamp_is_whole_seconds_and_nothing_else(timestamp: str) -> None:
    body = envelope(**_GOOD)
    assert int(NOW.timestamp()) == 1_795_255_230
    with pytest.raises(WebhookRejected):
        verify(body, sign_by_hand(body, secret=secret_of(), timestamp=timestamp or "x"), secret_of())


@pytest.mark.parametrize("request_id", ["", "a b", "é", "x" * 257, "a\nb"])
def test_a_webhook_id_that_cannot_be_kept_is_refused(request_id: str) -> None:
    body = envelope(**_GOOD)
    with pytest.raises(WebhookRejected):
        verify(body, sign_by_hand(body, secret=secret_of(), request_id=request_id), secret_of())


def test_the_longest_webhook_id_is_kept_whole() -> None:
    body = envelope(**_GOOD)
    headers = sign_by_hand(body, secret=secret_of(), request_id="x" * 256)
    assert verify(body, headers, secret_of()) == "secret-1"
    assert ADAPTER.request_identity(headers) == "x" * 256


def test_id_and_time_are_signed_too() -> None:
    body = envelope(**_GOOD)
    headers = sign_by_hand(body, secret=secret_of())
    for name, value in (("webhook-id", "req-2"), ("webhook-timestamp", str(int(NOW.timestamp()) + 1))):
        with pytest.raises(WebhookRejected):
            verify(body, {**headers, name: value}, secret_of())


def test_a_body_that_is_not_utf8_cannot_be_signed_by_this_standard() -> None:
    body = envelope(**_GOOD).replace(b"Hello", b"\xff\xfe")
    with pytest.raises(WebhookRejected) as rejected:
        verify(body, sign_by_hand(body, secret=secret_of()), secret_of())
    assert not isinstance(rejected.value, BodyUnusable)


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=200).filter(lambda text: text.isprintable()), st.data())
def test_what_is_signed_verifies_and_one_changed_byte_does_not(text: str, data: st.DataObject) -> None:
    body = envelope(**{**_GOOD, "text": text})
    headers = sign_by_hand(body, secret=secret_of())
    assert verify(body, headers, secret_of()) == "secret-1"
    place = data.draw(st.integers(0, len(body) - 1))
    changed = body[:place] + bytes([body[place] ^ (1 << data.draw(st.integers(0, 7)))]) + body[place + 1 :]
    with pytest.raises(WebhookRejected):
        verify(changed, headers, secret_of())


# --- out --------------------------------------------------------------------------------------------------------


class TestOutbound(OutboundCases):
    adapter: ClassVar[ChannelAdapter] = ADAPTER
    delivers: ClassVar[bool] = True

    def secret(self, number: int = 1) -> Secret:
        return secret_of(number)

    def config(self, url: str) -> dict[str, Any]:
        return {"url": url}

    # --- what is sent ---

    def sent(self, provider: Provider, http: HurriedHttp, signal: Signal) -> dict[str, Any]:
        self.send(http, provider.url, signal)
        return json.loads(provider.arrived[-1].body)

    def test_a_message_is_written_as_the_contract_says(self, provider: Provider, http: HurriedHttp) -> None:
        message = self.message(text="It leaves today.")
        assert self.sent(provider, http, message) == {
            "type": "message.created",
            "timestamp": "2026-11-21T10:00:05.000Z",
            "data": {
                "id": "01939f2e-7c1a-7b3d-8e4f-5a6b7c8d9e0f",
                "conversation": "01939f2e-0000-7000-8000-000000000001",
                "consumer": {"id": "+15550100"},
                "sender": {"role": "agent"},
                "text": "It leaves today.",
                "quick_replies": [],
                "content": None,
                "attachments": [],
            },
        }

    def test_all_that_a_message_can_hold_is_written(self, provider: Provider, http: HurriedHttp) -> None:
        message = self.message(
            text="Grüße 👋",
            role="bot",
            quick_replies=(QuickReply(id="1-ab", title="Yes", text="Yes, please", metadata=[{"type": "ExternalId"}]),),
            content={"type": "text", "text": "Grüße 👋"},
            attachments=(
                Attachment(url="https://hub.test/f/1?sig=x", mime="image/png", name="a.png", caption="the lamp"),
                Attachment(url="https://hub.test/f/2"),
            ),
        )
        data = self.sent(provider, http, message)["data"]
        assert data["sender"] == {"role": "bot"}
        assert data["text"] == "Grüße 👋"
        assert data["quick_replies"] == [{"id": "1-ab", "title": "Yes", "text": "Yes, please"}]
        assert data["content"] == {"type": "text", "text": "Grüße 👋"}
        assert data["attachments"] == [
            {"url": "https://hub.test/f/1?sig=x", "mime": "image/png", "name": "a.png", "caption": "the lamp"},
            {"url": "https://hub.test/f/2", "mime": "", "name": ""},
        ]

    @pytest.mark.parametrize(
        ("signal", "kind", "facts"),
        [
            (AgentTyping, "agent.typing", {"on": True}),
            (AgentTyping, "agent.typing", {"on": False}),
            (AgentRead, "message.read", {"message_ids": ("m-1", "m-2")}),
            (ConversationEnded, "conversation.closed", {"reason": "agent"}),
        ],
    )
    def test_other_signals_are_written_as_the_contract_says(
        self, provider: Provider, http: HurriedHttp, signal: type[Signal], kind: str, facts: dict[str, Any]
    ) -> None:
        at = datetime(2026, 11, 21, 12, 0, 5, 250_000, tzinfo=UTC)
        made = signal(id="id-1", conversation_id="conv-1", consumer_id="c-1", occurred_at=at, **facts)
        written = self.sent(provider, http, made)
        told = {"ids": list(facts["message_ids"])} if "message_ids" in facts else facts
        assert written == {
            "type": kind,
            "timestamp": "2026-11-21T12:00:05.250Z",
            "data": {"conversation": "conv-1", "consumer": {"id": "c-1"}, **told},
        }

    def test_the_request_is_signed_so_that_the_standards_library_verifies_it(
        self, provider: Provider, http: HurriedHttp
    ) -> None:
        now = datetime.now(tz=UTC)  # the library reads the clock itself
        self.send(http, provider.url, None, secret_of(1), secret_of(2), now=now)
        (arrived,) = provider.arrived
        assert arrived.method == "POST"
        assert arrived.headers["content-type"] == "application/json"
        for secret in (secret_of(1), secret_of(2)):
            Webhook(secret.value.decode()).verify(arrived.body, arrived.headers)
        with pytest.raises(Exception, match="No matching signature"):
            Webhook(secret_of(3).value.decode()).verify(arrived.body, arrived.headers)
        assert len(arrived.headers["webhook-signature"].split(" ")) == 2

    def test_the_webhook_id_stays_the_same_over_retries_and_the_time_does_not(
        self, provider: Provider, http: HurriedHttp
    ) -> None:
        message = self.message()
        self.send(http, provider.url, message)
        self.send(http, provider.url, message, now=NOW + timedelta(hours=1))
        first, second = (arrived.headers for arrived in provider.arrived)
        assert first["webhook-id"] == second["webhook-id"] == message.id
        assert int(second["webhook-timestamp"]) - int(first["webhook-timestamp"]) == 3600

    # --- how it ends ---

    @pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
    def test_any_2xx_is_delivered(self, provider: Provider, http: HurriedHttp, status: int) -> None:
        provider.answers(Scripted(status=status, body=b"" if status == 204 else b"whatever"))
        result = self.send(http, provider.url)
        assert (result.state, result.provider_ids) == ("delivered", (self.message().id,))

    @pytest.mark.parametrize("odd", [{"body": b"x" * 1_000_000}, {"headers": {"content-encoding": "gzip"}}])
    def test_a_2xx_with_an_unreadable_rest_is_delivered(
        self, provider: Provider, http: HurriedHttp, odd: dict[str, Any]
    ) -> None:
        provider.answers(Scripted(**odd))
        assert self.send(http, provider.url).state == "delivered"

    def test_an_answer_that_repeats_structured_content_is_kept_without_it(
        self, provider: Provider, http: HurriedHttp
    ) -> None:
        provider.answers(Scripted(status=422, echo=True))
        message = self.message(
            text="First line\nSecond line",
            content={"type": "vertical", "elements": [{"type": "text", "text": 'Inside "quoted" ü'}]},
            quick_replies=(QuickReply(id="1-a", title="Choice title", text="Choice text"),),
            attachments=(Attachment(url="https://hub.test/f?sig=abc", name="file name", caption="its caption"),),
        )
        with pytest.raises(RequestRejected) as rejected:
            self.send(http, provider.url, message)
        head = rejected.value.answer_head
        assert "message.created" in head
        for private in ("First", "Second", "Inside", "Choice t", "sig=abc", "file name", "its caption", "+15550100"):
            assert private not in head

    def test_a_channel_without_an_address_sends_nothing(self, http: HurriedHttp) -> None:
        for config in ({}, {"url": ""}, {"url": None}, {"url": 5}):
            with pytest.raises(RequestRejected, match="address"):
                ADAPTER.send(self.message(), config=config, secrets=[secret_of()], http=http, now=NOW)

    @pytest.mark.parametrize("value", [None, b"", b"whsec_", b"whsec_AAAA", b"plain", b"whsec_\xff"])
    def test_nothing_goes_out_unsigned(self, provider: Provider, http: HurriedHttp, value: bytes | None) -> None:
        secrets = [] if value is None else [Secret(id="x", value=value)]
        with pytest.raises(CredentialsRejected):
            ADAPTER.send(self.message(), config=self.config(provider.url), secrets=secrets, http=http, now=NOW)
        assert provider.arrived == []

    def test_a_file_that_cannot_be_fetched_is_not_announced(self, provider: Provider, http: HurriedHttp) -> None:
        message = self.message(attachments=(Attachment(relative_path="/v1/a.PDF"),))
        with pytest.raises(ContentUnsupported):
            self.send(http, provider.url, message)
        assert provider.arrived == []

    def test_a_message_is_never_cut(self) -> None:
        message = self.message(
            text="x" * 100_000, content={"type": "text"}, attachments=(Attachment(url="https://hub.test/1"),)
        )
        assert ADAPTER.plan(message) == [message]


# --- settings ---------------------------------------------------------------------------------------------------


def test_a_new_secret_can_be_used_and_is_new_each_time() -> None:
    one, two = ADAPTER.new_secret(), ADAPTER.new_secret()
    assert one != two
    assert ADAPTER.check_secret(one.encode()) == ""
    assert len(base64.b64decode(one.removeprefix("whsec_"))) == 32


@pytest.mark.parametrize(
    ("value", "is_usable"),
    [
        (b"whsec_" + base64.b64encode(bytes(range(24))), True),
        (b"whsec_" + base64.b64encode(bytes(range(64))), True),
        (b"whsec_" + base64.b64encode(bytes(range(23))), False),
        (b"whsec_" + base64.b64encode(bytes(range(65))), False),
        (base64.b64encode(bytes(range(32))), False),
        (b"whsec_" + bytes(range(32)).hex().encode() + b"!", False),
        (b"whsec_", False),
        (b"", False),
        (b"\xff", False),
    ],
)
def test_a_secret_is_checked(value: bytes, is_usable: bool) -> None:
    sentence = ADAPTER.check_secret(value)
    assert (sentence == "") is is_usable
    assert not value or value.decode("latin-1") not in sentence


@pytest.mark.parametrize(
    ("url", "allow_http", "is_usable"),
    [
        ("https://gateway.example.com/liveperson?x=1", False, True),
        ("http://gateway.example.com/", False, False),
        ("http://127.0.0.1:8100/phone", False, False),
        ("http://127.0.0.1:8100/phone", True, True),
        ("https://user:word@gateway.example.com/", False, False),
        ("ftp://gateway.example.com/", True, False),
        ("gateway.example.com", False, False),
        ("https://gateway.example.com/a b", False, False),
    ],
)
def test_the_address_is_checked_by_the_rule_that_will_decide_about_calling_it(
    url: str, allow_http: bool, is_usable: bool
) -> None:
    assert (ADAPTER.check_config({"url": url}, allow_http=allow_http) == {}) is is_usable


def test_the_address_may_be_left_out() -> None:
    assert ADAPTER.check_config({}, allow_http=False) == {}
    assert set(ADAPTER.check_config({"url": 5}, allow_http=False)) == {"url"}
