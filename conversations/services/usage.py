"""
Counts what brands use, month by month: a bounded portion of rows in one short transaction, and the place it has come to
with it. So no crash and no second worker counts a row twice, and sending and receiving touch nothing of it.

Rows are walked in the order of their ids, which carry the time at which they were made; a row belongs to the month of
that time. A row may be committed later than one with a younger id, even by minutes. So a walk stays behind the clock,
and there are two of them: *soon* stays a minute behind and shows the month that runs, *final* stays a day behind and is
what counts. A month is final when the second one has passed its end; then it never changes again.

Sends are walked by the moment at which they were accepted, and belong to its month: an old one that is sent again in
another month changes no month that is over.

What retention and erasure remove has been counted, or is counted from what stays of it (RemovedFile).
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal

from django.db.backends.utils import CursorWrapper
from django.db.models import Q, QuerySet

from conversations.models import Reckoning, UsageCount, UsageStorage, UsageWalk
from conversations.services.retention import batch_transaction
from core.ids import first_id_at, new_id

PORTION = 5_000
BEHIND = {Reckoning.SOON: timedelta(minutes=1), Reckoning.FINAL: timedelta(days=1)}
MEASURED_EVERY = timedelta(hours=6)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NO_ID = uuid.UUID(int=0)


@dataclass(frozen=True, kw_only=True)
class Source:
    """
    Rows of one kind that are walked through.

    keys: their places (moment or null, id) from a place on. counts: what a range of places adds, one row a brand and
    channel: their ids, then columns named as the figures they add to. walked_by: what the keys are ordered by.
    """

    name: str
    keys: str
    counts: str
    walked_by: Literal["id", "moment"] = "id"

    def place_at(self, moment: datetime) -> Place:
        """Behind all that happened before this moment, before all else."""
        last_id = uuid.UUID(int=first_id_at(moment).int - 1) if self.walked_by == "id" else _NO_ID
        return Place(at=moment, id=last_id)


@dataclass(frozen=True, kw_only=True)
class Place:
    """A row that a walk has come to. Walks by id read the moment from the id."""

    at: datetime = _EPOCH
    id: uuid.UUID = _NO_ID

    @classmethod
    def read(cls, stored: dict[str, str] | None) -> Place:
        if not stored:
            return cls()
        return cls(at=datetime.fromisoformat(stored["at"]), id=uuid.UUID(stored["id"]))

    @classmethod
    def of(cls, at: datetime | None, row_id: uuid.UUID) -> Place:
        return cls(at=at or _EPOCH + timedelta(milliseconds=row_id.int >> 80), id=row_id)

    def as_json(self) -> dict[str, str]:
        return {"at": self.at.isoformat(), "id": str(self.id)}


def month_of(moment: datetime) -> date:
    """The first day of the month of UTC."""
    return moment.astimezone(UTC).date().replace(day=1)


def month_after(month: date) -> date:
    return (month + timedelta(days=31)).replace(day=1)


def by_id(table: str, key: str = "id") -> str:
    """The keys of a source that is walked by the ids of a table."""
    return f"""
        SELECT NULL::timestamptz, {key} FROM {table}
        WHERE {key} > %(after_id)s AND {key} < %(before_id)s ORDER BY {key} LIMIT %(limit)s
    """  # noqa: S608 -- constants of ours


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
        walk = lock_walk(cursor, f"{reckoning}.{source.name}")
        if walk is None or has_passed(walk, before):
            return False
        after = Place.read(walk.place)
        places = next_places(cursor, source, after=after, before=before)
        if places:
            month = month_of(places[0].at)
            portion = [one for one in places if month_of(one.at) == month]
            cursor.execute(source.counts, between(after, portion[-1], month=month, reckoning=reckoning.value))
            _add(cursor, _ADD_COUNT, {"reckoning": reckoning.value, "month": month})
        is_more = len(places) == PORTION or (bool(places) and len(portion) < len(places))
        # What is committed so late that the walk has passed its place changes no figure any more.
        to = portion[-1] if is_more else source.place_at(before)
        walk.place, walk.counted_to = to.as_json(), to.at
        walk.save()
    return is_more


def forget_consumers() -> bool:
    """Forget some of those who were counted in months that are final; False when nobody is left."""
    with batch_transaction() as cursor:
        cursor.execute(_FORGET_CONSUMERS, [_first_open_month(), PORTION])
        return bool(cursor.rowcount == PORTION)


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
        walk = lock_walk(cursor, _STORAGE)
        if walk is None or (walk.month is None and walk.counted_to and now - walk.counted_to < MEASURED_EVERY):
            return False
        if walk.month is None:
            walk.month, walk.place = month_of(now), {"source": sources[0].name, **Place().as_json()}
        stored = walk.place or {}
        at = [one.name for one in sources].index(stored["source"])
        after = Place.read(stored)
        places = next_places(cursor, sources[at], after=after, before=now)
        if places:
            cursor.execute(sources[at].counts, between(after, places[-1], month=walk.month, reckoning=""))
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


# --- a portion -------------------------------------------------------------------------------------------------------

_KNOW_WALK = "INSERT INTO conversations_usagewalk (name) VALUES (%s) ON CONFLICT DO NOTHING"
_ADD_COUNT = """
    INSERT INTO conversations_usagecount AS known ({names}) VALUES ({values})
    ON CONFLICT (reckoning, month, brand_id, channel_id) DO UPDATE SET {sums}
