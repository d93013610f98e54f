"""Following an open conversation, and the timeline of a message."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from audit.models import AuditEntry
from conversations.models import (
    Consumer,
    Conversation,
    ConversationState,
    Direction,
    Dispatch,
    DispatchKind,
    DispatchState,
    Lane,
    Message,
    MessageStatus,
)
from conversations.standing import BEGINNING, look
from tests.admin_pages import signed_in
from tests.conversations.test_admin import bubble_of, page_of, say
from tests.factories import World, make_world

pytestmark = pytest.mark.django_db

WHO_ASKS = ('"django_session"', '"access_user"', '"access_membership"')


@pytest.fixture(autouse=True)
def _nobody_has_read_anything() -> None:
    cache.clear()


def version_of(world: World) -> str:
    standing = look(world.conversation.pk, since=BEGINNING)
    assert standing
    return standing.version


def ask(world: World, client: Client | None = None, **asked: str) -> Any:
    """What the page of the open conversation asks every other second."""
    url = reverse("admin:conversations_conversation_live", args=[world.conversation.pk])
    return (client or signed_in(world.auditor)).get(url, asked, headers={"HX-Request": "true"})


def test_nothing_is_sent_while_nothing_changes(world: World) -> None:
    first = ask(world)
    assert version_of(world) in first.content.decode()
    again = ask(world, seen=version_of(world))
    assert (again.status_code, again.content) == (204, b"")


@pytest.mark.parametrize(
    "what", ["said", "status", "dispatch", "consumer types", "agent types", "closed", "waiting", "removed"]
)
def test_what_a_reader_would_see_makes_another_version(what: str, world: World) -> None:
    before = version_of(world)
    if what == "said":
        say(world, "hello")
    elif what == "status":
        Message.objects.filter(pk=world.from_agent.pk).update(status=MessageStatus.READ)
    elif what == "dispatch":
        Dispatch.objects.filter(pk=world.parked.pk).update(state=DispatchState.DROPPED)
    elif what == "consumer types":
        Consumer.objects.filter(pk=world.consumer.pk).update(is_typing=True)
    elif what == "agent types":
        agent_types(world)
    elif what == "closed":
        Conversation.objects.filter(pk=world.conversation.pk).update(state=ConversationState.CLOSED)
    elif what == "waiting":
        say(world, "hello", conversation=None)
    else:
        Message.objects.filter(pk=world.from_agent.pk).update(removed_at=timezone.now())
    assert version_of(world) != before


def test_what_nobody_sees_makes_none(world: World) -> None:
    before = version_of(world)
    Conversation.objects.filter(pk=world.conversation.pk).update(lp_updated_ms=7)
    Consumer.objects.filter(pk=world.consumer.pk).update(last_seen_at=timezone.now())
    say(make_world(slug="birch", mark="BIRCHZVK4"), "elsewhere")
    assert version_of(world) == before


def agent_types(world: World, *, until: timedelta = timedelta(seconds=30)) -> None:
    lane = Lane.objects.get(consumer=world.consumer, direction=Direction.TO_CHANNEL)
    Dispatch.objects.create(
        brand=world.brand, lane=lane, position=9000, kind=DispatchKind.TYPING, state=DispatchState.SENT,
        conversation=world.conversation, payload={"on": True}, expires_at=timezone.now() + until,
    )  # fmt: skip


def test_who_types_is_said_as_long_as_it_is_true(world: World) -> None:
    Consumer.objects.filter(pk=world.consumer.pk).update(is_typing=True)
    agent_types(world)
    shown = ask(world).content.decode()
    assert f"{world.consumer.name} is typing" in shown
    assert "The agent is typing" in shown
    Dispatch.objects.filter(kind=DispatchKind.TYPING).update(expires_at=timezone.now())
    assert "The agent is typing" not in ask(world).content.decode()


def test_a_message_comes_with_three_statements_and_an_unchanged_page_with_one(world: World) -> None:
    client = signed_in(world.auditor)
    for number in range(40):
        say(world, f"message {number}")
    first = ask(world, client)  # writes down who reads
    assert first.status_code == 200

    def statements(**asked: str) -> list[str]:
        with CaptureQueriesContext(connection) as queries:
            ask(world, client, **asked)
        return [one["sql"] for one in queries if not any(table in one["sql"] for table in WHO_ASKS)]

    say(world, "one more")
    assert len(statements(seen="an older version")) == 3
    assert len(statements(seen=version_of(world))) == 1


def test_looking_walks_indexes_alone(world: World) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
    with CaptureQueriesContext(connection) as queries:
        look(world.conversation.pk, since=BEGINNING)
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {queries[0]['sql']}")
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert "Seq Scan" not in plan


def test_the_page_follows_from_the_part_that_it_shows(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("conversations.admin_transcript.FOLLOWED", 5)
    rows = [say(world, f"message {number}") for number in range(12)]
    page = page_of(world.auditor, world.conversation)
    assert f"since={rows[-5].pk}" in page
    assert page.count('id="m-') == Message.objects.filter(conversation=world.conversation).count()
    latest = say(world, "the latest")
    answer = ask(world, since=str(rows[-5].pk)).content.decode()
    assert f'id="m-{latest.pk}"' in answer
    assert f'id="m-{rows[-5].pk}"' in answer
    assert f'id="m-{rows[-6].pk}"' not in answer


def test_a_closed_conversation_is_shown_once_more_and_not_followed(world: World) -> None:
    assert 'hx-trigger="every 2s' in page_of(world.auditor, world.conversation)
    assert "every 2s" not in page_of(world.auditor, world.closed_conversation)
    Conversation.objects.filter(pk=world.conversation.pk).update(
        state=ConversationState.CLOSED, closed_at=timezone.now(), close_reason="AGENT"
    )
    answer = ask(world, seen="x").content.decode()
    assert "Conversation closed by the agent" in answer
    assert "every 2s" not in answer


def test_a_page_left_open_for_too_long_begins_anew(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("conversations.standing.MOST_FOLLOWED", 3)
    first = say(world, "first")
    for number in range(4):
        say(world, f"message {number}")
    answer = ask(world, since=str(first.pk))
    assert (answer.status_code, answer["HX-Refresh"]) == (204, "true")


@pytest.mark.parametrize("since", ["x", "\0", "00000000-0000-0000-0000-000000000000", ""])
def test_a_wrong_place_to_follow_from_breaks_nothing(since: str, world: World) -> None:
    assert ask(world, since=since, seen="\0").status_code == 200


def test_another_brands_conversation_is_not_there(world: World) -> None:
    birch = make_world(slug="birch", mark="BIRCHZVK4")
    assert ask(world, signed_in(birch.operator)).status_code == 404
    assert AuditEntry.objects.filter(action="access.refused", subject_id=str(world.conversation.pk)).exists()


def test_who_follows_stands_in_the_trail_once(world: World) -> None:
    for number in range(3):
        say(world, f"message {number}")
        assert ask(world, seen="x").status_code == 200
    entry = AuditEntry.objects.get(action="message.content_read", subject_id=str(world.conversation.pk))
    assert entry.actor_id == str(world.auditor.pk)


def test_only_looking_is_possible(world: World) -> None:
    url = reverse("admin:conversations_conversation_live", args=[world.conversation.pk])
    assert signed_in(world.owner).post(url).status_code == 403
    assert signed_in(world.owner).post(reverse("admin:message_timeline", args=[world.failed.pk])).status_code == 403


# --- the timeline ----------------------------------------------------------------------------------------------------


def timeline_of(world: World, message: Message, **headers: str) -> str:
    """The timeline as a page, or with htmx's header as a part of one."""
    answer = signed_in(world.auditor).get(reverse("admin:message_timeline", args=[message.pk]), headers=headers)
    assert answer.status_code == 200
    return answer.content.decode()


