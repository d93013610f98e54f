"""Lanes that a restore holds: nothing leaves them, evidence settles what is in doubt, a person releases the rest."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from access.models import Role
from audit.models import AuditEntry
from connector_site.invariants import all_invariants, check
from conversations import lanes
from conversations.models import Conversation, Dispatch, Lane
from conversations.services import held_lanes, operations
from core.actor import COMMAND
from core.ids import new_id
from installations.findings import Tone
from installations.verdicts import verdict_of
from tests.conversations.notifications import changed, said
from tests.conversations.stand import ADA, Stand, dispatches, only_consumer
from tests.factories import make_user


def hold(stand: Stand) -> None:
    """As a restore does, while nothing runs."""
    held_lanes.hold_all(made_before=new_id())


def held(*arguments: str) -> tuple[Any, int]:
    out, status = io.StringIO(), 0
    try:
        call_command("held", *arguments, stdout=out)
    except SystemExit as end:
        status = int(str(end.code))
    return json.loads(out.getvalue()), status


@pytest.fixture
def talk(stand: Stand) -> Stand:
    """Ada's conversation is open, both sides have spoken, everything is settled."""
    stand.says("one")
    stand.settle()
    stand.agent("join")
    stand.agent("say", text="How can I help?")
    stand.settle()
    assert stand.heard() == ["one"]
    return stand


def queue_only(stand: Stand, *texts: str) -> list[Dispatch]:
    """Texts of Ada's that are accepted and queued, and not sent yet."""
    from webhooks import applying

    known = set(Dispatch.objects.values_list("pk", flat=True))
    for text in texts:
        stand.says(text)
    while applying.apply_some():
        pass
    return [one for one in dispatches(kind="TEXT") if one.pk not in known]


def test_nothing_leaves_a_held_lane_and_what_comes_later_waits_behind(talk: Stand):
    (two,) = queue_only(talk, "two")
    hold(talk)
    talk.says("three")
    talk.settle()
    talk.pass_time(600)
    talk.settle()
    two.refresh_from_db()
    assert (talk.heard(), two.state, two.lane.held_at is None) == (["one"], "UNKNOWN", False)
    assert not lanes.has_due_work()
    assert two.lane.due_at is None

    # Neither does what wakes other lanes.
    lanes.make_due([two.lane_id])
    lanes.wake(installation_id=talk.installation.pk)
    talk.work()
    assert talk.heard() == ["one"]

    # Not even a time that something should have set after all.
    Lane.objects.filter(pk=two.lane_id).update(due_at=timezone.now())
    talk.work()
    assert (talk.heard(), lanes.has_due_work()) == (["one"], False)


def test_released_it_goes_out_in_its_order_and_is_marked(talk: Stand):
    two, three = queue_only(talk, "two", "three")
    hold(talk)
    talk.says("four")
    talk.settle()
    told, status = held("release", "--brand", "acme", "--reason", "LivePerson was looked at")
    talk.settle()
    assert (talk.heard(), status) == (["one", "two", "three", "four"], 0)
    marked = [one.pk for one in dispatches(kind="TEXT") if one.possible_duplicate]
    assert marked == [two.pk, three.pk]
    assert told["released"][0]["possible_duplicates"] == [str(two.pk), str(three.pk)]
    entry = AuditEntry.objects.get(action="lane.released")
    assert (entry.actor_kind, entry.reason, entry.data["dispatches"]) == ("COMMAND", "LivePerson was looked at", 3)
    assert entry.data["possible_duplicates"] == [str(two.pk), str(three.pk)]


