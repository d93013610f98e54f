"""
What age removes from conversations: words, files, what providers answered, names. Facts stay.

Every function removes one batch in one short transaction and tells how much that was. A batch waits for nobody: what is
locked elsewhere goes the next time. Nothing goes while a legal hold stands on its brand or its consumer, and no words
go that are still to be sent.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

from django.core.files.storage import default_storage
from django.db import transaction
from django.db.backends.utils import CursorWrapper

from access.models import Brand
from audit import api as audit
from conversations.media import storage_path
from conversations.models import MediaFile, Removed
from core.actor import Actor
from core.batches import batch_transaction
from core.ids import NO_ID, first_id_at, id_in, made_at, new_id

BATCH = 500
# A file is on the disk before its row is committed: so young a one without a row is not called lost.
_FILE_GETS_ITS_ROW_WITHIN = timedelta(hours=1)

CONTENTS, FILES, ANSWERS, CHOICES = "message_contents", "files", "answers_of_providers", "metadata_of_choices"


@dataclass(frozen=True, kw_only=True)
class Batch:
    """One short transaction: what it removed, and how much."""

    kind: str
    count: int


@dataclass(frozen=True, kw_only=True)
class Place:
    """How far a walk has come through rows that are ordered by their last day."""

    day: date = date.min
    row_id: uuid.UUID = NO_ID


@dataclass(frozen=True, kw_only=True)
class Page:
    """
    The next rows that are past their last day. end: where the page after it begins; None: there is none.

    removed: how many of them went. What a hold keeps is passed once in a walk, and costs no more than that.
    """

    end: Place | None
    removed: int = 0

    def with_removed(self, removed: int) -> Page:
        return replace(self, removed=removed)


def read_page(
    cursor: CursorWrapper, table: str, key: str, *, after: Place, before: date
) -> tuple[Page, list[uuid.UUID]]:
    """The ids of the next rows of a table whose last day was before that one."""
    cursor.execute(
        f"SELECT expires_on, {key} FROM {table} WHERE (expires_on, {key}) > (%s, %s) AND expires_on < %s"  # noqa: S608
        f" ORDER BY expires_on, {key} LIMIT %s",
        [after.day, after.row_id, before, BATCH],
    )
    rows = cursor.fetchall()
    end = Place(day=rows[-1][0], row_id=rows[-1][1]) if len(rows) == BATCH else None
    return Page(end=end), [row_id for _, row_id in rows]


def count_removed(cursor: CursorWrapper, kind: str, brand_ids: Iterable[uuid.UUID]) -> None:
    """Note what this batch removes, one brand id for each row, for the trail: see tell_trail."""
    counted = sorted(Counter(brand_ids).items())  # in one order, so that two batches never wait for each other
    cursor.executemany(_COUNT, [(new_id(), brand_id, kind, number) for brand_id, number in counted])


_COUNT = """
    INSERT INTO conversations_removed AS known (id, brand_id, kind, count) VALUES (%s, %s, %s, %s)
    ON CONFLICT (brand_id, kind) DO UPDATE SET count = known.count + EXCLUDED.count
"""


def tell_trail(*, actor: Actor) -> None:
    """Write what was removed since the last time into the trail: one entry a brand."""
    with transaction.atomic():
        rows = list(Removed.objects.select_for_update(skip_locked=True).order_by("brand_id", "kind"))
        Removed.objects.filter(pk__in=[row.pk for row in rows]).delete()
        for brand in Brand.objects.filter(pk__in={row.brand_id for row in rows}):
            counts = {row.kind: row.count for row in rows if row.brand_id == brand.pk}
            audit.record("retention.applied", actor=actor, subject=brand, data=counts)


# --- words -----------------------------------------------------------------------------------------------------------

# What is not ended may still be sent; what is parked waits for a person who may send it.
TO_BE_SENT = """
    EXISTS (SELECT 1 FROM conversations_dispatch dispatch WHERE dispatch.message_id = message.id
            AND dispatch.state IN ('QUEUED', 'SENDING', 'UNKNOWN', 'PARKED'))
