"""What a channel's door answers, and what it stores."""

from __future__ import annotations

import json
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from django_q.models import OrmQ

from core.actor import COMMAND
from installations import pausing
from installations import services as installations
from installations.models import Channel, State
from tests.conversations.stand import ADA, CLIENT, Door, forget_caches, make_door
from webhooks.models import Delivery, DeliveryState


def message(id: str = "m-1", text: str = "Hello", **data: Any) -> bytes:
    facts = {"id": id, "consumer": {"id": ADA}, "text": text, **data}
    return json.dumps({"type": "message.received", "timestamp": "2026-11-21T10:00:00Z", "data": facts}).encode()


def test_an_authentic_event_is_stored_byte_for_byte(door: Door) -> None:
    body = message() + b"\n "

    answer = door.tell_raw(body, webhook_id="msg_1")

    delivery = Delivery.objects.get()
    assert (answer.status_code, answer.json()) == (200, {"delivery": str(delivery.pk)})
    assert bytes(delivery.body.raw) == body
    assert delivery.request_identity == "msg_1"
    assert delivery.channel_id == door.onboarded.channel.pk
    assert delivery.installation_id is None
    assert delivery.secret_id == door.channel.secrets.get().pk


def test_no_signature_is_kept_with_it(door: Door) -> None:
    door.tell_raw(message())

    assert set(Delivery.objects.get().body.headers) <= {"webhook-id", "webhook-timestamp", "content-type"}


def test_a_repeated_request_is_a_duplicate(door: Door) -> None:
    door.tell_raw(message(), webhook_id="msg_1")

    answer = door.tell_raw(message(), webhook_id="msg_1")

    assert (answer.status_code, answer.json()) == (200, {"duplicate": True})
    assert Delivery.objects.count() == 1


def test_a_repeated_message_in_another_request_is_a_duplicate(door: Door) -> None:
    door.tell_raw(message(), webhook_id="msg_1")

    answer = door.tell_raw(message(), webhook_id="msg_2")

    assert (answer.status_code, answer.json()) == (200, {"duplicate": True})
    assert Delivery.objects.count() == 1


def test_a_message_told_again_with_a_new_profile_or_time_is_a_duplicate(door: Door) -> None:
    door.tell_raw(message(), webhook_id="msg_1")
    again = json.loads(message())
    again["timestamp"] = "2026-11-21T11:00:00Z"
    again["data"]["consumer"]["name"] = "Ada"

    answer = door.tell_raw(json.dumps(again).encode(), webhook_id="msg_2")

    assert answer.json() == {"duplicate": True}


def test_other_content_under_a_known_id_is_kept(door: Door) -> None:
    door.tell_raw(message(text="Hello"), webhook_id="msg_1")

    answer = door.tell_raw(message(text="Goodbye"), webhook_id="msg_2")

    assert (answer.status_code, answer.json()) == (200, {"duplicate": True})
    assert Delivery.objects.count() == 2


def test_another_channel_may_use_the_same_ids(door: Door) -> None:
    other = make_door(channel_name="second", client_id=door.onboarded.installation.client_id)
    door.tell_raw(message(), webhook_id="msg_1")

    answer = other.tell_raw(message(), webhook_id="msg_1")

    assert "delivery" in answer.json()


UNUSABLE: dict[str, tuple[bytes, str]] = {
    "not JSON": (b"hello", ""),
    "a list": (b"[]", ""),
    "no type": (b'{"data":{}}', "type"),
    "no data": (b'{"type":"message.received"}', "data"),
    "no id": (message(id=None), "data.id"),  # type: ignore[arg-type]
    "number as id": (message(id=5), "data.id"),  # type: ignore[arg-type]
    "no consumer": (message(consumer=None), "data.consumer"),
    "consumer of 257 characters": (message(consumer={"id": "c" * 257}), "data.consumer.id"),
    "no text": (message(text=""), "data.text"),
    "text a number": (message(text=5), "data.text"),  # type: ignore[arg-type]
    "attachment without url": (message(attachments=[{"name": "a.png"}]), "data.attachments[0].url"),
    "attachment from a file": (message(attachments=[{"url": "file:///etc/passwd"}]), "data.attachments[0].url"),
    "unknown status": (
        b'{"type":"message.status","data":{"id":"x","status":"printed"}}',
        "data.status",
    ),
    "member twice": (b'{"type":"message.received","type":"message.status","data":{}}', ""),
    "deep": (b"[" * 50_000, ""),
}


