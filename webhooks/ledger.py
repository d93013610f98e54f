"""The ledger of identities: an event takes effect once, however often, however late, however concurrently it comes."""

from __future__ import annotations

import enum
import hashlib
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import connection

from core.events import ChannelEvent, ConsumerMessage, QuickReplyChosen


class Claim(enum.Enum):
    FIRST = enum.auto()  # this delivery brought it first: it takes effect
    DUPLICATE = enum.auto()
    CONFLICT = enum.auto()  # the same identity with other content: kept, flagged, never applied


@dataclass(frozen=True, kw_only=True)
class Entry:
    """An event of a delivery, to be entered. content: what it says, to tell a repeat from a contradiction."""

    delivery_id: uuid.UUID
    identity: str
    content: bytes


# The update changes nothing; it makes the statement return the row that is there, and wait for one that is being made.
# In one order always, so that no two wait for each other.
_CLAIM = """
    INSERT INTO webhooks_seen AS seen (brand_id, source_id, digest, content_digest, delivery_id, seen_at)
    SELECT %s, %s, entry.digest, entry.content_digest, entry.delivery_id, %s
    FROM unnest(%s::bytea[], %s::bytea[], %s::uuid[]) AS entry (digest, content_digest, delivery_id)
    ORDER BY entry.digest
    ON CONFLICT (source_id, digest) DO UPDATE SET seen_at = seen.seen_at
    RETURNING digest, delivery_id, content_digest
"""


def claim(*, source_id: uuid.UUID, brand_id: uuid.UUID, entries: Sequence[Entry], now: datetime) -> list[Claim]:
    """
    Enter events of one source; tells of each whether it is the first of its identity. Of two among the entries the
    earlier one is. Repeatable for the same delivery.
    """
    if not entries:
        return []
    firsts: dict[bytes, tuple[bytes, uuid.UUID]] = {}
    digests = [(_digest(entry.identity.encode()), _digest(entry.content)) for entry in entries]
    for entry, (digest, content_digest) in zip(entries, digests, strict=True):
        firsts.setdefault(digest, (content_digest, entry.delivery_id))
    contents, owners = zip(*firsts.values(), strict=True)
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM, [brand_id, source_id, now, list(firsts), list(contents), list(owners)])
        known = {bytes(digest): (owner, bytes(content)) for digest, owner, content in cursor.fetchall()}
    return [
        _judge(entry.delivery_id, content_digest, *known[digest])
        for entry, (digest, content_digest) in zip(entries, digests, strict=True)
    ]


def _judge(delivery_id: uuid.UUID, content_digest: bytes, owner: uuid.UUID, known_digest: bytes) -> Claim:
    if owner == delivery_id:
        return Claim.FIRST
    # Without a digest: its consumer was erased, and what it said is not known any more.
    return Claim.DUPLICATE if known_digest in (content_digest, b"") else Claim.CONFLICT


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
