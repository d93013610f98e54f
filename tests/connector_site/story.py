"""
The rows that the examples of the OpenAPI document and docs/audit.md speak of, as rows of a database.

An agent answered a consumer; in the night before something failed; and something is still open.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any

from django.db import models, transaction
from django.utils import timezone

from access.models import Brand, Role, User
from access.people import actor_of
from audit import api as audit
from audit.models import AuditEntry
from connector_site.api_examples import EXAMPLES, of_row
from conversations.models import (
    Attempt,
    Consumer,
    Conversation,
    Direction,
    Dispatch,
    DispatchKind,
    DispatchState,
    Lane,
    Message,
    MessageContent,
    MessageStatus,
    Outcome,
    Step,
)
from core.ids import first_id_at
from core.vault import search_hash
from installations.models import Account, AppInstallation, Channel, ChannelSecret, InstallationSecret
from tests.conversations.database import without_the_guard
from tests.factories import make_user
from webhooks.models import Delivery, DeliveryState, Event, Inbox

NUMBER = "+15550100"
LAST_NIGHT = datetime.fromisoformat("2026-11-21T02:13:00+00:00")
# What an example tells of another row, or in another form than its column.
_TOLD_OTHERWISE = {
    "links", "created_at", "secrets", "sends_to", "events", "direction", "account", "channel", "consumer",
    "content_digest", "secret", "sha256",
}  # fmt: skip


@transaction.atomic
def tell_story() -> User:
    """Make the rows; returns the person who looks at them."""
    auditor = make_user("ada", role=Role.AUDITOR)
    brand = _told(Brand, "brands")
    account = _told(Account, "accounts", brand=brand)
    installation = _told(AppInstallation, "installations", brand=brand, account=account)
    channel = _told(
        Channel, "channels", brand=brand, account=account, installation=installation,
        config={"url": "https://gateway.acme.example/in"},
    )  # fmt: skip
    consumer = _told(
        Consumer, "consumers", brand=brand, account=account, channel=channel, name="Ada", profile={"ctype": "gold"},
        channel_consumer_id=NUMBER, ext_consumer_id=f"sms:{NUMBER}", search_hash=search_hash(NUMBER),
    )  # fmt: skip
    owned = {"brand": brand, "account": account, "consumer": consumer}
    conversation = _told(Conversation, "conversations", **owned, channel=channel, installation=installation)
    message = _told(
        Message, "messages", brand=brand, channel=channel, consumer=consumer, conversation=conversation,
        direction=Direction.TO_CHANNEL,
    )  # fmt: skip
    MessageContent.objects.create(message=message, text="It leaves today.", expires_on=timezone.now().date())
    lanes = {way: Lane.objects.create(**owned, direction=way) for way in Direction.values}
    _told(Dispatch, "dispatches", brand=brand, lane=lanes["TO_CHANNEL"], position=1, conversation=conversation,
          message=message)  # fmt: skip
    _told(Attempt, "attempts", brand=brand, fence=1)
    _secrets(auditor, installation, channel)
    _delivery(brand, installation)
    _entry(brand)
    _night(brand, channel, consumer, conversation, lanes["TO_LIVEPERSON"])
    return auditor


def _told(model: type[models.Model], resource: str, **values: Any) -> Any:
    """A row as its example tells it; times by themselves are told by its id."""
    columns = {one.name: one for one in model._meta.concrete_fields}
    told = {}
    for name, value in EXAMPLES[resource].items():
        if name in columns and name not in _TOLD_OTHERWISE and name not in values:
            column = columns[name]
            told[column.attname if column.is_relation else name] = value
    row = model(**told, **values)
    row.save(force_insert=True)
    return row


def _secrets(auditor: User, installation: AppInstallation, channel: Channel) -> None:
    audit.record("installation.created", actor=actor_of(auditor, None), subject=installation)
    for model, owner, resource, action in (
        (InstallationSecret, {"installation": installation}, "installations", "installation.secret.added"),
        (ChannelSecret, {"channel": channel}, "channels", "channel.secret.added"),
    ):
        (told,) = EXAMPLES[resource]["secrets"]
        secret = model(id=told["id"], brand=installation.brand, **owner)  # type: ignore[arg-type]
        secret.keep(b"only for this test")
        secret.save(force_insert=True)
        model.objects.filter(pk=secret.pk).update(created_at=told["created_at"])
        (subject,) = owner.values()
        if action != EXAMPLES["audit-log"]["action"]:
            audit.record(action, actor=actor_of(auditor, None), subject=subject, data={"secret": told["id"]})


def _entry(brand: Brand) -> None:
    """Who added the client secret, when it was added."""
    told = EXAMPLES["audit-log"]
    entry = _told(AuditEntry, "audit-log", brand=brand, actor_id=told["actor"])
    with without_the_guard():  # the time is the database's otherwise
        models.QuerySet(AuditEntry).filter(pk=entry.pk).update(at=told["at"])


def _delivery(brand: Brand, installation: AppInstallation) -> None:
    told = of_row("deliveries")
    inbox = Inbox.objects.create(id=installation.pk, brand=brand)
    digest = bytes.fromhex(told["sha256"])
    _told(Delivery, "deliveries", brand=brand, inbox=inbox, secret_id=told["secret"], sha256=digest)
    for event in told["events"]:
        facts = {name: value for name, value in event.items() if name != "message"}
        Event.objects.create(**facts, brand=brand, delivery_id=told["id"], message_id=event["message"])
    for place, state in enumerate((DeliveryState.QUARANTINED, DeliveryState.DEAD)):
        Delivery.objects.create(
            id=first_id_at(LAST_NIGHT.replace(second=place)), brand=brand, inbox=inbox, installation=installation,
            received_at=LAST_NIGHT, state=state, processed_at=LAST_NIGHT, secret_id=told["secret"], size=2,
            sha256=hashlib.sha256(b"{}").digest(), detail="type must be a word.",
        )  # fmt: skip


def _night(brand: Brand, channel: Channel, consumer: Consumer, conversation: Conversation, lane: Lane) -> None:
    """Messages of the consumer: two failed, the fate of two is in doubt, one is still to be sent."""
    states = (
        (MessageStatus.FAILED, DispatchState.FAILED, Outcome.REJECTED, "request_rejected"),
        (MessageStatus.FAILED, DispatchState.DEAD, Outcome.NOT_PROCESSED, "not_sent"),
        (MessageStatus.QUEUED, DispatchState.PARKED, Outcome.UNANSWERED, "unanswered"),
        (MessageStatus.QUEUED, DispatchState.UNKNOWN, Outcome.REFUSED, "refused"),
        (MessageStatus.QUEUED, DispatchState.QUEUED, Outcome.NOT_PROCESSED, "rate_limited"),
    )
    for place, (status, state, outcome, code) in enumerate(states, start=1):
        row_id = first_id_at(LAST_NIGHT.replace(second=place))
        message = Message.objects.create(
            id=row_id, brand=brand, channel=channel, consumer=consumer, conversation=conversation, status=status,
            direction=Direction.TO_LIVEPERSON, sender_role="CONSUMER", occurred_at=LAST_NIGHT,
            channel_message_id=f"m-{place}", error_code=code if status == MessageStatus.FAILED else "",
        )  # fmt: skip
        dispatch = Dispatch.objects.create(
            id=row_id, brand=brand, lane=lane, position=place, kind=DispatchKind.TEXT, state=state, message=message,
            conversation=conversation, step=Step.PUBLISH, attempt_count=1, error_code=code,
        )  # fmt: skip
        Attempt.objects.create(
            id=row_id, brand=brand, dispatch=dispatch, step=Step.PUBLISH, fence=1, started_at=LAST_NIGHT,
            finished_at=LAST_NIGHT, outcome=outcome, error_code=code, http_status=400, elapsed_ms=31,
        )  # fmt: skip


__all__ = ["LAST_NIGHT", "NUMBER", "tell_story"]