@pytest.mark.parametrize("case", UNUSABLE)
def test_an_unusable_body_is_answered_with_the_field_and_kept(door: Door, case: str) -> None:
    body, field = UNUSABLE[case]

    answer = door.tell_raw(body)

    assert answer.status_code == 400
    told = answer.json()
    assert set(told) == {"code", "detail", "correlation_id", "field"}
    assert (told["code"], told["field"]) == ("body_unusable", field)
    assert told["detail"].endswith(".")
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.detail) == (DeliveryState.QUARANTINED, told["detail"])
    assert bytes(delivery.body.raw) == body


def test_an_unusable_body_rings_nobody(door: Door) -> None:
    OrmQ.objects.all().delete()

    door.tell_raw(b"hello")

    assert not OrmQ.objects.exists()


def test_an_unusable_body_is_unusable_again_when_it_is_repeated(door: Door) -> None:
    door.tell_raw(b"hello", webhook_id="msg_1")

    assert door.tell_raw(b"hello", webhook_id="msg_1").status_code == 400


def test_a_mended_body_is_taken_under_the_id_of_the_one_that_was_refused(door: Door) -> None:
    assert door.tell_raw(message(text=""), webhook_id="msg_1").status_code == 400

    answer = door.tell_raw(message(), webhook_id="msg_1")

    assert answer.status_code == 200
    assert "delivery" in answer.json()


def test_an_unknown_type_is_stored(door: Door) -> None:
    answer = door.tell_raw(b'{"type":"message.edited","data":{"x":1}}')

    assert answer.status_code == 200
    assert Delivery.objects.get().state == DeliveryState.STORED


def _disable(door: Door) -> None:
    Channel.objects.update(state=State.DISABLED)


def _retire(door: Door) -> None:
    first = door.channel.secrets.get()
    installations.add_channel_secret(door.channel, secret=door.onboarded.channel and _other_secret(), actor=COMMAND)
    installations.retire_channel_secret(first, actor=COMMAND)


def _other_secret() -> str:
    from adapters.registry import get_adapter

    return get_adapter("custom").new_secret()


@pytest.mark.parametrize(
    "case", ["unsigned", "other body", "old", "from the future", "other id", "disabled", "retired"]
)
def test_what_is_not_authentic_is_refused_with_one_answer_and_not_stored(door: Door, case: str) -> None:
    body = message()
    headers = door.signed(body, webhook_id="msg_1")
    if case == "unsigned":
        headers = {}
    elif case == "other body":
        headers = door.signed(b"other")
    elif case == "old":
        headers = door.signed(body, at=timezone.now() - timedelta(minutes=5, seconds=5))
    elif case == "from the future":
        headers = door.signed(body, at=timezone.now() + timedelta(minutes=5, seconds=5))
    elif case == "other id":
        headers["webhook-id"] = "msg_2"
    elif case == "disabled":
        _disable(door)
    else:
        _retire(door)
    forget_caches()

    answer = CLIENT.post(door.channel_path, body, content_type="application/json", headers=headers)

    assert answer.status_code == 401
    told = answer.json()
    assert (told["code"], told["detail"]) == ("webhook_rejected", "The request is not authentic.")
    assert set(told) == {"code", "detail", "correlation_id"}
    assert not Delivery.objects.exists()


def test_an_unknown_channel_gets_the_same_answer(door: Door) -> None:
    body = message()

    answer = CLIENT.post(
        f"/webhooks/channels/{uuid.uuid4()}/", body, content_type="application/json", headers=door.signed(body)
    )

    assert answer.status_code == 401
    assert answer.json()["detail"] == "The request is not authentic."


def test_five_minutes_off_is_still_accepted(door: Door) -> None:
    body = message()
    headers = door.signed(body, at=timezone.now() - timedelta(minutes=4, seconds=50))

    assert CLIENT.post(door.channel_path, body, content_type="a/b", headers=headers).status_code == 200


def test_a_paused_channel_stores(door: Door) -> None:
    pausing.pause(door.channel, actor=COMMAND, reason="maintenance")
    forget_caches()

    assert door.tell_raw(message()).status_code == 200


def test_the_channel_of_another_brand_does_not_open_this_door(door: Door) -> None:
    other = make_door(brand="other", account="87654321")
    body = message()

    answer = CLIENT.post(door.channel_path, body, content_type="a/b", headers=other.signed(body))

    assert answer.status_code == 401


@pytest.mark.parametrize("method", ["HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
def test_only_post_is_allowed(door: Door, method: str) -> None:
    answer = CLIENT.generic(method, door.channel_path)

    assert answer.status_code == 405


def test_sizes_and_encodings_are_limited_alike(door: Door) -> None:
    large = message(text="x" * 256 * 1024)

    assert door.tell_raw(large).status_code == 413
    assert door.tell_raw(message(), **{"content-encoding": "gzip"}).status_code == 415
    assert not Delivery.objects.exists()
