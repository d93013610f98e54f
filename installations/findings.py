"""What is said about a connector: findings, each of one check, and the verdict that they come to."""

from __future__ import annotations

import enum
import uuid
from dataclasses import dataclass, replace
from datetime import datetime

from core.moments import in_utc


class Tone(enum.IntEnum):
    """
    How bad a finding is. Stops: nothing goes through. Paused: somebody wants it so. Worries: something may soon not go
    through. Fine: said for comfort.
    """

    FINE = 0
    WORRIES = 1
    PAUSED = 2
    STOPS = 3

    @property
    def word(self) -> str:
        return {Tone.FINE: "good", Tone.WORRIES: "wait", Tone.PAUSED: "wait", Tone.STOPS: "bad"}[self]


class Step(enum.Enum):
    """What a person can do next. The value is the name of a deed, or of a page."""

    TEST = "test"
    RESUME = "resume"
    ENABLE = "enable"
    ADD_SECRET = "add-secret"  # noqa: S105 -- the name of a deed
    ADD_CHANNEL = "add-channel"
    ADD_INSTALLATION = "add-installation"
    SHOW_CHANNEL = "channel"
    SHOW_INSTALLATION = "installation"
    ROTATE = "rotation"
    HAND_OVER = "hand-over"
    COMPARE = "compare-manifest"
    SETTINGS = "settings"
    SHOW_FAILURES = "failures"


@dataclass(frozen=True, kw_only=True)
class Check:
    """
    One thing that is looked at.

    means: what it is good for. seen_at: when it was last seen to be so, or not. about: the row that it is of, where
    that is not the one that the verdict is of.
    """

    name: str
    means: str
    seen_at: datetime | None = None
    about: uuid.UUID | None = None

    def fine(self, what: str, *, do: str = "", step: Step | None = None) -> Finding:
        return Finding(tone=Tone.FINE, what=what, do=do, step=step, check=self)

    def worries(self, what: str, *, do: str, step: Step | None = None) -> Finding:
        return Finding(tone=Tone.WORRIES, what=what, do=do, step=step, check=self)

    def paused(self, what: str, *, do: str, step: Step | None = None) -> Finding:
        return Finding(tone=Tone.PAUSED, what=what, do=do, step=step, check=self)

    def stops(self, what: str, *, do: str, step: Step | None = None) -> Finding:
        return Finding(tone=Tone.STOPS, what=what, do=do, step=step, check=self)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """
    What a check found.

    what: is the case. do: what somebody can do about it; may be empty. step: where or how that is done.

    is_cause: explains sends that do not go through, and so is read before them, though it is less bad by itself.

    taken_at: when LivePerson last took a message, where that was looked at.
    """

    tone: Tone
    what: str
    do: str = ""
    step: Step | None = None
    check: Check | None = None
    is_cause: bool = False
    taken_at: datetime | None = None

    def as_cause(self) -> Finding:
        return replace(self, is_cause=True)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Findings in the order of the checks. fine, worrying, stopping: the headlines."""

    findings: tuple[Finding, ...]
    fine: str
    worrying: str
    stopping: str

    @property
    def tone(self) -> Tone:
        return max((finding.tone for finding in self.findings), default=Tone.FINE)

    @property
    def headline(self) -> str:
        return {
            Tone.FINE: self.fine,
            Tone.WORRIES: self.worrying,
            Tone.PAUSED: "Paused: what is kept back waits in its order",
            Tone.STOPS: self.stopping,
        }[self.tone]

    @property
    def troubles(self) -> tuple[Finding, ...]:
        """What is not as it should be: causes, then the rest, worst first."""
        bad = (finding for finding in self.findings if finding.tone is not Tone.FINE)
        return tuple(sorted(bad, key=lambda finding: (not finding.is_cause, -finding.tone)))


def quoted(reason: str) -> str:
    """A reason that somebody gave."""
    return f"Reason: {reason}" if reason else ""


def since(at: datetime | None) -> str:
    return f" since {in_utc(at)}" if at else ""