"""
# The consumer's row is the mutex: whoever wants to send something of theirs again waits until the batch has ended. The
# brand's is shared, so that a hold stands from the moment on at which somebody is told that it does.
_LOCK_MESSAGES = """
    SELECT message.id, message.consumer_id FROM conversations_message message
    JOIN conversations_consumer consumer ON consumer.id = message.consumer_id
    JOIN access_brand brand ON brand.id = message.brand_id
    WHERE message.id = ANY(%s) AND brand.held_at IS NULL AND consumer.held_at IS NULL
    FOR NO KEY UPDATE OF consumer SKIP LOCKED FOR SHARE OF brand SKIP LOCKED
"""
# Asked again under the mutex: a person may have sent something again while it was awaited.
_DELETE_CONTENTS = f"""
    DELETE FROM conversations_messagecontent content USING conversations_message message
    WHERE message.id = content.message_id AND content.message_id = ANY(%s) AND NOT {TO_BE_SENT}
    RETURNING message.id, message.brand_id
"""  # noqa: S608 -- constants of ours
_MARK_MESSAGES = "UPDATE conversations_message SET removed_at = %s, removed_by = 'RETENTION' WHERE id = ANY(%s)"
_FORGET_FILE_NAMES = """
    UPDATE conversations_dispatch SET progress = progress - 'name'
    WHERE message_id = ANY(%s) AND progress ? 'name'
"""
# The name goes with the last words: it is told again with the next message.
_FORGET_PEOPLE = """
    UPDATE conversations_consumer consumer SET name = '', profile = '{}'
    WHERE id = ANY(%s) AND (name <> '' OR profile <> '{}')
      AND NOT EXISTS (SELECT 1 FROM conversations_message message
                      JOIN conversations_messagecontent content ON content.message_id = message.id
                      WHERE message.consumer_id = consumer.id)
      AND NOT EXISTS (SELECT 1 FROM conversations_conversation conversation
                      WHERE conversation.consumer_id = consumer.id AND conversation.state <> 'CLOSED')
      AND NOT EXISTS (SELECT 1 FROM conversations_lane lane
                      JOIN conversations_dispatch dispatch ON dispatch.lane_id = lane.id
                      WHERE lane.consumer_id = consumer.id AND dispatch.state IN ('QUEUED', 'SENDING', 'UNKNOWN'))
"""


def remove_contents(*, after: Place, before: date, now: datetime) -> Page:
    """Remove the words of a page of messages; the name of who has no words left goes too."""
    with batch_transaction() as cursor:
        page, message_ids = read_page(cursor, "conversations_messagecontent", "message_id", after=after, before=before)
        cursor.execute(_LOCK_MESSAGES, [message_ids])
        locked = dict(cursor.fetchall())
        cursor.execute(_DELETE_CONTENTS, [list(locked)])
        gone = cursor.fetchall()
        gone_ids = [message_id for message_id, _ in gone]
        cursor.execute(_MARK_MESSAGES, [now, gone_ids])
        cursor.execute(_FORGET_FILE_NAMES, [gone_ids])
        cursor.execute(_FORGET_PEOPLE, [list({locked[message_id] for message_id in gone_ids})])
        count_removed(cursor, CONTENTS, [brand_id for _, brand_id in gone])
    return page.with_removed(len(gone))


# --- files -----------------------------------------------------------------------------------------------------------

_MESSAGES_OF_FILES = "SELECT message_id FROM conversations_mediafile WHERE id = ANY(%s)"
# That a file was carried, and how big it was, is a fact: it stays, and is counted as if the file were still there.
_KEEP_FACTS = """
    INSERT INTO conversations_removedfile (id, brand_id, channel_id, size)
    SELECT id, brand_id, channel_id, size FROM gone RETURNING id, brand_id
"""
_DELETE_FILES = f"""
    WITH gone AS (
        DELETE FROM conversations_mediafile file USING conversations_message message
        WHERE message.id = file.message_id AND file.id = ANY(%s) AND message.id = ANY(%s) AND NOT {TO_BE_SENT}
        RETURNING file.id, message.brand_id, message.channel_id, file.size
    ) {_KEEP_FACTS}
"""  # noqa: S608 -- constants of ours
DELETE_FILES_OF_MESSAGES = f"""
    WITH gone AS (
        DELETE FROM conversations_mediafile file USING conversations_message message
        WHERE message.id = file.message_id AND message.id = ANY(%s)
        RETURNING file.id, message.brand_id, message.channel_id, file.size
    ) {_KEEP_FACTS}