def test_an_echo_settles_what_had_been_sent_after_the_backup(talk: Stand):
    """What LivePerson has is told by its notification, which the site had not answered before it was lost."""
    two, three = queue_only(talk, "two", "three")
    hold(talk)
    conversation = Conversation.objects.get()
    place = talk.at_liveperson()[-1]["events"][-1]["sequence"]
    talk.notify(said(conversation.lp_conversation_id, place + 2, "three", role="CONSUMER", who="c-1"))
    talk.work()
    two.refresh_from_db(), three.refresh_from_db()
    assert (two.state, three.state, three.resolution, three.lp_sequence) == ("UNKNOWN", "SENT", "echo", place + 2)
    assert not three.possible_duplicate
    # One that was sent after another proves nothing of that other: it stays held, and no promise is broken by it.
    assert Lane.objects.get(pk=two.lane_id).held_at is not None
    assert check(all_invariants()) == []

    talk.notify(said(conversation.lp_conversation_id, place + 1, "two", role="CONSUMER", who="c-1"))
    talk.work()
    two.refresh_from_db()
    assert (two.state, two.resolution) == ("SENT", "echo")
    # Nothing is in doubt any more: the lane needs nobody.
    lane = Lane.objects.get(pk=two.lane_id)
    entry = AuditEntry.objects.get(action="lane.released", subject_id=str(lane.pk))
    assert (lane.held_at, entry.actor_kind) == (None, "SYSTEM")
    assert talk.heard() == ["one"]


def test_an_echo_of_before_the_backup_settles_nothing(talk: Stand):
    (two,) = queue_only(talk, "one")  # the same words again
    hold(talk)
    conversation = Conversation.objects.get()
    known = Dispatch.objects.get(state="SENT", kind="TEXT", lane__direction="TO_LIVEPERSON").lp_sequence
    assert known is not None
    talk.notify(said(conversation.lp_conversation_id, known, "one", role="CONSUMER", who="c-1", again=1))
    talk.work()
    two.refresh_from_db()
    assert two.state == "UNKNOWN"
    operations.drop(dispatch_id=two.pk, actor=COMMAND)


def test_an_echo_in_a_conversation_that_was_opened_after_the_backup_settles_too(talk: Stand):
    two, three = queue_only(talk, "two", "three")
    hold(talk)
    consumer = only_consumer()
    client_id = talk.installation.client_id
    talk.notify_state(changed("conv-new", consumer=consumer.lp_consumer_id, at=10**7, client_id=client_id))
    talk.notify(said("conv-new", 0, "two", role="CONSUMER", who="c-1"))
    talk.work()
    two.refresh_from_db()
    assert (two.state, two.conversation.lp_conversation_id) == ("SENT", "conv-new")  # type: ignore[union-attr]
    assert Dispatch.objects.get(pk=three.pk).state == "UNKNOWN"


def test_an_opening_in_doubt_is_settled_by_its_conversation(stand: Stand):
    """The backup was made while the conversation was being opened."""
    stand.faults({"on": "conversation", "do": "lose_answer"})
    stand.says("hello")
    stand.work()
    stand.faults()
    assert [(one.kind, one.state) for one in dispatches()] == [("OPEN", "UNKNOWN"), ("TEXT", "QUEUED")]
    hold(stand)
    stand.settle()
    assert [(one.kind, one.state, one.resolution) for one in dispatches()] == [
        ("OPEN", "SENT", "echo"),
        ("TEXT", "UNKNOWN", ""),
    ]
    assert stand.heard() == []
    held("release", "--direction", "to_liveperson", "--reason", "not there")
    stand.settle()
    assert stand.heard() == ["hello"]


def test_a_backup_made_during_a_send_leaves_no_attempt_open(talk: Stand):
    (two,) = queue_only(talk, "two")
    Dispatch.objects.filter(pk=two.pk).update(state="SENDING", step="PUBLISH", attempt_count=1)
    two.attempts.create(brand=two.brand, step="PUBLISH", fence=1, started_at=timezone.now())
    Lane.objects.filter(pk=two.lane_id).update(leased_until=timezone.now())
    hold(talk)
    two.refresh_from_db()
    assert (two.state, two.attempts.get().outcome) == ("UNKNOWN", "UNANSWERED")
    assert Lane.objects.get(pk=two.lane_id).leased_until is None
    assert check(all_invariants()) == []


