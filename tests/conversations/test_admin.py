"""Pages of conversations, messages, consumers and the outbox."""

from __future__ import annotations

import html
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import DatabaseError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from access.models import User
from audit.models import AuditEntry
from conversations.models import (
    Attempt,
    Audience,
    Direction,
    Dispatch,
    DispatchKind,
    DispatchState,
    Lane,
    MediaFile,
    Message,
    MessageContent,
    MessageStatus,
    Outcome,
    Step,
)
from conversations.services import operations
from core.actor import COMMAND
from core.errors import RequestRejected
from installations import pausing
from tests.admin_pages import signed_in, url_of
from tests.factories import World, make_world

pytestmark = pytest.mark.django_db


def page_of(user: User, row: Any, **asked: str) -> str:
    """The page of a row, as text."""
    answer = signed_in(user).get(url_of(row), asked)
    assert answer.status_code == 200
    return answer.content.decode()


def bubble_of(page: str, message: Message) -> str:
    """The part of a transcript that shows one message."""
    return page.partition(f'id="m-{message.pk}"')[2].partition("</article>")[0]


def say(world: World, text: str, **values: Any) -> Message:
    """One more message in the open conversation, with a dispatch and an attempt."""
    from_consumer = values.pop("direction", Direction.TO_LIVEPERSON) == Direction.TO_LIVEPERSON
    message = Message.objects.create(
        brand=world.brand, consumer=world.consumer, channel=world.channel, occurred_at=timezone.now(),
        direction=Direction.TO_LIVEPERSON if from_consumer else Direction.TO_CHANNEL,
        **{
            "conversation": world.conversation, "sender_role": "CONSUMER" if from_consumer else "ASSIGNED_AGENT",
            "status": MessageStatus.SENT, **values,
        },
    )  # fmt: skip
    MessageContent.objects.create(message=message, text=text, expires_on=timezone.now().date() + timedelta(days=9))
    lane_id = Dispatch.objects.filter(brand=world.brand, lane__direction=message.direction).first().lane_id
    dispatch = Dispatch.objects.create(
        brand=world.brand, lane_id=lane_id, position=5000 + Dispatch.objects.count(), kind=DispatchKind.TEXT,
        state=DispatchState.SENT, message=message, conversation=world.conversation, step=Step.PUBLISH,
    )  # fmt: skip
    Attempt.objects.create(
        brand=world.brand, dispatch=dispatch, step=Step.PUBLISH, fence=1, started_at=timezone.now(),
        finished_at=timezone.now(), outcome=Outcome.ACCEPTED, elapsed_ms=12,
    )  # fmt: skip
    return message


# --- the transcript --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["owner", "operator", "auditor"])
def test_everybody_with_a_role_may_read(who, world):
    assert f"Words of {world.mark}" in page_of(getattr(world, who), world.conversation)


def test_sides_follow_who_spoke(world):
    bot = say(world, "I am a bot", direction=Direction.TO_CHANNEL, sender_role="AGENT")
    automatic = say(world, "Please hold", direction=Direction.TO_CHANNEL, sender_role="CONTROLLER")
    page = page_of(world.auditor, world.conversation)
    for message, side in (
        (world.from_consumer, "consumer"), (world.from_agent, "agent"), (bot, "bot"), (automatic, "system"),
    ):  # fmt: skip
        assert f'cs-said-{side}" id="m-{message.pk}"' in page


def test_a_private_note_says_that_the_consumer_does_not_see_it(world):
    note = Message.objects.get(brand=world.brand, audience=Audience.STAFF)
    page = page_of(world.auditor, world.conversation)
    assert "not shown to the consumer" in bubble_of(page, note)
    assert "not shown to the consumer" not in bubble_of(page, world.from_agent)


def test_text_is_escaped_newlines_stay_and_invisible_characters_are_shown(world):
    message = say(world, "<script>alert(1)</script>\nsecond\u202eline\u200b {{ 7*7 }}")
    bubble = bubble_of(page_of(world.auditor, world.conversation), message)
    assert "<script>" not in bubble
    assert "&lt;script&gt;alert(1)&lt;/script&gt;\nsecond" in bubble
    assert "\u202e" not in bubble
    assert 'title="U+202E RIGHT-TO-LEFT OVERRIDE">RLO</span>' in bubble
    assert "ZWSP" in bubble
    assert "{{ 7*7 }}" in bubble


