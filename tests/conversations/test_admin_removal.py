"""What owners do on the pages of consumers and brands: hold, lift, erase."""

from __future__ import annotations

import html
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.http import HttpResponse
from django.urls import reverse

from access.models import User
from audit.models import AuditEntry
from conversations.admin_removal import words_of
from conversations.models import Consumer, Conversation, Dispatch, DispatchState, Message, MessageContent
from tests.admin_pages import signed_in, url_of
from tests.factories import World, make_superuser
from webhooks import erasure

pytestmark = pytest.mark.django_db


def page_of(user: User, row: Any, deed: str = "") -> str:
    answer = signed_in(user).get(url_of(row, deed))
    assert answer.status_code == 200
    return html.unescape(answer.content.decode())


def do(user: User, row: Any, deed: str, reason: str = "case 12") -> HttpResponse:
    return signed_in(user).post(url_of(row, deed), {"reason": reason})


def told_by(answer: HttpResponse) -> str:
    return " ".join(str(one) for one in get_messages(answer.wsgi_request))


def close_conversations(world: World) -> None:
    Conversation.objects.filter(consumer=world.consumer).update(state="CLOSED")


@pytest.mark.parametrize("subject", ["consumer", "brand"])
def test_an_owner_puts_a_hold_and_lifts_it(world: World, subject: str) -> None:
    row = getattr(world, subject)
    assert "Lift the legal hold" not in page_of(world.owner, row)

    assert do(world.owner, row, "hold").status_code == 302

    row.refresh_from_db()
    assert (row.held_by, row.hold_reason) == (world.owner.get_username(), "case 12")
    page = page_of(world.auditor, row)
    assert "Legal hold: nothing of this" in page
    assert "case 12" in page
    do(world.owner, row, "lift-hold", "settled")
    row.refresh_from_db()
    assert row.held_at is None
    acts = AuditEntry.objects.filter(subject_id=str(row.pk), action__contains=".hold_").order_by("id")
    assert [(one.action, one.reason, one.actor_name) for one in acts] == [
        (f"{subject}.hold_set", "case 12", world.owner.get_username()),
        (f"{subject}.hold_lifted", "settled", world.owner.get_username()),
    ]


def test_only_owners_hold_and_erase(world: World) -> None:
    close_conversations(world)
    for user in (world.operator, world.auditor):
        page = page_of(user, world.consumer)
        assert "Erase this consumer" not in page
        for row, deed in ((world.consumer, "erase"), (world.consumer, "hold"), (world.brand, "hold")):
            assert do(user, row, deed).status_code == 403
    world.consumer.refresh_from_db()
    assert world.consumer.erased_at is None
    assert world.consumer.held_at is None


def test_the_page_that_asks_tells_what_would_go(world: World) -> None:
    close_conversations(world)
    page = page_of(world.owner, world.consumer, "erase")
    assert f"{MessageContent.objects.count()} messages, in 2 conversations" in page
    assert "Dropped without being sent" in page
    assert "Stands against it" not in page
    assert Consumer.objects.get(pk=world.consumer.pk).erased_at is None, "looking changes nothing"


def test_an_owner_erases_a_consumer(world: World) -> None:
    close_conversations(world)
    messages = Message.objects.count()

    answer = do(world.owner, world.consumer, "erase", "asked for it by letter")

    assert told_by(answer).startswith("Erased: ")
    page = page_of(world.owner, world.consumer)
    assert "Last traces in what arrived are still being looked for" in page
    assert "Erase this consumer" not in page
    assert "Legal hold" not in page
    assert world.mark not in page.partition('id="content"')[2].partition("AMBER")[0]
    erasure.finish()
    page = page_of(world.owner, world.consumer)
    assert "The last trace was removed" in page
    assert f"Ada {world.mark}" not in page
    assert f"+1{world.mark}" not in page
    assert Message.objects.count() == messages
    assert not MessageContent.objects.exists()
    assert (
        AuditEntry.objects.get(action="consumer.erased", subject_id=str(world.consumer.pk)).reason
        == "asked for it by letter"
    )
    transcript = page_of(world.auditor, world.conversation)
    assert "by erasure." in transcript
    assert "an erased consumer" in transcript


def test_what_stands_against_it_is_said_before_and_after(world: World) -> None:
    assert "A conversation is open at LivePerson" in page_of(world.owner, world.consumer, "erase")

    answer = do(world.owner, world.consumer, "erase")

    assert "A conversation is open at LivePerson" in told_by(answer)
    assert Consumer.objects.get(pk=world.consumer.pk).erased_at is None
    close_conversations(world)
    do(world.owner, world.brand, "hold")
    assert "A legal hold stands on this brand" in told_by(do(world.owner, world.consumer, "erase"))
    assert Consumer.objects.get(pk=world.consumer.pk).erased_at is None
    assert not AuditEntry.objects.filter(action="consumer.erased", subject_id=str(world.consumer.pk)).exists()


def test_somebody_who_was_erased_is_found_by_the_number_and_said_to_be_erased(world: World) -> None:
    close_conversations(world)
    do(make_superuser(), world.consumer, "erase")
    listed = signed_in(world.auditor).get(reverse("admin:conversations_consumer_changelist"), {"q": f"+1{world.mark}"})
    assert b"an erased consumer" in listed.content
    assert str(world.consumer.pk).encode() in listed.content


def test_what_has_lost_its_words_is_not_offered_to_be_sent_again(world: World) -> None:
    assert "Send again" in page_of(world.operator, world.dead)
    MessageContent.objects.filter(message=world.failed).delete()
    Message.objects.filter(pk=world.failed.pk).update(removed_at=world.failed.created_at, removed_by="RETENTION")
    assert "Send again" not in page_of(world.operator, world.dead)
    do(world.operator, world.dead, "send-again")
    assert Dispatch.objects.get(pk=world.dead.pk).state == DispatchState.DEAD


def test_how_much_was_said_is_counted_in_good_english():
    assert words_of(messages=1, conversations=1) == "1 message, in 1 conversation"
    assert words_of(messages=0, conversations=2) == "0 messages, in 2 conversations"