"""  # noqa: S608 -- constants of ours


def remove_files(*, after: Place, before: date) -> Page:
    """Remove a page of files: their rows, and after the commit their bytes."""
    with batch_transaction() as cursor:
        page, file_ids = read_page(cursor, "conversations_mediafile", "id", after=after, before=before)
        cursor.execute(_MESSAGES_OF_FILES, [file_ids])
        cursor.execute(_LOCK_MESSAGES, [[message_id for (message_id,) in cursor.fetchall()]])
        locked = [message_id for message_id, _ in cursor.fetchall()]
        cursor.execute(_DELETE_FILES, [file_ids, locked])
        gone = cursor.fetchall()
        count_removed(cursor, FILES, [brand_id for _, brand_id in gone])
    remove_bytes([file_id for file_id, _ in gone])
    return page.with_removed(len(gone))


def remove_bytes(file_ids: Sequence[uuid.UUID]) -> None:
    """
    Remove files from the disk. Called when nothing points to them any more: after the commit.

    What a crash leaves behind is found by remove_lost_files.
    """
    for file_id in file_ids:
        default_storage.delete(storage_path(file_id))


def remove_lost_files(*, folder: str, now: datetime) -> int:
    """Remove from a folder of the storage what no row speaks of: left by a crash, or by a call that came too late."""
    if not default_storage.exists(folder):
        return 0
    _, names = default_storage.listdir(folder)
    found = {file_id for name in names if (file_id := id_in(name)) and _is_grown(file_id, now)}
    lost = found - set(MediaFile.objects.filter(pk__in=found).values_list("pk", flat=True))
    remove_bytes(list(lost))
    return len(lost)


def file_folders() -> list[str]:
    """All folders that files can stand in."""
    return [f"{number:02x}" for number in range(256)]


def _is_grown(file_id: uuid.UUID, now: datetime) -> bool:
    made = made_at(file_id)
    return made is not None and made < now - _FILE_GETS_ITS_ROW_WITHIN


# --- what stands beside the words ------------------------------------------------------------------------------------

_CLEAR_ANSWERS = """
    UPDATE conversations_attempt SET answer_head = '' WHERE id IN (
        SELECT attempt.id FROM conversations_attempt attempt
        JOIN conversations_dispatch dispatch ON dispatch.id = attempt.dispatch_id
        JOIN conversations_consumer consumer ON consumer.id = dispatch.consumer_id
        WHERE attempt.brand_id = %s AND attempt.answer_head <> '' AND attempt.id < %s AND consumer.held_at IS NULL
        ORDER BY attempt.id LIMIT %s FOR UPDATE OF attempt SKIP LOCKED)
"""
_CLEAR_CHOICES = """
    UPDATE conversations_dispatch SET payload = payload - 'metadata' WHERE id IN (
        SELECT dispatch.id FROM conversations_dispatch dispatch
        JOIN conversations_consumer consumer ON consumer.id = dispatch.consumer_id
        WHERE dispatch.brand_id = %s AND dispatch.payload ? 'metadata' AND dispatch.id < %s
          AND dispatch.state IN ('SENT', 'FAILED', 'DEAD', 'DROPPED') AND consumer.held_at IS NULL
        ORDER BY dispatch.id LIMIT %s FOR UPDATE OF dispatch SKIP LOCKED)
"""


def clear_answers(*, brand: Brand, now: datetime) -> int:
    """Remove what providers answered to tries of that age: it may repeat what was sent."""
    return _clear(_CLEAR_ANSWERS, ANSWERS, brand, now)


def clear_choices(*, brand: Brand, now: datetime) -> int:
    """Remove from receipts of that age which of the offered answers somebody chose."""
    return _clear(_CLEAR_CHOICES, CHOICES, brand, now)


def _clear(statement: str, kind: str, brand: Brand, now: datetime) -> int:
    with batch_transaction() as cursor:
        if not _lock_unless_held(cursor, brand.pk):
            return 0
        values: list[Any] = [brand.pk, first_id_at(now - timedelta(days=brand.retention_days + 1)), BATCH]
        cursor.execute(statement, values)
        cleared = cursor.rowcount
        count_removed(cursor, kind, [brand.pk] * cleared)
    return cleared


def _lock_unless_held(cursor: CursorWrapper, brand_id: uuid.UUID) -> bool:
    cursor.execute("SELECT 1 FROM access_brand WHERE id = %s AND held_at IS NULL FOR SHARE SKIP LOCKED", [brand_id])
    return cursor.fetchone() is not None