def test_strange_names_are_escaped_on_every_page_that_shows_them(world):
    world.consumer.name = "<img src=x onerror=alert(1)>\u202eada"
    world.consumer.profile = {"<b>key</b>": "<i>value</i>\u200f"}
    world.consumer.save()
    client = signed_in(world.auditor)
    urls = [
        reverse("admin:conversations_consumer_change", args=[world.consumer.pk]),
        reverse("admin:conversations_conversation_change", args=[world.conversation.pk]),
        reverse("admin:conversations_message_change", args=[world.from_consumer.pk]),
        reverse("admin:conversations_dispatch_change", args=[world.dead.pk]),
        *(reverse(f"admin:conversations_{name}_changelist") for name in ("conversation", "message", "consumer")),
        reverse("admin:conversations_dispatch_changelist"),
    ]
    for url in urls:
        page = client.get(url).content.decode()
        assert "<img src=x" not in page, url
        assert "<b>key</b>" not in page, url
        assert "\u202e" not in page, url


@pytest.mark.parametrize("kind", ["consumer", "conversation", "failed", "dead"])
def test_tabs_and_the_browsers_history_do_not_name_the_consumer(kind, world):
    page = signed_in(world.owner).get(url_of(getattr(world, kind))).content.decode()
    title = re.search("<title>(.*?)</title>", page, re.DOTALL)
    assert title is not None
    assert world.consumer.name in page
    assert world.consumer.name not in title[1]


def test_each_attempt_stands_behind_its_message(world):
    attempt = world.dead.attempts.get()
    attempt.http_status, attempt.outcome, attempt.elapsed_ms = 400, Outcome.REJECTED, 37
    attempt.save()
    timeline = reverse("admin:message_timeline", args=[world.failed.pk])
    assert timeline in bubble_of(page_of(world.auditor, world.conversation), world.failed)
    beside = signed_in(world.auditor).get(timeline, headers={"HX-Request": "true"}).content.decode()
    for fact in ("Publish to LivePerson", "Rejected", "HTTP 400", attempt.detail, "37 ms", attempt.answer_head):
        assert fact in beside
    assert reverse("admin:conversations_dispatch_change", args=[world.dead.pk]) in beside
    assert "<html" not in beside


def test_a_message_leads_to_the_delivery_that_brought_it(world):
    delivery_id = "01a200cb-20ef-7638-9ffe-fe2823fa6c14"
    message = say(world, "hello", correlation_id=delivery_id)
    bubble = bubble_of(page_of(world.auditor, world.conversation), message)
    assert reverse("admin:webhooks_delivery_change", args=[delivery_id]) in bubble


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"state": "PARKED"}, "nobody knows whether it reached LivePerson"),
        ({"state": "DEAD"}, "it was given up after"),
        ({"state": "FAILED", "error_detail": "The text is too long."}, "it was not taken. The text is too long."),
        ({"state": "UNKNOWN"}, "is not known yet"),
        ({"state": "DROPPED"}, "it was dropped"),
        ({"state": "SENT", "possible_duplicate": True}, "It may stand there twice"),
        ({"state": "SENT", "possible_duplicate": True, "duplicate_seen_at": "now"}, "It arrived twice"),
    ],
)
def test_what_did_not_go_as_it_should_is_said_at_the_message(change, sentence, world):
    message = say(world, "hello")
    values = {name: timezone.now() if value == "now" else value for name, value in change.items()}
    message.dispatches.update(**values)
    assert sentence in html.unescape(bubble_of(page_of(world.auditor, world.conversation), message))


def test_what_waits_for_a_person_is_not_called_queued(world):
    message = say(world, "lost", status=MessageStatus.QUEUED)
    before = bubble_of(page_of(world.auditor, world.conversation), message)
    message.dispatches.update(state=DispatchState.PARKED)
    after = bubble_of(page_of(world.auditor, world.conversation), message)
    assert "Queued" in before
    assert "Queued" not in after
    assert "It waits for a person." in after


def test_a_gap_leads_to_where_a_person_decides(world):
    bubble = bubble_of(page_of(world.operator, world.conversation), world.failed)
    link = reverse("admin:conversations_dispatch_change", args=[world.dead.pk])
    assert f'<a href="{link}">Look at it</a>' in bubble


