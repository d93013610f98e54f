"""
How long senders of webhooks wait for our answer, measured in the web processes and written down every few seconds.

The time runs from the moment at which the whole request is there, waiting for a thread included, until the answer is
made. A process that is killed loses what it measured since it last wrote, and where the database fell silent in the
middle of a commit, what was written may be added again: these are measurements, not counts of rows.
"""

from __future__ import annotations

import os
import re
import threading
import time
import uuid
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import structlog
from django.db import connection

from connector_site.models import Counting, Figure, Span
from connector_site.rollups import buckets
from connector_site.rollups.counting import ADD_FACTS, SPANS
from core.batches import batch_transaction
from core.ids import id_in
from core.postgres import patience

logger = structlog.get_logger(__name__)

WRITE_EVERY_S = 5.0
_WRITING_MAY_TAKE_S = 2.0
# A stranger may ask for any id: no more of them are kept until they are written, and sorted out.
_MOST_KEPT = 2_000
_DOOR = re.compile(r"/webhooks/(liveperson|channels)/([0-9a-fA-F-]{36})(?:/|$)")
_FIGURES = {
    "liveperson": (Figure.ACK_TO_LIVEPERSON, Figure.REFUSED_TO_LIVEPERSON),
    "channels": (Figure.ACK_TO_CHANNEL, Figure.REFUSED_TO_CHANNEL),
}
# Joined to what there is: ids that strangers made up fall out here.
_FACTS = """
    SELECT source.brand_id, source.id AS source_id, noted.moment, noted.figure, noted.label, noted.count
    FROM unnest(%(sources)s::uuid[], %(moments)s::timestamptz[], %(figures)s::text[], %(labels)s::text[],
                %(counts)s::bigint[]) AS noted (source_id, moment, figure, label, count)
    JOIN (SELECT id, brand_id, 'LIVEPERSON' AS door FROM installations_appinstallation
          UNION ALL SELECT id, brand_id, 'CHANNEL' FROM installations_channel) source
      ON source.id = noted.source_id AND noted.figure LIKE '%%' || source.door
"""

Key = tuple[uuid.UUID, int, str, str]


class Measurements:
    """What one process has measured and not written yet."""

    def __init__(self) -> None:
        self._counts: Counter[Key] = Counter()
        self._lock = threading.Lock()

    def note(self, path: str, *, status: int, elapsed_s: float, now_s: float) -> None:
        """Of any request; those for no door for webhooks are passed over."""
        found = _DOOR.match(path)
        if not found:
            return
        source_id = id_in(found[2])
        if source_id is None:
            return
        stored, refused = _FIGURES[found[1]]
        if status == 200:
            figure, label = stored, buckets.label_of(elapsed_s * 1000, buckets.ACK_MS)
        else:
            figure, label = refused, str(status)
        key = (source_id, int(now_s) - int(now_s) % int(Span.FIVE_MINUTES), figure.value, label)
        with self._lock:
            if key in self._counts or len(self._counts) < _MOST_KEPT:
                self._counts[key] += 1

    def write(self) -> None:
        """Write them down. Raises DatabaseError, and then keeps them for the next time."""
        with self._lock:
            counts, self._counts = self._counts, Counter()
        if not counts:
            return
        try:
            _add(counts)
        except BaseException:
            with self._lock:
                if len(self._counts) + len(counts) <= _MOST_KEPT:
                    self._counts.update(counts)
            raise


def _add(counts: Counter[Key]) -> None:
    keys = list(counts)
    values: dict[str, Any] = {
        "sources": [key[0] for key in keys],
        "moments": [datetime.fromtimestamp(key[1], tz=UTC) for key in keys],
        "figures": [key[2] for key in keys],
        "labels": [key[3] for key in keys],
        "counts": [counts[key] for key in keys],
        "counting": Counting.MEASURED.value,
        "spans": [int(span) for span in SPANS[Counting.MEASURED]],
    }
    with batch_transaction() as cursor:
        cursor.execute(ADD_FACTS.format(facts=_FACTS), values)


# --- of this process -------------------------------------------------------------------------------------------------

_measurements = Measurements()
_stopped = threading.Event()
_writing_in: int | None = None


def note(path: str, *, status: int, elapsed_s: float) -> None:
    """A request was answered. Nothing is kept in a process that does not write it down."""
    if _writing_in == os.getpid():
        _measurements.note(path, status=status, elapsed_s=elapsed_s, now_s=time.time())


def begin() -> None:
    """Have a thread of this process write down what it measures; called in each web process when it has started."""
    global _writing_in
    _writing_in = os.getpid()
    threading.Thread(target=_write_until_stopped, name="acks", daemon=True).start()


def end() -> None:
    """Write down the last of it; called when a web process stops."""
    _stopped.set()
    _write()


def _write_until_stopped() -> None:
    while not _stopped.wait(WRITE_EVERY_S):
        _write()


def _write() -> None:
    """Never raises: the web process serves on without it. A database that is silent holds it for a moment only."""
    try:
        with patience.limited(_WRITING_MAY_TAKE_S):
            _measurements.write()
    except Exception as error:
        # The class only: the text of an error may quote a row.
        logger.warning("acks.not_written", error=type(error).__name__)
        connection.close()
