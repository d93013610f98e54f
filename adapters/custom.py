"""
The custom channel: a brand's own app or gateway, which speaks our format in both directions.

Signed by Standard Webhooks. `webhook-id` identifies a request, `data.id` a message within the channel.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar

from adapters import standard_webhooks
from adapters.answers import error_from_answer
from adapters.base import Capabilities, ChannelAdapter, Config, ConfigField, Http, Secret, SendResult, header
from adapters.custom_fields import attachments_of, consumer_of, id_of, object_of, text_of, time_of
from core.errors import BodyUnusable, ContentUnsupported, RequestRejected, Unanswered
from core.events import (
    AgentMessage,
    AgentRead,
    AgentTyping,
    Attachment,
    ChannelEvent,
    ChannelEventIgnored,
    ConsumerClosed,
    ConsumerMessage,
    ConsumerTyping,
    ConversationEnded,
    Json,
    MessageStatusReported,
    QuickReplyChosen,
    Signal,
)
from core.http import encode_json
from core.wire import read_json, require_word

DEADLINE_S = 9.0
MAX_ANSWER_BYTES = 64 * 1024


class CustomAdapter(ChannelAdapter):
    type: ClassVar[str] = "custom"
    label: ClassVar[str] = "Custom (own app or gateway)"
    capabilities: ClassVar[Capabilities] = Capabilities(
        text_max=None,
        attachments_max=10,
        quick_replies_max=1000,
        structured_content=True,
        idempotent_send=True,
        sends_typing=True,
        sends_read=True,
        sends_ended=True,
        reports_delivery=True,
        reports_typing=True,
    )
    config_fields: ClassVar[tuple[ConfigField, ...]] = (
        ConfigField(
            name="url",
            label="address for outgoing messages",
            help="Where the agents' messages are sent by POST, such as https://gateway.example.com/liveperson.",
            kind="url",
            required=False,
        ),
        ConfigField(
            name="signing_secret",
            label="signing secret",
            help="whsec_ and Base64 of 24 to 64 random bytes; signs both directions. Give it to the other side.",
            kind="secret",
        ),
    )

    # --- in ---

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
        return standard_webhooks.verify(headers=headers, body=body, secrets=secrets, now=now)

    def request_identity(self, headers: Mapping[str, str]) -> str:
        return header(headers, "webhook-id")

    def parse_inbound(self, body: bytes, headers: Mapping[str, str]) -> list[ChannelEvent]:
        envelope = read_json(body)
        if not isinstance(envelope, dict):
            raise BodyUnusable("The body is not an object.")
        kind = require_word(envelope.get("type"), field="type")
        request_id = id_of(self.request_identity(headers), field="webhook-id")
        occurred_at = time_of(envelope.get("timestamp"))
        parse = _INBOUND.get(kind)
        if parse is None:
            return [
                ChannelEventIgnored(
                    identity=f"r:{request_id}", consumer=None, occurred_at=occurred_at, why=f"Unknown type {kind}."
                )
            ]
        data = object_of(envelope.get("data"), field="data")
        return [parse(data, f"r:{request_id}", occurred_at)]

    # --- out ---

    def send(
        self, signal: Signal, *, config: Config, secrets: Sequence[Secret], http: Http, now: datetime
    ) -> SendResult:
        url = config.get("url")
        if not isinstance(url, str) or not url:
            raise RequestRejected(
                "The channel has no address for outgoing messages. Enter it in the channel's settings."
            )
        body = _encode(signal)
        signed = standard_webhooks.sign(message_id=signal.id, body=body, secrets=secrets, now=now)
        try:
            answer = http.request(
                "POST",
                url,
                headers={"content-type": "application/json", **signed},
                body=body,
                deadline_s=DEADLINE_S,
                max_bytes=MAX_ANSWER_BYTES,
            )
        except Unanswered as unanswered:
            # The status came and said yes; what followed was too long or not readable, and is not looked at anyway.
            if 200 <= (unanswered.http_status or 0) < 300:
                return SendResult(provider_ids=(signal.id,), state="delivered")
            raise
        error = error_from_answer(answer, now=now, hide=_private_parts(signal, secrets))
        if error is not None:
            raise error
        return SendResult(provider_ids=(signal.id,), state="delivered")

    # --- settings ---

    def new_secret(self) -> str:
        return standard_webhooks.new_secret()

    def check_secret(self, value: bytes, *, name: str = "signing_secret") -> str:
        return standard_webhooks.check_secret(value)


# --- in: data, identity of the request, time -> event -----------------------------------------------------------


def _message_received(data: Json, _identity: str, occurred_at: datetime | None) -> ConsumerMessage:
    message_id = id_of(data.get("id"), field="data.id")
    consumer = consumer_of(data)
    text = text_of(data.get("text"), field="data.text")
    attachments = attachments_of(data.get("attachments"))
    if not text.strip() and not attachments:
        raise BodyUnusable("data.text is missing, and there is no attachment.", field="data.text")
    return ConsumerMessage(
        identity=f"m:{message_id}",
        consumer=consumer,
        occurred_at=occurred_at,
        message_id=message_id,
        text=text,
        attachments=attachments,
    )


def _typing_started(data: Json, identity: str, occurred_at: datetime | None) -> ConsumerTyping:
    return ConsumerTyping(identity=identity, consumer=consumer_of(data), occurred_at=occurred_at, on=True)


def _typing_stopped(data: Json, identity: str, occurred_at: datetime | None) -> ConsumerTyping:
    return ConsumerTyping(identity=identity, consumer=consumer_of(data), occurred_at=occurred_at, on=False)


def _conversation_closed(data: Json, identity: str, occurred_at: datetime | None) -> ConsumerClosed:
    return ConsumerClosed(identity=identity, consumer=consumer_of(data), occurred_at=occurred_at)


def _quick_reply_chosen(data: Json, _identity: str, occurred_at: datetime | None) -> QuickReplyChosen:
    message_id = id_of(data.get("id"), field="data.id")
    return QuickReplyChosen(
        identity=f"m:{message_id}",
        consumer=consumer_of(data),
        occurred_at=occurred_at,
        message_id=message_id,
        choice=id_of(data.get("choice"), field="data.choice"),
    )


def _message_status(data: Json, identity: str, occurred_at: datetime | None) -> MessageStatusReported:
    message_id = id_of(data.get("id"), field="data.id")
    status = data.get("status")
    if status not in ("delivered", "read", "failed"):
        wrong = "is missing" if status is None else "must be delivered, read or failed"
        raise BodyUnusable(f"data.status {wrong}.", field="data.status")
    return MessageStatusReported(
        identity=identity,
        consumer=None,
        occurred_at=occurred_at,
        message_id=message_id,
        status=status,
        reason=text_of(data.get("reason"), field="data.reason")[:300],
    )


_INBOUND: dict[str, Callable[[Json, str, datetime | None], ChannelEvent]] = {
    "message.received": _message_received,
    "typing.started": _typing_started,
    "typing.stopped": _typing_stopped,
    "conversation.closed": _conversation_closed,
    "quick_reply.chosen": _quick_reply_chosen,
    "message.status": _message_status,
}


# --- out: signal -> body ----------------------------------------------------------------------------------------


def _encode(signal: Signal) -> bytes:
    """The same bytes whenever the same signal is sent again."""
    kind, facts = _outbound(signal)
    at = signal.occurred_at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    data = {"conversation": signal.conversation_id, "consumer": {"id": signal.consumer_id}, **facts}
    envelope = {"type": kind, "timestamp": at, "data": data}
    return encode_json(envelope)


def _outbound(signal: Signal) -> tuple[str, Json]:
    match signal:
        case AgentMessage():
            return "message.created", {
                "id": signal.id,
                "sender": {"role": signal.role},
                "text": signal.text,
                "quick_replies": [
                    {"id": choice.id, "title": choice.title, "text": choice.text} for choice in signal.quick_replies
                ],
                "content": signal.content,
                "attachments": [_attachment(attachment) for attachment in signal.attachments],
            }
        case AgentTyping():
            return "agent.typing", {"on": signal.on}
        case AgentRead():
            return "message.read", {"ids": list(signal.message_ids)}
        case ConversationEnded():
            return "conversation.closed", {"reason": signal.reason}


def _attachment(attachment: Attachment) -> Json:
    if not attachment.url:
        raise ContentUnsupported("The file has no address that the channel could fetch it from.")
    facts = {"url": attachment.url, "mime": attachment.mime, "name": attachment.name}
    return {**facts, "caption": attachment.caption} if attachment.caption else facts


def _private_parts(signal: Signal, secrets: Sequence[Secret]) -> list[str]:
    """What a provider's answer may repeat, and no record of it may keep."""
    parts = [signal.consumer_id, *(secret.value.decode("utf-8", "replace") for secret in secrets)]
    if isinstance(signal, AgentMessage):
        parts += [signal.text, *signal.text.splitlines()]
        parts += [word for choice in signal.quick_replies for word in (choice.title, choice.text)]
        parts += [word for file in signal.attachments for word in (file.url, file.name, file.caption)]
        parts += _texts_in(signal.content)
    return parts


def _texts_in(tree: Any) -> list[str]:
    if isinstance(tree, str):
        return [tree]
    inner = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ()
    return [text for item in inner for text in _texts_in(item)]
