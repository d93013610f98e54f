"""
Counts what brands use, month by month, and measures what they store: a portion of rows at a time (portions).

A row belongs to the month of the time at which it was made. There are two walks through the rows of each kind: *soon*
stays a minute behind the clock and shows the month that runs, *final* stays a day behind and is what counts. A month is
final when the second one has passed its end; then it never changes again.

Sends are walked by the moment at which they were accepted, and belong to its month: an old one that is sent again in
another month changes no month that is over.

What retention and erasure remove has been counted, or is counted from what stays of it (RemovedFile).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.db.backends.utils import CursorWrapper

from conversations.models import Reckoning, UsageStorage, UsageWalk
from conversations.services import portions
from conversations.services.portions import Place, Source, by_id
from core.batches import batch_transaction
from core.ids import new_id

BEHIND = {Reckoning.SOON: timedelta(minutes=1), Reckoning.FINAL: timedelta(days=1)}
MEASURED_EVERY = timedelta(hours=6)


def month_of(moment: datetime) -> date:
    """The first day of the month of UTC."""
    return moment.astimezone(UTC).date().replace(day=1)


# --- what is counted -------------------------------------------------------------------------------------------------

_MESSAGES = Source(
    name="messages",
    keys=by_id("conversations_message"),
    counts="""
        WITH portion AS (
            SELECT brand_id, channel_id, consumer_id, direction, audience FROM conversations_message
            WHERE id > %(after_id)s AND id <= %(to_id)s
        ), first_seen AS (
            INSERT INTO conversations_usageconsumer (reckoning, month, channel_id, consumer_id)
            SELECT DISTINCT %(reckoning)s, %(month)s::date, channel_id, consumer_id FROM portion
            ON CONFLICT DO NOTHING RETURNING channel_id
        )
        SELECT brand_id, channel_id,
            count(*) FILTER (WHERE direction = 'TO_LIVEPERSON') AS messages_to_liveperson,
            count(*) FILTER (WHERE direction = 'TO_CHANNEL' AND audience <> 'STAFF') AS messages_to_channel,
            count(*) FILTER (WHERE audience = 'STAFF') AS private_notes,
            (SELECT count(*) FROM first_seen WHERE first_seen.channel_id = portion.channel_id) AS consumers
        FROM portion GROUP BY brand_id, channel_id
    """,
)
# One row of the outbox is one send of one part. A send that may have arrived twice is one: the brand asked for one.
_SEGMENTS = Source(
    name="segments",
    walked_by="moment",
    keys="""
        SELECT finished_at, id FROM conversations_dispatch
        WHERE state = 'SENT' AND message_id IS NOT NULL
          AND (finished_at, id) > (%(after_at)s, %(after_id)s) AND finished_at < %(before_at)s
        ORDER BY finished_at, id LIMIT %(limit)s
    """,
    counts="""
        SELECT message.brand_id, message.channel_id,
            count(*) FILTER (WHERE message.direction = 'TO_LIVEPERSON') AS segments_to_liveperson,
            count(*) FILTER (WHERE message.direction = 'TO_CHANNEL') AS segments_to_channel
        FROM conversations_dispatch dispatch JOIN conversations_message message ON message.id = dispatch.message_id
        WHERE dispatch.state = 'SENT' AND dispatch.message_id IS NOT NULL
          AND (dispatch.finished_at, dispatch.id) > (%(after_at)s, %(after_id)s)
          AND (dispatch.finished_at, dispatch.id) <= (%(to_at)s, %(to_id)s)
          AND dispatch.finished_at BETWEEN %(after_at)s AND %(to_at)s  -- says the same, and leads to the index
          AND dispatch.kind IN ('TEXT', 'FILE', 'RICH')
        GROUP BY message.brand_id, message.channel_id
    """,
)
_FILES = Source(
    name="files",
    keys=f"""
        SELECT * FROM (({by_id("conversations_mediafile")}) UNION ALL ({by_id("conversations_removedfile")})) file
        ORDER BY 2 LIMIT %(limit)s
    """,  # noqa: S608 -- constants of ours
    counts="""
        SELECT brand_id, channel_id, count(*) AS media_files, sum(size) AS media_bytes FROM (
            SELECT message.brand_id, message.channel_id, file.size FROM conversations_mediafile file
            JOIN conversations_message message ON message.id = file.message_id
            WHERE file.id > %(after_id)s AND file.id <= %(to_id)s
            UNION ALL SELECT brand_id, channel_id, size FROM conversations_removedfile
            WHERE id > %(after_id)s AND id <= %(to_id)s
        ) file GROUP BY brand_id, channel_id
    """,
)
_CONVERSATIONS = Source(
    name="conversations",
    keys=by_id("conversations_conversation"),
    counts="""
        SELECT brand_id, channel_id, count(*) AS conversations_opened FROM conversations_conversation
        WHERE id > %(after_id)s AND id <= %(to_id)s GROUP BY brand_id, channel_id
    """,
)
COUNTED = (_MESSAGES, _SEGMENTS, _FILES, _CONVERSATIONS)


def count_some(source: Source, reckoning: Reckoning, *, now: datetime) -> bool:
    """Count the next portion; False when there is none now, or somebody else is at it."""
    before = now - BEHIND[reckoning]
    with batch_transaction() as cursor:
        walk = portions.lock_walk(cursor, _walk_name(source, reckoning))
        if walk is None or portions.has_passed(walk, before):
            return False
        after = Place.read(walk.place)
        places = portions.next_places(cursor, source, after=after, before=before)
        if places:
            month = month_of(places[0].at)
            portion = [one for one in places if month_of(one.at) == month]
            cursor.execute(source.counts, portions.between(after, portion[-1], month=month, reckoning=reckoning.value))
            _add(cursor, _ADD_COUNT, {"reckoning": reckoning.value, "month": month})
        is_more = len(places) == portions.PORTION or (bool(places) and len(portion) < len(places))
        # What is committed so late that the walk has passed its place changes no figure any more.
        to = portion[-1] if is_more else source.place_at(before)
        walk.place, walk.counted_to = to.as_json(), to.at
        walk.save()
    return is_more


def forget_consumers() -> bool:
    """Forget some of those who were counted in months that are final; False when nobody is left."""
    with batch_transaction() as cursor:
        cursor.execute(_FORGET_CONSUMERS, [first_open_month(all_walks()), portions.PORTION])
        return bool(cursor.rowcount == portions.PORTION)


_FORGET_CONSUMERS = """
    DELETE FROM conversations_usageconsumer WHERE id IN (
        SELECT id FROM conversations_usageconsumer WHERE month < %s LIMIT %s FOR UPDATE SKIP LOCKED)
