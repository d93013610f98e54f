"""
The calls that a step makes, run in threads: HTTP only, never the database.

Each function gets everything it needs and returns a Brought; it raises an error of core.errors.
"""

from __future__ import annotations

import hashlib
import mimetypes
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

import structlog
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.utils import timezone

from adapters.base import ChannelAdapter, Secret
from conversations.media import storage_path
from conversations.models import Dispatch
from core.breaker import Go
from core.errors import ConnectorError, ContentUnsupported, NotSent, RequestRejected, Unanswered
from core.events import Attachment, Signal
from core.http import AnswerTooLarge, HttpClient
from installations.breakers import UpstreamKey
from installations.connectors import Connector
from liveperson.auth import AppJWT, fetch_app_jwt_with_any, fetch_consumer_jws
from liveperson.client import LivePersonClient, Tokens
from liveperson.files import MAX_FILE_BYTES

logger = structlog.get_logger(__name__)

# What LivePerson takes from a consumer. Source: developers.liveperson.com/connector-api-send-api-examples.html
_FILE_TYPES = {"image/jpeg": "JPG", "image/png": "PNG", "image/gif": "GIF", "application/pdf": "PDF"}
_MIMES = {"JPG": "image/jpeg", "JPEG": "image/jpeg", "PNG": "image/png", "GIF": "image/gif", "PDF": "application/pdf"}


@dataclass(frozen=True, kw_only=True)
class StoredFile:
    """A file that was fetched and put into our own storage."""

    id: uuid.UUID
    name: str
    mime: str
    size: int
    sha256: bytes


@dataclass(frozen=True, kw_only=True)
class Brought:
    """What a step brought; only what applies is set."""

    sequence: int | None = None
    lp_conversation_id: str = ""
    consumer_jws: str = field(default="", repr=False)
    lp_consumer_id: str = ""
    progress: dict[str, Any] = field(default_factory=dict)
    file: StoredFile | None = None
    provider_ids: tuple[str, ...] = ()
    is_delivered: bool = False


@dataclass(frozen=True, kw_only=True)
class Job:
    """
    One attempt to make: what it belongs to, and the call itself.

    dispatch: as it was when the attempt began. Nobody else moves it while the lane's fence stands.
    connector: the one that the call uses. The channel may be given another installation meanwhile; what the call
        brings is this one's all the same.
    upstream, permit: what is called, and its breaker's leave to do so.
    """

    dispatch: Dispatch
    connector: Connector
    upstream: UpstreamKey | None
    permit: Go
    fence: int
    attempt_id: uuid.UUID
    app_generation: int
    correlation_id: str
    call: Callable[[], Brought] = field(repr=False)

    @property
    def lane_id(self) -> uuid.UUID:
        return self.dispatch.lane_id

    @property
    def account_id(self) -> uuid.UUID:
        """The account among which those who send take turns."""
        return self.dispatch.lane.account_id


@dataclass(frozen=True, kw_only=True)
class Done:
    """The end of a job: what it brought, or the error."""

    job: Job
    brought: Brought | None
    error: ConnectorError | None
    elapsed_ms: int


def perform(job: Job) -> Done:
    """Make the call of a job; whatever happens, there is a Done."""
    structlog.contextvars.bind_contextvars(correlation_id=job.correlation_id)
    started = time.perf_counter()
    brought, error = None, None
    try:
        brought = job.call()
    except ConnectorError as known:
        error = known
    except Exception as bug:
        # The call may have gone out before the bug struck; only the class is kept, for a message may hold anything.
        logger.exception("dispatch.call.broke", dispatch_id=str(job.dispatch.pk))
        error = Unanswered(f"An error of our own ({type(bug).__name__}) interrupted the call.")
    elapsed_ms = round((time.perf_counter() - started) * 1000)
    return Done(job=job, brought=brought, error=error, elapsed_ms=elapsed_ms)


def renew_app_jwt(*, client: LivePersonClient, client_id: str, secrets: tuple[str, ...]) -> AppJWT:
    """A fresh AppJWT with the newest secret that LivePerson accepts. Raises the error of the newest one."""
    token, _ = fetch_app_jwt_with_any(
        http=client.http,
        domains=client.domains,
        account_id=client.account_id,
        client_id=client_id,
        client_secrets=secrets,
    )
    return token


def identify(*, connector: Connector, app_jwt: str, ext_consumer_id: str) -> Brought:
    """Get the consumer's token."""
    client = connector.client
    jws = fetch_consumer_jws(
        http=client.http,
        domains=client.domains,
        account_id=client.account_id,
        app_jwt=app_jwt,
        ext_consumer_id=ext_consumer_id,
    )
    return Brought(consumer_jws=jws.token, lp_consumer_id=jws.lp_consumer_id)


