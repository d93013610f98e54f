"""
What can go wrong between us, LivePerson and the channels, as one tree.

    ConnectorError                  code, retryable, operator_hint
    ├── NotProcessed                certainly without effect: tried again
    │   ├── NotSent                 no byte of the request was written
    │   ├── RateLimited             429, or 503 with Retry-After
    │   └── TokenExpired            renewed once, then CredentialsRejected
    ├── OutcomeUnknown              settled by evidence, then by policy; never retried blindly
    │   ├── Refused                 a 5xx answer
    │   └── Unanswered              timeout or reset after the first byte, garbage, our own death
    ├── PermanentError              the same request can never succeed
    │   ├── CredentialsRejected     pauses the installation or the channel
    │   ├── RequestRejected         other 4xx; carries the provider's code
    │   ├── ContentUnsupported      this channel cannot express this event
    │   ├── ConversationClosed      the lane opens a new one
    │   ├── ConversationAlreadyOpen LivePerson holds an open conversation that we do not know
    │   └── ConsumerGone            blocked or opted out
    └── WebhookRejected             signature, unknown id, disabled: one answer, 401
        └── BodyUnusable            authentic, but its content cannot be used: quarantined

    ConfigurationError              outside the tree on purpose: no delivery handler may swallow it

Imports nothing, so every package may use it. The text of an error is shown to operators: it holds no secret,
no message text and no URL with a query.
"""

from __future__ import annotations


class ConnectorError(Exception):
    """Something failed in the delivery of one thing; says what it was and what may be done about it."""

    code = "connector_error"
    retryable = False
    operator_hint = "Look at the attempt's answer."

    def __init__(
        self,
        detail: str = "",
        *,
        http_status: int | None = None,
        provider_code: str = "",
        answer_head: str = "",
    ) -> None:
        """
        detail: a sentence for an operator.
        provider_code: the provider's own code, such as "40102", where it gave one.
        answer_head: the beginning of the provider's answer, already redacted.
        """
        super().__init__(detail or self.__class__.__doc__ or self.code)
        self.detail = detail or (self.__class__.__doc__ or self.code).strip().splitlines()[0]
        self.http_status = http_status
        self.provider_code = provider_code
        self.answer_head = answer_head


class NotProcessed(ConnectorError):
    """The request certainly had no effect."""

    code = "not_processed"
    retryable = True
    operator_hint = "Nothing to do: it is tried again."


class NotSent(NotProcessed):
    """No byte of the request was written: name resolution, connect, TLS, or a refused address."""

    code = "not_sent"
    operator_hint = "The other side cannot be reached. Check its address and the network; sending goes on by itself."


class RateLimited(NotProcessed):
    """The other side asked us to slow down."""

    code = "rate_limited"
    operator_hint = "Nothing to do: sending slows down and goes on by itself."

    def __init__(self, detail: str = "", *, retry_after_s: float | None = None, **facts: object) -> None:
        """retry_after_s: seconds to wait at least, or None when the answer did not say."""
        super().__init__(detail, **facts)  # type: ignore[arg-type]
        self.retry_after_s = retry_after_s


class TokenExpired(NotProcessed):
    """LivePerson says that a token has expired or is invalid."""

    code = "token_expired"
    operator_hint = "Nothing to do: the token is renewed."


class OutcomeUnknown(ConnectorError):
    """The request may or may not have had an effect."""

    code = "outcome_unknown"
    operator_hint = "Wait for evidence, or resolve it by hand with the evidence in view."


class Refused(OutcomeUnknown):
    """The other side answered with a server error."""

    code = "refused"
    operator_hint = "The other side is in trouble; it is sent again after a pause."


class Unanswered(OutcomeUnknown):
    """The request was written, but no usable answer came back."""

    code = "unanswered"


class PermanentError(ConnectorError):
    """The same request can never succeed."""

    code = "permanent_error"


class CredentialsRejected(PermanentError):
    """The other side does not accept our credentials."""

    code = "credentials_rejected"
    operator_hint = "Check the client id and the secret, add the right secret, test the connection, then resume."


class RequestRejected(PermanentError):
    """The other side rejected this request."""

    code = "request_rejected"
    operator_hint = "Look at the answer: the request has to be changed before it is sent again."


class ContentUnsupported(PermanentError):
    """This channel cannot express this content."""

    code = "content_unsupported"
    operator_hint = "The agent has to say it in another way."


class ConversationClosed(PermanentError):
    """The conversation or dialog is closed on LivePerson's side."""

    code = "conversation_closed"
    operator_hint = "Nothing to do: a new conversation is opened for the next message."


class ConversationAlreadyOpen(PermanentError):
    """LivePerson already has an open conversation of this consumer."""

    code = "conversation_already_open"
    operator_hint = "Waits for the notification that tells the open conversation's id; else close it in LivePerson."


class ConsumerGone(PermanentError):
    """The consumer blocked us, opted out or left the channel."""

    code = "consumer_gone"
    operator_hint = "Nothing can be sent until the consumer writes again."


class WebhookRejected(ConnectorError):
    """The request is not authentic, or not for a connector that is in use."""

    code = "webhook_rejected"


class BodyUnusable(WebhookRejected):
    """The body is authentic but cannot be used."""

    code = "body_unusable"

    def __init__(self, detail: str, *, field: str = "") -> None:
        """field: dotted path of the member that is wrong, such as "data.consumer.id"; empty for the whole body."""
        super().__init__(detail)
        self.field = field


class ConfigurationError(Exception):
    """The site is set up wrongly; somebody has to change a setting."""


def kinds() -> list[type[ConnectorError]]:
    """Every kind of the tree that is known by now, each before those below it."""
    found: list[type[ConnectorError]] = [ConnectorError]
    for one in found:
        found += one.__subclasses__()
    return found


# Several kinds may share the code of the first.
_HINTS = {one.code: one.operator_hint for one in reversed(kinds())}


def hint_of(code: str) -> str:
    """What an operator can do where a code of the tree is all that is known; empty for others."""
    return _HINTS.get(code, "")
