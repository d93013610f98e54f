"""
Counts what happened into rows of five minutes, hours and days: a portion in one short transaction, and the place it has
come to with it. So no crash and no second worker counts a row twice.

The way of usage (conversations.services.portions): rows are walked in the order of their ids, which carry the time at
which they were made, or of their ends. A row may be committed later than one with a younger id. So there are two walks:
*soon* stays seconds behind the clock and shows what happens now, *final* stays an hour behind and is right. Where final
has passed a span of time, its counts are shown.

A send that failed may be sent again by a person, and then has not failed any more. Its failure stays counted where soon
has seen it: of the two counts of an end that can be undone the higher one is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils import timezone

from connector_site.models import Counting, Figure, Span
from connector_site.rollups.buckets import MORE, THROUGH_MS
from conversations.models import UsageWalk
from conversations.services import portions
from conversations.services.portions import Place, Source, by_id
from core.batches import batch_transaction

BEHIND = {Counting.SOON: timedelta(seconds=15), Counting.FINAL: timedelta(hours=1)}
SPANS = {Counting.SOON: tuple(Span), Counting.FINAL: (Span.HOUR, Span.DAY), Counting.MEASURED: tuple(Span)}
# How far a first walk goes back, where the site is older than its figures.
_BEGINS = {Counting.SOON: timedelta(days=1), Counting.FINAL: timedelta(days=30)}
# Of these final may find fewer than soon has seen.
UNDOABLE = tuple(figure for figure in Figure if figure.split("_")[0] in ("FAILED", "DEAD", "DROPPED"))

_FIVE_MINUTES_KEPT = timedelta(hours=3)
_HOURS_KEPT = timedelta(days=9)
_DAYS_KEPT = timedelta(days=400)
_SOON_KEPT_BEHIND_FINAL = timedelta(days=2)
_GO_AT_ONCE = 5_000

Now = Callable[[], datetime]

# --- what is counted -------------------------------------------------------------------------------------------------


def _made_at(row_id: str) -> str:
    """The moment that a UUIDv7 carries, as core.ids reads it."""
    return f"to_timestamp(('x' || translate(left({row_id}::text, 13), '-', ''))::bit(48)::bigint / 1000.0)"


def _made(name: str, table: str, *, source_id: str, figure: str) -> Source:
    """Rows of a table, each counted at the moment at which it was made."""
    return Source(
        name=name,
        keys=by_id(table),
        counts=f"""
            SELECT brand_id, {source_id} AS source_id, {_made_at("id")} AS moment, {figure} AS figure,
                '' AS label, 1 AS count
            FROM {table} WHERE id > %(after_id)s AND id <= %(to_id)s
        """,  # noqa: S608 -- constants of ours
    )


_DELIVERIES = _made(
    "deliveries",
    "webhooks_delivery",
    source_id="inbox_id",
    figure="CASE WHEN channel_id IS NULL THEN 'DELIVERIES_FROM_LIVEPERSON' ELSE 'DELIVERIES_FROM_CHANNEL' END",
)
_MESSAGES = _made(
    "messages",
    "conversations_message",
    source_id="channel_id",
    figure="CASE WHEN audience = 'STAFF' THEN 'PRIVATE_NOTES' ELSE 'MESSAGES_' || direction END",
)
_CONVERSATIONS = _made("conversations", "conversations_conversation", source_id="channel_id", figure="'CONVERSATIONS'")
_THROUGH_LABELS = ", ".join(f"'{edge}'" for edge in (*THROUGH_MS, MORE))
# How long a message took: from the webhook that brought it to the acceptance of each of its parts.
_ENDED = Source(
    name="ended",
    walked_by="moment",
    keys="""
        SELECT finished_at, id FROM conversations_dispatch
        WHERE (finished_at, id) > (%(after_at)s, %(after_id)s) AND finished_at < %(before_at)s
        ORDER BY finished_at, id LIMIT %(limit)s
    """,
    counts=f"""
        SELECT dispatch.brand_id, dispatch.channel_id AS source_id, dispatch.finished_at AS moment,
            fact.figure, fact.label, 1 AS count
        FROM conversations_dispatch dispatch
        LEFT JOIN conversations_message message ON message.id = dispatch.message_id
        CROSS JOIN LATERAL (
            SELECT dispatch.state || '_' || dispatch.direction AS figure,
                CASE WHEN dispatch.state = 'SENT' THEN '' ELSE dispatch.error_code END AS label
            UNION ALL
            SELECT 'THROUGH_' || dispatch.direction, (ARRAY[{_THROUGH_LABELS}])[1 + width_bucket(
                (1000 * extract(epoch FROM dispatch.finished_at - COALESCE(
                    (SELECT delivery.received_at FROM webhooks_event event
                     JOIN webhooks_delivery delivery ON delivery.id = event.delivery_id
                     WHERE event.message_id = message.id ORDER BY event.id LIMIT 1),
                    message.created_at)))::float8,
                ARRAY[{", ".join(map(str, THROUGH_MS))}]::float8[])]
            WHERE dispatch.state = 'SENT' AND message.id IS NOT NULL AND dispatch.kind IN ('TEXT', 'FILE', 'RICH')
        ) fact
        WHERE (dispatch.finished_at, dispatch.id) > (%(after_at)s, %(after_id)s)
          AND (dispatch.finished_at, dispatch.id) <= (%(to_at)s, %(to_id)s)
          AND dispatch.finished_at BETWEEN %(after_at)s AND %(to_at)s  -- says the same, and leads to the index
          AND dispatch.state IN ('SENT', 'FAILED', 'DEAD', 'DROPPED')
    """,  # noqa: S608 -- constants of ours
)
COUNTED = (_DELIVERIES, _MESSAGES, _CONVERSATIONS, _ENDED)
WALKS_BEGIN = "rollup."

# Each fact counts for its source and for its brand as a whole, in each span. In one order, so that two never wait for
# each other in a circle.
ADD_FACTS = """
    WITH fact AS ({facts})
    INSERT INTO connector_site_rollupcount AS known
        (brand_id, source_id, span, at, figure, label, counting, count)
    SELECT fact.brand_id, counted.source_id, span.seconds,
        date_bin(make_interval(secs => span.seconds), fact.moment, '2000-01-01T00:00:00Z') AS at,
        fact.figure, fact.label, %(counting)s, sum(fact.count)
    FROM fact
    CROSS JOIN LATERAL (VALUES (fact.source_id), (NULL)) AS counted (source_id)
    CROSS JOIN unnest(%(spans)s::int[]) AS span (seconds)
    GROUP BY 1, 2, 3, 4, 5, 6
    ORDER BY 1, 2, 3, 4, 5, 6
    ON CONFLICT (brand_id, source_id, span, at, figure, label, counting)
    DO UPDATE SET count = known.count + EXCLUDED.count
