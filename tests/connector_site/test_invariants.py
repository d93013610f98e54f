"""Each promise query finds nothing where the promise holds, and finds the row where somebody breaks it."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.models import F, QuerySet
from django.utils import timezone

from access.models import Brand
from audit import api as audit
from audit.models import AuditEntry
from connector_site.bulk.models import BulkItem, BulkJob
from connector_site.invariants import Invariant, all_invariants, check
from connector_site.models import RollupCount
from conversations.models import (
    Attempt,
    Audience,
    Consumer,
    ConsumerToken,
    Conversation,
    Dialog,
    Direction,
    Dispatch,
    DispatchState,
    Erasure,
    Lane,
    MediaFile,
    Message,
    MessageContent,
)
from core.actor import COMMAND
from core.ids import new_id
from installations.models import AppToken, Channel, ChannelSecret, InstallationSecret, Pause
from tests.connector_site.rollups.facts import count as count_rollups
from tests.conversations.database import without_the_guard
from tests.factories import World, make_two_brands
from webhooks.models import Delivery, DeliveryBody, Event, Seen

pytestmark = pytest.mark.django_db

Break = Callable[[World, World], object]
BREAKS: list[tuple[str, Break]] = []


def breaks(name: str) -> Callable[[Break], Break]:
    """Marks a function that breaks the promise of this name, past all services."""

    def add(act: Break) -> Break:
        BREAKS.append((name, act))
        return act

    return add


def without_constraint(table: str, constraint: str) -> None:
    """Constraints forbid some of it: what is asked for has to be found even where one was lost."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {constraint}")
        cursor.execute(f"DROP INDEX IF EXISTS {constraint}")


