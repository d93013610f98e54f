"""The ledger of identities: an event takes effect once, however often, however late, however concurrently it comes."""

from __future__ import annotations

import enum
import hashlib
import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import connection

from core.events import ChannelEvent, ConsumerMessage, QuickReplyChosen


class Claim(enum.Enum):
    FIRST = enum.auto()  # this delivery brought it first: it takes effect
    DUPLICATE = enum.auto()
    CONFLICT = enum.auto()  # the same identity with other content: kept, flagged, never applied


# The update changes nothing; it makes the statement return the row that is there, and wait for one that is being made.
_CLAIM = """
    INSERT INTO webhooks_seen AS seen (brand_id, source_id, digest, content_digest, delivery_id, seen_at)
    VALUES (%s, %s, %s, %s, %s, %s)
    ON CONFLICT (source_id, digest) DO UPDATE SET seen_at = seen.seen_at
    RETURNING delivery_id, content_digest
"""


def claim(
    *,
    source_id: uuid.UUID,
    brand_id: uuid.UUID,
    delivery_id: uuid.UUID,
    identity: str,
    content: bytes,
    now: datetime,
) -> Claim:
    """Enter an event of a delivery; tells whether it is the first of its identity. Repeatable for the same delivery."""
    content_digest = _digest(content)
    values: list[Any] = [brand_id, source_id, _digest(identity.encode()), content_digest, delivery_id, now]
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM, values)
        owner, known_digest = cursor.fetchone()
    if owner == delivery_id:
        return Claim.FIRST
    # Without a digest: its consumer was erased, and what it said is not known any more.
    return Claim.DUPLICATE if bytes(known_digest) in (content_digest, b"") else Claim.CONFLICT


_FORGET_CONTENTS = """
    UPDATE webhooks_seen seen SET content_digest = ''
    FROM unnest(%s::uuid[], %s::bytea[]) AS gone (source_id, digest)
    WHERE seen.source_id = gone.source_id AND seen.digest = gone.digest
"""


def forget_contents(identities: Sequence[tuple[uuid.UUID, str]]) -> None:
    """Forget what events said, (source id, identity): a digest of a few words can be guessed. They stay known."""
    if identities:
        with connection.cursor() as cursor:
            sources, digests = zip(*((source, _digest(known.encode())) for source, known in identities), strict=True)
            cursor.execute(_FORGET_CONTENTS, [list(sources), list(digests)])


def is_lasting(event: ChannelEvent) -> bool:
    """Whether an event has an identity of its own beyond the request that brought it."""
    return isinstance(event, (ConsumerMessage, QuickReplyChosen))


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()[:16]
