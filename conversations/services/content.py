"""
What was said, told to programs: weighed before it is loaded, and never read without an entry in the trail.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence

from django.db import connection, transaction

from access.models import Brand
from audit import api as audit
from conversations.models import Message, MessageContent
from core.actor import Actor

# Of contents on one page, as they stand in the database.
MOST_BYTES = 16 * 1024 * 1024

_WEIGH = """
    SELECT message_id, octet_length(text) + octet_length(attachments::text) + octet_length(quick_replies::text)
           + COALESCE(octet_length(element::text), 0)
    FROM conversations_messagecontent WHERE message_id = ANY(%s)
"""


def fitting(messages: Sequence[Message]) -> int:
    """How many of these messages, from the first one on, can be told together; one at least."""
    with connection.cursor() as cursor:
        cursor.execute(_WEIGH, [[message.pk for message in messages]])
        weights: dict[uuid.UUID, int] = dict(cursor.fetchall())
    total = 0
    for place, message in enumerate(messages):
        total += weights.get(message.pk, 0)
        if place and total > MOST_BYTES:
            return place
    return len(messages)


@transaction.atomic
def read(messages: Sequence[Message], *, actor: Actor) -> Mapping[uuid.UUID, MessageContent]:
    """
    The contents of these messages, by message; those that were removed are not among them.

    Who read them is recorded in the same transaction: one entry for each brand.
    """
    brands = {message.pk: message.brand_id for message in messages}
    found = MessageContent.objects.in_bulk(list(brands))
    read_in: dict[uuid.UUID, list[uuid.UUID]] = defaultdict(list)
    for message_id in sorted(found):
        read_in[brands[message_id]].append(message_id)
    for brand in Brand.objects.filter(pk__in=read_in).order_by("pk"):
        ids = [str(one) for one in read_in[brand.pk]]
        data = {"count": len(ids), "first": ids[0], "last": ids[-1], "ids": ids}
        audit.record("message.content_read", actor=actor, subject=brand, data=data)
    return found


def kept_for(messages: Sequence[Message]) -> frozenset[uuid.UUID]:
    """Those of these messages whose contents are still there. Nothing of them is read."""
    ids = [message.pk for message in messages]
    return frozenset(MessageContent.objects.filter(pk__in=ids).values_list("pk", flat=True))


__all__ = ["MOST_BYTES", "fitting", "kept_for", "read"]
