"""From the head of a lane to a call that can be made: decides, under the consumer's mutex, what is tried next."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

import structlog
from django.db import DatabaseError, InterfaceError

from conversations import calls, evidence, lanes, signals
from conversations.calls import Brought, Job
from conversations.models import (
    ConversationState,
    Direction,
    Dispatch,
    DispatchKind,
    DispatchState,
    Step,
)
from conversations.profiles import build_profile
from conversations.settling import drop, forget_renewals, set_aside, settle_interrupted
from conversations.token_desk import NoToken, TokenDesk
from conversations.turn import OpenConversation, Turn
from conversations.upstreams import upstream_of
from core.breaker import Go, Wait
from core.errors import ConfigurationError
from core.events import Attachment
from core.ids import new_id
from installations import breakers
from installations.connectors import Connector, channel_http, get_connector, is_still_blocked
from liveperson.client import Tokens

logger = structlog.get_logger(__name__)

# What is of no use without a conversation; the others open one.
_NEEDS_CONVERSATION = frozenset({DispatchKind.TYPING, DispatchKind.RECEIPT, DispatchKind.CLOSE, DispatchKind.PROFILE})
_UNTIL_CONFIGURED = timedelta(minutes=1)
_LOOK_AGAIN = timedelta(milliseconds=500)
_MAX_HEADS = 16  # of one lane in one turn: what is dropped makes way for the next


@dataclass(frozen=True, kw_only=True)
class Later:
    """The lane is given back until then; None: until something happens to it."""

    until: datetime | None
    blocked_by: str = ""


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Who we are to LivePerson, and for whom we speak. generation: of the AppJWT."""

    tokens: Tokens
    generation: int


class NextHead:
    """The head has gone, or another has come before it: look again."""


NEXT_HEAD = NextHead()


def prepare(turn: Turn, *, fences: dict[uuid.UUID, int], desk: TokenDesk) -> list[Job]:
    """
    The jobs of these lanes, each with its attempt written; lanes without one are given back.

    fences: lane id to the fence under which this worker leases it.
    """
    jobs: list[Job] = []
    waiting = set(fences)
    for _ in range(_MAX_HEADS):
        turn.flush()
        heads = lanes.heads_of(waiting)
        for lane_id in waiting - {head.lane_id for head in heads}:
            turn.release(lane_id, due_at=None)
        turn.read_consumers({head.consumer_id for head in heads})
        waiting = set()
        for head in heads:
            step = _decide(turn, head, fences[head.lane_id], desk)
            if isinstance(step, Job):
                jobs.append(step)
            elif isinstance(step, Later):
                turn.release(head.lane_id, due_at=step.until, blocked_by=step.blocked_by)
            else:
                waiting.add(head.lane_id)
        if not waiting:
            break
    for lane_id in waiting:
        turn.release(lane_id, due_at=turn.now)
    turn.flush()
    return jobs


def _decide(turn: Turn, head: Dispatch, fence: int, desk: TokenDesk) -> Job | Later | NextHead:
    """What is done about a head. Whatever is wrong with it must not stop the lanes beside it."""
    try:
        return _Preparation(turn, head, fence, desk).run()
    except (DatabaseError, InterfaceError):
        raise
    except ConfigurationError as error:
        logger.error("dispatch.not_configured", dispatch_id=str(head.pk), problem=str(error))
        return Later(until=turn.now + _UNTIL_CONFIGURED, blocked_by="configuration")
    except Exception as bug:
        logger.exception("dispatch.prepare.broke", dispatch_id=str(head.pk))
        set_aside(turn, head, bug)
        return NEXT_HEAD


