"""
Inbox and outbox as a machine of states: whatever happens, in whatever order, the promises hold after every step.

What happens: consumers write, repeat and contradict themselves, agents answer and close, notifications come late, twice
and in any order, requests are refused or lost or taken without an answer, workers die and come back, people pause,
resend and drop. The services, the workers' loops and PostgreSQL are the real ones; LivePerson and the channel are
servers that keep a record of what they took.
"""

from __future__ import annotations

import itertools
import json
import uuid
from collections import Counter
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from audit.models import AuditEntry
from conversations.drain import Drain
from conversations.models import Attempt, Conversation, Direction, Dispatch, DispatchState, Message
from conversations.models.outbox import LIVE_STATES
from conversations.services import operations
from core.actor import COMMAND
from installations import editing, pausing
from installations.models import State, UnknownPolicy
from tests.conversations import database, notifications
from tests.conversations.servers import Play, Server
from tests.conversations.stand import forget_caches, make_door
from tests.inputs import clocks
from tests.inputs.liveperson import FATES, LATE, LOST, REFUSED, LivePerson, Notice
from tests.inputs.promises import Promises
from webhooks import inboxes, services
from webhooks.models import Delivery, DeliveryBody, DeliveryState, Event

CONSUMERS = ("ada", "ben")
TROUBLED = (DispatchState.PARKED, DispatchState.DEAD, DispatchState.FAILED, DispatchState.UNKNOWN)
# Longer without a worker would break the promise that the dead are replaced: that is not what is asked here.
UNATTENDED_S = 40

consumers = st.sampled_from(CONSUMERS)
places = st.integers(0, 11)
fates = st.sampled_from([*FATES, LOST, LATE, REFUSED])
plays = st.sampled_from([Play(status=500), Play(drop=True), Play(status=400), Play(status=429), Play(status=410)])


class DeadBeforeItsCalls(Drain):
    """A worker that dies when its attempts are written and nothing has been sent yet."""

    def _begin(self, jobs: Any) -> None:
        self._begun = jobs


