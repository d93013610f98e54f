"""
Outbound HTTP that cannot be led astray, cannot hang, and says how far a request got.

Built on requests with a transport of our own. What it adds: the address that was judged is the one connected to, with
the host's own name in SNI and Host; no proxy, no .netrc, no cookie, no redirect, no retry; one deadline over
resolving, connecting, TLS, writing, headers and body; an answer that is never larger than asked for nor compressed;
a connection that was idle for 2 s is not used again, because the other side may be closing it just then.

Two errors of core.errors tell the caller what may have happened: NotSent, when certainly no byte of the request was
written, and Unanswered, when bytes may have been written and no complete answer came. Their texts name the host and
nothing else of a request: no path, query, header or body.
"""

from __future__ import annotations

import json as jsonlib
import logging
import os
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Any

import requests
from requests.structures import CaseInsensitiveDict
from urllib3.exceptions import HTTPError

from core.errors import ConnectorError, NotSent, RequestRejected, Unanswered
from core.http_guard import OutboundPolicy
from core.http_transport import Call, DeadlineTLSSocket, GuardedAdapter, Resolve, current, default_tls, system_resolve

__all__ = ["Answer", "AnswerTooLarge", "HttpClient", "OutboundPolicy", "encode_json", "mend"]

USER_AGENT = "ConnectorSite"
_READ_BYTES = 1 << 16

# Everything that requests, urllib3 and http.client raise for what the other side did.
_FAILURES = (requests.RequestException, HTTPError, HTTPException, OSError, ValueError, ConnectorError)

# Below this level urllib3 logs whole URLs, and the signature of a temporary file URL is in its query.
logging.getLogger("urllib3").setLevel(logging.ERROR)


class AnswerTooLarge(Unanswered):
    """The answer is larger than the caller is ready to read."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A complete answer, whatever its status. Its header names are found in any case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    elapsed_ms: int
    host: str


class HttpClient:
    """
    Calls other hosts, as far as the policy lets it. One instance serves all threads of a process.

    pool_size: how many idle connections to one host are kept.
    tls: for tests with a certificate authority of their own.
    resolve: (host, port) -> addresses; for tests.
    """

    def __init__(
        self,
        policy: OutboundPolicy,
        pool_size: int = 64,
        *,
        tls: ssl.SSLContext | None = None,
        resolve: Resolve | None = None,
    ) -> None:
        self.policy = policy
        self._pool_size = pool_size
        self._tls = tls or default_tls()
        self._tls.sslsocket_class = DeadlineTLSSocket
        self._resolve = resolve or system_resolve
        self._lock = threading.Lock()
        self._process = 0
        self._adapter: GuardedAdapter | None = None

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        json: Any = None,
        form: Mapping[str, str] | None = None,
        body: bytes | None = None,
        deadline_s: float = 8.0,
        max_bytes: int = 1 << 20,
    ) -> Answer:
        """
        Send one request and read the whole answer; redirects and error statuses are answers like any other.

        json, form, body: at most one of them. deadline_s: for everything together. max_bytes: of the answer's body.

        Raises NotSent, Unanswered (AnswerTooLarge among them), and RequestRejected when the request cannot be written
        down at all: a header with a line break, a value that JSON does not have.
        """
        target = self.policy.check_url(url)
        prepared = _prepare(method, url, headers, params, json, form, body)
        call = Call(target, time.monotonic() + deadline_s, deadline_s, self.policy, self._resolve)
        started = time.monotonic()
        problem: Exception | None = None
        current.call = call
        try:
            status, answer_headers, content = self._exchange(prepared, max_bytes, target.host)
        except _FAILURES as error:
            problem = error
        finally:
            current.call = None
        if problem is not None:
            # Raised out here, so that the original, which holds the URL, is not kept as the new error's context.
            raise _told(problem, call)
        elapsed_ms = round((time.monotonic() - started) * 1000)
        return Answer(status=status, headers=answer_headers, body=content, elapsed_ms=elapsed_ms, host=target.host)

    def close(self) -> None:
        """Close the idle connections."""
        with self._lock:
            adapter, self._adapter = self._adapter, None
        if adapter is not None:
            adapter.close()

    def _exchange(
        self, prepared: requests.PreparedRequest, max_bytes: int, host: str
    ) -> tuple[int, CaseInsensitiveDict[str], bytes]:
        response = self._own_adapter().send(prepared, stream=True, timeout=None, verify=True)
        finished = False
        try:
            encoding = response.headers.get("Content-Encoding", "").strip().lower()
            if encoding not in ("", "identity"):
                raise Unanswered(
                    f"{host} sent a compressed answer although none was asked for.",
                    http_status=response.status_code,
                )
            content = _read(response, max_bytes, host)
            finished = True
        finally:
            if not finished:
                response.raw.close()
            response.raw.release_conn()
        return response.status_code, response.headers, content

    def _own_adapter(self) -> GuardedAdapter:
        """The connections of this very process: after a fork the parent's must not be used by both."""
        adapter = self._adapter
        if adapter is None or self._process != os.getpid():
            with self._lock:
                if self._adapter is None or self._process != os.getpid():
                    self._adapter = GuardedAdapter(self._tls, self._pool_size)
                    self._process = os.getpid()
                adapter = self._adapter
        return adapter


