"""Dispatches and deliveries in trouble, many at a time, and jobs about them."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Any

from access.models import User
from access.people import actor_of
from connector_site.bulk import running, services
from connector_site.bulk.kinds import KINDS
from connector_site.bulk.models import BulkItem, BulkJob, BulkState
from conversations.models import Dispatch, DispatchState, Message, MessageContent
from core.ids import new_id
from tests.factories import LANE_STEP, World
from webhooks.models import Delivery, DeliveryBody, DeliveryState


def dead_texts(world: World, count: int, **values: Any) -> list[Dispatch]:
    """Texts of the consumer, each given up, behind everything that stands in the lane; the oldest first."""
    lane = world.dead.lane
    first = Dispatch.objects.filter(lane=lane).order_by("-position").values_list("position", flat=True)[0]
    texts = [_text(world) for _ in range(count)]
    values = {"state": DispatchState.DEAD, "finished_at": world.dead.finished_at, **values}
    rows = [
        Dispatch(
            brand=world.brand, lane=lane, consumer=world.consumer, direction=lane.direction, channel=world.channel,
            position=first + LANE_STEP * (place + 1), kind="TEXT", message=text,
            conversation=world.conversation, error_code="unanswered", **values,
        )
        for place, text in enumerate(texts)
    ]  # fmt: skip
    return Dispatch.objects.bulk_create(rows)


def _text(world: World) -> Message:
    row = world.failed
    text = Message.objects.create(
        brand=world.brand, consumer=row.consumer, conversation=row.conversation, channel=row.channel,
        direction=row.direction, sender_role=row.sender_role, status="FAILED", occurred_at=row.occurred_at,
        channel_message_id=str(new_id()),
    )  # fmt: skip
    expires_on = MessageContent.objects.values_list("expires_on", flat=True)[0]
    MessageContent.objects.create(message=text, text="Again", expires_on=expires_on)
    return text


def dead_deliveries(world: World, count: int) -> list[Delivery]:
    """Bodies that no worker could apply."""
    like = Delivery.objects.filter(brand=world.brand, state=DeliveryState.QUARANTINED).select_related("body")[0]
    rows = [
        Delivery(
            brand=world.brand, inbox_id=like.inbox_id, installation_id=like.installation_id, state=DeliveryState.DEAD,
            received_at=like.received_at + timedelta(milliseconds=place), processed_at=like.processed_at,
            secret_id=like.secret_id, size=2, sha256=hashlib.sha256(b"{}").digest(),
        )
        for place in range(count)
    ]  # fmt: skip
    Delivery.objects.bulk_create(rows)
    DeliveryBody.objects.bulk_create(
        DeliveryBody(delivery=row, raw=b"{}", expires_on=like.body.expires_on) for row in rows
    )
    return rows


def preview(kind: str, rows: list[Any], person: User) -> BulkJob:
    return services.begin_with(KINDS[kind], [row.pk for row in rows], person=person)


def matching(kind: str, person: User, **narrower: Any) -> BulkJob:
    return services.begin_matching(
        KINDS[kind], person=person, **{"brand": None, "filters": {}, "since": None, **narrower}
    )


def start(job: BulkJob, person: User, *, per_second: int = 50, reason: str = "The app was down") -> BulkJob:
    return services.start(job.pk, person=person, actor=actor_of(person, None), reason=reason, per_second=per_second)


def started(kind: str, rows: list[Any], person: User, **how: Any) -> BulkJob:
    return start(preview(kind, rows, person), person, **how)


def work(job: BulkJob, *, slices: int = 20) -> BulkJob:
    """Slices, as a worker does them, until nothing is left of the job; its pace is not waited for."""
    for _ in range(slices):
        BulkJob.objects.filter(pk=job.pk).update(next_at=job.created_at)
        running.work()
        job.refresh_from_db()
        if job.state not in (BulkState.RUNNING, BulkState.GATHERING):
            break
    return job


def states(job: BulkJob) -> list[str]:
    """What became of each row, the oldest first."""
    return list(BulkItem.objects.filter(job=job).order_by("target_id").values_list("state", flat=True))
