"""What became of each row of a job, as CSV that a spreadsheet opens without harm."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from connector_site.bulk.models import BulkItem, BulkJob
from connector_site.exports.forms import FORMS
from connector_site.exports.slots import Slot
from core.ids import NO_ID

_BATCH = 1_000
_NAMES = ("row", "lane", "outcome", "detail", "at")


class Results:
    """The pieces of the answer; a batch is a statement of its own, and nothing is held between two."""

    def __init__(self, job: BulkJob) -> None:
        """Raises exports.slots.TooManyExports."""
        self._job_id = job.pk
        self._slot = Slot()
        self._pieces = self._written()

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces

    def close(self) -> None:
        self._pieces.close()
        self._slot.release()

    def _written(self) -> Any:
        form = FORMS["csv"]
        yield form.head(_NAMES)
        after = NO_ID
        while rows := list(
            BulkItem.objects.filter(job=self._job_id, target_id__gt=after).order_by("target_id")[:_BATCH]
        ):
            yield form.write(_NAMES, [_told(row) for row in rows])
            after = rows[-1].target_id
        self._slot.release()


def _told(row: BulkItem) -> dict[str, Any]:
    return {
        "row": str(row.target_id),
        "lane": str(row.lane_id),
        "outcome": row.get_state_display(),
        "detail": row.detail,
        "at": row.at.isoformat() if row.at else "",
    }


__all__ = ["Results"]
