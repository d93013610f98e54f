"""The custom channel: what we send it, to the letter of its contract, and its settings."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import pytest
from standardwebhooks import Webhook

from adapters.base import ChannelAdapter, Secret
from core.errors import ContentUnsupported, CredentialsRejected, RequestRejected
from core.events import (
    AgentRead,
    AgentTyping,
    Attachment,
    ConversationEnded,
    QuickReply,
    Signal,
)
from tests.adapters.cases import NOW, OutboundCases
from tests.adapters.custom import ADAPTER, secret_of
from tests.adapters.provider import HurriedHttp, Provider, Scripted


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
