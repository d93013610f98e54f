"""
What a consumer channel is to the rest of the site: a stateless adapter between its wire format and core.events.

One file (or folder) a channel. An adapter declares what it is (type, label, capabilities, settings) and translates:
verify -> parse_inbound on the way in, plan -> send on the way out. It holds no state, opens no connection of its own,
reads no clock and imports no Django; what it needs is passed in.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Literal, Protocol
from urllib.parse import urlsplit

from adapters.planning import plan_parts
from core.errors import ConnectorError, NotProcessed, NotSent, OutcomeUnknown
from core.events import AgentMessage, ChannelEvent, Json, Signal
from core.http_guard import OutboundPolicy
from core.wire import canonical

Config = Mapping[str, Any]


class Answer(Protocol):
    """What came back from a provider. Names of headers in lower case."""

    @property
    def status(self) -> int: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def body(self) -> bytes: ...


class Http(Protocol):
    """Guarded outbound HTTP: checks the address, follows no redirect, ends in time. Raises NotSent or Unanswered."""

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes,
        deadline_s: float,
        max_bytes: int,
    ) -> Answer: ...


@dataclass(frozen=True, kw_only=True)
class Secret:
    """
    One secret of a channel, opened for use.

    name: which of the adapter's secret fields it fills. Several of one name are valid at once during a rotation.
    """

    id: Any
    value: bytes = field(repr=False)
    name: str = "signing_secret"


@dataclass(frozen=True, kw_only=True)
class ConfigField:
    """A setting that an operator fills in. Settings of kind "secret" are sealed, and never shown again."""

    name: str
    label: str
    help: str
    kind: Literal["plain", "url", "secret"] = "plain"
    required: bool = True


@dataclass(frozen=True, kw_only=True)
class Capabilities:
    """
    What a channel can carry. Zero means: not at all; `text_max` of None: as long as it is.

    text_unit: what the provider counts: characters, UTF-16 units or UTF-8 bytes.
    idempotent_send: the provider recognises the id that we send and drops a repeat.
    typing_every_s: how often "is typing" has to be sent again while it lasts; None where once is enough.
    """

    text_max: int | None
    text_unit: Literal["chars", "utf16", "bytes"] = "chars"
    attachments_max: int = 0
    quick_replies_max: int = 0
    structured_content: bool = False
    idempotent_send: bool = False
    sends_typing: bool = False
    typing_every_s: float | None = None
    sends_read: bool = False
    sends_ended: bool = False
    reports_delivery: bool = False
    reports_typing: bool = False


@dataclass(frozen=True, kw_only=True)
class SendResult:
    """
    The provider took it.

    provider_ids: the provider's own ids of what was sent, one a part, for matching its reports.
    state: how far it certainly got.
    """

    provider_ids: tuple[str, ...]
    state: Literal["sent", "delivered"] = "sent"


@dataclass(frozen=True, kw_only=True)
class Reply:
    """An answer to a provider's request, where it expects one of its own."""

    status: int = 200
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"