class Site(RuleBasedStateMachine):
    """One connector, two consumers."""

    liveperson: LivePerson
    phone: Server
    promises: Promises
    steps = 0
    reached: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.phone.forget()
        self.door = make_door(domain_api=self.liveperson.server.url, channel_url=f"{self.phone.url}/agent")
        self.liveperson.forget(client_id=self.door.installation.client_id)
        self.numbers = itertools.count()
        self.written: dict[str, list[str]] = {consumer: [] for consumer in CONSUMERS}
        self.delivered: list[Notice] = []
        self.contradictions: set[str] = set()
        self.late: list[Drain] = []
        self.unattended_s = 0.0

    # --- the consumers

    @initialize(are_open=st.booleans())
    def conversations_may_be_open(self, are_open: bool) -> None:
        for consumer in CONSUMERS if are_open else ():
            self._write(consumer, 1)
            self.worker_works()
            self.notices_come(6)

    @rule(consumer=consumers, count=st.integers(1, 3), fares=st.lists(fates, max_size=4), works=st.integers(0, 2))
    def consumer_writes(self, consumer: str, count: int, fares: list[str], works: int) -> None:
        self.liveperson.fates[f"custom:{consumer}"].extend(fares)
        self._write(consumer, count)
        for _ in range(works):
            self.worker_works()
            self.notices_come(6)

    @precondition(lambda self: any(self.written.values()))
    @rule(consumer=consumers, place=places)
    def consumer_repeats(self, consumer: str, place: int) -> None:
        if text := _pick(self.written[consumer], place):
            assert self.door.says(text, id=text, consumer=consumer).json() == {"duplicate": True}

    @precondition(lambda self: any(self.written.values()))
    @rule(consumer=consumers, place=places)
    def consumer_contradicts(self, consumer: str, place: int) -> None:
        if text := _pick(self.written[consumer], place):
            other = f"{text}, but other words {next(self.numbers)}"
            self.contradictions.add(other)
            assert self.door.says(other, id=text, consumer=consumer).json() == {"duplicate": True}

    @rule(consumer=consumers, kind=st.sampled_from(["typing.started", "typing.stopped", "conversation.closed"]))
    def consumer_types_or_leaves(self, consumer: str, kind: str) -> None:
        assert self.door.tell(kind, {"consumer": {"id": consumer}}).status_code == 200

    @rule(place=places, status=st.sampled_from(["delivered", "read", "failed"]))
    def channel_reports(self, place: int, status: str) -> None:
        if sent := _pick([got.headers["webhook-id"] for got in self.phone.got], place):
            assert self.door.tell("message.status", {"id": sent, "status": status}).status_code == 200

    # --- LivePerson

    @rule(consumer=consumers, fares=st.lists(plays, max_size=4), is_sent=st.booleans())
    def agent_says(self, consumer: str, fares: list[Play], is_sent: bool) -> None:
        self.phone.plays.extend(fares)
        self.liveperson.agent_says(f"custom:{consumer}", f"agent {next(self.numbers)}")
        if is_sent:
            self.notices_come(6)
            self.worker_works()

    @rule(consumer=consumers)
    def agent_reads(self, consumer: str) -> None:
        self.liveperson.agent_reads(f"custom:{consumer}")

    @rule(consumer=consumers)
    def agent_closes(self, consumer: str) -> None:
        self.liveperson.close(f"custom:{consumer}")

    @rule()
    def tokens_expire(self) -> None:
        self.liveperson.expire_tokens()

    @precondition(lambda self: self.liveperson.notices)
    @rule(count=st.integers(1, 6))
    def notices_come(self, count: int) -> None:
        for _ in range(min(count, len(self.liveperson.notices))):
            self._deliver(0)

    @precondition(lambda self: self.liveperson.notices)
    @rule(place=places)
    def a_notice_comes_out_of_order(self, place: int) -> None:
        self._deliver(place % len(self.liveperson.notices))

    @precondition(lambda self: self.delivered)
    @rule(place=places)
    def a_notice_comes_again(self, place: int) -> None:
        assert self.door.notify_raw(self.delivered[-1 - place % len(self.delivered)].body).status_code == 200

    @precondition(lambda self: any(notice.said for notice in self.delivered))
    @rule(place=places)
    def a_notice_comes_again_with_other_words(self, place: int) -> None:
        notice = _pick([notice for notice in self.delivered if notice.said], place)
        assert notice is not None
        other = f"{notice.said}, but other words {next(self.numbers)}"
        self.contradictions.add(other)
        assert self.door.notify(notifications.said(notice.talk, notice.sequence, other)).status_code == 200

    @precondition(lambda self: any(notice.echo_of for notice in self.liveperson.notices))
    @rule(place=places)
    def an_echo_is_lost(self, place: int) -> None:
        echoes = [notice for notice in self.liveperson.notices if notice.echo_of]
        self.liveperson.notices.remove(echoes[place % len(echoes)])

    # --- workers and time

    @rule()
    def worker_works(self) -> None:
        self.unattended_s = 0.0
        services.work(deadline_s=10)

    @precondition(lambda self: not Delivery.objects.filter(state=DeliveryState.STORED, start_count__gte=2).exists())
    @rule()
    def worker_dies_before_it_applies(self) -> None:
        lease = inboxes.claim()
        if lease is not None:
            inboxes.next_batch(lease)

    @rule(dies=st.sampled_from([Drain, DeadBeforeItsCalls]))
    def worker_dies_while_it_sends(self, dies: type[Drain]) -> None:
        worker = self._half_a_turn(dies)
        if dies is Drain:
            worker._collect()

    @rule()
    def worker_is_late(self) -> None:
        """Its calls are made; what they brought is written when it comes back, perhaps after others took over."""
        self.late.append(self._half_a_turn(Drain))

    @precondition(lambda self: self.late)
    @rule()
    def late_worker_comes_back(self) -> None:
        self._come_back(self.late.pop(0))

    @rule(seconds=st.sampled_from([1, 7, 16, 22, 31, 65, 200, 1000]))
    def time_passes(self, seconds: int) -> None:
        left = float(seconds)
        while left:
            step = min(left, UNATTENDED_S - self.unattended_s)
            clocks.pass_time(step)
            left -= step
            self.unattended_s += step
            if self.unattended_s >= UNATTENDED_S:
                self.worker_works()

    # --- people

    @rule()
    def somebody_pauses_or_resumes(self) -> None:
        row = self.door.installation
        if row.state == State.ACTIVE:
            pausing.pause(row, actor=COMMAND, reason="maintenance")
        else:
            pausing.resume(row, actor=COMMAND)
        forget_caches()

    @rule(policy=st.sampled_from(list(UnknownPolicy)))
    def somebody_chooses_a_policy(self, policy: str) -> None:
        self._choose(policy)

    @precondition(lambda self: Dispatch.objects.filter(state__in=TROUBLED).exists())
    @rule(place=places, act=st.sampled_from([operations.send_again, operations.drop, operations.resolve_as_sent]))
    def somebody_decides(self, place: int, act: Any) -> None:
        chosen = _pick(list(Dispatch.objects.filter(state__in=TROUBLED).order_by("id")), place)
        assert chosen is not None
        try:
            act(dispatch_id=chosen.pk, actor=COMMAND, reason="a test")
        except operations.NotPossible as no:
            assert str(no).endswith(".")

    @rule()
    def bodies_are_pruned(self) -> None:
        waiting = Event.objects.filter(outcome="WAITING").values("delivery_id")
        DeliveryBody.objects.exclude(delivery__state=DeliveryState.STORED).exclude(delivery_id__in=waiting).delete()

    # --- what holds after every step

    @invariant()
    def promises_hold(self) -> None:
        Site.steps += 1
        assert self.promises.broken() == {}

    @invariant()
    def liveperson_has_everything_in_order_and_once(self) -> None:
        resent = _resent()
        for consumer, written in self.written.items():
            taken = self.liveperson.taken[f"custom:{consumer}"]
            assert set(taken) <= set(written), "neither other words nor another consumer's"
            dispatches = {one.message.content.text: one for one in _texts(Direction.TO_LIVEPERSON, consumer)}
            doubled = [text for text, count in Counter(taken).items() if count > 1]
            unmarked = [text for text in doubled if not dispatches[text].possible_duplicate]
            assert unmarked == [], "doubled in silence"
            first = [text for text in dict.fromkeys(taken) if dispatches[text].pk not in resent]
            assert first == sorted(first, key=written.index), "overtaken"

    @invariant()
    def the_channel_has_everything_in_order_and_once(self) -> None:
        bodies: dict[str, bytes] = {}
        for got in self.phone.got:
            assert bodies.setdefault(got.headers["webhook-id"], got.body) == got.body, "one id, two bodies"
        created = [json.loads(body)["data"] for body in bodies.values() if b'"message.created"' in body[:40]]
        texts = [one["text"] for one in created]
        assert not set(texts) & self.contradictions
        assert len(set(texts)) == len(texts), "two ids for one message"
        resent = {str(pk) for pk in _resent()}
        for consumer in CONSUMERS:
            arrived = [one["id"] for one in created if one["consumer"]["id"] == consumer and one["id"] not in resent]
            queued = [str(one.pk) for one in _texts(Direction.TO_CHANNEL, consumer)]
            assert arrived == [one for one in queued if one in arrived], "overtaken"

    # --- at the end

    def teardown(self) -> None:
        try:
            self._drain_everything()
            self.promises_hold()
            self.liveperson_has_everything_in_order_and_once()
            self.the_channel_has_everything_in_order_and_once()
            self._nothing_is_lost()
            Site.reached.update(reached())
        finally:
            for worker in self.late:
                worker._pool.shutdown(wait=True)
            database.empty()
            forget_caches()

    def _drain_everything(self) -> None:
        self.liveperson.fates.clear()
        self.phone.plays.clear()
        self._choose(UnknownPolicy.PARK)
        forget_caches()
        while self.late:
            self._come_back(self.late.pop())
        for _ in range(60):
            self._resume()
            while self.liveperson.notices:
                self._deliver(0)
            services.work(deadline_s=10)
            waits = Dispatch.objects.filter(state__in=LIVE_STATES).exists()
            is_stored = Delivery.objects.filter(state=DeliveryState.STORED).exists()
            if not (waits or is_stored or self.liveperson.notices):
                break
            clocks.pass_time(600)

    def _resume(self) -> None:
        """Somebody's pause; or ours, where two tokens in a row expired before their turn: that looks like a refusal."""
        if self.door.installation.state != State.ACTIVE:
            pausing.resume(self.door.installation, actor=COMMAND)
            forget_caches()

    def _nothing_is_lost(self) -> None:
        waiting = Dispatch.objects.filter(state__in=LIVE_STATES).values_list(
            "kind", "state", "error_code", "lane__blocked_by", "lane__due_at", "lane__leased_until", "progress"
        )
        assert list(waiting) == [], f"something waits for ever; {self.door.installation.state}"
        assert not Delivery.objects.filter(state=DeliveryState.STORED).exists(), "something was never applied"
        for consumer, written in self.written.items():
            taken = set(self.liveperson.taken[f"custom:{consumer}"])
            known = {one.message.content.text: one for one in _texts(Direction.TO_LIVEPERSON, consumer)}
            assert set(known) == set(written), "a message was not stored"
            for text, dispatch in known.items():
                self._is_told_truly(dispatch, arrived=text in taken)
        arrived_ids = {got.headers["webhook-id"] for got in self.phone.got}
        for notice in self.delivered:
            if notice.said:
                self._agents_words_are_not_lost(notice, arrived_ids)

    def _is_told_truly(self, dispatch: Dispatch, *, arrived: bool) -> None:
        if dispatch.state == DispatchState.SENT:
            assert arrived or dispatch.resolution == "person", "called sent, and it is not there"
        else:
            assert dispatch.state in (*TROUBLED, DispatchState.DROPPED), dispatch.state
            if dispatch.state == DispatchState.DROPPED:
                assert dispatch.resolution == "person", "dropped in silence"

    def _agents_words_are_not_lost(self, notice: Notice, arrived_ids: set[str]) -> None:
        found = Message.objects.filter(
            conversation__lp_conversation_id=notice.talk, lp_sequence=notice.sequence
        ).filter(direction=Direction.TO_CHANNEL)
        if not found:
            outcomes = Event.objects.filter(identity=f"c:{notice.talk}:{notice.sequence}:ContentEvent")
            assert "FOREIGN" in outcomes.values_list("outcome", flat=True), "an agent's words left no trace"
            return
        (dispatch,) = found.get().dispatches.filter(lane__direction=Direction.TO_CHANNEL)
        self._is_told_truly(dispatch, arrived=str(dispatch.pk) in arrived_ids)

    # --- helpers

    def _choose(self, policy: str) -> None:
        row = self.door.installation
        row.unknown_policy = policy
        editing.change(row, fields=["unknown_policy"], actor=COMMAND)

    def _write(self, consumer: str, count: int) -> None:
        for _ in range(count):
            text = f"{consumer} {next(self.numbers)}"
            self.written[consumer].append(text)
            self.door.says(text, id=text, consumer=consumer)

    def _deliver(self, place: int) -> None:
        notice = self.liveperson.notices.pop(place)
        assert self.door.notify_raw(notice.body).status_code == 200
        self.delivered.append(notice)

    def _half_a_turn(self, kind: type[Drain]) -> Drain:
        """A worker that has begun its calls, and does not write what they bring."""
        while _applied():
            pass
        worker = kind(deadline_s=10)
        for _ in range(20):
            worker._turn()
            if worker._under_way or worker._begun or not worker._desk.is_busy:
                break
            worker._wait()
        worker._pool.shutdown(wait=True)
        return worker

    def _come_back(self, worker: Drain) -> None:
        worker._is_stopping = lambda: True
        worker._collect()
        while worker._under_way:
            worker._turn()