def open_conversation(
    *, connector: Connector, tokens: Tokens, request_ids: tuple[str, str], profile: dict[str, Any]
) -> Brought:
    """Open a conversation with the consumer's profile, routed as the installation says."""
    installation = connector.installation
    opened = connector.client.open_conversation(
        tokens=tokens,
        request_ids=request_ids,
        profile=profile,
        campaign_id=installation.campaign_id,
        engagement_id=installation.engagement_id,
        skill_id=installation.skill_id,
    )
    return Brought(lp_conversation_id=opened.lp_conversation_id)


def fetch_agent_file(*, connector: Connector, tokens: Tokens, attachment: Attachment, file_id: uuid.UUID) -> Brought:
    """Fetch what an agent sent: LivePerson's link lives for a minute, so the bytes go into our own storage."""
    url = connector.client.request_download_url(
        tokens=tokens, relative_path=attachment.relative_path, request_id=str(file_id)
    )
    data = connector.client.download(url, max_bytes=MAX_FILE_BYTES)
    suffix = attachment.file_type.lower()
    name = attachment.name or (f"{attachment.caption or 'file'}.{suffix}" if suffix else attachment.caption or "file")
    mime = _MIMES.get(attachment.file_type.upper()) or mimetypes.guess_type(name)[0] or "application/octet-stream"
    return Brought(file=_store(file_id=file_id, name=name, mime=mime, data=data))


def upload_consumer_file(
    *, connector: Connector, tokens: Tokens, http: HttpClient, attachment: Attachment, file_id: uuid.UUID
) -> Brought:
    """Fetch what a consumer sent from where the channel keeps it, and upload it to LivePerson's storage."""
    _require_callable(http, attachment.url)
    try:
        answer = http.request("GET", attachment.url, max_bytes=MAX_FILE_BYTES, deadline_s=8.0)
    except AnswerTooLarge:
        limit_mb = MAX_FILE_BYTES // 2**20
        raise ContentUnsupported(f"The file is larger than the {limit_mb} MB that LivePerson takes.") from None
    if answer.status != 200:
        # None of these is about our credentials at LivePerson or about the message; a server in trouble recovers.
        problem = NotSent if answer.status in (408, 425, 429) or answer.status >= 500 else RequestRejected
        raise problem(f"The channel's file could not be fetched: HTTP {answer.status}.", http_status=answer.status)
    name = attachment.name or PurePosixPath(attachment.url.split("?")[0]).name or "file"
    mime = attachment.mime or answer.headers.get("content-type", "").split(";")[0].strip()
    file_type = _FILE_TYPES.get(mime.lower()) or _FILE_TYPES.get(mimetypes.guess_type(name)[0] or "")
    if file_type is None:
        raise ContentUnsupported(f"LivePerson does not take files of the type {mime or 'unknown'} from consumers.")
    url = connector.client.request_upload_url(
        tokens=tokens, file_size=len(answer.body), file_type=file_type, request_id=str(file_id)
    )
    connector.client.upload(url, answer.body)
    # Kept last: what a failed try left on the disk would belong to no row, and stay for ever.
    stored = _store(file_id=file_id, name=name, mime=mime, data=answer.body)
    return Brought(progress={"relative_path": url.relative_path, "file_type": file_type}, file=stored)


def _require_callable(http: HttpClient, url: str) -> None:
    """A file whose address is never called never comes: no reason to hold up what the consumer says next."""
    try:
        http.policy.check_url(url)
    except NotSent as refused:
        raise ContentUnsupported(f"The channel's file cannot be fetched. {refused.detail}") from None


def send_to_channel(
    *, adapter: ChannelAdapter, config: dict[str, Any], secrets: tuple[Secret, ...], signal: Signal, http: HttpClient
) -> Brought:
    """Hand a signal to the channel."""
    sent = adapter.send(signal, config=config, secrets=secrets, http=http, now=timezone.now())
    return Brought(provider_ids=tuple(sent.provider_ids), is_delivered=sent.state == "delivered")


def _store(*, file_id: uuid.UUID, name: str, mime: str, data: bytes) -> StoredFile:
    path = storage_path(file_id)
    if not default_storage.exists(path):
        default_storage.save(path, ContentFile(data))
    # The type is what the other side says it is; a header may hold anything.
    mime = mime[:100] if mime.isprintable() else "application/octet-stream"
    return StoredFile(id=file_id, name=name[:255], mime=mime, size=len(data), sha256=hashlib.sha256(data).digest())
