"""Consumers who are blocked, and what operators say as a consumer to try the way."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import override_settings
from django.utils import timezone

from audit.models import AuditEntry
from connector_site.invariants.asking import check
from connector_site.invariants.conversations import INVARIANTS
from conversations.admin_consent import channels_of
from conversations.models import Consumer, Dispatch, DispatchKind, DispatchState, Message, MessageStatus
from conversations.services import blocks, consumer_side, trying
from core.actor import COMMAND
from core.errors import ConfigurationError
from core.events import ConsumerMessage, ConsumerRef, ConsumerTyping
from core.ids import new_id
from tests.admin_pages import signed_in, url_of
from tests.conversations.test_admin import bubble_of, do, page_of
from tests.factories import World

pytestmark = pytest.mark.django_db


def writes(world: World, text: str = "let me in", **profile: str) -> Message:
    """The consumer of a world writes on their channel."""
    who = ConsumerRef(id=world.consumer.channel_consumer_id, name="", profile=profile)
    event = ConsumerMessage(identity=f"m-{text}", message_id=f"m-{text}", consumer=who, text=text, occurred_at=None)
    effect = consumer_side.accept_consumer_message(
        channel=world.channel, event=event, correlation_id="c", now=timezone.now()
    )
    return Message.objects.get(pk=effect.message_id)


def block(world: World) -> None:
    blocks.block_consumer(consumer_id=world.consumer.pk, actor=COMMAND, reason="abuse")


# --- blocked ---------------------------------------------------------------------------------------------------------


def test_what_a_blocked_consumer_writes_is_stored_shown_and_not_carried(world: World) -> None:
    block(world)
    message = writes(world)
    assert (message.status, message.error_code, message.content.text) == (
        MessageStatus.FAILED, "consumer_blocked", "let me in",
    )  # fmt: skip
    assert set(message.dispatches.values_list("state", flat=True)) == {DispatchState.DROPPED}
    bubble = bubble_of(page_of(world.auditor, world.conversation), message)
    assert "let me in" in bubble
    assert "the consumer was blocked when it came" in bubble
    broken = {breach.invariant.name: breach.rows for breach in check(INVARIANTS)}
    assert message.pk not in [row["id"] for row in broken.get("consumer_message_is_queued", [])]
    assert message.pk not in [row["id"] for row in broken.get("queued_message_is_under_way", [])]


def test_nothing_else_of_a_blocked_consumer_reaches_liveperson(world: World) -> None:
    block(world)
    known = set(Dispatch.objects.values_list("pk", flat=True))
    writes(world, ctype="platinum")
    who = ConsumerRef(id=world.consumer.channel_consumer_id)
    consumer_side.accept_typing(
        channel=world.channel,
        event=ConsumerTyping(identity="t", consumer=who, on=True, occurred_at=None),
        correlation_id="c",
        now=timezone.now(),
    )
    made = Dispatch.objects.exclude(pk__in=known)
    assert set(made.values_list("kind", "state")) == {(DispatchKind.TEXT, DispatchState.DROPPED)}


def test_after_the_block_messages_go_again(world: World) -> None:
    block(world)
    before = writes(world, "before")
    blocks.unblock_consumer(consumer_id=world.consumer.pk, actor=COMMAND, reason="a mistake")
    after = writes(world, "after")
    assert after.status == MessageStatus.QUEUED
    assert after.dispatches.get().state == DispatchState.QUEUED
    assert before.dispatches.get().state == DispatchState.DROPPED


def test_an_operator_blocks_and_unblocks_with_a_reason(world: World) -> None:
    do(world.operator, world.consumer, "block", reason="threats")
    assert "Blocked: what this consumer writes" in page_of(world.auditor, world.consumer)
    assert AuditEntry.objects.get(action="consumer.blocked").reason == "threats"
    do(world.operator, world.consumer, "unblock", reason="settled")
    entry = AuditEntry.objects.get(action="consumer.unblocked")
    assert (entry.reason, entry.actor_id) == ("settled", str(world.operator.pk))
    assert str(world.consumer.name) not in entry.subject_name
    assert not Consumer.objects.get(pk=world.consumer.pk).is_blocked


def test_a_block_stands_once(world: World) -> None:
    block(world)
    with pytest.raises(ConfigurationError, match="blocked already"):
        block(world)


# --- consent ---------------------------------------------------------------------------------------------------------


def test_a_channel_that_says_the_consumer_has_left_is_believed_until_they_write_again(world: World) -> None:
    assert not channels_of(world.consumer)[0].has_left
    sent = Dispatch.objects.get(brand=world.brand, direction="TO_CHANNEL")
    Dispatch.objects.filter(pk=sent.pk).update(
        state=DispatchState.FAILED, error_code="consumer_gone", finished_at=timezone.now() + timedelta(seconds=1)
    )
    assert channels_of(world.consumer)[0].has_left
    assert "Left, blocked us or opted out" in page_of(world.auditor, world.consumer)
    Message.objects.filter(pk=writes(world).pk).update(created_at=timezone.now() + timedelta(minutes=1))
    assert not channels_of(world.consumer)[0].has_left
    assert "Wrote to us" in page_of(world.auditor, world.consumer)


# --- test messages ---------------------------------------------------------------------------------------------------


def asks(world: World, row: Any) -> str:
    answer = signed_in(world.operator).get(url_of(row, "test-message"))
    assert answer.status_code == 200
    return str(answer.content.decode())


def test_a_test_message_is_tagged_queued_and_in_the_trail(world: World) -> None:
    Consumer.objects.filter(pk=world.consumer.pk).update(last_seen_at=None)
    do(world.operator, world.consumer, "test-message", text="Anybody?", once=new_id(), reason="after the outage")
    message = Message.objects.get(is_test=True)
    assert message.content.text == "[Test message] Anybody?"
    assert message.dispatches.get().state == DispatchState.QUEUED
    assert Consumer.objects.get(pk=world.consumer.pk).last_seen_at is None
    entry = AuditEntry.objects.get(action="consumer.test_message_sent")
    assert (entry.data, entry.reason) == ({"message": str(message.pk)}, "after the outage")
    assert "test message of an operator" in bubble_of(page_of(world.auditor, world.conversation), message)


@pytest.mark.parametrize(
    ("domain_api", "sentence"),
    [
        ("https://api.liveperson.net", "YES. It goes to LivePerson"),
        ("http://127.0.0.1:8100", "simulated on this machine"),
    ],
)
def test_it_is_said_before_whether_an_agent_would_see_it(domain_api: str, sentence: str, world: World) -> None:
    with override_settings(LIVEPERSON_DOMAIN_API=domain_api):
        assert sentence in asks(world, world.consumer)
        assert "It joins the open conversation." in asks(world, world.conversation)


def test_no_test_message_for_a_blocked_consumer(world: World) -> None:
    block(world)
    with pytest.raises(ConfigurationError, match="blocked"):
        trying.say_as_consumer(consumer_id=world.consumer.pk, text="x", once=new_id(), actor=COMMAND)
    assert url_of(world.consumer, "test-message") not in page_of(world.operator, world.consumer)


def test_a_button_that_is_pressed_twice_sends_one(world: World) -> None:
    form = signed_in(world.operator).get(url_of(world.consumer, "test-message")).content.decode()
    once = re.search(r'name="once" value="([0-9a-f-]{36})"', form)
    assert once

    for _ in range(2):
        do(world.operator, world.consumer, "test-message", text="Anybody?", once=once[1])

    assert Message.objects.filter(is_test=True).count() == 1


def test_an_auditor_sends_none(world: World) -> None:
    assert do(world.auditor, world.consumer, "test-message", text="x").status_code == 403
    assert not Message.objects.filter(is_test=True).exists()
