"""
What age removes, from one end to the other: bodies and identities here, the rest by conversations.services.retention.

A walk is the whole of it, batch by batch. Workers take a little of it at a time (connector_site.upkeep), and
`manage.py prune` all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from functools import partial

from django.conf import settings
from django.utils import timezone

from access import leftovers, sessions, sign_in
from access.models import Brand
from audit import failed_sign_ins
from conversations.services import retention
from conversations.services.retention import BATCH, Batch, Page, Place, count_removed, read_page
from core.actor import SYSTEM
from core.batches import batch_transaction
from webhooks import redating
from webhooks.models import Seen

BODIES, IDENTITIES = "delivery_bodies", "identities"
ANSWERS_TO_KEYS, ENDED_KEYS = "answers_to_api_keys", "digests_of_ended_api_keys"
SESSIONS, ATTEMPTS, FAILED_HOURS = "ended_sessions", "failed_attempts_to_sign_in", "hours_of_failed_sign_ins"
_LEFTOVERS: tuple[tuple[str, Callable[..., int]], ...] = (
    (ANSWERS_TO_KEYS, leftovers.forget_answers),
    (ENDED_KEYS, leftovers.forget_ended_keys),
    (SESSIONS, sessions.forget_ended),
    (ATTEMPTS, sign_in.forget_attempts),
    (FAILED_HOURS, failed_sign_ins.sum_up),
)
Now = Callable[[], datetime]


def walk(*, now: Now = timezone.now) -> Iterator[Batch]:
    """Remove everything whose time is over; each step of the iterator is one batch."""
    yield from redating.walk(now=now)
    today = now().date()
    yield from _pages(retention.CONTENTS, partial(retention.remove_contents, before=today, now=now()))
    yield from _pages(retention.FILES, partial(retention.remove_files, before=today))
    yield from _pages(BODIES, partial(remove_bodies, before=today))
    for brand in Brand.objects.filter(held_at=None):
        yield from _repeat(retention.ANSWERS, partial(retention.clear_answers, brand=brand, now=now()))
        yield from _repeat(retention.CHOICES, partial(retention.clear_choices, brand=brand, now=now()))
    yield from _forget_identities(now)
    for kind, forget in _LEFTOVERS:
        yield from _repeat(kind, partial(_forget, forget, now=now))
    for folder in retention.file_folders():
        yield Batch(kind="lost_files", count=retention.remove_lost_files(folder=folder, now=now()))
    retention.tell_trail(actor=SYSTEM)


def _pages(kind: str, remove: Callable[..., Page]) -> Iterator[Batch]:
    """From what is past its day the longest to what is so since yesterday."""
    place: Place | None = Place()
    while place is not None:
        page = remove(after=place)
        yield Batch(kind=kind, count=page.removed)
        place = page.end


def _repeat(kind: str, remove: Callable[[], int]) -> Iterator[Batch]:
    while count := remove():
        yield Batch(kind=kind, count=count)


def _forget(forget: Callable[..., int], *, now: Now) -> int:
    with batch_transaction():
        return forget(now=now(), at_most=BATCH)


# --- bodies ----------------------------------------------------------------------------------------------------------

_LOCK_BODIES = """
    SELECT body.delivery_id FROM webhooks_deliverybody body
    JOIN webhooks_delivery delivery ON delivery.id = body.delivery_id
    JOIN access_brand brand ON brand.id = delivery.brand_id
    WHERE body.delivery_id = ANY(%s) AND delivery.state <> 'STORED' AND brand.held_at IS NULL
    FOR UPDATE OF body SKIP LOCKED FOR SHARE OF brand SKIP LOCKED
"""
_STILL_TO_BE_APPLIED = """
    SELECT delivery_id FROM webhooks_event WHERE delivery_id = ANY(%s) AND outcome IN ('WAITING', 'HELD')
