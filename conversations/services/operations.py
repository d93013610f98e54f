"""What an operator does by hand to a dispatch that came to no good end, or to a conversation. All is in the trail."""

from __future__ import annotations

import uuid

import structlog
from django.db import transaction
from django.utils import timezone

from audit import api as audit
from conversations import held, lanes, life
from conversations.models import (
    Conversation,
    Direction,
    Dispatch,
    DispatchKind,
    DispatchState,
    MessageContent,
    MessageStatus,
)
from conversations.models.outbox import LIVE_STATES
from conversations.services.held_lanes import RESTORED
from conversations.settling import mark_sent
from conversations.turn import Turn
from core import queue
from core.actor import Actor

UNCERTAIN = (DispatchState.PARKED, DispatchState.UNKNOWN)
RESENDABLE = (*UNCERTAIN, DispatchState.DEAD, DispatchState.FAILED)
DROPPABLE = (*RESENDABLE, DispatchState.QUEUED)

# What a dispatch has used up of its chances; a person gives it new ones.
_COUNTED = ("reopenings", "renewals")


class NotPossible(Exception):
    """The dispatch is not in a state in which this can be done; the text says why."""


def can_be_sent_again(dispatch: Dispatch) -> bool:
    """Whether it is in such a state, and there is still somebody to send it for and something to say."""
    is_gone = dispatch.consumer.erased_at is not None or bool(dispatch.message and dispatch.message.removed_at)
    return dispatch.state in RESENDABLE and not is_gone


def may_have_arrived(dispatch: Dispatch) -> bool:
    """Whether one that is sent again may then stand there twice: its outcome is unknown, or a restore brought it."""
    return dispatch.state in UNCERTAIN or bool(dispatch.progress.get(RESTORED))


@transaction.atomic
def send_again(*, dispatch_id: uuid.UUID, actor: Actor, reason: str = "") -> None:
    """
    Queue a dispatch again at its old place, before everything that still waits in its lane.

    One that may have arrived is marked as a possible duplicate.
    """
    dispatch = _locked(dispatch_id)
    if dispatch.state not in RESENDABLE:
        raise NotPossible(
            f"It is {dispatch.get_state_display().lower()}: only parked, dead, failed or unknown is resent."
        )
    if dispatch.consumer.erased_at is not None:
        raise NotPossible("Its consumer was erased: there is nobody to send it for.")
    if dispatch.message is not None and not MessageContent.objects.filter(pk=dispatch.message_id).exists():
        raise NotPossible("What it said has been removed: there is nothing left to send.")
    if may_have_arrived(dispatch):
        dispatch.possible_duplicate = True
    before = dispatch.state
    dispatch.state = DispatchState.QUEUED
    dispatch.attempt_count = 0
    forgotten = (*_COUNTED, RESTORED)
    dispatch.progress = {key: value for key, value in dispatch.progress.items() if key not in forgotten}
    dispatch.next_attempt_at = dispatch.expires_at = dispatch.finished_at = None
    dispatch.error_code = dispatch.error_detail = ""
    dispatch.save()
    if dispatch.message and dispatch.message.status == MessageStatus.FAILED:
        dispatch.message.status = MessageStatus.QUEUED
        dispatch.message.error_code = ""
        dispatch.message.save(update_fields=["status", "error_code"])
    held.let_go_when_settled(dispatch.lane)
    lanes.make_due([dispatch.lane_id])
    audit.record("dispatch.resent", actor=actor, subject=dispatch, data={"state": before}, reason=reason)
    queue.ring()


@transaction.atomic
def drop(*, dispatch_id: uuid.UUID, actor: Actor, reason: str = "") -> None:
    """Give a dispatch up: it is not sent, and the lane goes on."""
    dispatch = _locked(dispatch_id)
    if dispatch.state not in DROPPABLE:
        raise NotPossible(f"It is {dispatch.get_state_display().lower()}: there is nothing to drop.")
    before = dispatch.state
    dispatch.state = DispatchState.DROPPED
    dispatch.resolution = "person"
    dispatch.finished_at = timezone.now()
    dispatch.save(update_fields=["state", "resolution", "finished_at"])
    if dispatch.message and dispatch.message.status == MessageStatus.QUEUED:
        dispatch.message.status = MessageStatus.FAILED
        dispatch.message.error_code = "dropped"
        dispatch.message.save(update_fields=["status", "error_code"])
        if dispatch.direction == Direction.TO_CHANNEL:
            life.tell_liveperson(dispatch.consumer, dispatch.message, status="NACK")
    held.let_go_when_settled(dispatch.lane)
    lanes.make_due([dispatch.lane_id])
    audit.record("dispatch.dropped", actor=actor, subject=dispatch, data={"state": before}, reason=reason)
    queue.ring()


@transaction.atomic
def resolve_as_sent(*, dispatch_id: uuid.UUID, actor: Actor, reason: str = "") -> None:
    """A person has seen that it arrived: an unknown outcome becomes sent."""
    dispatch = _locked(dispatch_id)
    if dispatch.state not in UNCERTAIN:
        raise NotPossible(f"It is {dispatch.get_state_display().lower()}: only unknown or parked is resolved.")
    before = dispatch.state
    turn = Turn(now=timezone.now())
    mark_sent(turn, dispatch, resolution="person", sequence=dispatch.echo_sequence)
    turn.flush()
    held.let_go_when_settled(dispatch.lane)
    lanes.make_due([dispatch.lane_id])
    audit.record("dispatch.resolved_as_sent", actor=actor, subject=dispatch, data={"state": before}, reason=reason)
    queue.ring()


@transaction.atomic
def ask_to_close(*, conversation_id: uuid.UUID, actor: Actor, reason: str = "") -> None:
    """
    Have LivePerson asked to close a conversation, after all that the consumer has said before.

    Raises NotPossible where it is closed, or where somebody has asked for it and that still waits.
    """
    consumer = lanes.lock_consumer(Conversation.objects.values_list("consumer_id", flat=True).get(pk=conversation_id))
    conversation = Conversation.objects.get(pk=conversation_id)
    if not conversation.is_open:
        raise NotPossible("It is closed already.")
    waiting = Dispatch.objects.filter(lane__consumer=consumer, state__in=LIVE_STATES, kind=DispatchKind.CLOSE)
    if waiting.filter(payload__conversation_id=str(conversation.pk)).exists():
        raise NotPossible("LivePerson is asked already: the closing waits behind what was said before it.")
    correlation_id = str(structlog.contextvars.get_contextvars().get("correlation_id", ""))
    # What was said before may wait, and open another one: that is not meant.
    life.ask_liveperson_to_close(consumer, conversation=conversation, correlation_id=correlation_id)
    audit.record("conversation.close_requested", actor=actor, subject=conversation, reason=reason)
    queue.ring()


def _locked(dispatch_id: uuid.UUID) -> Dispatch:
    consumer_id = Dispatch.objects.values_list("consumer_id", flat=True).get(pk=dispatch_id)
    lanes.lock_consumer(consumer_id)
    return Dispatch.objects.select_related("lane", "consumer", "message", "conversation").get(pk=dispatch_id)