def test_a_channel_that_recognises_our_ids_is_sent_them_again_and_nothing_is_in_doubt(talk: Stand):
    talk.agent("say", text="It leaves today.")
    talk.deliver()
    from webhooks import applying

    while applying.apply_some():
        pass
    (answer,) = dispatches(kind="TEXT", state="QUEUED")
    hold(talk)
    talk.work()
    assert [one["text"] for one in talk.received()] == ["How can I help?"]
    told, _ = held("list")
    assert [(one["direction"], one["in_doubt"]) for one in told["held"]] == [("TO_CHANNEL", 0)]
    told, _ = held("release", "--direction", "to_channel", "--reason", "the app knows our ids")
    assert told["released"][0]["possible_duplicates"] == []
    talk.settle()
    sent = [one["id"] for one in talk.received()]
    assert sent[-1] == str(answer.pk)


def test_what_the_backup_had_not_applied_yet_went_out_under_an_id_that_nobody_knows(talk: Stand):
    made_before = new_id()
    talk.agent("say", text="It leaves today.")
    talk.deliver()
    from webhooks import applying

    while applying.apply_some():
        pass
    held_lanes.hold_all(made_before=made_before)
    assert [one.state for one in dispatches(lane__direction="TO_CHANNEL").__reversed__()][0] == "UNKNOWN"
    told, _ = held("release", "--brand", "acme", "--reason", "as far as we see")
    assert len(told["released"][0]["possible_duplicates"]) == 1
    talk.settle()


def test_a_report_of_the_channel_settles_what_it_has(talk: Stand):
    talk.agent("say", text="It leaves today.")
    talk.deliver()
    from webhooks import applying

    while applying.apply_some():
        pass
    (answer,) = dispatches(kind="TEXT", state="QUEUED")
    hold(talk)
    talk.tell("message.status", {"id": str(answer.pk), "status": "read"})
    talk.settle()
    answer.refresh_from_db()
    assert answer.message is not None
    assert (answer.state, answer.resolution, answer.message.status) == ("SENT", "report", "READ")
    assert [one["text"] for one in talk.received()] == ["How can I help?"]


def test_what_is_dropped_does_not_go_out_and_the_rest_does(talk: Stand):
    two, three = queue_only(talk, "two", "three")
    hold(talk)
    told, status = held("release", "--drop", str(two.pk), "--reason", "it stands there")
    assert (told["dropped"], told["released"], status) == ([str(two.pk)], [], 0)
    told, status = held("release", "--lane", str(two.lane_id), "--drop", str(two.pk), "--reason", "again")
    assert ([one["id"] for one in told["refused"]], status) == ([str(two.pk)], 1)
    talk.settle()
    assert talk.heard() == ["one", "three"]


def test_who_decides_each_of_them_needs_no_release(talk: Stand):
    two, three, four = queue_only(talk, "two", "three", "four")
    hold(talk)
    operations.resolve_as_sent(dispatch_id=two.pk, actor=COMMAND)
    operations.drop(dispatch_id=three.pk, actor=COMMAND)
    assert Lane.objects.get(pk=two.lane_id).held_at is not None
    operations.send_again(dispatch_id=four.pk, actor=COMMAND)
    talk.settle()
    assert talk.heard() == ["one", "four"]


def test_a_closing_of_then_does_not_close_a_conversation_of_now(talk: Stand):
    from webhooks import applying

    talk.tell("conversation.closed", {"consumer": {"id": ADA}})
    while applying.apply_some():
        pass
    hold(talk)
    client_id = talk.installation.client_id
    lp_consumer_id = only_consumer().lp_consumer_id
    talk.notify_state(changed("conv-new", consumer=lp_consumer_id, at=10**7, client_id=client_id))
    talk.work()
    held("release", "--brand", "acme", "--reason", "go on")
    talk.work()
    (closing,) = dispatches(kind="CLOSE", lane__direction="TO_LIVEPERSON")
    assert (closing.state, closing.error_code) == ("DROPPED", "dialog_closed")


