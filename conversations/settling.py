"""The end of a try: what it does to the dispatch, its message, its conversation and its installation."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog

from conversations import lanes, life
from conversations.calls import Brought, Done, StoredFile
from conversations.models import (
    Attempt,
    Consumer,
    ConsumerToken,
    Direction,
    Dispatch,
    DispatchKind,
    DispatchState,
    MediaFile,
    Message,
    MessageStatus,
    Outcome,
    Step,
)
from conversations.models.outbox import LIVE_STATES
from conversations.outcomes import Judgement, Try, Verdict, judge
from conversations.token_desk import TokenDesk
from conversations.turn import Turn
from conversations.upstreams import upstream_of
from core import retry
from core.errors import (
    ConnectorError,
    ConversationClosed,
    NotProcessed,
    OutcomeUnknown,
    Refused,
    Unanswered,
)
from installations import services as installations
from installations.connectors import Connector, get_connector

logger = structlog.get_logger(__name__)

_NEXT_STEPS = frozenset({Step.IDENTIFY, Step.FETCH, Step.UPLOAD})


@dataclass(frozen=True)
class _Used:
    """What a try used: its connector, and where LivePerson was called, which AppJWT from which desk."""

    connector: Connector
    app_generation: int = 0
    desk: TokenDesk | None = None


def settle(turn: Turn, done: Done, *, desk: TokenDesk) -> None:
    """Write what a job brought. The consumer's mutex is held and the fence was checked."""
    dispatch = done.job.dispatch
    if done.error is None:
        assert done.brought is not None
        turn.finish_attempt(done.job.attempt_id, (Outcome.ACCEPTED, "", None, "", "", "", done.elapsed_ms))
        _succeed(turn, dispatch, done.brought, done.job.connector)
        return
    turn.finish_attempt(done.job.attempt_id, _attempt_end(done.error, done.elapsed_ms))
    _fail(turn, dispatch, done.error, _Used(done.job.connector, done.job.app_generation, desk))


def settle_interrupted(turn: Turn, dispatch: Dispatch) -> None:
    """The worker that tried this died in between: how far its request got is not known."""
    error = give_up_attempts(turn, dispatch)
    _fail(turn, dispatch, error, _Used(get_connector(dispatch.channel_id)))


def give_up_attempts(turn: Turn, dispatch: Dispatch) -> Unanswered:
    """End what was begun and never brought a result; returns the error that this means."""
    error = Unanswered("The worker ended while the request was under way.")
    unfinished = Attempt.objects.filter(dispatch=dispatch, finished_at=None).values_list("pk", flat=True)
    for attempt_id in unfinished:
        turn.finish_attempt(attempt_id, _attempt_end(error, None))
    return error


def take_late(turn: Turn, done: Done) -> None:
    """
    A result under an old fence: somebody else has taken the lane, and took this try for unanswered.

    It is kept with the attempt. That a send was accepted settles what is still in doubt; what has gone on meanwhile
    goes on, and a second arrival is noted. A step that shows nothing to anybody was done again: what it brought is of
    no use, and must not take the place of what the send went out with.
    """
    logger.warning("dispatch.result.late", dispatch_id=str(done.job.dispatch.pk))
    dispatch = lanes.read_afresh(done.job.dispatch.pk)
    if done.error is not None:
        end = _attempt_end(done.error, done.elapsed_ms)
        if dispatch.consumer.erased_at is not None:
            end = _without_words(end)
        turn.finish_attempt(done.job.attempt_id, end)
        return
    assert done.brought is not None
    turn.finish_attempt(done.job.attempt_id, (Outcome.ACCEPTED, "late", None, "", "", "", done.elapsed_ms))
    if done.job.dispatch.step in _NEXT_STEPS:
        return
    waits_to_be_repeated = dispatch.state == DispatchState.QUEUED and dispatch.possible_duplicate
    if waits_to_be_repeated or dispatch.state in (DispatchState.UNKNOWN, DispatchState.PARKED):
        dispatch.step = done.job.dispatch.step
        _succeed(turn, dispatch, done.brought, done.job.connector)
        lanes.make_due([dispatch.lane_id])
    elif dispatch.possible_duplicate and done.brought.sequence not in (None, dispatch.lp_sequence):
        Dispatch.objects.filter(pk=dispatch.pk).update(duplicate_seen_at=turn.now)


