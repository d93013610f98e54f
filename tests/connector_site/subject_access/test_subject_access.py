"""Everything that is held of one consumer, handed out."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from access.models import Membership
from access.people import actor_of
from access.services import end_sessions
from audit.models import AuditEntry
from connector_site.exports import slots
from connector_site.exports.stream import BrokenOff
from connector_site.subject_access import page
from conversations.models import Consumer, Message, MessageContent
from conversations.services import blocks, holds
from core.actor import COMMAND
from tests.admin_pages import signed_in, url_of
from tests.factories import World, make_two_brands
from webhooks.models import DeliveryBody

pytestmark = pytest.mark.django_db


def url_for(world: World) -> str:
    return reverse("admin:consumer_everything", args=[world.consumer.pk])


def exported(world: World) -> dict[str, Any]:
    answer = signed_in(world.owner).post(url_for(world), {"reason": "a letter of 3 May"})
    assert answer.status_code == 200
    assert answer["Content-Disposition"] == f'attachment; filename="consumer-{world.consumer.pk}.json"'
    told: dict[str, Any] = json.loads(b"".join(answer.streaming_content))
    return told


def test_everything_held_is_in_it(world: World) -> None:
    MessageContent.objects.filter(message=world.failed).update(text='quotes " and\nlines \u2028 \u202e <b>')
    told = exported(world)
    assert told["consumer"]["channel_consumer_id"] == world.consumer.channel_consumer_id
    assert {one["id"] for one in told["conversations"]} == {
        str(world.conversation.pk),
        str(world.closed_conversation.pk),
    }
    by_id = {one["id"]: one for one in told["messages"]}
    assert set(by_id) == {str(one) for one in Message.objects.filter(brand=world.brand).values_list("pk", flat=True)}
    assert by_id[str(world.failed.pk)]["content"]["text"] == 'quotes " and\nlines \u2028 \u202e <b>'
    assert by_id[str(world.failed.pk)]["sends"][0]["attempts"][0]["answer_head"] == f"answer {world.mark}"
    assert base64.b64decode(told["files"][str(world.file.pk)]) == f"file of {world.mark}".encode()
    assert told["other_sends"]
    assert told["trail"][-1]["action"] == "consumer.exported"


def test_keys_and_digests_are_not_in_it(world: World) -> None:
    text = json.dumps(exported(world))
    for word in ("eyJ.consumer", "search_hash", "content_digest", "sealed"):
        assert word not in text


def test_who_works_here_is_not_in_it(world: World) -> None:
    actor = actor_of(world.operator, None)
    blocks.block_consumer(consumer_id=world.consumer.pk, actor=actor, reason="spam")
    holds.hold_consumer(consumer_id=world.consumer.pk, actor=actor, reason="a lawsuit")
    told = json.dumps(exported(world))
    assert "a lawsuit" in told
    assert world.operator.username not in told
    assert world.owner.username not in told


def test_of_a_body_that_speaks_of_others_only_the_persons_part_is_told(world: World) -> None:
    dialog = f"dialog-open-{world.mark}"
    body = {
        "kind": "notification",
        "body": {"changes": [_change(dialog, "mine"), _change("somebody-elses-dialog", "not mine")]},
        "type": "ms.MessagingEventNotification",
    }
    delivery = next(row for row in world.rows if isinstance(row, DeliveryBody))
    DeliveryBody.objects.filter(pk=delivery.pk).update(raw=json.dumps(body).encode())
    text = json.dumps(exported(world)["deliveries"])
    assert "mine" in text
    assert "not mine" not in text


def _change(dialog_id: str, words: str) -> dict[str, Any]:
    return {
        "sequence": 7,
        "originatorId": "agent",
        "originatorMetadata": {"id": "agent", "role": "ASSIGNED_AGENT"},
        "serverTimestamp": 1_790_000_000_000,
        "event": {"type": "ContentEvent", "message": words, "contentType": "text/plain"},
        "conversationId": dialog_id,
        "dialogId": dialog_id,
    }


def test_nothing_of_anybody_else_is_in_it() -> None:
    amber, birch = make_two_brands()
    assert birch.mark not in json.dumps(exported(amber))


def test_who_handed_it_out_and_why_stands_in_the_trail(world: World) -> None:
    exported(world)
    entry = AuditEntry.objects.get(action="consumer.exported")
    assert (entry.actor_id, entry.reason) == (str(world.owner.pk), "a letter of 3 May")
    assert str(world.consumer.name) not in entry.subject_name


def test_owners_alone_hand_it_out_and_with_a_reason(world: World) -> None:
    for user in (world.operator, world.auditor):
        assert signed_in(user).post(url_for(world), {"reason": "x"}).status_code == 403
        assert url_for(world) not in signed_in(user).get(url_of(world.consumer)).content.decode()
    assert url_for(world) in signed_in(world.owner).get(url_of(world.consumer)).content.decode()
    assert "This field is required" in signed_in(world.owner).post(url_for(world), {"reason": " "}).content.decode()
    assert not AuditEntry.objects.filter(action="consumer.exported").exists()


def test_nothing_is_left_to_hand_out_of_an_erased_consumer(world: World) -> None:
    Consumer.objects.filter(pk=world.consumer.pk).update(erased_at=timezone.now())
    answer = signed_in(world.owner).post(url_for(world), {"reason": "x"}, follow=True)
    assert "nothing is left to export" in answer.content.decode()


def test_it_takes_one_of_the_few_places_for_long_answers_and_gives_it_back(world: World) -> None:
    """Whoever reads slowly holds a thread, and webhooks need threads too."""
    client = signed_in(world.owner)
    answers = [client.post(url_for(world), {"reason": "x"}) for _ in range(slots.MOST_AT_ONCE)]
    refused = client.post(url_for(world), {"reason": "x"}, follow=True)
    assert "Other exports are on their way" in refused.content.decode()
    assert AuditEntry.objects.filter(action="consumer.exported").count() == slots.MOST_AT_ONCE
    for answer in answers:
        b"".join(answer.streaming_content)
    assert exported(world)["format"]


def _takes_the_role_away(world: World) -> None:
    Membership.objects.filter(user=world.owner).update(role="OPERATOR")


def _signs_out_everywhere(world: World) -> None:
    end_sessions(world.owner, actor=COMMAND)


def _erases_the_person(world: World) -> None:
    Consumer.objects.filter(pk=world.consumer.pk).update(erased_at=timezone.now())


@pytest.mark.parametrize("what_happens", [_takes_the_role_away, _signs_out_everywhere, _erases_the_person])
def test_it_breaks_off_once_its_reader_may_not_have_it_any_more(
    what_happens: Callable[[World], None], world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "LOOK_EVERY_S", 0.0)
    answer: Any = signed_in(world.owner).post(url_for(world), {"reason": "x"})
    pieces = iter(answer.streaming_content)
    next(pieces)
    what_happens(world)
    with pytest.raises(BrokenOff):
        b"".join(pieces)
    answer.close()
    assert slots._slots._value == slots.MOST_AT_ONCE, "Its place is free again."
