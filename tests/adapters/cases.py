"""
What every adapter must do, whatever its wire format. A new channel subclasses both and fills in how it writes things.

The names of the subclasses begin with Test, so that pytest collects them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import pytest

from adapters.base import ChannelAdapter, Secret, content_of
from core.errors import (
    BodyUnusable,
    ConnectorError,
    ConsumerGone,
    CredentialsRejected,
    NotSent,
    RateLimited,
    Refused,
    RequestRejected,
    Unanswered,
    WebhookRejected,
)
from core.events import AgentMessage, ChannelEventIgnored, ConsumerMessage, QuickReply
from tests.adapters.provider import HurriedHttp, Provider, Scripted, running_provider, unused_url
from tests.fixtures.hostile import HARMLESS, HOSTILE, UNUSABLE

NOW = datetime(2026, 11, 21, 10, 0, 30, tzinfo=UTC)
TEXT = "words that no log may hold"


class AdapterCases:
    """What is the same for both directions."""

    adapter: ClassVar[ChannelAdapter]

    def secret(self, number: int = 1) -> Secret:
        """A secret that can be used; another number, another secret."""
        raise NotImplementedError


class InboundCases(AdapterCases):
    """
    required: members of a message without which it cannot be used, as the error names them.
    tolerance: how old or new a request may be; None where the provider signs no time.
    """

    required: ClassVar[tuple[str, ...]]
    tolerance: ClassVar[timedelta | None] = None

    # --- what a subclass writes ---

    def message(self, *, id: str = "m-1", text: str = "Hello") -> bytes:
        raise NotImplementedError

    def message_without(self, field: str) -> bytes:
        raise NotImplementedError

    def unknown_type(self) -> bytes:
        raise NotImplementedError

    def sign(self, body: bytes, *, secret: Secret, at: datetime = NOW, request_id: str = "req-1") -> Mapping[str, str]:
        raise NotImplementedError

    # --- helpers ---

    def verify(self, body: bytes, headers: Mapping[str, str], *secrets: Secret, now: datetime = NOW) -> Any:
        return self.adapter.verify(
            method="POST", headers=headers, body=body, path_suffix="", secrets=secrets, now=now, url="https://hub.test/"
        )

    def parse(self, body: bytes, *, request_id: str = "req-1") -> list[Any]:
        return self.adapter.parse_inbound(body, self.sign(body, secret=self.secret(), request_id=request_id))

    def is_accepted(self, body: bytes, headers: Mapping[str, str], *secrets: Secret, now: datetime = NOW) -> bool:
        try:
            self.verify(body, headers, *secrets, now=now)
        except WebhookRejected as error:
            assert not isinstance(error, BodyUnusable)
            return False
        return True

    # --- who sent it ---

    def test_every_valid_secret_verifies_and_tells_which_it_was(self) -> None:
        one, two, three = (self.secret(number) for number in (1, 2, 3))
        for used in (one, two, three):
            headers = self.sign(self.message(), secret=used)
            assert self.verify(self.message(), headers, one, two, three) == used.id

    def test_names_of_headers_are_read_in_any_case(self) -> None:
        headers = self.sign(self.message(), secret=self.secret())
        for change in (str.upper, str.title):
            turned = {change(name): value for name, value in headers.items()}
            assert self.is_accepted(self.message(), turned, self.secret())

    def test_another_secret_does_not_verify(self) -> None:
        headers = self.sign(self.message(), secret=self.secret(2))
        assert not self.is_accepted(self.message(), headers, self.secret(1))

    def test_no_secret_verifies_nothing(self) -> None:
        assert not self.is_accepted(self.message(), self.sign(self.message(), secret=self.secret()))

    @pytest.mark.parametrize("value", [b"", b" ", b"\x00", b"whsec_", b"\xff\xfe"])
    def test_an_empty_or_broken_secret_verifies_nothing_and_harms_no_other(self, value: bytes) -> None:
        broken = Secret(id="broken", value=value)
        headers = self.sign(self.message(), secret=self.secret())
        assert not self.is_accepted(self.message(), headers, broken)
        assert self.verify(self.message(), headers, broken, self.secret()) == self.secret().id

    def test_a_changed_byte_does_not_verify(self) -> None:
        body = self.message()
        headers = self.sign(body, secret=self.secret())
        assert not self.is_accepted(body.replace(b"Hello", b"Hallo"), headers, self.secret())
        assert not self.is_accepted(body + b"\n", headers, self.secret())
        assert not self.is_accepted(b"", headers, self.secret())

    def test_without_headers_nothing_verifies(self) -> None:
        assert not self.is_accepted(self.message(), {}, self.secret())

    def test_every_header_is_needed_and_none_may_be_garbage(self) -> None:
        headers = dict(self.sign(self.message(), secret=self.secret()))
        garbage = [
            "",
            " ",
            "x",
            "é\xff",
            "日本",
            "\ud800",
            "\x00",
            "v1,",
            ",",
            "=" * 9_000,
            "a" * 1_000_000,
            "v1,\r\nx: y",
        ]
        for name in headers:
            missing = {other: value for other, value in headers.items() if other != name}
            assert not self.is_accepted(self.message(), missing, self.secret())
            for value in garbage:
                assert not self.is_accepted(self.message(), {**headers, name: value}, self.secret())

    def test_an_old_or_early_request_is_refused(self) -> None:
        if self.tolerance is None:
            pytest.skip("this provider signs no time")
        headers = self.sign(self.message(), secret=self.secret(), at=NOW)
        for offset, accepted in ((self.tolerance, True), (self.tolerance + timedelta(seconds=1), False)):
            assert self.is_accepted(self.message(), headers, self.secret(), now=NOW + offset) is accepted
            assert self.is_accepted(self.message(), headers, self.secret(), now=NOW - offset) is accepted

    @pytest.mark.parametrize("name", sorted(HOSTILE))
    def test_hostile_body_raises_nothing_but_the_trees_errors(self, name: str) -> None:
        body = HOSTILE[name]
        headers = {**self.sign(self.message(), secret=self.secret())}
        assert not self.is_accepted(body, headers, self.secret())
        try:
            self.adapter.parse_inbound(body, headers)
        except BodyUnusable:
            pass

    @pytest.mark.parametrize("name", sorted(UNUSABLE))
    def test_unusable_body_is_named_so(self, name: str) -> None:
        with pytest.raises(BodyUnusable) as refused:
            self.adapter.parse_inbound(UNUSABLE[name], self.sign(self.message(), secret=self.secret()))
        assert refused.value.__context__ is None

    @pytest.mark.parametrize("name", sorted(HARMLESS))
    def test_odd_text_survives_the_trip(self, name: str) -> None:
        """The bodies of another wire format, written as the text of a message."""
        text = HARMLESS[name].decode("utf-8-sig")[:4000]
        (event,) = self.parse(self.message(text=text))
        assert event.text == text

    def test_text_is_made_storable_and_nothing_else(self) -> None:
        (event,) = self.parse(self.message(text="a\x00b\ud800c\u202e 👩‍👩‍👧\n"))
        assert event.text == "a\N{SYMBOL FOR NULL}b\N{REPLACEMENT CHARACTER}c\u202e 👩‍👩‍👧\n"

    # --- what it says ---

    def test_the_same_message_again_has_the_same_identity_and_content(self) -> None:
        (first,), (again,) = self.parse(self.message()), self.parse(self.message(), request_id="req-2")
        assert isinstance(first, ConsumerMessage)
        assert (first.identity, content_of(first)) == (again.identity, content_of(again))

    def test_the_same_id_with_another_text_is_a_conflict_and_another_id_is_not(self) -> None:
        (first,), (other,) = self.parse(self.message()), self.parse(self.message(text="Something else"))
        assert first.identity == other.identity
        assert content_of(first) != content_of(other)
        (another,) = self.parse(self.message(id="m-2"))
        assert another.identity != first.identity

    def test_a_message_without_text_and_files_is_unusable(self) -> None:
        for text in ("", " \n\t"):
            with pytest.raises(BodyUnusable) as refused:
                self.parse(self.message(text=text))
            assert refused.value.field

    def test_an_unknown_type_is_ignored_and_says_why(self) -> None:
        (event,) = self.parse(self.unknown_type())
        assert isinstance(event, ChannelEventIgnored)
        assert event.why
        assert event.identity

    def test_a_missing_member_is_named(self) -> None:
        for field in self.required:
            with pytest.raises(BodyUnusable) as refused:
                self.parse(self.message_without(field))
            assert refused.value.field == field
            assert field in refused.value.detail

    def test_no_error_tells_a_secret_or_a_text(self) -> None:
        body = self.message(text=TEXT)
        told = []
        for raising in (
            lambda: self.verify(body, self.sign(body, secret=self.secret(2)), self.secret(1)),
            lambda: self.parse(body[:-1]),
            *(lambda field=field: self.parse(self.message_without(field)) for field in self.required),
        ):
            with pytest.raises(ConnectorError) as raised:
                raising()
            told.append(f"{raised.value!r} {raised.value.detail} {vars(raised.value)}")
        assert not any(TEXT in line or self.secret(1).value.decode() in line for line in told)

    def test_a_secret_hides_itself(self) -> None:
        assert self.secret().value.decode() not in repr(self.secret())


class OutboundCases(AdapterCases):
    """
    delivers: whether an accepted send means that the message is delivered, not only sent.

    The provider of `tests.adapters.provider` answers whatever is asked; a channel whose provider reports errors in
    bodies of status 200 adds cases of its own.
    """

    delivers: ClassVar[bool]

    def config(self, url: str) -> dict[str, Any]:
        """Settings that make the adapter call this address."""
        raise NotImplementedError

    @pytest.fixture
    def provider(self) -> Iterator[Provider]:
        with running_provider() as provider:
            yield provider

    @pytest.fixture
    def http(self) -> Iterator[HurriedHttp]:
        client = HurriedHttp(deadline_s=5.0)
        yield client
        client.close()

    def message(self, **facts: Any) -> AgentMessage:
        return AgentMessage(
            **{
                "id": "01939f2e-7c1a-7b3d-8e4f-5a6b7c8d9e0f",
                "conversation_id": "01939f2e-0000-7000-8000-000000000001",
                "consumer_id": "+15550100",
                "occurred_at": datetime(2026, 11, 21, 10, 0, 5, tzinfo=UTC),
                "role": "agent",
                "text": TEXT,
                **facts,
            }
        )

    def send(self, http: Any, url: str, signal: Any = None, *secrets: Secret, now: datetime = NOW) -> Any:
        return self.adapter.send(
            signal or self.message(), config=self.config(url), secrets=secrets or (self.secret(),), http=http, now=now
        )

    def fail(self, http: Any, url: str) -> ConnectorError:
        with pytest.raises(ConnectorError) as failed:
            self.send(http, url)
        return failed.value

    # --- how it ends ---

    @pytest.mark.parametrize(
        ("status", "kind"),
        [
            (301, RequestRejected),
            (302, RequestRejected),
            (307, RequestRejected),
            (308, RequestRejected),
            (400, RequestRejected),
            (401, CredentialsRejected),
            (403, CredentialsRejected),
            (404, RequestRejected),
            (410, ConsumerGone),
            (413, RequestRejected),
            (422, RequestRejected),
            (429, RateLimited),
            (500, Refused),
            (502, Refused),
            (503, Refused),
            (504, Refused),
        ],
    )
    def test_each_answer_means_one_error(
        self, provider: Provider, http: HurriedHttp, status: int, kind: type[ConnectorError]
    ) -> None:
        provider.answers(Scripted(status=status, headers={"location": "http://127.0.0.1:1/elsewhere"}))
        error = self.fail(http, provider.url)
        assert type(error) is kind
        assert error.http_status == status
        assert len(provider.arrived) == 1

    @pytest.mark.parametrize("status", [429, 503])
    @pytest.mark.parametrize(
        ("header", "seconds"),
        [
            ("7", 7.0),
            ("0", 0.0),
            ("Sat, 21 Nov 2026 10:01:00 GMT", 30.0),
            ("Sat, 21 Nov 2026 09:00:00 GMT", 0.0),
            ("Fri, 31 Dec 9999 23:59:59 GMT", 900.0),
            ("-5", 0.0),
            ("soon", None),
            ("1000000000", 900.0),
            ("9" * 5000, 900.0),
        ],
    )
    def test_retry_after_is_read(
        self, provider: Provider, http: HurriedHttp, status: int, header: str, seconds: float | None
    ) -> None:
        provider.answers(Scripted(status=status, headers={"retry-after": header}))
        error = self.fail(http, provider.url)
        assert isinstance(error, RateLimited)
        assert error.retry_after_s == seconds

    def test_nobody_listening_means_not_sent(self, http: HurriedHttp) -> None:
        assert isinstance(self.fail(http, unused_url()), NotSent)

    def test_a_dropped_connection_means_unanswered(self, provider: Provider, http: HurriedHttp) -> None:
        provider.answers(Scripted(reset=True))
        assert type(self.fail(http, provider.url)) is Unanswered
        assert len(provider.arrived) == 1

    def test_silence_means_unanswered(self, provider: Provider) -> None:
        provider.answers(Scripted(delay_s=5.0))
        hurried = HurriedHttp(deadline_s=0.3)
        assert type(self.fail(hurried, provider.url)) is Unanswered
        hurried.close()

    def test_an_accepted_message_has_an_id_to_match_reports_with(self, provider: Provider, http: HurriedHttp) -> None:
        result = self.send(http, provider.url)
        assert all(result.provider_ids)
        assert result.state == ("delivered" if self.delivers else "sent")

    def test_what_certainly_had_no_effect_is_safe_to_repeat(self) -> None:
        assert self.adapter.is_safe_to_repeat(NotSent())
        assert self.adapter.is_safe_to_repeat(RateLimited())
        assert not self.adapter.is_safe_to_repeat(RequestRejected())
        for unknown in (Unanswered(), Refused()):
            assert self.adapter.is_safe_to_repeat(unknown) is self.adapter.capabilities.idempotent_send

    def test_a_repeat_sends_the_same_body(self, provider: Provider, http: HurriedHttp) -> None:
        provider.answers(Scripted(status=500), Scripted())
        self.fail(http, provider.url)
        self.send(http, provider.url, now=NOW + timedelta(hours=3))
        first, second = provider.arrived
        assert first.body == second.body

    # --- secrets ---

    def test_no_error_keeps_a_secret_or_what_the_provider_repeats(self, provider: Provider, http: HurriedHttp) -> None:
        for status in (400, 401, 410, 429, 500):
            provider.answers(Scripted(status=status, echo=True))
            self.assert_tells_nothing(self.fail(http, provider.url))
            quoted = f'{{"error":"{TEXT}","for":"+15550100","key":"{self.secret().value.decode()}"}}'
            provider.answers(Scripted(status=status, body=quoted.encode()))
            self.assert_tells_nothing(self.fail(http, provider.url))
        self.assert_tells_nothing(self.fail(http, unused_url()))

    def assert_tells_nothing(self, error: BaseException | None) -> None:
        while error is not None:
            told = f"{error!r} {error} {vars(error)}"
            assert TEXT not in told
            assert "+15550100" not in told
            assert self.secret().value.decode() not in told
            error = error.__cause__ or error.__context__

    # --- planning ---

    @pytest.mark.parametrize("text", ["short", "word " * 4000, "x" * 20_000, "👩‍👩‍👧é" * 2000, "a\n\n" * 5000])
    def test_parts_join_to_the_text_and_plan_alike_each_time(self, text: str) -> None:
        message = self.message(text=text)
        parts = self.adapter.plan(message)
        assert "".join(part.text for part in parts) == text
        assert parts == self.adapter.plan(message)
        assert parts[0].id == message.id
        assert len({part.id for part in parts}) == len(parts)
        most = self.adapter.capabilities.text_max
        assert all(self.size(part.text) <= most for part in parts if most is not None)

    def size(self, text: str) -> int:
        unit = self.adapter.capabilities.text_unit
        return {"chars": len(text), "utf16": len(text.encode("utf-16-le")) // 2, "bytes": len(text.encode())}[unit]

    def test_choices_reach_the_consumer_one_way_or_the_other(self) -> None:
        choices = tuple(QuickReply(id=f"{n}-x", title=f"Choice {n}", text=f"I choose {n}") for n in (1, 2))
        parts = self.adapter.plan(self.message(text="Which?", quick_replies=choices))
        shown = [choice.title for part in parts for choice in part.quick_replies]
        text = "".join(part.text for part in parts)
        assert shown == ["Choice 1", "Choice 2"] or "1. Choice 1\n2. Choice 2" in text