"""


# --- what is measured ------------------------------------------------------------------------------------------------

_CONTENT_STORED = Source(
    name="contents",
    keys=by_id("conversations_messagecontent", "message_id"),
    counts="""
        SELECT message.brand_id, message.channel_id, sum(octet_length(content.text)
            + octet_length(COALESCE(NULLIF(content.attachments::text, '[]'), ''))
            + octet_length(COALESCE(content.element::text, ''))
            + octet_length(COALESCE(NULLIF(content.quick_replies::text, '[]'), ''))
            + octet_length(COALESCE(NULLIF(content.metadata::text, '[]'), ''))) AS content_bytes
        FROM conversations_messagecontent content JOIN conversations_message message ON message.id = content.message_id
        WHERE content.message_id > %(after_id)s AND content.message_id <= %(to_id)s
        GROUP BY message.brand_id, message.channel_id
    """,
)
_FILES_STORED = Source(
    name="files",
    keys=by_id("conversations_mediafile"),
    counts="""
        SELECT message.brand_id, message.channel_id, sum(file.size) AS file_bytes FROM conversations_mediafile file
        JOIN conversations_message message ON message.id = file.message_id
        WHERE file.id > %(after_id)s AND file.id <= %(to_id)s GROUP BY message.brand_id, message.channel_id
    """,
)
STORED = (_CONTENT_STORED, _FILES_STORED)
_STORAGE = "storage"


def measure_some(sources: Sequence[Source], *, now: datetime) -> bool:
    """
    Measure the next portion of what is stored; False when that is not due, or somebody else is at it.

    A walk ends with all of its sums in the place of those of an earlier walk of the month.
    """
    with batch_transaction() as cursor:
        walk = portions.lock_walk(cursor, _STORAGE)
        if walk is None or (walk.month is None and walk.counted_to and now - walk.counted_to < MEASURED_EVERY):
            return False
        if walk.month is None:
            walk.month, walk.place = month_of(now), {"source": sources[0].name, **Place().as_json()}
        stored = walk.place or {}
        at = [one.name for one in sources].index(stored["source"])
        after = Place.read(stored)
        places = portions.next_places(cursor, sources[at], after=after, before=now)
        if places:
            cursor.execute(sources[at].counts, portions.between(after, places[-1], month=walk.month, reckoning=""))
            _add(cursor, _ADD_STORAGE, {"month": walk.month})
            walk.place = {"source": sources[at].name, **places[-1].as_json()}
        elif at + 1 < len(sources):
            walk.place = {"source": sources[at + 1].name, **Place().as_json()}
        else:
            UsageStorage.objects.filter(month=walk.month, measured_at__isnull=False).delete()
            UsageStorage.objects.filter(month=walk.month).update(measured_at=now)
            walk.month, walk.place, walk.counted_to = None, None, now
        walk.save()
        return walk.month is not None


# --- sums ------------------------------------------------------------------------------------------------------------

_ADD_COUNT = """
    INSERT INTO conversations_usagecount AS known ({names}) VALUES ({values})
    ON CONFLICT (reckoning, month, brand_id, channel_id) DO UPDATE SET {sums}