def reached() -> set[str]:
    """What one example has led to: shows that the machine gets into the corners it is made for."""
    ends = Dispatch.objects.values_list("state", "resolution", "possible_duplicate", "duplicate_seen_at").distinct()
    found = {"sent by evidence" for _, resolution, *_ in ends if resolution == "echo"}
    found |= {"decided by a person" for _, resolution, *_ in ends if resolution == "person"}
    found |= {"possibly doubled" for _, _, is_possible, _ in ends if is_possible}
    found |= {"proved double" for *_, seen_at in ends if seen_at}
    found |= {state.lower() for state, *_ in ends}
    found |= {outcome.lower() for outcome in Event.objects.values_list("outcome", flat=True).distinct()}
    attempts = Attempt.objects.values_list("outcome", "error_code").distinct()
    found |= {f"{outcome} {code}".strip().lower() for outcome, code in attempts}
    closed = Conversation.objects.filter(state="CLOSED").values_list("close_reason", flat=True)
    return found | {f"closed: {reason.lower() or 'told'}" for reason in closed}


def _applied() -> bool:
    from webhooks.applying import apply_some

    return apply_some()


def _pick(found: list[Any], place: int) -> Any:
    return found[place % len(found)] if found else None


def _texts(direction: str, consumer: str) -> list[Dispatch]:
    return list(
        Dispatch.objects.filter(
            kind="TEXT", lane__direction=direction, lane__consumer__channel_consumer_id=consumer, message__isnull=False
        )
        .select_related("message__content")
        .order_by("position")
    )


def _resent() -> set[uuid.UUID]:
    """What a person sent again stands at its old place and counts from then."""
    found = AuditEntry.objects.filter(action="dispatch.resent").values_list("subject_id", flat=True)
    return {uuid.UUID(one) for one in found}
