"""
Two complete brands, with rows of every kind, for tests of who may see what.

Each brand carries a mark: a string that stands in all its names, texts and free-form ids, so that one byte of it in an
answer to somebody else is found. `World.canaries` adds the ids that cannot hold the mark.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import models, transaction
from django.utils import timezone

from access.models import Brand, Membership, Role, User
from access.people import actor_of
from audit import api as audit
from audit.models import AuditEntry
from connector_site.bulk.models import BulkItem, BulkJob, BulkKind, BulkState, ItemState
from connector_site.models import Counting, Figure, RollupCount, Span
from conversations.media import storage_path
from conversations.models import (
    Attempt,
    Audience,
    Consumer,
    ConsumerToken,
    Conversation,
    ConversationState,
    Dialog,
    Direction,
    Dispatch,
    DispatchKind,
    DispatchState,
    Erasure,
    Lane,
    MediaFile,
    Message,
    MessageContent,
    MessageKind,
    MessageStatus,
    Outcome,
    Reckoning,
    Redating,
    Removed,
    RemovedFile,
    Step,
    UsageConsumer,
    UsageCount,
    UsageStorage,
)
from conversations.services.erasure import Traces
from conversations.texts import digest_of
from core.actor import COMMAND
from core.ids import first_id_at, new_id
from core.vault import search_hash
from installations.models import (
    Account,
    AppInstallation,
    AppToken,
    Channel,
    ChannelSecret,
    InstallationSecret,
    Pause,
    PauseScope,
    Upstream,
)
from webhooks.models import Delivery, DeliveryBody, DeliveryState, Event, EventOutcome, Held, Inbox, Seen

PASSWORD = "a long password for tests"
LANE_STEP = 1 << 20


@dataclass(kw_only=True)
class World:
    """
    One brand with everything that belongs to it.

    mark: stands in every name, text and free-form id of this brand and of no other. rows: every row of the brand.
    Its webhooks can be signed: client_secret is LivePerson's, channel_secret the channel's.
    """

    mark: str
    brand: Brand
    owner: User
    operator: User
    auditor: User
    account: Account
    installation: AppInstallation
    channel: Channel
    consumer: Consumer
    conversation: Conversation
    closed_conversation: Conversation
    from_consumer: Message
    from_agent: Message
    failed: Message
    parked: Dispatch
    dead: Dispatch
    unknown: Dispatch
    file: MediaFile
    client_secret: str
    channel_secret: str
    rows: list[models.Model]

    @cached_property
    def canaries(self) -> frozenset[str]:
        """What must not stand in any answer to somebody who may not see this brand."""
        ids = {str(row.pk) for row in self.rows if not str(row.pk).isdecimal()}
        return frozenset({self.mark, self.mark.lower(), self.account.lp_account_id, self.installation.client_id} | ids)

    def row_of(self, model: type[models.Model]) -> models.Model | None:
        """One row of a model that belongs to this brand."""
        return next((row for row in self.rows if type(row) is model), None)


def make_user(username: str, *, role: Role | None = None, brand: Brand | None = None) -> User:
    """Somebody who may sign in to the admin. With a role and no brand: in all brands."""
    user = User.objects.create_user(
        username=username,
        password=PASSWORD,
        is_staff=True,
        first_name=username,
        email=f"{username}@example.com".lower(),
    )
    if role is not None:
        Membership.objects.create(user=user, brand=brand, role=role)
    return user


def make_superuser(username: str = "root") -> User:
    """Somebody who runs the whole site."""
    return User.objects.create_superuser(username=username, password=PASSWORD)


def make_two_brands() -> tuple[World, World]:
    """Two brands that differ in everything that could be told apart."""
    return make_world(slug="amber", mark="AMBERXQJ7"), make_world(slug="birch", mark="BIRCHZVK4")


@transaction.atomic
def make_world(*, slug: str, mark: str, now: datetime | None = None) -> World:
    """A brand with rows of every kind, in states that agree with each other."""
    return _Maker(slug=slug, mark=mark, now=now or timezone.now()).world()


class _Maker:
    def __init__(self, *, slug: str, mark: str, now: datetime) -> None:
        self.slug, self.mark, self.now = slug, mark, now
        # LivePerson's ids and phone numbers are digits: made from the mark, so they differ between brands.
        self.digits = str(int.from_bytes(hashlib.sha256(mark.encode()).digest()[:5], "big") % 10**8 + 10**8)
        self.client_secret = f"client-secret-{mark}"
        self.channel_secret = "whsec_" + base64.b64encode(f"channel-secret-of-{mark}-{slug}".encode()).decode()
        self.rows: list[models.Model] = []
        self.brand = self._add(Brand(slug=f"{slug}-{mark.lower()}", name=f"{mark} Limited"))

    def world(self) -> World:
        owner, operator, auditor = (self._member(role) for role in (Role.OWNER, Role.OPERATOR, Role.AUDITOR))
        self._connector()
        self._people_and_conversations()
        self._messages()
        self._outbox()
        self._inbox()
        self._trail(owner)
        self._pauses(owner)
        self._removals(owner)
        self._usage()
        self._jobs(owner)
        return World(
            mark=self.mark, brand=self.brand, owner=owner, operator=operator, auditor=auditor, account=self.account,
            installation=self.installation, channel=self.channel, consumer=self.consumer,
            conversation=self.conversation, closed_conversation=self.closed_conversation,
            from_consumer=self.from_consumer, from_agent=self.from_agent, failed=self.failed, parked=self.parked,
            dead=self.dead, unknown=self.unknown, file=self.file,
            client_secret=self.client_secret, channel_secret=self.channel_secret, rows=self.rows,
        )  # fmt: skip

    def _add(self, row: Any) -> Any:
        row.save(force_insert=True)
        self.rows.append(row)
        return row

    def _owned(self, model: type[models.Model], **values: Any) -> Any:
        return self._add(model(brand=self.brand, **values))

    def _member(self, role: Role) -> User:
        user = make_user(f"{role.lower()}.{self.mark}", role=role, brand=self.brand)
        self.rows += [user, user.memberships.get()]
        return user

    def _connector(self) -> None:
        self.account = self._owned(Account, lp_account_id=self.digits, name=f"Account {self.mark}")
        self.installation = self._owned(
            AppInstallation, account=self.account, client_id=str(new_id()), name=f"Connector {self.mark}",
            campaign_id=f"camp-{self.mark}", engagement_id=f"eng-{self.mark}", skill_id=f"skill-{self.mark}",
            test_detail=f"Tested {self.mark}", tested_at=self.now, test_passed=True,
        )  # fmt: skip
        for retired_at in (None, self.now):
            secret = InstallationSecret(brand=self.brand, installation=self.installation, retired_at=retired_at)
            secret.keep(self.client_secret.encode())
            self._add(secret)
        token = AppToken(installation=self.installation, generation=1)
        token.keep(f"eyJ.app.{self.mark}", self.now + timedelta(hours=1))
        self._add(token)
        self._owned(Upstream, installation=self.installation, name=f"{self.slug}.example.com")
        self.channel = self._owned(
            Channel, account=self.account, installation=self.installation, type="custom", name=f"Channel {self.mark}",
            prefix=self.slug[:32], config={"url": f"https://{self.slug}.example.com/{self.mark}"},
        )  # fmt: skip
        signing = ChannelSecret(brand=self.brand, channel=self.channel)
        signing.keep(self.channel_secret.encode())
        self._add(signing)

    def _people_and_conversations(self) -> None:
        self.consumer = self._owned(
            Consumer, account=self.account, channel=self.channel, ext_consumer_id=f"{self.slug}:+1{self.mark}",
            channel_consumer_id=f"+1{self.mark}", search_hash=search_hash(f"+1{self.mark}"),
            lp_consumer_id=f"lp-{self.mark}", name=f"Ada {self.mark}", profile={"ctype": self.mark},
            last_seen_at=self.now,
        )  # fmt: skip
        consumer_token = ConsumerToken(consumer=self.consumer, installation=self.installation)
        consumer_token.keep(f"eyJ.consumer.{self.mark}")
        self._add(consumer_token)
        self.closed_conversation = self._conversation(
            "closed", state=ConversationState.CLOSED, closed_at=self.now - timedelta(hours=1), close_reason="AGENT"
        )
        self.conversation = self._conversation("open", state=ConversationState.OPEN)

    def _conversation(self, word: str, **values: Any) -> Conversation:
        conversation = self._owned(
            Conversation, account=self.account, installation=self.installation, channel=self.channel,
            consumer=self.consumer, lp_conversation_id=f"conv-{word}-{self.mark}", skill_id=f"skill-{self.mark}",
            opened_at=self.now - timedelta(hours=2), agent_ids=[f"agent-{self.mark}"], **values,
        )  # fmt: skip
        is_open = conversation.state != ConversationState.CLOSED
        self._add(Dialog(conversation=conversation, lp_dialog_id=f"dialog-{word}-{self.mark}", is_open=is_open))
        return conversation

    def _messages(self) -> None:
        self.from_consumer = self._message(
            Direction.TO_LIVEPERSON,
            "CONSUMER",
            MessageStatus.SENT,
            lp_sequence=1,
            channel_message_id=f"m-1-{self.mark}",
        )
        self.failed = self._message(
            Direction.TO_LIVEPERSON, "CONSUMER", MessageStatus.FAILED,
            channel_message_id=f"m-2-{self.mark}", error_code="request_rejected",
        )  # fmt: skip
        self.doubtful = self._message(
            Direction.TO_LIVEPERSON, "CONSUMER", MessageStatus.QUEUED, channel_message_id=f"m-3-{self.mark}"
        )
        self.from_agent = self._message(
            Direction.TO_CHANNEL, "ASSIGNED_AGENT", MessageStatus.SENT, lp_sequence=2, kind=MessageKind.FILE,
            channel_message_id=f"out-1-{self.mark}",
        )  # fmt: skip
        self._message(
            Direction.TO_CHANNEL, "AGENT_MANAGER", MessageStatus.RECEIVED, lp_sequence=3, audience=Audience.STAFF
        )
        data = f"file of {self.mark}".encode()
        self.file = self._owned(
            MediaFile, message=self.from_agent, name=f"{self.mark}.txt", mime="text/plain", size=len(data),
            sha256=hashlib.sha256(data).digest(), expires_on=self._expires_on(),
        )  # fmt: skip
        default_storage.save(storage_path(self.file.pk), ContentFile(data))

    def _message(self, direction: Direction, sender_role: str, status: MessageStatus, **values: Any) -> Message:
        message = self._owned(
            Message, consumer=self.consumer, conversation=self.conversation, channel=self.channel, direction=direction,
            sender_role=sender_role, status=status, occurred_at=self.now, lp_dialog_id=f"dialog-open-{self.mark}",
            correlation_id=f"corr-{self.mark}", **values,
        )  # fmt: skip
        self._add(
            MessageContent(
                message=message, text=f"Words of {self.mark}", attachments=[{"name": self.mark}],
                element={"type": "text", "text": self.mark}, metadata=[{"id": self.mark}],
                quick_replies=[{"id": f"q-{self.mark}", "text": self.mark, "metadata": []}],
                expires_on=self._expires_on(),
            )
        )  # fmt: skip
        return message

    def _outbox(self) -> None:
        to_lp, to_channel = (
            self._owned(
                Lane, account=self.account, consumer=self.consumer, direction=direction, fence=7,
                next_position=LANE_STEP * 10, blocked_by=f"held-{self.mark}"[:64],
            )
            for direction in (Direction.TO_LIVEPERSON, Direction.TO_CHANNEL)
        )  # fmt: skip
        ended = {"finished_at": self.now, "resolution": "answer"}
        trouble = {"error_code": "unanswered", "error_detail": f"Trouble of {self.mark}"}
        opening = self._dispatch(to_lp, 1, DispatchKind.OPEN, DispatchState.SENT, step=Step.OPEN, **ended)
        self._attempt(opening, Outcome.ACCEPTED)
        sent = self._dispatch(
            to_lp, 2, DispatchKind.TEXT, DispatchState.SENT, step=Step.PUBLISH, message=self.from_consumer,
            lp_sequence=1, content_digest=digest_of(self.mark), **ended,
        )  # fmt: skip
        self._attempt(sent, Outcome.ACCEPTED)
        self.dead = self._dispatch(
            to_lp, 3, DispatchKind.TEXT, DispatchState.DEAD, step=Step.PUBLISH, message=self.failed,
            finished_at=self.now, **trouble,
        )  # fmt: skip
        self._attempt(self.dead, Outcome.REJECTED)
        self.parked = self._dispatch(
            to_lp, 4, DispatchKind.TEXT, DispatchState.PARKED, step=Step.PUBLISH, message=self.doubtful, **trouble
        )
        self._attempt(self.parked, Outcome.UNANSWERED)
        delivered = self._dispatch(
            to_channel, 1, DispatchKind.FILE, DispatchState.SENT, step=Step.SEND, message=self.from_agent,
            provider_ids=[f"p-{self.mark}"], **ended,
        )  # fmt: skip
        self._attempt(delivered, Outcome.ACCEPTED)
        self.unknown = self._dispatch(
            to_lp, 5, DispatchKind.CLOSE, DispatchState.UNKNOWN, step=Step.PUBLISH, unknown_at=self.now, **trouble
        )
        self._attempt(self.unknown, Outcome.REFUSED)

    def _dispatch(self, lane: Lane, place: int, kind: DispatchKind, state: DispatchState, **values: Any) -> Dispatch:
        return self._owned(
            Dispatch, lane=lane, consumer=lane.consumer, direction=lane.direction, channel=self.channel,
            position=LANE_STEP * place, kind=kind, state=state, conversation=self.conversation,
            lp_dialog_id=f"dialog-open-{self.mark}", payload={"part": 0, "of": 1, "note": self.mark},
            progress={"path": self.mark}, attempt_count=1, correlation_id=f"corr-{self.mark}", **values,
        )  # fmt: skip

    def _attempt(self, dispatch: Dispatch, outcome: Outcome) -> None:
        self._owned(
            Attempt, dispatch=dispatch, step=dispatch.step, fence=7, started_at=self.now, finished_at=self.now,
            outcome=outcome, http_status=200, provider_code=f"code-{self.mark}"[:64], detail=f"Attempt of {self.mark}",
            answer_head=f"answer {self.mark}", elapsed_ms=42,
        )  # fmt: skip

    def _inbox(self) -> None:
        from_lp = self._owned(Inbox, id=self.installation.pk)
        from_channel = self._owned(Inbox, id=self.channel.pk)
        first = self._delivery(from_lp, DeliveryState.PROCESSED, installation=self.installation)
        self._event(first, EventOutcome.APPLIED, message_id=self.from_agent.pk)
        second = self._delivery(
            from_channel, DeliveryState.PROCESSED, channel=self.channel, request_identity=f"req-{self.mark}"
        )
        self._event(second, EventOutcome.APPLIED, message_id=self.from_consumer.pk)
        self._delivery(
            from_lp, DeliveryState.QUARANTINED, installation=self.installation, detail=f"Unreadable: {self.mark}"
        )
        self._delivery(from_lp, DeliveryState.STORED, installation=self.installation)
        held = self._owned(
            Event, delivery=first, index=1, type="ms.MessagingEventNotification", identity=f"c:held-{self.mark}",
            outcome=EventOutcome.HELD, lp_conversation_id=self.conversation.lp_conversation_id, at=self.now,
        )  # fmt: skip
        self._add(
            Held(
                event=held, conversation=self.conversation, sequence=9, lp_dialog_id=f"dialog-open-{self.mark}",
                since=self.now, due_at=self.now + timedelta(hours=1),
            )
        )  # fmt: skip

    def _delivery(self, inbox: Inbox, state: DeliveryState, **values: Any) -> Delivery:
        raw = f'{{"mark": "{self.mark}", "id": "{new_id()}"}}'.encode()
        delivery = self._owned(
            Delivery, inbox=inbox, state=state, received_at=self.now, secret_id=new_id(), size=len(raw),
            sha256=hashlib.sha256(raw).digest(), processed_at=None if state == DeliveryState.STORED else self.now,
            **values,
        )  # fmt: skip
        self._add(
            DeliveryBody(delivery=delivery, raw=raw, headers={"webhook-id": self.mark}, expires_on=self._expires_on())
        )
        return delivery

    def _event(self, delivery: Delivery, outcome: EventOutcome, **values: Any) -> None:
        identity = f"c:dialog-{self.mark}:{delivery.pk}"
        self._owned(
            Event, delivery=delivery, index=0, type="ms.MessagingEventNotification", identity=identity, outcome=outcome,
            lp_conversation_id=self.conversation.lp_conversation_id, detail=f"Event of {self.mark}", at=self.now,
            **values,
        )  # fmt: skip
        self._owned(
            Seen, source_id=delivery.inbox_id, digest=hashlib.sha256(identity.encode()).digest()[:16],
            content_digest=hashlib.sha256(self.mark.encode()).digest()[:16], delivery_id=delivery.pk, seen_at=self.now,
        )  # fmt: skip

    def _trail(self, owner: User) -> None:
        for subject, action in ((self.installation, "installation.created"), (self.channel, "channel.created")):
            self.rows.append(audit.record(action, actor=COMMAND, subject=subject, data={"name": self.mark}))
        self.rows.append(
            audit.record(
                "dispatch.resent", actor=actor_of(owner, None), subject=self.dead, reason=f"Asked by {self.mark}"
            )
        )

    def _pauses(self, owner: User) -> None:
        """One that was put on the channel, and has ended."""
        self._owned(
            Pause, scope=PauseScope.CHANNEL, target_id=self.channel.pk, target_name=self.channel.name,
            reason=f"Paused for {self.mark}", by_name=owner.get_username(), by_id=str(owner.pk),
            began_at=self.now - timedelta(hours=2), ended_at=self.now - timedelta(hours=1),
            ended_by=owner.get_username(), woken_at=self.now - timedelta(hours=1),
        )  # fmt: skip

    def _removals(self, owner: User) -> None:
        """Somebody is being erased, and the retention was changed a moment ago."""
        gone_id = new_id()
        gone = self._owned(
            Consumer, id=gone_id, account=self.account, channel=self.channel, ext_consumer_id=f"ERASED:{gone_id}",
            search_hash=search_hash(f"+2{self.mark}"), erased_at=self.now,
        )  # fmt: skip
        erasure = Erasure(consumer=gone, begun_at=self.now, swept_to=first_id_at(self.now), removed={"files": 1})
        erasure.keep(Traces(person=(f"+2{self.mark}",), conversations=()).as_bytes())
        self._add(erasure)
        self.rows.append(
            audit.record(
                "consumer.erased", actor=actor_of(owner, None), subject=gone, reason=f"Asked for by {self.mark}"
            )
        )
        self._owned(Removed, kind="message_contents", count=3)
        bounds = {"messages_to": new_id(), "deliveries_to": new_id(), "until": new_id()}
        self._owned(Redating, old_days=120, new_days=90, **bounds)

    def _usage(self) -> None:
        """As if nothing but this had been counted: numbers tell whose they are by the ids beside them."""
        month = self.now.astimezone(UTC).date().replace(day=1)
        self._owned(UsageCount, reckoning=Reckoning.SOON, month=month, channel=self.channel, messages_to_channel=2)
        self._owned(UsageStorage, month=month, channel=self.channel, measured_at=self.now, content_bytes=42)
        self._add(UsageConsumer(reckoning=Reckoning.SOON, month=month, channel=self.channel, consumer=self.consumer))
        self._owned(RemovedFile, channel=self.channel, size=7)
        hour = self.now.replace(minute=0, second=0, microsecond=0)
        self._owned(
            RollupCount, source_id=self.channel.pk, span=Span.HOUR, at=hour, figure=Figure.MESSAGES_TO_CHANNEL,
            counting=Counting.SOON, count=2,
        )  # fmt: skip

    def _jobs(self, owner: User) -> None:
        """A job that was stopped after its first row."""
        job = self._owned(
            BulkJob, kind=BulkKind.RESEND, state=BulkState.STOPPED, asked_by=owner, reason=f"Asked by {self.mark}",
            wanted={"brands": [str(self.brand.pk)]}, total=2, settled_count=1, started_at=self.now, next_at=self.now,
        )  # fmt: skip
        for dispatch, values in ((self.dead, {"state": ItemState.SETTLED, "at": self.now}), (self.parked, {})):
            self._owned(
                BulkItem, job=job, target_id=dispatch.pk, lane_id=dispatch.lane_id, position=dispatch.position, **values
            )

    def _expires_on(self) -> Any:
        return self.now.astimezone(UTC).date() + timedelta(days=90)


__all__ = ["PASSWORD", "AuditEntry", "World", "make_superuser", "make_two_brands", "make_user", "make_world"]