"""


def count_some(source: Source, counting: Counting, *, now: datetime) -> bool:
    """Count the next portion; False when there is none now, or somebody else is at it."""
    before = now - BEHIND[counting]
    with batch_transaction() as cursor:
        walk = portions.lock_walk(cursor, walk_name(source, counting))
        if walk is None or portions.has_passed(walk, before):
            return False
        after = Place.read(walk.place) if walk.place else source.place_at(start_of(Span.DAY, now - _BEGINS[counting]))
        places = portions.next_places(cursor, source, after=after, before=before)
        if places:
            values = {"counting": counting.value, "spans": [int(span) for span in SPANS[counting]]}
            cursor.execute(ADD_FACTS.format(facts=source.counts), portions.between(after, places[-1], **values))
        is_more = len(places) == portions.PORTION
        to = places[-1] if is_more else source.place_at(before)
        walk.place, walk.counted_to = to.as_json(), to.at
        walk.save()
    return is_more


def walk_name(source: Source, counting: Counting) -> str:
    """What the row is called that says how far a count has come."""
    return f"{WALKS_BEGIN}{counting}.{source.name}"


def start_of(span: Span, moment: datetime) -> datetime:
    """When the span of time begins in which a moment lies."""
    seconds = int(moment.timestamp())
    return datetime.fromtimestamp(seconds - seconds % span, tz=UTC)


def counted_to(counting: Counting) -> datetime | None:
    """Everything that happened before this moment is in the counts; None: nothing has been counted yet."""
    names = [walk_name(source, counting) for source in COUNTED]
    return portions.counted_to(UsageWalk.objects.in_bulk(names), names)


# --- what goes -------------------------------------------------------------------------------------------------------

_FORGET = """
    DELETE FROM connector_site_rollupcount WHERE id IN (
        SELECT id FROM connector_site_rollupcount WHERE span = %(span)s AND at < %(before)s AND counting = ANY(%(of)s)
          AND NOT (counting = 'SOON' AND at >= %(undoable_before)s AND figure = ANY(%(undoable)s))
        LIMIT %(limit)s FOR UPDATE SKIP LOCKED)
"""


def forget_some(*, now: datetime) -> bool:
    """Remove some of what is too old, or counted in the end; False when nothing is left."""
    final_to = counted_to(Counting.FINAL)
    passed = final_to - _SOON_KEPT_BEHIND_FINAL if final_to else datetime.min.replace(tzinfo=UTC)
    gone = 0
    for span, kept in ((Span.FIVE_MINUTES, _FIVE_MINUTES_KEPT), (Span.HOUR, _HOURS_KEPT), (Span.DAY, _DAYS_KEPT)):
        gone += _forget(span, now - kept, undoable_before=now - kept, of=list(Counting))
        gone += _forget(span, passed, undoable_before=now - kept, of=[Counting.SOON])
    return gone >= _GO_AT_ONCE


def _forget(span: Span, before: datetime, *, undoable_before: datetime, of: list[Counting]) -> int:
    values: dict[str, Any] = {
        "span": int(span), "before": before, "undoable_before": undoable_before, "of": [one.value for one in of],
        "undoable": [figure.value for figure in UNDOABLE], "limit": _GO_AT_ONCE,
    }  # fmt: skip
    with batch_transaction() as cursor:
        cursor.execute(_FORGET, values)
        return cursor.rowcount


# --- all of it -------------------------------------------------------------------------------------------------------


def walk(*, now: Now = timezone.now) -> Iterator[None]:
    """Count everything there is to count now; each step of the iterator is one portion."""
    for counting in (Counting.SOON, Counting.FINAL):
        for source in COUNTED:
            while count_some(source, counting, now=now()):
                yield
            yield


def forget(*, now: Now = timezone.now) -> Iterator[None]:
    """Remove all that is to go; each step of the iterator is one portion."""
    while forget_some(now=now()):
        yield
