"""From a provider's HTTP answer to an error of core.errors, where a provider has no rules of its own."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from urllib.parse import quote

from adapters.base import Answer, header
from core.errors import (
    ConnectorError,
    ConsumerGone,
    CredentialsRejected,
    RateLimited,
    Refused,
    RequestRejected,
    Unanswered,
)
from core.redaction import MASK, answer_head
from core.retry import parse_retry_after


def error_from_answer(answer: Answer, *, now: datetime, hide: Iterable[str]) -> ConnectorError | None:
    """
    The error that an answer means, None for a 2xx.

    hide: what must not be kept of the answer, should the provider repeat it: secrets, texts, consumers' ids.
    """
    status = answer.status
    if 200 <= status < 300:
        return None
    head = answer_head(mask(answer.body, hide=hide))
    retry_after_s = parse_retry_after(header(answer.headers, "retry-after"), now=now)
    if status == 429 or (status == 503 and header(answer.headers, "retry-after")):
        return RateLimited(
            f"The channel asked us to slow down (HTTP {status}).",
            retry_after_s=retry_after_s,
            http_status=status,
            answer_head=head,
        )
    kind, sentence = _meaning(status)
    return kind(sentence, http_status=status, answer_head=head)


def _meaning(status: int) -> tuple[type[ConnectorError], str]:
    if status in (401, 403):
        return CredentialsRejected, f"The channel did not accept our signature or credentials (HTTP {status})."
    if status == 410:
        return ConsumerGone, "The channel says that the consumer is gone (HTTP 410)."
    if 300 <= status < 400:
        return RequestRejected, f"The channel's address answers with a redirect (HTTP {status}). Enter the new address."
    if 400 <= status < 500:
        return RequestRejected, f"The channel rejected the request (HTTP {status})."
    if status >= 500:
        return Refused, f"The channel answered with a server error (HTTP {status})."
    return Unanswered, f"The channel's answer makes no sense (HTTP {status})."


def mask(body: bytes, *, hide: Iterable[str]) -> bytes:
    """The same with each hidden text masked, also where it is written as in JSON or in a URL."""
    text = body.decode("utf-8", "replace")
    for secret in sorted({part.strip() for part in hide if part.strip()}, key=len, reverse=True):
        forms = {secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1], quote(secret, safe="")}
        for form in sorted(forms, key=len, reverse=True):
            text = text.replace(form, MASK)
    return text.encode("utf-8")