class ChannelAdapter(ABC):
    """
    One type of channel. Subclasses set the four declarations and implement `verify`, `parse_inbound` and `send`.

    Everything here may be called from several threads at once.
    """

    type: ClassVar[str]  # as stored in the channel's row; never changes
    label: ClassVar[str]  # as people read it
    capabilities: ClassVar[Capabilities]
    config_fields: ClassVar[tuple[ConfigField, ...]]

    # --- in ---

    @abstractmethod
    def verify(
        self,
        *,
        method: str,
        headers: Mapping[str, str],
        body: bytes,
        path_suffix: str,
        secrets: Sequence[Secret],
        now: datetime,
        url: str = "",
    ) -> Any:
        """
        Return the id of the secret that proves who sent the request.

        body: the raw bytes. path_suffix: what follows the channel's id in the path. url: the public URL of the
        request as the provider knows it, built from settings; some sign it. Raises WebhookRejected, and nothing else.
        """

    @abstractmethod
    def parse_inbound(self, body: bytes, headers: Mapping[str, str]) -> list[ChannelEvent]:
        """
        Turn a verified request into events, in the sender's order.

        A type that we do not know becomes a ChannelEventIgnored. Raises BodyUnusable, which names the member that is
        wrong, and nothing else.
        """

    def request_identity(self, headers: Mapping[str, str]) -> str:
        """The sender's own id of the request, at most 256 characters; "" where it gives none."""
        return ""

    def handshake(
        self,
        *,
        method: str,
        headers: Mapping[str, str],
        query: Mapping[str, str],
        body: bytes,
        path_suffix: str,
        secrets: Sequence[Secret],
    ) -> Reply | None:
        """
        Answer a request by which the provider checks the URL; None where this is not one (the rule).

        Comes before `verify`, and nothing of the request is stored. Raises WebhookRejected.
        """
        return None

    def acknowledge(self, *, is_duplicate: bool) -> Reply | None:
        """The answer that the provider wants to a stored request; None where the site's own will do."""
        return None

    # --- out ---

    def plan(self, message: AgentMessage) -> list[AgentMessage]:
        """
        Cut a message into what the channel takes in one send, in order.

        Deterministic: a retry plans the same parts with the same ids. The first part keeps the message's id.
        """
        return plan_parts(message, self.capabilities)

    @abstractmethod
    def send(
        self, signal: Signal, *, config: Config, secrets: Sequence[Secret], http: Http, now: datetime
    ) -> SendResult:
        """
        Hand one part, or one signal, to the provider.

        Raises what core.errors has for it: NotProcessed, OutcomeUnknown or PermanentError; ContentUnsupported for a
        signal that the channel cannot express.
        """

    def upstream(self, config: Config) -> str:
        """The host that `send` calls, by which failures are counted; the type where it is the provider's own."""
        url = config.get("url")
        try:
            parts = urlsplit(url if isinstance(url, str) else "")
        except ValueError:
            return self.type  # somebody is typing it into a form; nothing is sent there
        return parts.netloc.rpartition("@")[2].lower() or self.type

    def is_safe_to_repeat(self, error: ConnectorError) -> bool:
        """Whether the same send may be made again after this error without a risk of a second message."""
        if isinstance(error, NotProcessed):
            return True
        return isinstance(error, OutcomeUnknown) and self.capabilities.idempotent_send

    # --- settings ---

    def new_secret(self) -> str:
        """A fresh signing secret for the operator to hand over; "" where the provider issues them."""
        return ""

    def check_secret(self, value: bytes, *, name: str = "signing_secret") -> str:
        """A sentence that says what is wrong with a secret, "" when it can be used."""
        return "" if value.strip() else "The secret is empty."

    def check_config(self, config: Config, *, allow_http: bool) -> dict[str, str]:
        """
        Field name -> a sentence that says what is wrong with it; empty when all is well.

        allow_http: the site may call plain http and private addresses, as in local mode.
        """
        problems = {}
        for declared in self.config_fields:
            value = config.get(declared.name)
            if declared.kind == "secret":
                continue
            if not isinstance(value, str) or not value.strip():
                if declared.required or value not in (None, ""):
                    problems[declared.name] = f"Enter the {declared.label}."
            elif declared.kind == "url":
                problems |= _problem_of_url(declared, value, allow_private=allow_http)
        return problems


def header(headers: Mapping[str, str], name: str) -> str:
    """A header whatever the case of its name, "" where it is absent."""
    wanted = name.lower()
    return next((str(value) for given, value in headers.items() if given.lower() == wanted), "")


def content_of(event: ChannelEvent) -> bytes:
    """
    Canonical bytes of what a channel's event says: the same identity with other content is a conflict.

    Left out is what may differ when the same event comes again: its time, and what the channel knows of the person.
    """
    facts: Json = dataclasses.asdict(event)
    for name in ("identity", "occurred_at", "consumer"):
        facts.pop(name)
    return canonical([type(event).__name__, event.consumer.id if event.consumer else None, facts])


def _problem_of_url(declared: ConfigField, value: str, *, allow_private: bool) -> dict[str, str]:
    """Judged by the rule that decides when it is called."""
    try:
        OutboundPolicy(host_suffixes=None, allow_private=allow_private).check_url(value)
    except NotSent as error:
        return {declared.name: f"The {declared.label} cannot be used. {error.detail}"}
    return {}
