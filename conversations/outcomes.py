"""
What a failed try means for a dispatch: a pure function, without clock or database.

The rule behind it: what may have had an effect is never repeated blindly. Only opening, publishing and sending to a
channel that does not recognise repeats can be in doubt; every other step is simply done again.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from conversations.models import DispatchKind, Step
from core.errors import (
    ConnectorError,
    ContentUnsupported,
    ConversationAlreadyOpen,
    ConversationClosed,
    CredentialsRejected,
    OutcomeUnknown,
    Refused,
    TokenExpired,
)
from core.retry import RetryPolicy

UNANSWERED_WAIT_S = 30.0
# Who has just been down tells late of what it has done.
RECOVERING_WAIT_S = 180.0
MAX_REOPENINGS = 3
_DOUBTFUL_STEPS = frozenset({Step.OPEN, Step.PUBLISH, Step.SEND})
# Said again they change nothing: a repeated receipt, close or profile has the effect of one.
_HARMLESS_KINDS = frozenset({DispatchKind.RECEIPT, DispatchKind.CLOSE, DispatchKind.PROFILE})


class Verdict(enum.Enum):
    RETRY = enum.auto()
    RENEW = enum.auto()  # a token, and try again at once
    REOPEN = enum.auto()  # the conversation is closed: a new one is opened, and this is sent there
    UNKNOWN = enum.auto()
    PAUSE = enum.auto()  # the credentials are wrong: everything waits for a person
    FAIL = enum.auto()
    DIE = enum.auto()  # tried often enough
    DROP = enum.auto()


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """delay_s: until it is tried again, or until an unknown outcome is decided."""

    verdict: Verdict
    delay_s: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Try:
    """
    attempt: number of this try of the step, from 1. recognises_repeats: the channel drops a repeat of our id.
    is_recovering: the other side was in trouble for others too, so that its evidence comes late.
    """

    kind: str
    step: str
    attempt: int
    renewals: int
    reopenings: int
    recognises_repeats: bool
    is_recovering: bool


def judge(tried: Try, error: ConnectorError, *, policy: RetryPolicy) -> Judgement:
    """What to do after a failed try."""
    if isinstance(error, TokenExpired):
        return _renew_once(tried)
    if isinstance(error, CredentialsRejected):
        return Judgement(verdict=Verdict.PAUSE)
    if tried.kind == DispatchKind.TYPING:
        return Judgement(verdict=Verdict.DROP)
    if isinstance(error, ConversationClosed):
        return _after_close(tried)
    if isinstance(error, ContentUnsupported) and tried.kind in _HARMLESS_KINDS:
        return Judgement(verdict=Verdict.DROP)  # a channel that has no form for it: nobody misses it
    if isinstance(error, OutcomeUnknown) and _is_doubtful(tried):
        return _doubt(tried, error, policy)
    if error.retryable or isinstance(error, (OutcomeUnknown, ConversationAlreadyOpen)):
        return _again(tried, error, policy)
    return Judgement(verdict=Verdict.FAIL)


def _renew_once(tried: Try) -> Judgement:
    return Judgement(verdict=Verdict.RENEW if tried.renewals == 0 else Verdict.PAUSE)


def _after_close(tried: Try) -> Judgement:
    if tried.kind in _HARMLESS_KINDS:
        return Judgement(verdict=Verdict.DROP)
    return Judgement(verdict=Verdict.REOPEN if tried.reopenings < MAX_REOPENINGS else Verdict.FAIL)


def _is_doubtful(tried: Try) -> bool:
    return tried.step in _DOUBTFUL_STEPS and tried.kind not in _HARMLESS_KINDS and not tried.recognises_repeats


def _doubt(tried: Try, error: ConnectorError, policy: RetryPolicy) -> Judgement:
    if not isinstance(error, Refused):
        wait_s = RECOVERING_WAIT_S if tried.is_recovering else UNANSWERED_WAIT_S
        return Judgement(verdict=Verdict.UNKNOWN, delay_s=wait_s)
    delay_s = policy.next_delay_s(attempt=tried.attempt, error=error)
    if delay_s is None:
        return Judgement(verdict=Verdict.DIE)
    return Judgement(verdict=Verdict.UNKNOWN, delay_s=delay_s)


def _again(tried: Try, error: ConnectorError, policy: RetryPolicy) -> Judgement:
    if isinstance(error, ConversationAlreadyOpen):
        error = Refused()  # spaced like a server error: it may be closed, or made known to us, at any time
    delay_s = policy.next_delay_s(attempt=tried.attempt, error=error)
    if delay_s is None:
        return Judgement(verdict=Verdict.DROP if tried.kind == DispatchKind.RECEIPT else Verdict.DIE)
    return Judgement(verdict=Verdict.RETRY, delay_s=delay_s)