"""
_ADD_STORAGE = """
    INSERT INTO conversations_usagestorage AS known ({names}) VALUES ({values})
    ON CONFLICT (month, brand_id, channel_id) WHERE measured_at IS NULL DO UPDATE SET {sums}
"""


def lock_walk(cursor: CursorWrapper, name: str) -> UsageWalk | None:
    """The walk of this name, locked until the transaction ends; None while somebody else is at it."""
    cursor.execute(_KNOW_WALK, [name])
    return UsageWalk.objects.select_for_update(skip_locked=True).filter(pk=name).first()


def has_passed(walk: UsageWalk, before: datetime) -> bool:
    """Whether a walk has come to this moment: a worker whose clock is behind must not take it back."""
    return walk.counted_to is not None and before <= walk.counted_to


def next_places(cursor: CursorWrapper, source: Source, *, after: Place, before: datetime) -> list[Place]:
    """The places of the next rows of a walk, one portion of them."""
    values: dict[str, Any] = {
        "after_at": after.at,
        "after_id": after.id,
        "before_at": before,
        "before_id": first_id_at(before),
    }
    cursor.execute(source.keys, {**values, "limit": PORTION})
    return [Place.of(at, row_id) for at, row_id in cursor.fetchall()]


def between(after: Place, to: Place, **values: Any) -> dict[str, Any]:
    """What the statement of a source is given: a range of places, and more values."""
    return {"after_at": after.at, "after_id": after.id, "to_at": to.at, "to_id": to.id, **values}


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


# --- what was found --------------------------------------------------------------------------------------------------

COUNT_FIGURES = (
    "messages_to_liveperson", "messages_to_channel", "private_notes", "segments_to_liveperson", "segments_to_channel",
    "media_files", "media_bytes", "conversations_opened", "consumers",
)  # fmt: skip
STORAGE_FIGURES = ("content_bytes", "file_bytes", "body_bytes")
MOST_ROWS = 10_000


@dataclass(frozen=True, kw_only=True)
class MonthOfChannel:
    """
    What one channel used in one month. channel_id None: what belongs to the brand, and to no channel alone.

    figures: by name. measured_at: when the storage was measured; None: not in this month.
    """

    month: date
    brand_id: uuid.UUID
    channel_id: uuid.UUID | None
    is_final: bool
    figures: dict[str, int]
    measured_at: datetime | None

    @property
    def named_month(self) -> str:
        return f"{self.month:%Y-%m}"


@dataclass(frozen=True, kw_only=True)
class Usage:
    """counted_to: what happened until then is in the figures; None: nothing has been counted yet."""

    counted_to: datetime | None
    rows: list[MonthOfChannel]


class TooMuch(Exception):
    """More rows than one answer holds."""


def usage_in(months: Q, *, counts: QuerySet[UsageCount], storage: QuerySet[UsageStorage]) -> Usage:
    """
    What was used in some months, the newest first, out of the rows that somebody may see. Raises TooMuch.

    months: a condition on the member `month`.
    """
    walks = {walk.name: walk for walk in UsageWalk.objects.all()}
    first_open = _first_open_month(walks)
    which = Q(month__lt=first_open, reckoning=Reckoning.FINAL) | Q(month__gte=first_open, reckoning=Reckoning.SOON)
    found: dict[tuple[date, uuid.UUID, uuid.UUID | None], dict[str, Any]] = {}
    measured: dict[tuple[date, uuid.UUID, uuid.UUID | None], datetime | None] = {}
    for count in counts.filter(months, which).order_by("-month")[: MOST_ROWS + 1]:
        found[_key(count)] = {name: getattr(count, name) for name in COUNT_FIGURES}
    for stored in storage.filter(months, measured_at__isnull=False).order_by("-month")[: MOST_ROWS + 1]:
        found.setdefault(_key(stored), {}).update({name: getattr(stored, name) for name in STORAGE_FIGURES})
        measured[_key(stored)] = stored.measured_at
    if len(found) > MOST_ROWS:
        raise TooMuch
    nothing = dict.fromkeys((*COUNT_FIGURES, *STORAGE_FIGURES), 0)
    rows = [
        MonthOfChannel(
            month=key[0], brand_id=key[1], channel_id=key[2], is_final=key[0] < first_open,
            figures={**nothing, **figures}, measured_at=measured.get(key),
        )
        for key, figures in found.items()
    ]  # fmt: skip
    rows.sort(key=lambda row: (-row.month.toordinal(), str(row.brand_id), str(row.channel_id or "")))
    return Usage(counted_to=_counted_to(walks, Reckoning.SOON), rows=rows)


def _key(row: UsageCount | UsageStorage) -> tuple[date, uuid.UUID, uuid.UUID | None]:
    return (row.month, row.brand_id, row.channel_id)


def _counted_to(walks: dict[str, UsageWalk], reckoning: Reckoning) -> datetime | None:
    """How far all walks of a count have come."""
    moments = [walks[name].counted_to for one in COUNTED if (name := f"{reckoning}.{one.name}") in walks]
    known = [moment for moment in moments if moment is not None]
    return min(known) if len(known) == len(COUNTED) else None


def _first_open_month(walks: dict[str, UsageWalk] | None = None) -> date:
    """All months before this one are final."""
    known = {walk.name: walk for walk in UsageWalk.objects.all()} if walks is None else walks
    moments = [_counted_to(known, reckoning) for reckoning in Reckoning]
    months = [month_of(moment) if moment else date.min for moment in moments]
    measuring = known.get(_STORAGE)
    return min([*months, *([measuring.month] if measuring and measuring.month else [])])