"""
# Whose words are in it, its events know: by the message that they made, by LivePerson's conversation, or, where a
# channel says something twice, by its id of the message.
_OF_HELD_CONSUMERS = """
    WITH event AS MATERIALIZED (
        SELECT event.*, delivery.channel_id, installation.account_id AS lp_account FROM webhooks_event event
        JOIN webhooks_delivery delivery ON delivery.id = event.delivery_id
        LEFT JOIN installations_appinstallation installation ON installation.id = delivery.installation_id
        WHERE event.delivery_id = ANY(%s)
    ), speaking AS (
        SELECT event.delivery_id, message.consumer_id FROM event
        JOIN conversations_message message ON message.id = event.message_id
        UNION ALL SELECT event.delivery_id, conversation.consumer_id FROM event
        JOIN conversations_conversation conversation
          ON conversation.account_id = event.lp_account AND conversation.lp_conversation_id = event.lp_conversation_id
        UNION ALL SELECT event.delivery_id, message.consumer_id FROM event
        JOIN conversations_message message
          ON message.channel_id = event.channel_id AND message.direction = 'TO_LIVEPERSON'
         AND message.channel_message_id <> '' AND message.channel_message_id = substr(event.identity, 3)
        WHERE event.identity LIKE 'm:%%'
    )
    SELECT speaking.delivery_id FROM speaking
    JOIN conversations_consumer consumer ON consumer.id = speaking.consumer_id WHERE consumer.held_at IS NOT NULL
"""
_DELETE_BODIES = """
    DELETE FROM webhooks_deliverybody body USING webhooks_delivery delivery
    WHERE delivery.id = body.delivery_id AND body.delivery_id = ANY(%s)
    RETURNING delivery.brand_id
"""


def remove_bodies(*, after: Place, before: date) -> Page:
    """Remove a page of bodies; digest, size and what became of each delivery stay."""
    with batch_transaction() as cursor:
        page, delivery_ids = read_page(cursor, "webhooks_deliverybody", "delivery_id", after=after, before=before)
        cursor.execute(_LOCK_BODIES, [delivery_ids])
        going = {delivery_id for (delivery_id,) in cursor.fetchall()}
        for question in (_STILL_TO_BE_APPLIED, _OF_HELD_CONSUMERS):
            cursor.execute(question, [list(going)])
            going -= {delivery_id for (delivery_id,) in cursor.fetchall()}
        cursor.execute(_DELETE_BODIES, [list(going)])
        brand_ids = [brand_id for (brand_id,) in cursor.fetchall()]
        count_removed(cursor, BODIES, brand_ids)
    return page.with_removed(len(brand_ids))


# --- identities ------------------------------------------------------------------------------------------------------

# Rows are numbered as they come, so the oldest stand first and no index by time is needed.
_OLDEST_IDENTITIES = """
    SELECT seen.id, seen.seen_at, seen.brand_id, brand.held_at IS NOT NULL FROM webhooks_seen seen
    JOIN access_brand brand ON brand.id = seen.brand_id
    WHERE seen.id > %s ORDER BY seen.id LIMIT %s FOR UPDATE OF seen SKIP LOCKED
"""


def _forget_identities(now: Now) -> Iterator[Batch]:
    """Forget what was seen longer ago than anybody would repeat it."""
    last_id: int | None = 0
    while last_id is not None:
        before = now() - timedelta(days=settings.IDENTITY_DAYS)
        last_id, count = _forget_some(after=last_id, before=before)
        if count:
            yield Batch(kind=IDENTITIES, count=count)


def _forget_some(*, after: int, before: datetime) -> tuple[int | None, int]:
    """Returns the last row that was looked at, None when the young ones have been reached, and how many went."""
    with batch_transaction() as cursor:
        cursor.execute(_OLDEST_IDENTITIES, [after, BATCH])
        rows = cursor.fetchall()
        old = [row for row in rows if row[1] < before]
        gone = [(seen_id, brand_id) for seen_id, _, brand_id, is_held in old if not is_held]
        Seen.objects.filter(pk__in=[seen_id for seen_id, _ in gone]).delete()
        count_removed(cursor, IDENTITIES, [brand_id for _, brand_id in gone])
    is_last = not rows or rows[-1][1] >= before
    return (None if is_last else rows[-1][0]), len(gone)