class _Preparation:
    """The decision about one head."""

    def __init__(self, turn: Turn, head: Dispatch, fence: int, desk: TokenDesk) -> None:
        self.turn = turn
        self.head = head
        self.fence = fence
        self.desk = desk
        self.consumer = head.consumer

    def run(self) -> Job | Later | NextHead:
        if self.head.state == DispatchState.SENDING:
            settle_interrupted(self.turn, self.head)
            return NEXT_HEAD
        if self.head.state == DispatchState.UNKNOWN:
            return self._decide_unknown()
        if self.head.expires_at and self.head.expires_at <= self.turn.now:
            drop(self.turn, self.head, code="expired")
            return NEXT_HEAD
        if self.head.next_attempt_at and self.head.next_attempt_at > self.turn.now:
            return Later(until=self.head.next_attempt_at, blocked_by=self.head.error_code)
        connector = get_connector(self.head.channel_id)
        paused = self._paused(connector)
        if paused is not None:
            return paused
        if connector.blocked_by:
            return self._blocked(connector)
        if self.head.direction == Direction.TO_LIVEPERSON:
            return self._towards_liveperson(connector)
        return self._towards_channel(connector)

    def _paused(self, connector: Connector) -> Later | NextHead | None:
        """What a pause leaves to do; None: there is none."""
        desk, head, turn = self.turn.pauses, self.head, self.turn
        paused = desk.covering(
            connector=connector, consumer_id=head.consumer_id, direction=head.direction, now=turn.now
        )
        if paused is None:
            return None
        still = desk.is_in_force(paused, now=turn.now)
        if still is False:
            return NEXT_HEAD
        return Later(until=None if still else turn.now + _LOOK_AGAIN, blocked_by=paused.blocked_by)

    def _blocked(self, connector: Connector) -> Later | NextHead:
        still = is_still_blocked(connector)
        if still is False:
            return NEXT_HEAD
        return Later(until=None if still else self.turn.now + _LOOK_AGAIN, blocked_by=connector.blocked_by)

    def _decide_unknown(self) -> Later | NextHead:
        until = evidence.decide(self.turn, self.head)
        if until is None:
            return NEXT_HEAD
        return Later(until=until if until > self.turn.now else None, blocked_by=lanes.IN_DOUBT)

    # Towards LivePerson

    def _towards_liveperson(self, connector: Connector) -> Job | Later | NextHead:
        conversation = self.turn.open_conversation_of(self.consumer.pk)
        if self.head.kind == DispatchKind.OPEN:
            if conversation is not None:
                drop(self.turn, self.head, code="already_open")
                return NEXT_HEAD
        elif conversation is None:
            return self._without_conversation()
        identity = self._identify(connector)
        if not isinstance(identity, Identity):
            return identity
        return self._with_tokens(connector, conversation, identity.tokens, identity.generation)

    def _identify(self, connector: Connector) -> Identity | Job | Later | NextHead:
        """The tokens for a call on the consumer's behalf, or what has to come before it."""
        app = self.desk.get(connector, now=self.turn.now)
        if isinstance(app, NoToken):
            return Later(until=app.until, blocked_by=app.why)
        jws = self.turn.consumer_token(self.consumer.pk, connector.installation.pk)
        if jws:
            return Identity(tokens=Tokens(app_jwt=app.token, consumer_jws=jws), generation=app.generation)
        call = partial(
            calls.identify, connector=connector, app_jwt=app.token, ext_consumer_id=self.consumer.ext_consumer_id
        )
        return self._job(Step.IDENTIFY, call, connector, app.generation)

    def _without_conversation(self) -> NextHead:
        if self.head.kind in _NEEDS_CONVERSATION:
            drop(self.turn, self.head, code="no_open_conversation")
        else:
            lanes.put_before(self.head, kind=DispatchKind.OPEN)
        return NEXT_HEAD

    def _with_tokens(
        self, connector: Connector, conversation: OpenConversation | None, tokens: Tokens, generation: int
    ) -> Job | Later | NextHead:
        if conversation is None:
            call = partial(
                calls.open_conversation,
                connector=connector,
                tokens=tokens,
                request_ids=(f"{self.head.pk.hex}-1", f"{self.head.pk.hex}-2"),
                profile=build_profile(self.consumer),
            )
            return self._job(Step.OPEN, call, connector, generation)
        if self.head.kind == DispatchKind.FILE and "relative_path" not in self.head.progress:
            return self._job(Step.UPLOAD, self._upload_call(connector, tokens), connector, generation)
        dialog_id = self._dialog_id(conversation)
        if dialog_id is None:
            drop(self.turn, self.head, code="dialog_closed")
            return NEXT_HEAD
        self.head.conversation = conversation.row
        self.head.lp_dialog_id = dialog_id
        self.head.sequence_before = conversation.last_sequence(dialog_id)
        return self._job(Step.PUBLISH, signals.liveperson_call(self.head, connector, tokens), connector, generation)

    def _dialog_id(self, conversation: OpenConversation) -> str | None:
        """Where it goes: the dialog that it speaks of, or the one that takes the consumer's words now."""
        named = self.head.payload.get("dialog_id")
        if named:
            is_same = self.head.payload.get("conversation_id") == str(conversation.row.pk)
            return str(named) if is_same else None
        if self.head.kind == DispatchKind.CLOSE and self.head.conversation_id not in (None, conversation.row.pk):
            return None  # it was tried for another one: somebody sends it again
        if self.head.kind == DispatchKind.TYPING and conversation.row.state == ConversationState.SURVEY:
            return None  # a survey takes no typing
        return conversation.dialog_id

    def _upload_call(self, connector: Connector, tokens: Tokens) -> partial[Brought]:
        return partial(
            calls.upload_consumer_file,
            connector=connector,
            tokens=tokens,
            http=channel_http(),
            attachment=self._attachment(),
            file_id=new_id(),
        )

    def _attachment(self) -> Attachment:
        assert self.head.message is not None
        return Attachment(**self.head.message.content.attachments[self.head.payload["attachment"]])

    # Towards the channel

    def _towards_channel(self, connector: Connector) -> Job | Later | NextHead:
        if self.head.kind == DispatchKind.FILE and "file_id" not in self.head.progress:
            return self._fetch(connector)
        call = partial(
            calls.send_to_channel,
            adapter=connector.adapter,
            config=connector.channel.config,
            secrets=connector.channel_secrets,
            signal=signals.channel_signal(self.head, self.consumer, connector),
            http=channel_http(),
        )
        return self._job(Step.SEND, call, connector, 0)

    def _fetch(self, connector: Connector) -> Job | Later | NextHead:
        identity = self._identify(connector)
        if not isinstance(identity, Identity):
            return identity
        fetch = partial(
            calls.fetch_agent_file,
            connector=connector,
            tokens=identity.tokens,
            attachment=self._attachment(),
            file_id=new_id(),
        )
        return self._job(Step.FETCH, fetch, connector, identity.generation)

    def _job(
        self, step: Step, call: partial[Brought], connector: Connector, app_generation: int
    ) -> Job | Later | NextHead:
        head = self.head
        upstream = upstream_of(step, connector)
        permit = self.turn.breakers.may_call(upstream, now=self.turn.now) if upstream else Go()
        if isinstance(permit, Wait):
            return self._held_back(permit)
        head.attempt_count = head.attempt_count + 1 if head.step == step else 1
        head.step = step
        head.state = DispatchState.SENDING
        head.next_attempt_at = None
        self.turn.save(head)
        attempt_id = self.turn.start_attempt(head, fence=self.fence)
        self.turn.extend(head.lane_id)
        return Job(
            dispatch=head,
            connector=connector,
            upstream=upstream,
            permit=permit,
            fence=self.fence,
            attempt_id=attempt_id,
            app_generation=app_generation,
            correlation_id=head.correlation_id,
            call=call,
        )

    def _held_back(self, permit: Wait) -> Later | NextHead:
        """While its upstream is in trouble no try is used up; typing would only come too late."""
        if self.head.kind == DispatchKind.TYPING:
            drop(self.turn, self.head, code=breakers.WAITING)
            return NEXT_HEAD
        if "renewals" in self.head.progress:
            forget_renewals(self.head)
            self.turn.save(self.head)
        return Later(until=permit.until, blocked_by=breakers.WAITING)