def test_a_timeline_tells_of_the_delivery_the_tries_and_what_people_did(world: World) -> None:
    shown = timeline_of(world, world.from_consumer, **{"HX-Request": "true"})
    assert "Delivery from the channel" in shown
    assert "Publish to LivePerson" in shown
    assert "Every step in its order" in shown
    assert "dispatch.resent" in timeline_of(world, world.failed)


def test_a_timeline_without_script_is_a_page(world: World) -> None:
    assert "<html" in timeline_of(world, world.failed)


def test_who_opened_a_timeline_stands_in_the_trail(world: World) -> None:
    timeline_of(world, world.failed)
    assert AuditEntry.objects.filter(action="message.content_read", subject_id=str(world.failed.pk)).count() == 1


def test_strange_answers_are_escaped_in_a_timeline(world: World) -> None:
    attempt = world.dead.attempts.get()
    attempt.answer_head = attempt.detail = "<script>alert(1)</script>\u202e" + "e" + "\u0301" * 400
    attempt.save()
    shown = timeline_of(world, world.failed)
    assert "<script>alert" not in shown
    assert "\u202e" not in shown
    assert "\u0301" * 5 not in shown
    assert bubble_of(page_of(world.auditor, world.conversation), world.failed)


def test_what_can_be_done_to_an_open_conversation_only_is_offered_no_more_when_it_closes(world: World) -> None:
    client = signed_in(world.operator)
    still_open = ask(world, client).content.decode()
    Conversation.objects.filter(pk=world.conversation.pk).update(state=ConversationState.CLOSED)
    closed = ask(world, client).content.decode()

    assert 'id="deeds"' not in still_open
    assert closed.partition('id="deeds" hx-swap-oob="true">')[2].partition("</span>")[0].strip() == ""
    assert 'id="deeds"' in closed
