"""
The acknowledgement: verify over the raw bytes, store, ring, and only then say yes. Nothing is parsed before that
but a channel's body, whose shape its sender can still correct.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import IntegrityError, connection

from access.models import expires_on
from adapters.base import Secret, content_of
from adapters.registry import get_adapter
from core import queue
from core.errors import BodyUnusable, WebhookRejected
from core.ids import NO_ID, new_id
from webhooks import ledger, signatures, sources
from webhooks.ledger import Claim, Entry
from webhooks.models import Delivery, DeliveryState
from webhooks.patience import quick_transaction

# Does the work of a good verification where there is nothing to verify with, so that the time does not tell.
_NOBODY = ((NO_ID, b"nobody"),)
_NO_CHANNEL = (Secret(id=NO_ID, value=get_adapter("custom").new_secret().encode()),)


@dataclass(frozen=True, kw_only=True)
class Received:
    """problem: what makes a channel's body unusable; it is stored all the same."""

    delivery_id: uuid.UUID | None
    is_duplicate: bool = False
    problem: BodyUnusable | None = None


def receive_from_liveperson(
    *, installation_id: uuid.UUID, body: bytes, headers: Mapping[str, str], now: datetime
) -> Received:
    """
    Store an authentic notification, whatever it holds. Raises WebhookRejected for everything else.

    The two id headers are not signed: they may contradict the installation, but never choose it.
    """
    source = sources.installation_source(installation_id)
    secret_id = signatures.verify(
        body=body,
        header=headers.get("x-liveperson-signature", ""),
        secrets=source.secrets if source else _NOBODY,
        allowed_algorithms=signatures.ALGORITHMS[source.signature_policy if source else "AUTO"],
    )
    if source is None:
        raise WebhookRejected("Unknown or disabled installation.")
    if _contradicts(headers.get("x-liveperson-account-id"), source.lp_account_id) or _contradicts(
        headers.get("x-liveperson-client-id"), source.client_id
    ):
        raise WebhookRejected("The account or client header names another installation.")
    return _store(
        source=source,
        installation_id=source.id,
        secret_id=secret_id,
        body=body,
        request_identity="",
        headers={},
        now=now,
    )


def receive_from_channel(
    *,
    channel_id: uuid.UUID,
    suffix: str,
    method: str,
    body: bytes,
    headers: Mapping[str, str],
    now: datetime,
    url: str,
) -> Received:
    """Store what a channel sent, and tell whether its body can be used. Raises WebhookRejected when not authentic."""
    source = sources.channel_source(channel_id)
    adapter = source.adapter if source else get_adapter("custom")
    secrets = source.secrets if source else _NO_CHANNEL
    secret_id = adapter.verify(
        method=method, headers=headers, body=body, path_suffix=suffix, secrets=secrets, now=now, url=url
    )
    if source is None:
        raise WebhookRejected("Unknown or disabled channel.")
    problem, events = None, []
    try:
        events = source.adapter.parse_inbound(body, headers)
    except BodyUnusable as error:
        problem = error
    return _store(
        source=source,
        channel_id=source.id,
        secret_id=secret_id,
        body=body,
        # What is refused has had no effect: sent again under its id, and mended, it is taken.
        request_identity="" if problem else source.adapter.request_identity(headers)[:256],
        headers={key: value for key, value in headers.items() if key in _KEPT_HEADERS},
        now=now,
        problem=problem,
        identities=[(event.identity, content_of(event)) for event in events if ledger.is_lasting(event)],
    )


_KEPT_HEADERS = frozenset({"webhook-id", "webhook-timestamp", "content-type"})

# An inbox begins with its first authentic request; a stranger's request writes nothing.
_INSERT = """
    WITH inbox AS (
        INSERT INTO webhooks_inbox (id, brand_id, fence) VALUES (%s, %s, 0) ON CONFLICT DO NOTHING
    ), stored AS (
        INSERT INTO webhooks_delivery (id, brand_id, inbox_id, installation_id, channel_id, state, received_at,
            processed_at, secret_id, sha256, size, request_identity, start_count, detail)
        VALUES (%s, %s, %s, %s, %s, %s, %s, NULL, %s, %s, %s, %s, 0, %s)
        RETURNING id
    )
    INSERT INTO webhooks_deliverybody (delivery_id, raw, headers, expires_on)
    SELECT id, %s, %s, %s FROM stored
"""


def _store(
    *,
    source: sources.InstallationSource | sources.ChannelSource,
    secret_id: Any,
    body: bytes,
    request_identity: str,
    headers: dict[str, str],
    now: datetime,
    installation_id: uuid.UUID | None = None,
    channel_id: uuid.UUID | None = None,
    problem: BodyUnusable | None = None,
    identities: Sequence[tuple[str, bytes]] = (),
) -> Received:
    """identities: of the messages in the body, where they are known before it is applied, with their contents."""
    delivery_id = new_id()
    state = DeliveryState.QUARANTINED if problem else DeliveryState.STORED
    values = [
        source.id, source.brand_id,
        delivery_id, source.brand_id, source.id, installation_id, channel_id, state, now,
        secret_id, hashlib.sha256(body).digest(), len(body), request_identity, problem.detail[:300] if problem else "",
        body, json.dumps(headers), expires_on(now, retention_days=source.retention_days),
    ]  # fmt: skip
    try:
        with quick_transaction():
            known = ledger.claim(
                source_id=source.id,
                brand_id=source.brand_id,
                entries=[
                    Entry(delivery_id=delivery_id, identity=identity, content=content)
                    for identity, content in identities
                ],
                now=now,
            )
            is_repeat = bool(known) and Claim.FIRST not in known
            if is_repeat and Claim.CONFLICT not in known:
                return Received(delivery_id=None, is_duplicate=True)
            with connection.cursor() as cursor:
                cursor.execute(_INSERT, values)
            if problem is None:
                queue.ring()
    except IntegrityError:
        if not request_identity or not _is_known(source.id, request_identity):
            raise
        return Received(delivery_id=None, is_duplicate=True)
    return Received(delivery_id=delivery_id, is_duplicate=is_repeat, problem=problem)


def _is_known(inbox_id: uuid.UUID, request_identity: str) -> bool:
    with quick_transaction():
        return Delivery.objects.filter(inbox_id=inbox_id, request_identity=request_identity).exists()


def _contradicts(claimed: str | None, known: str) -> bool:
    return claimed is not None and not hmac.compare_digest(
        claimed.strip().lower().encode("utf-8", "replace"), known.lower().encode()
    )