def mark_sent(turn: Turn, dispatch: Dispatch, *, resolution: str, sequence: int | None) -> None:
    """It arrived. resolution: what shows it."""
    dispatch.state = DispatchState.SENT
    dispatch.resolution = resolution
    dispatch.finished_at = turn.now
    dispatch.error_code = dispatch.error_detail = ""
    if sequence is not None and dispatch.kind in (DispatchKind.TEXT, DispatchKind.FILE, DispatchKind.RECEIPT):
        dispatch.lp_sequence = sequence
        if dispatch.conversation_id:
            turn.raise_sequence(
                conversation_id=dispatch.conversation_id, lp_dialog_id=dispatch.lp_dialog_id, sequence=sequence
            )
    turn.save(dispatch)
    _raise_message(turn, dispatch, MessageStatus.SENT)


def drop(turn: Turn, dispatch: Dispatch, *, code: str) -> None:
    """It has lost its use: nothing is sent."""
    dispatch.state = DispatchState.DROPPED
    dispatch.error_code = code
    dispatch.finished_at = turn.now
    turn.save(dispatch)


def set_aside(turn: Turn, dispatch: Dispatch, bug: Exception) -> None:
    """
    An error of our own struck: it is listed and the lane goes on.

    What was under way may have arrived, so a person decides; what was decided before the error stays decided.
    """
    if dispatch.state not in LIVE_STATES:
        return
    was_under_way = dispatch.state != DispatchState.QUEUED
    dispatch.error_code = "our_error"
    # The class only: the message of an error may hold what somebody wrote.
    dispatch.error_detail = f"An error of our own ({type(bug).__name__}): look in the log, then send it again."
    if was_under_way:
        dispatch.state = DispatchState.PARKED
        turn.save(dispatch)
        if dispatch.kind == DispatchKind.OPEN:
            _end_what_needed_opening(turn, dispatch, DispatchState.DEAD)
    else:
        end_badly(turn, dispatch, state=DispatchState.DEAD)


def end_badly(turn: Turn, dispatch: Dispatch, *, state: str) -> None:
    """Failed or dead: it is listed, the lane goes on, and who waits for it is told."""
    dispatch.state = state
    dispatch.finished_at = turn.now
    turn.save(dispatch)
    if dispatch.kind == DispatchKind.OPEN:
        _end_what_needed_opening(turn, dispatch, state)
    message = dispatch.message
    if message is None:
        return
    message.status = MessageStatus.FAILED
    message.error_code = dispatch.error_code
    turn.save_message(message)
    if dispatch.direction == Direction.TO_CHANNEL:
        life.tell_liveperson(dispatch.consumer, message, status="NACK")


def _succeed(turn: Turn, dispatch: Dispatch, brought: Brought, connector: Connector) -> None:
    consumer = dispatch.consumer
    if brought.file is not None:
        _keep_file(turn, dispatch, brought.file)
    if dispatch.step in _NEXT_STEPS:
        if dispatch.step == Step.IDENTIFY:
            _keep_token(turn, consumer, connector, brought)
        dispatch.progress = {**dispatch.progress, **brought.progress}
        dispatch.state = DispatchState.QUEUED
        turn.save(dispatch)
        return
    if dispatch.step == Step.OPEN:
        dispatch.conversation = life.conversation_opened(
            consumer=consumer,
            channel=connector.channel,
            lp_conversation_id=brought.lp_conversation_id,
            opened_at=turn.now,
        )
    if brought.provider_ids:
        dispatch.provider_ids = list(brought.provider_ids)
    mark_sent(turn, dispatch, resolution="answer", sequence=brought.sequence)
    if brought.is_delivered and dispatch.message is not None and _is_last_part(dispatch.message, dispatch):
        life.delivered_to_consumer(consumer, dispatch.message, now=turn.now)
        turn.save_message(dispatch.message)