def test_a_message_that_went_well_has_no_warning(world):
    assert "cs-warn" not in bubble_of(page_of(world.auditor, world.conversation), say(world, "hello"))


def test_a_message_that_waits_is_in_the_transcript_though_liveperson_has_not_taken_it(world):
    world.conversation.opened_at = timezone.now() - timedelta(minutes=1)
    world.conversation.save()
    waiting = say(world, "still here", conversation=None, status=MessageStatus.QUEUED)
    assert "still here" in bubble_of(page_of(world.auditor, world.conversation), waiting)
    assert str(waiting.pk) not in page_of(world.auditor, world.closed_conversation)


@pytest.mark.parametrize(("removed_by", "how"), [("RETENTION", "by retention"), ("ERASURE", "by erasure")])
def test_content_that_was_removed_says_when_and_by_what(world, removed_by, how):
    MessageContent.objects.filter(message=world.from_consumer).delete()
    removed_at = datetime(2026, 3, 4, 12, tzinfo=UTC)
    Message.objects.filter(pk=world.from_consumer.pk).update(removed_at=removed_at, removed_by=removed_by)
    page = page_of(world.auditor, world.conversation)
    assert f"Content removed on 2026-03-04 {how}." in bubble_of(page, world.from_consumer)


def test_pictures_are_shown_files_offered_and_expired_ones_named(world):
    MediaFile.objects.filter(pk=world.file.pk).update(mime="image/png")
    bubble = bubble_of(page_of(world.auditor, world.conversation), world.from_agent)
    source = re.search(r'<img class="cs-picture" src="([^"]+)"', bubble)
    assert source
    assert Client().get(source[1]).status_code == 200
    MediaFile.objects.filter(pk=world.file.pk).update(mime="text/html")
    bubble = bubble_of(page_of(world.auditor, world.conversation), world.from_agent)
    assert "<img" not in bubble
    assert world.file.name in bubble
    MediaFile.objects.filter(pk=world.file.pk).update(expires_on=timezone.now().date() - timedelta(days=1))
    bubble = bubble_of(page_of(world.auditor, world.conversation), world.from_agent)
    assert "/files/" not in bubble
    assert "expired" in bubble


def test_choices_are_shown_where_the_text_does_not_list_them(world):
    bubble = bubble_of(page_of(world.auditor, world.conversation), world.from_agent)
    assert "cs-choice" not in bubble  # the mark stands in the text as well
    MessageContent.objects.filter(message=world.from_agent).update(text="Which one?")
    assert "cs-choice" in bubble_of(page_of(world.auditor, world.conversation), world.from_agent)


def test_opening_and_closing_are_lines_of_the_transcript(world):
    page = page_of(world.auditor, world.closed_conversation)
    assert "Conversation opened" in page
    assert "Conversation closed by the agent" in page


def test_the_transcript_asks_the_same_for_forty_and_for_seventy_messages(world):
    client = signed_in(world.auditor)
    url = reverse("admin:conversations_conversation_change", args=[world.conversation.pk])

    def statements() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert client.get(url).status_code == 200
        return len(queries)

    for number in range(40):
        say(world, f"message {number}")
    statements()  # who reads it for the first time is written down
    few = statements()
    for number in range(30):
        say(world, f"message {number}")
    assert statements() == few
    assert few <= 20


def test_a_long_conversation_is_read_in_parts_that_miss_nothing(world, monkeypatch):
    monkeypatch.setattr("conversations.admin_transcript.PART", 10)
    for number in range(25):
        say(world, f"message {number:02}")
    seen: list[str] = []
    asked: dict[str, str] = {}
    for _ in range(5):
        page = page_of(world.auditor, world.conversation, **asked)
        seen = re.findall(r'id="m-([0-9a-f-]{36})"', page) + seen
        older = re.search(r'href="\?before=([0-9a-f-]{36})"', page)
        if older is None:
            break
        asked = {"before": older[1]}
    expected = Message.objects.filter(conversation=world.conversation).order_by("id").values_list("pk", flat=True)
    assert seen == [str(pk) for pk in expected]


@pytest.mark.parametrize("before", ["x", "\0", "00000000-0000-0000-0000-000000000000"])
def test_a_wrong_place_in_the_conversation_breaks_nothing(before, world):
    page_of(world.auditor, world.conversation, before=before)


