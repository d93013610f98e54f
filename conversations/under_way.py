"""The calls that one worker has under way, until their results are written, and who may begin more of them."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Collection, Iterable

from conversations.calls import Job
from conversations.lanes import Room


class UnderWay:
    """
    A worker makes so many calls at a time, and an account may have half of those that the others leave.

    One that is alone has as many as keep a worker busy. Where several wait for answers that do not come, the next still
    finds a place: of 48 places the seventh such account takes the last.
    """

    def __init__(self, *, places: int) -> None:
        self._places = places
        self._jobs: dict[uuid.UUID, Job] = {}
        self._overdue: set[uuid.UUID] | None = None

    def __len__(self) -> int:
        return len(self._jobs)

    @property
    def jobs(self) -> Iterable[Job]:
        return self._jobs.values()

    @property
    def has_overdue(self) -> bool:
        """Whether something is still under way that was so when the time was up."""
        return bool(self._overdue)

    def begin(self, job: Job) -> None:
        self._jobs[job.attempt_id] = job

    def end(self, attempt_ids: Collection[uuid.UUID]) -> None:
        for attempt_id in attempt_ids:
            del self._jobs[attempt_id]
        if self._overdue is not None:
            self._overdue.difference_update(attempt_ids)

    def time_is_up(self) -> None:
        """From now on nothing is begun for an account that has a call of before this moment under way."""
        if self._overdue is None:
            self._overdue = set(self._jobs)

    def barred(self) -> set[uuid.UUID]:
        """The accounts for which nothing is begun any more."""
        return {self._jobs[attempt_id].account_id for attempt_id in self._overdue or ()}

    def room(self, *, at_most: int) -> Room:
        """How many lanes may be claimed."""
        used = Counter(job.account_id for job in self._jobs.values())
        left = self._places - used.total()
        of_account = {account: max(0, (left + count) // 2 - count) for account, count in used.items()}
        return Room(
            # Half as well: two that are claimed at once must not take all.
            free=min((left + 1) // 2, at_most),
            each=max(1, left // 2),
            of_account=of_account | dict.fromkeys(self.barred(), 0),
        )