def _fail(turn: Turn, dispatch: Dispatch, error: ConnectorError, used: _Used) -> None:
    is_to_channel = dispatch.step == Step.SEND
    tried = Try(
        kind=dispatch.kind,
        step=dispatch.step,
        attempt=dispatch.attempt_count,
        renewals=_renewals(dispatch, used.app_generation),
        reopenings=dispatch.progress.get("reopenings", 0),
        recognises_repeats=is_to_channel and used.connector.adapter.is_safe_to_repeat(error),
        is_recovering=turn.breakers.is_open(upstream_of(Step(dispatch.step), used.connector)),
    )
    judgement = judge(tried, error, policy=retry.CHANNEL if is_to_channel else retry.LIVEPERSON)
    dispatch.error_code = error.code
    dispatch.error_detail = error.detail
    if judgement.verdict is not Verdict.RENEW:
        forget_renewals(dispatch)
    turn.save(dispatch)
    if judgement.verdict is Verdict.RENEW and used.desk is not None:
        _renew(dispatch, error, used, used.desk)
    elif judgement.verdict in (Verdict.PAUSE, Verdict.RENEW):
        _pause(dispatch, error, used.connector, is_to_channel)
    elif judgement.verdict is Verdict.REOPEN:
        _reopen(turn, dispatch)
    elif judgement.verdict is Verdict.DROP:
        drop(turn, dispatch, code=error.code)
    elif judgement.verdict in (Verdict.FAIL, Verdict.DIE):
        end_badly(
            turn, dispatch, state=DispatchState.FAILED if judgement.verdict is Verdict.FAIL else DispatchState.DEAD
        )
    else:
        _wait(turn, dispatch, judgement)
    if isinstance(error, ConversationClosed) and dispatch.direction == Direction.TO_LIVEPERSON:
        life.conversation_found_closed(dispatch, now=turn.now)


def forget_renewals(dispatch: Dispatch) -> None:
    """Only refusals in a row show wrong credentials: what expires after another trouble has expired anew."""
    dispatch.progress = {key: value for key, value in dispatch.progress.items() if key != "renewals"}


def _renewals(dispatch: Dispatch, app_generation: int) -> int:
    """How often a token was renewed for it; a refusal of the same old token again, by another worker, is none more."""
    if app_generation and dispatch.progress.get("refused_generation") == app_generation:
        return 0
    renewals: int = dispatch.progress.get("renewals", 0)
    return renewals


def _wait(turn: Turn, dispatch: Dispatch, judgement: Judgement) -> None:
    dispatch.next_attempt_at = turn.now + timedelta(seconds=judgement.delay_s)
    if judgement.verdict is Verdict.UNKNOWN:
        dispatch.state = DispatchState.UNKNOWN
        dispatch.unknown_at = turn.now
    else:
        dispatch.state = DispatchState.QUEUED


def _renew(dispatch: Dispatch, error: ConnectorError, used: _Used, desk: TokenDesk) -> None:
    installation_id = used.connector.installation.pk
    if error.provider_code == "40103":
        desk.consumer_tokens.pop((dispatch.consumer_id, installation_id), None)
        ConsumerToken.objects.filter(consumer_id=dispatch.consumer_id, installation_id=installation_id).delete()
    else:
        desk.reject(installation_id, generation=used.app_generation)
        dispatch.progress = {**dispatch.progress, "refused_generation": used.app_generation}
    dispatch.progress = {**dispatch.progress, "renewals": dispatch.progress.get("renewals", 0) + 1}
    dispatch.state = DispatchState.QUEUED


def _pause(dispatch: Dispatch, error: ConnectorError, connector: Connector, is_to_channel: bool) -> None:
    """Wrong credentials are nobody's message's fault: everything waits, nothing is used up."""
    dispatch.state = DispatchState.QUEUED
    dispatch.attempt_count = 0
    if is_to_channel:
        installations.pause_channel_for_credentials(connector.channel.pk, detail=error.detail)
    else:
        installations.pause_for_credentials(connector.installation.pk, detail=error.detail)


