"""
The rows of a list as one long answer, in constant memory: batch after batch, each a statement of its own.

No transaction is open between two batches, and the connection of a thread is given back while its reader is slow. An
answer that cannot be brought to its end breaks off, and the last cursor in it says where to go on.
"""

from __future__ import annotations

import errno
import time
import uuid
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from django.db import connection

from access import newest
from access.newest import Listing
from access.rules import brand_id_of
from connector_site.exports.forms import Form
from connector_site.exports.reader import Watch
from connector_site.exports.slots import Slot
from connector_site.exports.trail import Trail
from core.postgres import patience

BATCH_OF_CONTENTS = 200
# A reader who does not take so much within the time that a socket waits is let go.
PIECE_BYTES = 64 * 1024
MAY_TAKE_S = 3_600.0
_SLOW_S = 1.0

logger = structlog.get_logger(__name__)


class BrokenOff(ConnectionResetError):
    """Ends an answer without its end. The web server takes it for a connection that was lost, and closes it."""

    def __init__(self) -> None:
        super().__init__(errno.ECONNRESET, "The export was broken off.")


@dataclass(frozen=True, kw_only=True)
class Asked:
    """
    What is told: of which rows, from where on, which members in which form.

    fitting: how many rows of a batch, from the first one on, are read together; contents are weighed for that.
    """

    listing: Listing
    below: uuid.UUID | None
    names: Sequence[str]
    fitting: Callable[[Sequence[Any]], int]
    tell: Callable[[list[Any]], list[dict[str, Any]]]
    form: Form
    batch: int


class Stream:
    """The pieces of the answer. Whatever becomes of it, its end is recorded and its slot is free again."""

    def __init__(self, asked: Asked, *, watch: Watch, trail: Trail, slot: Slot) -> None:
        self._asked = asked
        self._watch = watch
        self._trail = trail
        self._slot = slot
        self._ends_s = time.monotonic() + MAY_TAKE_S
        self._pieces = self._all_pieces()
        self._has_ended = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            return next(self._pieces)
        except StopIteration:
            self._end("complete")
            raise
        except Exception as error:
            # The class only: the text of an error may quote a row.
            logger.warning("export.broken_off", why=type(error).__name__)
            self._end(f"broken off: {type(error).__name__}")
            raise BrokenOff from None

    def close(self) -> None:
        """Called by the web server in any case, also when the reader has gone."""
        self._pieces.close()
        self._end("given up by its reader")

    def _end(self, how: str) -> None:
        if not self._has_ended:
            self._has_ended = True
            self._slot.release()
            self._trail.end(how)

    def _all_pieces(self) -> Generator[bytes]:
        asked, is_slow = self._asked, False
        # Who goes on after a cursor puts the rest behind what they have.
        chunk = asked.form.head(asked.names) if asked.below is None else b""
        for lines in self._batches():
            chunk += lines
            for start in range(0, len(chunk), PIECE_BYTES):
                if is_slow and not connection.in_atomic_block:
                    connection.close()
                given_s = time.monotonic()
                yield chunk[start : start + PIECE_BYTES]
                is_slow = time.monotonic() - given_s > _SLOW_S
                self._look()
            chunk = b""
        if chunk:
            yield chunk

    def _batches(self) -> Iterator[bytes]:
        asked, below = self._asked, self._asked.below
        is_last = False
        while not is_last:
            self._look()
            with patience.limited(None):
                page = newest.read(asked.listing, below=below, size=asked.batch)
                page = page.first(asked.fitting(page.rows))
                told = asked.tell(page.rows)
            self._trail.rows.update(brand_id_of(row) for row in page.rows)
            below, is_last = page.next_below, page.next_below is None
            yield asked.form.write(asked.names, told)

    def _look(self) -> None:
        with patience.limited(None):
            self._watch.look()
        if time.monotonic() > self._ends_s:
            raise TimeoutError