"""
_ADD_STORAGE = """
    INSERT INTO conversations_usagestorage AS known ({names}) VALUES ({values})
    ON CONFLICT (month, brand_id, channel_id) WHERE measured_at IS NULL DO UPDATE SET {sums}
"""


def _add(cursor: CursorWrapper, statement: str, shared: dict[str, Any]) -> None:
    """Add the rows that were just counted to the sums, in one order: so two portions never wait for each other."""
    names = [column.name for column in cursor.description or ()]
    rows = sorted(cursor.fetchall(), key=lambda row: (str(row[0]), str(row[1])))
    filled = statement.format(
        names=", ".join(["id", *shared, *names]),
        values=", ".join(["%s"] * (1 + len(shared) + len(names))),
        sums=", ".join(f"{name} = known.{name} + EXCLUDED.{name}" for name in names[2:]),
    )
    if rows:
        cursor.executemany(filled, [(new_id(), *shared.values(), *row) for row in rows])


# --- how far it has come ---------------------------------------------------------------------------------------------


def all_walks() -> dict[str, UsageWalk]:
    """By name."""
    return {walk.name: walk for walk in UsageWalk.objects.all()}


def counted_to(walks: Mapping[str, UsageWalk], reckoning: Reckoning) -> datetime | None:
    """How far all walks of a count have come. walks: by name."""
    return portions.counted_to(walks, [_walk_name(source, reckoning) for source in COUNTED])


def first_open_month(walks: Mapping[str, UsageWalk]) -> date:
    """All months before this one are final. walks: by name."""
    moments = [counted_to(walks, reckoning) for reckoning in Reckoning]
    months = [month_of(moment) if moment else date.min for moment in moments]
    measuring = walks.get(_STORAGE)
    return min([*months, *([measuring.month] if measuring and measuring.month else [])])


def _walk_name(source: Source, reckoning: Reckoning) -> str:
    return f"{reckoning}.{source.name}"