def encode_json(value: Any) -> bytes:
    """
    Compact JSON in UTF-8, its letters unescaped. Half a surrogate pair, which UTF-8 does not have, becomes U+FFFD.

    Raises ValueError or TypeError for what JSON does not have, such as NaN.
    """
    text = jsonlib.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return mend(text).encode()


def mend(text: str) -> str:
    """The same text, fit for UTF-8: two halves of a surrogate pair are joined, a lone one becomes U+FFFD."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


# --- requests, answers, errors ---------------------------------------------------------------------------------------


def _prepare(
    method: str,
    url: str,
    headers: Mapping[str, str] | None,
    params: Mapping[str, str] | None,
    json: Any,
    form: Mapping[str, str] | None,
    body: bytes | None,
) -> requests.PreparedRequest:
    sent_headers = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity", **(headers or {})}
    prepared = requests.PreparedRequest()
    try:
        if json is not None:
            body = encode_json(json)
            sent_headers.setdefault("Content-Type", "application/json")
        for value in sent_headers.values():
            value.encode("latin-1")
        prepared.prepare(
            method=method, url=url, headers=sent_headers, params=dict(params or {}), data=form or body, files=None
        )
        return prepared
    except (requests.RequestException, ValueError, TypeError, RecursionError):
        pass
    raise RequestRejected(
        "The request cannot be written down: a header or a value in it is not allowed in HTTP or JSON."
    )


def _read(response: requests.Response, max_bytes: int, host: str) -> bytes:
    parts: list[bytes] = []
    size = 0
    while part := response.raw.read(_READ_BYTES, decode_content=False):
        size += len(part)
        if size > max_bytes:
            raise AnswerTooLarge(
                f"The answer of {host} is larger than {max_bytes} bytes.",
                http_status=response.status_code,
            )
        parts.append(part)
    return b"".join(parts)


def _told(problem: Exception, call: Call) -> ConnectorError:
    """The error of our own tree for what went wrong. Of the original only the class is looked at, never the text."""
    if isinstance(problem, ConnectorError):
        return problem
    causes = list(_causes(problem))
    late = any(isinstance(cause, TimeoutError) for cause in causes) or time.monotonic() >= call.deadline_at
    host = call.target.host
    if call.has_written:
        if late:
            return Unanswered(f"{host} did not answer completely within {call.deadline_s:g} s.")
        return Unanswered(f"The connection to {host} ended before a complete and readable answer came.")
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return NotSent(f"The certificate of {host} is not accepted: {cause.verify_message}. Nothing was sent.")
    if late:
        return NotSent(f"Gave up {call.step} {host} after {call.deadline_s:g} s. Nothing was sent.")
    return NotSent(f"The connection failed while {call.step} {host}. Nothing was sent.")


def _causes(problem: BaseException) -> Iterator[BaseException]:
    """The exception and those that it wraps: libraries keep them as cause, context, argument or reason."""
    todo: list[object] = [problem]
    seen: set[int] = set()
    while todo:
        error = todo.pop()
        if not isinstance(error, BaseException) or id(error) in seen:
            continue
        seen.add(id(error))
        yield error
        todo += [error.__cause__, error.__context__, getattr(error, "reason", None), *error.args]