def _reopen(turn: Turn, dispatch: Dispatch) -> None:
    dispatch.progress = {**dispatch.progress, "reopenings": dispatch.progress.get("reopenings", 0) + 1}
    dispatch.state = DispatchState.QUEUED
    dispatch.next_attempt_at = turn.now


def _end_what_needed_opening(turn: Turn, opening: Dispatch, state: str) -> None:
    """Without this the next in the lane would ask for another opening at once, for ever."""
    waiting = (
        Dispatch.objects.filter(lane_id=opening.lane_id, position__gt=opening.position, state=DispatchState.QUEUED)
        .order_by("position")
        .select_related("consumer", "message")
        .first()
    )
    if waiting is not None:
        waiting.error_code, waiting.error_detail = opening.error_code, opening.error_detail
        end_badly(turn, waiting, state=state)


def _raise_message(turn: Turn, dispatch: Dispatch, status: str) -> None:
    message = dispatch.message
    if message is None or dispatch.kind == DispatchKind.RECEIPT:
        return
    if dispatch.direction == Direction.TO_LIVEPERSON:
        message.conversation_id = dispatch.conversation_id
        message.lp_dialog_id = dispatch.lp_dialog_id
        if message.lp_sequence is None:
            message.lp_sequence = dispatch.lp_sequence
    if _is_last_part(message, dispatch):
        message.climb_to(status, at=turn.now)
    turn.save_message(message)


def _is_last_part(message: Message, dispatch: Dispatch) -> bool:
    """A message has gone when all of its parts have."""
    if dispatch.payload.get("of") == 1:
        return True
    return not message.dispatches.exclude(pk=dispatch.pk).exclude(state=DispatchState.SENT).exists()


def _keep_token(turn: Turn, consumer: Consumer, connector: Connector, brought: Brought) -> None:
    installation_id = connector.installation.pk
    token = ConsumerToken(consumer=consumer, installation_id=installation_id)
    token.keep(brought.consumer_jws)
    ConsumerToken.objects.bulk_create(
        [token],
        update_conflicts=True,
        unique_fields=["consumer", "installation"],
        update_fields=["sealed", "created_at"],
    )
    turn.know_token(consumer.pk, installation_id, brought.consumer_jws)
    if brought.lp_consumer_id and consumer.lp_consumer_id != brought.lp_consumer_id:
        consumer.lp_consumer_id = brought.lp_consumer_id
        consumer.save(update_fields=["lp_consumer_id"])


def _keep_file(turn: Turn, dispatch: Dispatch, file: StoredFile) -> None:
    assert dispatch.message is not None
    MediaFile.objects.bulk_create(
        [
            MediaFile(
                id=file.id,
                brand_id=dispatch.brand_id,
                message=dispatch.message,
                index=dispatch.payload.get("attachment", 0),
                name=file.name,
                mime=file.mime,
                size=file.size,
                sha256=file.sha256,
                expires_on=dispatch.lane.brand.expires_on(turn.now),
            )
        ],
        ignore_conflicts=True,
    )
    dispatch.progress = {**dispatch.progress, "file_id": str(file.id), "name": file.name}


def _attempt_end(error: ConnectorError, elapsed_ms: int | None) -> tuple[Any, ...]:
    return (
        _outcome_of(error),
        error.code[:64],
        error.http_status,
        error.provider_code[:64],
        error.detail[:500],
        error.answer_head[:512],
        elapsed_ms,
    )


def _without_words(attempt_end: tuple[Any, ...]) -> tuple[Any, ...]:
    """An erasure has been at the attempt already: what the other side wrote of the person must not come back."""
    outcome, code, http_status, provider_code, _, _, elapsed_ms = attempt_end
    return (outcome, code, http_status, provider_code, "", "", elapsed_ms)


def _outcome_of(error: ConnectorError) -> Outcome:
    if isinstance(error, Refused):
        return Outcome.REFUSED
    if isinstance(error, OutcomeUnknown):
        return Outcome.UNANSWERED
    return Outcome.NOT_PROCESSED if isinstance(error, NotProcessed) else Outcome.REJECTED