# --- records stay as they are ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["conversation", "message", "consumer", "dispatch"])
def test_records_are_not_added_changed_or_deleted_by_anybody(name, world):
    client = signed_in(world.owner)
    row = {"conversation": world.conversation, "message": world.from_agent, "consumer": world.consumer,
           "dispatch": world.dead}[name]  # fmt: skip
    assert client.get(reverse(f"admin:conversations_{name}_add")).status_code == 403
    assert client.post(reverse(f"admin:conversations_{name}_change", args=[row.pk]), {"state": "x"}).status_code == 403
    assert client.post(reverse(f"admin:conversations_{name}_delete", args=[row.pk]), {"post": "yes"}).status_code == 403
    given = {"action": "delete_selected", "_selected_action": [str(row.pk)], "post": "yes"}
    client.post(reverse(f"admin:conversations_{name}_changelist"), given)
    assert type(row).objects.filter(pk=row.pk).exists()


# --- search ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["id", "LivePerson's id", "consumer's id"])
def test_a_conversation_is_found_by_exact_things(by, world):
    birch = make_world(slug="birch", mark="BIRCHZVK4")
    term = {
        "id": str(world.conversation.pk),
        "LivePerson's id": world.conversation.lp_conversation_id,
        "consumer's id": world.consumer.channel_consumer_id,
    }[by]
    url = reverse("admin:conversations_conversation_changelist")
    found = reverse("admin:conversations_conversation_change", args=[world.conversation.pk])
    assert found in signed_in(world.auditor).get(url, {"q": f" {term} "}).content.decode()
    assert found not in signed_in(world.auditor).get(url, {"q": term[:-1]}).content.decode()
    assert found not in signed_in(birch.auditor).get(url, {"q": term}).content.decode()


def test_consumers_and_messages_are_found_by_the_channels_ids(world):
    client = signed_in(world.auditor)
    for name, row, term in (
        ("consumer", world.consumer, world.consumer.channel_consumer_id),
        ("consumer", world.consumer, world.consumer.ext_consumer_id),
        ("message", world.from_consumer, world.from_consumer.channel_message_id),
        ("message", world.from_consumer, str(world.from_consumer.pk)),
        ("dispatch", world.dead, str(world.dead.pk)),
    ):
        page = client.get(reverse(f"admin:conversations_{name}_changelist"), {"q": term}).content.decode()
        assert reverse(f"admin:conversations_{name}_change", args=[row.pk]) in page, term


# --- deeds -----------------------------------------------------------------------------------------------------------


def do(user: User, row: Any, name: str, **given: str) -> Any:
    """Press a button of a row's page and send its form."""
    return signed_in(user).post(url_of(row, name), given)


def test_an_operator_asks_liveperson_to_close_and_the_trail_has_the_reason(world):
    do(world.operator, world.conversation, "close", reason="asked by phone")
    closing = Dispatch.objects.filter(kind=DispatchKind.CLOSE, state=DispatchState.QUEUED).get()
    assert closing.consumer_id == world.consumer.pk
    entry = AuditEntry.objects.get(action="conversation.close_requested")
    assert (entry.subject_id, entry.reason, entry.actor_id) == (
        str(world.conversation.pk), "asked by phone", str(world.operator.pk),
    )  # fmt: skip


def test_a_closed_conversation_offers_no_closing(world):
    url = reverse("admin:conversations_conversation_do", args=[world.closed_conversation.pk, "close"])
    assert url not in page_of(world.operator, world.closed_conversation)
    assert do(world.operator, world.closed_conversation, "close", reason="x").status_code == 302
    assert not AuditEntry.objects.filter(action="conversation.close_requested").exists()


@pytest.mark.parametrize(
    ("name", "action", "state"),
    [
        ("send-again", "dispatch.resent", DispatchState.QUEUED),
        ("drop", "dispatch.dropped", DispatchState.DROPPED),
        ("mark-as-sent", "dispatch.resolved_as_sent", DispatchState.SENT),
    ],
)
def test_an_operator_repairs_a_parked_dispatch(name, action, state, world):
    asking = signed_in(world.operator).get(reverse("admin:conversations_dispatch_do", args=[world.parked.pk, name]))
    assert asking.status_code == 200
    assert Dispatch.objects.get(pk=world.parked.pk).state == DispatchState.PARKED
    do(world.operator, world.parked, name, reason="seen in the workspace")
    assert Dispatch.objects.get(pk=world.parked.pk).state == state
    assert AuditEntry.objects.get(action=action, subject_id=str(world.parked.pk)).reason == "seen in the workspace"