def test_the_list_says_what_is_held_and_what_was_released(talk: Stand):
    (two,) = queue_only(talk, "two")
    hold(talk)
    held_lanes_of_all, _ = held("list", "--brand", "acme")
    (lane,) = held_lanes_of_all["held"]
    assert (lane["brand"], lane["in_doubt"], lane["dispatches"][0]["id"]) == ("acme", 1, str(two.pk))
    assert "two" not in json.dumps(held_lanes_of_all)
    held("release", "--lane", str(two.lane_id), "--reason", "seen")
    after, _ = held("list")
    assert after["held"] == []
    assert [(one["lane"], one["reason"]) for one in after["released"]] == [(str(two.lane_id), "seen")]
    talk.settle()


def test_the_connectors_page_says_that_lanes_are_held(talk: Stand):
    queue_only(talk, "two")
    before = verdict_of(talk.installation, now=timezone.now())
    hold(talk)
    after = verdict_of(talk.installation, now=timezone.now())
    told = [finding for finding in after.findings if "held after a restore" in finding.what]
    assert not any("held" in finding.what for finding in before.findings)
    assert [(one.tone, one.what) for one in told] == [
        (Tone.WORRIES, "1 lane is held after a restore: nothing leaves it.")
    ]
    held("release", "--brand", "acme", "--reason", "go on")
    talk.settle()


def test_an_operator_releases_a_consumers_lanes_on_its_page(talk: Stand):
    (two,) = queue_only(talk, "two")
    hold(talk)
    operator = make_user("olga", role=Role.OPERATOR, brand=two.brand)
    auditor = make_user("anton", role=Role.AUDITOR, brand=two.brand)
    page = f"/admin/conversations/consumer/{two.consumer_id}/"
    client = Client()
    client.force_login(auditor)
    shown = client.get(f"{page}change/").content.decode()
    assert ("held after a restore" in shown, "do/release/" in shown) == (True, False)
    assert client.post(f"{page}do/release/", {"reason": "I may not"}).status_code == 403

    client.force_login(operator)
    assert "do/release/" in client.get(f"{page}change/").content.decode()
    answer = client.post(f"{page}do/release/", {"reason": "Looked at LivePerson"}, follow=True)
    assert "marked as such: 1." in answer.content.decode()
    entry = AuditEntry.objects.get(action="lane.released")
    assert (entry.actor_kind, entry.actor_name, entry.reason) == ("PERSON", "olga", "Looked at LivePerson")
    assert "do/release/" not in client.get(f"{page}change/").content.decode()
    talk.settle()
    assert talk.heard() == ["one", "two"]


def test_holding_twice_changes_nothing(talk: Stand):
    (two,) = queue_only(talk, "two")
    hold(talk)
    first = Lane.objects.values_list("pk", "held_at", "fence")
    before = list(first)
    hold(talk)
    assert list(first.all()) == before
    counts = held_lanes.record_hold(actor=COMMAND, reason="restored")
    assert counts == {"lanes": 1, "dispatches": 1, "in_doubt": 1}
    assert AuditEntry.objects.get(action="lanes.held").data == counts


@pytest.mark.parametrize("state", ["DEAD", "FAILED"])
def test_what_had_come_to_a_bad_end_in_the_backup_is_in_doubt_when_a_person_sends_it_again(talk: Stand, state: str):
    """A person may have sent it again since, at the site that was lost."""
    (two,) = queue_only(talk, "two")
    Dispatch.objects.filter(pk=two.pk).update(state=state, finished_at=timezone.now())
    hold(talk)
    talk.settle()
    assert talk.heard() == ["one"]

    operations.send_again(dispatch_id=two.pk, actor=COMMAND, reason="try it again")
    talk.settle()

    assert talk.heard() == ["one", "two"]
    two.refresh_from_db()
    assert two.possible_duplicate


def test_what_comes_to_a_bad_end_after_a_restore_is_in_no_doubt(talk: Stand):
    hold(talk)
    (two,) = queue_only(talk, "two")
    Dispatch.objects.filter(pk=two.pk).update(state="DEAD", finished_at=timezone.now())

    operations.send_again(dispatch_id=two.pk, actor=COMMAND, reason="try it again")
    talk.settle()

    two.refresh_from_db()
    assert (two.state, two.possible_duplicate) == ("SENT", False)
