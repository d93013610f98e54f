"""What lately failed at a connector, as its page shows it: the last tries, and how often each cause came."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from installations.models import AppInstallation, Channel
from installations.signals import failures_asked

MOST_SHOWN = 10


@dataclass(frozen=True, kw_only=True)
class Failure:
    """
    One try that failed.

    whither: LivePerson or a channel, as people read it. step: what was tried. cause: our code of what went wrong.
    """

    dispatch_id: uuid.UUID
    channel_id: uuid.UUID
    at: datetime
    whither: str
    step: str
    cause: str
    detail: str
    http_status: int | None


@dataclass(frozen=True, kw_only=True)
class Cause:
    """How often it came among the tries that were looked at. channel_id: where all of them were of one channel."""

    code: str
    count: int
    last_at: datetime
    channel_id: uuid.UUID | None

    @property
    def words(self) -> str:
        return self.code.replace("_", " ")


@dataclass(frozen=True, kw_only=True)
class Failures:
    """shown: newest first. causes: the most frequent first."""

    shown: Sequence[Failure]
    causes: Sequence[Cause]


def failures_of(row: AppInstallation | Channel, *, now: datetime) -> Failures:
    """What failed at an app installation's channels, or at one channel, in the last days."""
    found: list[Failure] = []
    for _, told in failures_asked.send(sender=type(row), row=row, now=now):
        assert isinstance(told, list)
        found += told
    by_code: dict[str, list[Failure]] = {}
    for failure in found:
        by_code.setdefault(failure.cause, []).append(failure)
    causes = [_cause(code, several) for code, several in by_code.items()]
    return Failures(shown=found[:MOST_SHOWN], causes=sorted(causes, key=lambda cause: -cause.count))


def _cause(code: str, several: Sequence[Failure]) -> Cause:
    channels = {failure.channel_id for failure in several}
    return Cause(
        code=code,
        count=len(several),
        last_at=max(failure.at for failure in several),
        channel_id=channels.pop() if len(channels) == 1 else None,
    )