def without_keys(table: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("SELECT conname FROM pg_constraint WHERE contype = 'f' AND conrelid = %s::regclass", [table])
        for (name,) in cursor.fetchall():
            cursor.execute(f'ALTER TABLE {table} DROP CONSTRAINT "{name}"')


def sent_text(world: World) -> Dispatch:
    return Dispatch.objects.get(brand=world.brand, state=DispatchState.SENT, kind="TEXT")


def copy_of(row: Any, **changes: Any) -> Any:
    """Another row like this one."""
    row.pk = new_id()
    row._state.adding = True
    for name, value in changes.items():
        setattr(row, name, value)
    row.save(force_insert=True)
    return row


# --- the breaks ------------------------------------------------------------------------------------------------------


@breaks("identity_claimed_once")
def _two_owners(amber: World, birch: World) -> object:
    without_constraint("webhooks_seen", "seen_once")
    seen = Seen.objects.filter(brand=amber.brand).first()
    seen.pk = None
    return seen.save()


@breaks("identity_has_its_delivery")
def _seen_but_not_stored(amber: World, birch: World) -> object:
    return Seen.objects.filter(brand=amber.brand).update(delivery_id=new_id())


@breaks("bulk_row_is_done_once")
def _done_without_a_trace(amber: World, birch: World) -> object:
    return BulkItem.objects.filter(brand=amber.brand).update(state="DONE")


@breaks("bulk_job_counts_its_rows")
def _forgotten_rows(amber: World, birch: World) -> object:
    return BulkJob.objects.filter(brand=amber.brand).update(total=3)


@breaks("stored_delivery_has_its_body")
def _body_deleted(amber: World, birch: World) -> object:
    return DeliveryBody.objects.filter(delivery__state="STORED").delete()


@breaks("processed_delivery_has_events")
def _events_lost(amber: World, birch: World) -> object:
    return Event.objects.filter(brand=amber.brand).delete()


@breaks("event_of_a_delivery_applied")
def _applied_by_half(amber: World, birch: World) -> object:
    return Delivery.objects.filter(brand=amber.brand, state="PROCESSED").update(state="STORED")


@breaks("counts_are_those_of_the_rows")
def _counted_twice(amber: World, birch: World) -> object:
    _all_counted()
    return RollupCount.objects.filter(figure="MESSAGES_TO_LIVEPERSON", counting="FINAL").update(count=F("count") + 1)


@breaks("counts_are_those_of_the_rows")
def _not_counted(amber: World, birch: World) -> object:
    _all_counted()
    return RollupCount.objects.filter(figure="DELIVERIES_FROM_CHANNEL", source_id=amber.channel.pk).delete()


@breaks("counts_are_those_of_the_rows")
def _counted_for_nobody_any_more(amber: World, birch: World) -> object:
    _all_counted()
    return Dispatch.objects.filter(state=DispatchState.SENT, brand=amber.brand).update(state="QUEUED")


def _all_counted() -> None:
    count_rollups(now=timezone.now() + timedelta(hours=2))
    assert [breach.rows for breach in check(all_invariants())] == []


@breaks("sent_is_proved")
def _no_attempt_was_accepted(amber: World, birch: World) -> object:
    return Attempt.objects.filter(dispatch=sent_text(amber)).update(outcome="UNANSWERED")


@breaks("sent_is_proved")
def _only_another_step_was_accepted(amber: World, birch: World) -> object:
    return Attempt.objects.filter(dispatch=sent_text(amber)).update(step="UPLOAD")


@breaks("sent_is_proved")
def _sent_without_a_word(amber: World, birch: World) -> object:
    return Dispatch.objects.filter(pk=amber.dead.pk).update(state="SENT", resolution="")


@breaks("nothing_overtakes")
def _sent_before_its_turn(amber: World, birch: World) -> object:
    later = timezone.now() + timedelta(seconds=5)
    return Dispatch.objects.filter(pk=amber.unknown.pk).update(
        position=F("position") - (1 << 23), created_at=timezone.now() - timedelta(hours=1)
    ) and Dispatch.objects.filter(pk=sent_text(amber).pk).update(finished_at=later)


@breaks("held_lane_sends_nothing")
def _sent_out_of_a_held_lane(amber: World, birch: World) -> object:
    before = Attempt.objects.filter(dispatch=amber.unknown).earliest("started_at").started_at - timedelta(seconds=1)
    return Lane.objects.filter(pk=amber.unknown.lane_id).update(held_at=before)


@breaks("paused_begins_nothing")
def _sent_while_paused(amber: World, birch: World) -> object:
    before = Attempt.objects.earliest("started_at").started_at - timedelta(seconds=6)
    facts = {"scope": "BRAND", "target_id": amber.brand.pk, "reason": "maintenance", "began_at": before}
    return Pause.objects.create(brand=amber.brand, **facts)


@breaks("sleeping_is_paused")
def _asleep_for_nothing(amber: World, birch: World) -> object:
    return Lane.objects.filter(pk=amber.unknown.lane_id).update(blocked_by="brand_paused", due_at=None)


@breaks("paused_says_so")
def _paused_without_a_word(amber: World, birch: World) -> object:
    return Channel.objects.filter(pk=amber.channel.pk).update(state="PAUSED")


@breaks("one_attempt_under_way")
def _two_at_once(amber: World, birch: World) -> object:
    lane = amber.unknown.lane
    Dispatch.objects.filter(lane=lane).update(state="SENDING")
    Lane.objects.filter(pk=lane.pk).update(leased_until=timezone.now() + timedelta(minutes=1))
    return Attempt.objects.filter(dispatch__lane=lane).update(finished_at=None)


@breaks("attempt_under_way_is_sending")
def _attempt_without_end(amber: World, birch: World) -> object:
    return Attempt.objects.filter(dispatch=amber.unknown).update(finished_at=None)


@breaks("sending_is_leased")
def _worker_died_long_ago(amber: World, birch: World) -> object:
    Lane.objects.filter(pk=amber.unknown.lane_id).update(leased_until=timezone.now() - timedelta(seconds=61))
    return Dispatch.objects.filter(pk=amber.unknown.pk).update(state="SENDING")


@breaks("waiting_is_looked_at")
def _forgotten(amber: World, birch: World) -> object:
    return Lane.objects.filter(pk=amber.unknown.lane_id).update(due_at=None, blocked_by="")


@breaks("sequence_given_once")
def _one_sequence_twice(amber: World, birch: World) -> object:
    return copy_of(sent_text(amber), position=1, resolution="echo")


@breaks("ended_has_an_end")
def _ended_at_no_time(amber: World, birch: World) -> object:
    return Dispatch.objects.filter(pk=amber.dead.pk).update(finished_at=None)


@breaks("acts_of_people_are_in_the_trail")
def _dropped_in_silence(amber: World, birch: World) -> object:
    return Dispatch.objects.filter(pk=amber.dead.pk).update(state="DROPPED", resolution="person")


@breaks("consumer_message_is_queued")
def _message_without_dispatch(amber: World, birch: World) -> object:
    return Dispatch.objects.filter(message=amber.from_consumer).update(message=None)


@breaks("queued_message_is_under_way")
def _queued_for_ever(amber: World, birch: World) -> object:
    return Message.objects.filter(pk=amber.from_agent.pk).update(status="QUEUED")


@breaks("private_note_stays_private")
def _note_was_sent(amber: World, birch: World) -> object:
    return Message.objects.filter(pk=amber.from_agent.pk).update(audience=Audience.STAFF)


@breaks("one_open_conversation")
def _two_open_conversations(amber: World, birch: World) -> object:
    without_constraint("conversations_conversation", "conversation_one_open_per_consumer")
    return Conversation.objects.filter(pk=amber.closed_conversation.pk).update(state="SURVEY")


@breaks("one_consumer_along_a_dispatch")
def _lane_of_somebody_else(amber: World, birch: World) -> object:
    lane = Lane.objects.get(brand=birch.brand, direction=Direction.TO_LIVEPERSON)
    return Dispatch.objects.filter(pk=amber.dead.pk).update(lane=lane, position=1)


@breaks("one_consumer_along_a_dispatch")
def _conversation_of_somebody_else(amber: World, birch: World) -> object:
    return Dispatch.objects.filter(pk=amber.unknown.pk).update(conversation=birch.conversation)


@breaks("one_account_along_a_conversation")
def _account_of_somebody_else(amber: World, birch: World) -> object:
    return Conversation.objects.filter(pk=amber.conversation.pk).update(account=birch.account)


LONG_AGO = date(2020, 1, 1)


@breaks("content_is_not_kept_past_its_day")
def _words_kept(amber: World, birch: World) -> object:
    return MessageContent.objects.filter(message=amber.from_consumer).update(expires_on=LONG_AGO)


@breaks("content_is_not_kept_past_its_day")
def _file_kept(amber: World, birch: World) -> object:
    return MediaFile.objects.filter(pk=amber.file.pk).update(expires_on=LONG_AGO)


@breaks("content_is_not_kept_past_its_day")
def _body_kept(amber: World, birch: World) -> object:
    return DeliveryBody.objects.filter(delivery__brand=amber.brand).update(expires_on=LONG_AGO)


@breaks("erased_is_empty")
def _words_of_an_erased_person(amber: World, birch: World) -> object:
    audit.record("consumer.erased", actor=COMMAND, subject=amber.consumer.nameless)
    return Consumer.objects.filter(pk=amber.consumer.pk).update(erased_at=timezone.now())


@breaks("erasure_is_in_the_trail")
def _erased_in_silence(amber: World, birch: World) -> object:
    return an_empty_person(amber)


@breaks("erasure_comes_to_its_end")
def _erasure_forgotten(amber: World, birch: World) -> object:
    person = an_empty_person(amber)
    audit.record("consumer.erased", actor=COMMAND, subject=person)
    return under_way(person, begun_at=timezone.now() - timedelta(days=2))


def an_empty_person(world: World) -> Consumer:
    pk = new_id()
    return Consumer.objects.create(
        pk=pk, brand=world.brand, account=world.account, channel=world.channel, ext_consumer_id=f"ERASED:{pk}",
        search_hash=b"hash", erased_at=timezone.now(),
    )  # fmt: skip


def under_way(person: Consumer, *, begun_at: datetime) -> Erasure:
    erasure = Erasure(consumer=person, begun_at=begun_at, swept_to=new_id())
    erasure.keep(b"ids")
    erasure.save()
    return erasure


@breaks("secrets_are_sealed")
def _plain_traces(amber: World, birch: World) -> object:
    person = an_empty_person(amber)
    audit.record("consumer.erased", actor=COMMAND, subject=person)
    under_way(person, begun_at=timezone.now())
    return Erasure.objects.update(sealed=b"+15550100")


@breaks("secrets_are_sealed")
def _secret_in_the_clear(amber: World, birch: World) -> object:
    return InstallationSecret.objects.filter(brand=amber.brand).update(
        sealed=b"a client secret in the clear, long enough"
    )


@breaks("secrets_are_sealed")
def _channel_secret_cut_off(amber: World, birch: World) -> object:
    return ChannelSecret.objects.filter(brand=amber.brand).update(sealed=b"\x01")


@breaks("secrets_are_sealed")
def _token_in_the_clear(amber: World, birch: World) -> object:
    return AppToken.objects.filter(installation=amber.installation).update(sealed=b"eyJ" * 20)


@breaks("secrets_are_sealed")
def _consumer_token_in_the_clear(amber: World, birch: World) -> object:
    return ConsumerToken.objects.filter(consumer=amber.consumer).update(sealed=b"eyJ" * 20)


@breaks("one_brand_along_every_link")
def _identity_of_another_source(amber: World, birch: World) -> object:
    return Seen.objects.filter(brand=amber.brand, source_id=amber.channel.pk).update(source_id=birch.channel.pk)


# --- the tests -------------------------------------------------------------------------------------------------------


@pytest.fixture
def worlds() -> tuple[World, World]:
    return make_two_brands()


@breaks("the_trail_is_guarded")
def _guard_switched_off(amber: World, birch: World) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE audit_auditentry DISABLE TRIGGER audit_entry_unchanged")


def broken_names() -> dict[str, list[dict[str, Any]]]:
    return {breach.invariant.name: breach.rows for breach in check(all_invariants())}


def test_two_brands_with_rows_of_every_kind_break_nothing(worlds):
    assert broken_names() == {}


@pytest.mark.parametrize(("name", "act"), BREAKS, ids=[f"{name}-{act.__name__}" for name, act in BREAKS])
def test_a_broken_promise_is_found(worlds, name, act):
    act(*worlds)
    found = broken_names()
    assert name in found
    assert found[name]


def test_every_promise_has_a_test_that_breaks_it():
    assert {name for name, _ in BREAKS} == {invariant.name for invariant in all_invariants()}


LINKS = [
    (model, field)
    for model, fields in {
        Attempt: ["dispatch"],
        AuditEntry: [],
        Channel: ["account", "installation"],
        ChannelSecret: ["channel"],
        ConsumerToken: ["installation"],
        Conversation: ["account", "installation", "channel", "consumer"],
        Delivery: ["inbox", "installation", "channel"],
        Dispatch: ["lane", "message", "conversation"],
        Event: ["delivery"],
        InstallationSecret: ["installation"],
        Lane: ["account", "consumer"],
        MediaFile: ["message"],
        Message: ["consumer", "conversation", "channel"],
    }.items()
    for field in fields
]


@pytest.mark.parametrize(("model", "field"), LINKS, ids=[f"{model.__name__}.{field}" for model, field in LINKS])
def test_a_link_into_another_brand_is_found(worlds, model, field):
    amber, birch = worlds
    without_keys(model._meta.db_table)
    for constraint in model._meta.constraints:
        without_constraint(model._meta.db_table, constraint.name)
    row = amber.row_of(model)
    other = birch.row_of(model._meta.get_field(field).related_model)
    type(row)._default_manager.filter(pk=row.pk).update(**{field: other})
    links = {found["link"]: found for found in broken_names()["one_brand_along_every_link"]}
    found = links[f"{model._meta.db_table}.{field}_id"]
    assert (found["id"], found["other"]) == (str(row.pk), str(birch.brand.pk))


@pytest.mark.parametrize("model", [Dispatch, Attempt, Event, Lane, MediaFile, Message, Delivery, ChannelSecret])
def test_a_row_that_changes_its_brand_is_found(worlds, model):
    amber, birch = worlds
    row = amber.row_of(model)
    model.objects.filter(pk=row.pk).update(brand=birch.brand)
    assert "one_brand_along_every_link" in broken_names()


def test_rows_without_a_brand_of_their_own_are_covered_by_their_parents(worlds):
    """Content, bodies and dialogs have one parent, whose brand is theirs; the query asks of every other link."""
    (invariant,) = (one for one in all_invariants() if one.name == "one_brand_along_every_link")
    for model in (MessageContent, DeliveryBody, Dialog, AppToken):
        assert len([field for field in model._meta.get_fields() if field.many_to_one or field.one_to_one]) == 1, model
    assert "conversations_consumertoken.installation_id" in invariant.sql


# --- what is allowed -------------------------------------------------------------------------------------------------


def test_what_a_person_sent_again_waits_at_its_old_place_and_overtakes_nothing(worlds):
    amber, _ = worlds
    sent = Dispatch.objects.get(pk=sent_text(amber).pk)
    Dispatch.objects.filter(pk=amber.dead.pk).update(
        state="QUEUED", position=1, created_at=sent.created_at - timedelta(hours=1)
    )
    Message.objects.filter(pk=amber.failed.pk).update(status="QUEUED")
    assert "nothing_overtakes" not in broken_names()  # the world's trail says that it was sent again just now
    # Not by the trail's own manager, and without the database's guard: both refuse.
    with without_the_guard():
        QuerySet(AuditEntry).filter(subject_id=str(amber.dead.pk)).update(at=timezone.now() - timedelta(minutes=30))
    assert "nothing_overtakes" in broken_names()


def test_in_a_lane_that_a_restore_held_evidence_may_come_in_any_order(worlds):
    amber, birch = worlds
    _sent_before_its_turn(amber, birch)
    lane = amber.unknown.lane
    assert "nothing_overtakes" in broken_names()
    Lane.objects.filter(pk=lane.pk).update(held_at=timezone.now())
    assert "nothing_overtakes" not in broken_names()
    Lane.objects.filter(pk=lane.pk).update(held_at=None)
    Dispatch.objects.filter(pk=sent_text(amber).pk).update(finished_at=timezone.now())
    audit.record("lane.released", actor=COMMAND, subject=lane)
    assert "nothing_overtakes" not in broken_names()


def test_parked_rows_may_be_overtaken(worlds):
    amber, _ = worlds
    Dispatch.objects.filter(pk=amber.parked.pk).update(position=1, created_at=timezone.now() - timedelta(hours=1))
    assert broken_names() == {}


def test_what_a_person_ended_stands_in_the_trail(worlds):
    amber, _ = worlds
    Dispatch.objects.filter(pk=amber.dead.pk).update(state="DROPPED", resolution="person")
    audit.record("dispatch.dropped", actor=COMMAND, subject=amber.dead)
    assert broken_names() == {}


def test_what_is_sending_under_a_lease_is_in_order(worlds):
    amber, _ = worlds
    Lane.objects.filter(pk=amber.unknown.lane_id).update(leased_until=timezone.now() - timedelta(seconds=30))
    Dispatch.objects.filter(pk=amber.unknown.pk).update(state="SENDING")
    Attempt.objects.filter(dispatch=amber.unknown).update(finished_at=None)
    assert broken_names() == {}


@pytest.mark.parametrize("holding", ["brand", "consumer", "still to be sent"])
def test_what_is_held_or_still_to_be_sent_may_be_kept_past_its_day(worlds, holding):
    amber, _ = worlds
    MessageContent.objects.filter(message=amber.from_consumer).update(expires_on=LONG_AGO)
    assert set(broken_names()) == {"content_is_not_kept_past_its_day"}
    if holding == "brand":
        Brand.objects.filter(pk=amber.brand.pk).update(held_at=timezone.now())
    elif holding == "consumer":
        Consumer.objects.filter(pk=amber.consumer.pk).update(held_at=timezone.now())
    else:
        Dispatch.objects.filter(message=amber.from_consumer).update(state="PARKED", finished_at=None)
    assert broken_names() == {}


# --- the command -----------------------------------------------------------------------------------------------------


def run() -> tuple[dict[str, Any], str, int]:
    out, err = io.StringIO(), io.StringIO()
    try:
        call_command("check_invariants", stdout=out, stderr=err)
    except SystemExit as end:
        return json.loads(out.getvalue()), err.getvalue(), int(str(end.code))
    return json.loads(out.getvalue()), err.getvalue(), 0


def test_the_command_ends_with_0_while_every_promise_holds(worlds):
    assert run() == ({"checked": len(all_invariants()), "broken": []}, "", 0)


def test_the_command_prints_the_rows_that_break_one_and_ends_with_1(worlds):
    amber, _ = worlds
    Dispatch.objects.filter(pk=amber.dead.pk).update(finished_at=None)
    told, said, status = run()
    assert status == 1
    (broken,) = told["broken"]
    assert broken["name"] == "ended_has_an_end"
    assert broken["rows"] == [{"id": str(amber.dead.pk), "state": "DEAD"}]
    assert broken["promise"] in said
    assert amber.mark not in json.dumps(told) + said


def test_an_empty_site_breaks_nothing():
    assert not Brand.objects.exists()
    assert run()[2] == 0


def test_only_the_first_rows_are_told():
    many = Invariant(name="many", promise="Few.", sql="SELECT n FROM generate_series(1, 1000) n")
    (breach,) = check([many])
    assert len(breach.rows) == 100