def test_a_deed_asks_for_its_reason(world):
    answer = do(world.operator, world.parked, "drop", reason=" ")
    assert answer.status_code == 200
    assert "This field is required" in answer.content.decode()
    assert Dispatch.objects.get(pk=world.parked.pk).state == DispatchState.PARKED


def test_a_send_that_waits_says_for_what_and_who_paused_it(world):
    waiting = say(world, "later").dispatches.get()
    Dispatch.objects.filter(pk=waiting.pk).update(state=DispatchState.QUEUED, finished_at=None)
    pausing.pause(world.channel, reason="They move house.", actor=COMMAND)
    Lane.objects.filter(pk=waiting.lane_id).update(blocked_by="channel_paused")
    paused = page_of(world.operator, waiting)
    Lane.objects.filter(pk=waiting.lane_id).update(blocked_by="waiting_for_upstream")
    silent = page_of(world.operator, waiting)

    assert "waits for a pause to end" in paused
    assert "They move house." in paused
    assert "waits for the other side to work again" in silent
    assert "They move house." not in silent


def test_an_open_conversation_says_what_keeps_its_messages(world):
    pausing.pause(world.brand, reason="They move house.", actor=COMMAND)
    assert "They move house." in page_of(world.auditor, world.conversation)
    assert "They move house." not in page_of(world.auditor, world.closed_conversation)


def test_a_send_that_failed_says_what_to_do_and_one_that_ended_what_settled_it(world):
    failed = say(world, "not taken").dispatches.get()
    Dispatch.objects.filter(pk=failed.pk).update(state=DispatchState.FAILED, error_code="request_rejected")
    assert RequestRejected.operator_hint in page_of(world.auditor, failed)

    operations.resolve_as_sent(dispatch_id=world.parked.pk, actor=COMMAND, reason="seen there")
    assert "settled by a person" in page_of(world.auditor, world.parked)


@pytest.mark.parametrize("name", ["send-again", "drop", "mark-as-sent"])
def test_an_auditor_sees_no_button_and_may_not_press_one(name, world):
    assert "/do/" not in page_of(world.auditor, world.parked)
    assert do(world.auditor, world.parked, name, reason="x").status_code == 403
    assert Dispatch.objects.get(pk=world.parked.pk).state == DispatchState.PARKED


def test_what_cannot_be_done_any_more_is_said(world):
    client = signed_in(world.operator)
    Dispatch.objects.filter(pk=world.parked.pk).update(state=DispatchState.SENT)
    url = reverse("admin:conversations_dispatch_do", args=[world.parked.pk, "send-again"])
    page = client.post(url, {"reason": "x"}, follow=True).content.decode()
    assert "is not possible as things stand now" in page


def test_evidence_stands_on_the_page_of_a_dispatch_in_doubt(world):
    Dispatch.objects.filter(pk=world.parked.pk).update(sequence_before=41, unknown_at=timezone.now())
    page = page_of(world.auditor, world.parked)
    assert "Evidence" in page
    assert "above 41" in page
    assert "Evidence" not in page_of(world.auditor, world.dead)


# --- who read what was said ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["conversation", "message", "consumer"])
def test_who_read_what_was_said_stands_in_the_trail_once_an_hour(world: World, kind: str) -> None:
    row = {"conversation": world.conversation, "message": world.from_agent, "consumer": world.consumer}[kind]
    client = Client()
    client.force_login(world.auditor)
    for _ in range(3):
        assert client.get(f"/admin/conversations/{kind}/{row.pk}/change/").status_code == 200
    entry = AuditEntry.objects.get(action="message.content_read")
    assert (entry.subject_type, entry.subject_id, entry.actor_id) == (kind, str(row.pk), str(world.auditor.pk))
    assert str(world.consumer.name) not in entry.subject_name


def test_what_was_said_is_not_shown_unless_it_can_be_recorded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise DatabaseError("the trail is full")

    client = Client(raise_request_exception=False)
    client.force_login(world.auditor)
    monkeypatch.setattr("audit.api.record", fail)
    answer = client.get(f"/admin/conversations/conversation/{world.conversation.pk}/change/")
    assert answer.status_code >= 500
    assert world.mark.encode() not in answer.content
