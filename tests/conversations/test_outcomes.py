"""What a failed try means: one table, without clock or database."""

from __future__ import annotations

import pytest

from conversations.models import DispatchKind as Kind
from conversations.models import Step
from conversations.outcomes import MAX_REOPENINGS, RECOVERING_WAIT_S, UNANSWERED_WAIT_S, Try, Verdict, judge
from core import errors
from core.retry import RetryPolicy

POLICY = RetryPolicy(delays_s=(5, 10), jitter=0)
RATE_LIMITED = errors.RateLimited(retry_after_s=60)
CLOSED, OPEN = errors.ConversationClosed(), errors.ConversationAlreadyOpen()


def tried(kind: str = Kind.TEXT, step: str = Step.PUBLISH, **facts: object) -> Try:
    return Try(
        **{  # type: ignore[arg-type]
            "kind": kind, "step": step, "attempt": 1, "renewals": 0, "reopenings": 0, "recognises_repeats": False,
            "is_recovering": False, **facts,
        }
    )  # fmt: skip


TABLE = [
    # tokens: once renewed, then everything waits for a person
    (tried(), errors.TokenExpired(), Verdict.RENEW, 0),
    (tried(renewals=1), errors.TokenExpired(), Verdict.PAUSE, 0),
    (tried(Kind.TYPING), errors.TokenExpired(), Verdict.RENEW, 0),
    (tried(), errors.CredentialsRejected(), Verdict.PAUSE, 0),
    (tried(step=Step.SEND), errors.CredentialsRejected(), Verdict.PAUSE, 0),
    # certainly without effect: the pause of the policy, Retry-After as a floor
    (tried(), errors.NotSent(), Verdict.RETRY, 5),
    (tried(attempt=2), errors.NotSent(), Verdict.RETRY, 10),
    (tried(attempt=3), errors.NotSent(), Verdict.DIE, 0),
    (tried(), RATE_LIMITED, Verdict.RETRY, 60),
    (tried(Kind.OPEN, Step.OPEN), errors.NotSent(), Verdict.RETRY, 5),
    # certainly in vain
    (tried(), errors.RequestRejected(), Verdict.FAIL, 0),
    (tried(), errors.ContentUnsupported(), Verdict.FAIL, 0),
    (tried(step=Step.SEND), errors.ConsumerGone(), Verdict.FAIL, 0),
    # nobody knows
    (tried(), errors.Unanswered(), Verdict.UNKNOWN, UNANSWERED_WAIT_S),
    (tried(is_recovering=True), errors.Unanswered(), Verdict.UNKNOWN, RECOVERING_WAIT_S),
    (tried(), errors.Refused(), Verdict.UNKNOWN, 5),
    (tried(attempt=3), errors.Refused(), Verdict.DIE, 0),
    (tried(attempt=9), errors.Unanswered(), Verdict.UNKNOWN, UNANSWERED_WAIT_S),
    (tried(Kind.OPEN, Step.OPEN), errors.Unanswered(), Verdict.UNKNOWN, UNANSWERED_WAIT_S),
    (tried(step=Step.SEND), errors.Unanswered(), Verdict.UNKNOWN, UNANSWERED_WAIT_S),
    # … but it does no harm to do it again
    (tried(step=Step.SEND, recognises_repeats=True), errors.Unanswered(), Verdict.RETRY, 5),
    (tried(step=Step.SEND, recognises_repeats=True), errors.Refused(), Verdict.RETRY, 5),
    (tried(step=Step.IDENTIFY), errors.Unanswered(), Verdict.RETRY, 5),
    (tried(Kind.FILE, Step.UPLOAD), errors.Refused(), Verdict.RETRY, 5),
    (tried(Kind.FILE, Step.FETCH), errors.Unanswered(), Verdict.RETRY, 5),
    (tried(Kind.FILE), errors.Unanswered(), Verdict.UNKNOWN, UNANSWERED_WAIT_S),
    (tried(Kind.RECEIPT), errors.Unanswered(), Verdict.RETRY, 5),
    (tried(Kind.CLOSE), errors.Refused(), Verdict.RETRY, 5),
    (tried(Kind.PROFILE), errors.Refused(), Verdict.RETRY, 5),
    # what has lost its use
    (tried(Kind.TYPING), errors.Unanswered(), Verdict.DROP, 0),
    (tried(Kind.TYPING), RATE_LIMITED, Verdict.DROP, 0),
    (tried(Kind.TYPING), errors.RequestRejected(), Verdict.DROP, 0),
    (tried(Kind.TYPING), CLOSED, Verdict.DROP, 0),
    (tried(Kind.RECEIPT, attempt=3), errors.Refused(), Verdict.DROP, 0),
    (tried(Kind.RECEIPT), CLOSED, Verdict.DROP, 0),
    (tried(Kind.CLOSE), CLOSED, Verdict.DROP, 0),
    (tried(Kind.PROFILE), CLOSED, Verdict.DROP, 0),
    # signals that a channel has no form for are no message that failed
    (tried(Kind.RECEIPT, Step.SEND), errors.ContentUnsupported(), Verdict.DROP, 0),
    (tried(Kind.CLOSE, Step.SEND), errors.ContentUnsupported(), Verdict.DROP, 0),
    # closed and open conversations
    (tried(), CLOSED, Verdict.REOPEN, 0),
    (tried(Kind.FILE), CLOSED, Verdict.REOPEN, 0),
    (tried(reopenings=MAX_REOPENINGS), CLOSED, Verdict.FAIL, 0),
    (tried(Kind.OPEN, Step.OPEN), OPEN, Verdict.RETRY, 5),
    (tried(Kind.OPEN, Step.OPEN, attempt=3), OPEN, Verdict.DIE, 0),
]


@pytest.mark.parametrize(("what", "error", "verdict", "delay_s"), TABLE)
def test_each_failure_has_its_verdict(
    what: Try, error: errors.ConnectorError, verdict: Verdict, delay_s: float
) -> None:
    judgement = judge(what, error, policy=POLICY)

    assert (judgement.verdict, judgement.delay_s) == (verdict, delay_s)


@pytest.mark.parametrize("kind", Kind.values)
@pytest.mark.parametrize("step", Step.values)
def test_every_kind_at_every_step_has_a_verdict_for_every_error(kind: str, step: str) -> None:
    for error_class in _leaves(errors.ConnectorError):
        error = error_class("x")
        verdicts = {judge(tried(kind, step, attempt=attempt), error, policy=POLICY).verdict for attempt in (1, 2, 3)}
        assert verdicts, error_class


def _leaves(parent: type[errors.ConnectorError]) -> list[type[errors.ConnectorError]]:
    children = parent.__subclasses__()
    return [leaf for child in children for leaf in _leaves(child)] if children else [parent]
