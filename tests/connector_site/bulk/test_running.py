"""A job does its act to each row once, in the order of the lanes, at its pace, until it is done or stopped."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, transaction
from django.utils import timezone

from access.models import Membership
from access.people import actor_of
from audit.models import AuditEntry
from connector_site import tasks
from connector_site.bulk import running, services
from connector_site.bulk.kinds import KINDS
from connector_site.bulk.models import BulkItem, BulkJob, BulkState
from connector_site.bulk.services import BulkRefused
from conversations.models import Conversation, Dispatch, DispatchState
from conversations.services import operations
from conversations.services.erasure import erase_consumer
from core.actor import COMMAND
from tests.connector_site.bulk.rows import dead_deliveries, dead_texts, preview, start, started, states, work
from tests.factories import World, make_superuser, make_two_brands, make_user
from webhooks.models import Delivery, DeliveryState

pytestmark = pytest.mark.django_db


def acts_of(job: BulkJob, action: str = "dispatch.resent") -> list[str]:
    """Ids of the rows that the job's acts in the trail speak of, in their order."""
    acts = AuditEntry.objects.filter(action=action, correlation_id=str(job.pk)).order_by("id")
    return list(acts.values_list("subject_id", flat=True))


# --- what it does ----------------------------------------------------------------------------------------------------


def test_each_row_is_sent_again_and_the_trail_names_who_asked_and_why(world):
    rows = dead_texts(world, 3)
    job = work(started("RESEND", rows, world.operator))
    assert (job.state, job.done_count, states(job)) == (BulkState.DONE, 3, ["DONE"] * 3)
    assert set(Dispatch.objects.filter(pk__in=[row.pk for row in rows]).values_list("state", flat=True)) == {"QUEUED"}
    act = AuditEntry.objects.filter(action="dispatch.resent", correlation_id=str(job.pk))[0]
    assert (act.actor_id, act.reason) == (str(world.operator.pk), "The app was down")
    told = AuditEntry.objects.filter(subject_type="bulkjob", subject_id=str(job.pk)).order_by("id")
    assert list(told.values_list("action", flat=True)) == ["bulk_job.started", "bulk_job.finished"]


def test_rows_are_dropped(world):
    job = work(started("DROP", [world.dead, world.parked], world.operator))
    assert job.done_count == 2
    assert Dispatch.objects.get(pk=world.parked.pk).state == DispatchState.DROPPED


def test_deliveries_are_applied_again_in_the_order_in_which_they_arrived(world):
    rows = dead_deliveries(world, 4)
    job = work(started("REPLAY", list(reversed(rows)), world.operator))
    assert acts_of(job, "delivery.reapplied") == [str(row.pk) for row in rows]
    waiting = Delivery.objects.filter(pk__in=[row.pk for row in rows]).values_list("state", flat=True)
    assert set(waiting) == {DeliveryState.STORED}


def test_in_a_lane_what_stands_first_goes_first_whatever_came_first(world):
    """An opening is younger than what it was put before."""
    rows = dead_texts(world, 3)
    first = Dispatch.objects.get(pk=rows[0].pk)
    opening = Dispatch.objects.create(
        brand=world.brand, lane=first.lane, consumer=first.consumer,
        direction=first.direction, channel=first.channel, position=first.position - 1, kind="OPEN",
        state=DispatchState.DEAD, finished_at=first.finished_at,
    )  # fmt: skip
    job = work(started("RESEND", [*rows, opening], world.operator))
    assert acts_of(job) == [str(row.pk) for row in (opening, *rows)]


def test_what_somebody_has_settled_meanwhile_is_left_alone_and_said(world):
    rows = dead_texts(world, 2)
    job = started("RESEND", rows, world.operator)
    operations.drop(dispatch_id=rows[0].pk, actor=COMMAND)
    work(job)
    assert (job.settled_count, job.done_count, states(job)) == (1, 1, ["SETTLED", "DONE"])
    assert Dispatch.objects.get(pk=rows[0].pk).state == DispatchState.DROPPED
    assert "dropped" in BulkItem.objects.get(job=job, target_id=rows[0].pk).detail


def test_what_is_not_possible_is_said_with_its_reason(world):
    rows = dead_texts(world, 2)
    rows[0].message.content.delete()
    job = work(started("RESEND", rows, world.operator))
    assert (job.refused_count, states(job)) == (1, ["REFUSED", "DONE"])
    assert "has been removed" in BulkItem.objects.get(job=job, target_id=rows[0].pk).detail


def test_an_error_of_ours_ends_one_row_and_no_other(world, monkeypatch):
    rows = dead_texts(world, 3)
    job = started("RESEND", rows, world.operator)
    act = KINDS["RESEND"].act

    def break_once(row_id: Any, *arguments: Any) -> None:
        act(row_id, *arguments)
        if row_id == rows[1].pk:
            raise ZeroDivisionError

    monkeypatch.setitem(KINDS, "RESEND", _with_act(break_once))
    work(job)
    assert states(job) == ["DONE", "REFUSED", "DONE"]
    assert Dispatch.objects.get(pk=rows[1].pk).state == DispatchState.DEAD


def _with_act(act: Any) -> Any:
    from dataclasses import replace

    return replace(KINDS["RESEND"], act=act)


def test_a_database_that_is_lost_uses_up_no_row(world, monkeypatch):
    job = started("RESEND", dead_texts(world, 2), world.operator)

    def lose(*_: Any) -> None:
        raise OperationalError("server closed the connection unexpectedly")

    with monkeypatch.context() as lost:
        lost.setitem(KINDS, "RESEND", _with_act(lose))
        with pytest.raises(OperationalError), transaction.atomic():
            running.work()
    assert states(job) == ["WAITING"] * 2
    assert work(job).done_count == 2


def test_whatever_goes_wrong_in_a_job_messages_go_on(world, monkeypatch):
    order: list[str] = []

    def fail(**_: Any) -> None:
        order.append("job")
        raise ZeroDivisionError

    monkeypatch.setattr("webhooks.services.work", lambda **_: order.append("messages"))
    monkeypatch.setattr(running, "work", fail)
    tasks.work()
    assert order == ["messages", "job"]


# --- pace, stop, resume ----------------------------------------------------------------------------------------------


def test_it_keeps_its_pace(world):
    job = started("RESEND", dead_texts(world, 5), world.operator, per_second=1)
    running.work()
    running.work()
    job.refresh_from_db()
    assert job.done_count == 1


def test_a_stopped_job_touches_nothing_more_and_goes_on_where_it_stopped(world):
    rows = dead_texts(world, 3)
    job = started("RESEND", rows, world.operator, per_second=1)
    running.work()
    services.stop(job.pk, person=world.owner, actor=actor_of(world.owner, None))
    assert work(job).done_count == 1
    assert job.state == BulkState.STOPPED
    services.resume(job.pk, person=world.operator, actor=actor_of(world.operator, None))
    assert work(job).state == BulkState.DONE
    assert acts_of(job) == [str(row.pk) for row in rows]


def test_a_row_under_way_when_the_job_is_stopped_is_undone(world, monkeypatch):
    rows = dead_texts(world, 2)
    job = started("RESEND", rows, world.operator)
    act = KINDS["RESEND"].act

    def stop_meanwhile(row_id: Any, *arguments: Any) -> None:
        act(row_id, *arguments)
        BulkJob.objects.filter(pk=job.pk).update(state=BulkState.STOPPED)

    monkeypatch.setitem(KINDS, "RESEND", _with_act(stop_meanwhile))
    running.work()
    assert states(job) == ["WAITING"] * 2
    assert Dispatch.objects.get(pk=rows[0].pk).state == DispatchState.DEAD
    assert acts_of(job) == []


def test_a_job_whose_asker_lost_the_right_is_stopped(world):
    job = started("RESEND", dead_texts(world, 2), world.operator)
    Membership.objects.filter(user=world.operator).update(role="AUDITOR")
    work(job)
    assert (job.state, job.done_count) == (BulkState.STOPPED, 0)
    assert "may not repair" in job.stopped_because


def test_a_worker_that_lost_its_lease_does_nothing(world):
    job = started("RESEND", dead_texts(world, 2), world.operator)
    claim = running._claim()
    BulkJob.objects.filter(pk=job.pk).update(leased_until=None)
    assert running._claim() is not None, "another worker takes it over"
    assert claim is not None
    assert running._go_on(claim) is False
    assert states(job) == ["WAITING"] * 2


# --- a second person -------------------------------------------------------------------------------------------------


@pytest.fixture
def large(world, monkeypatch):
    monkeypatch.setattr(services, "MOST_ALONE", 2)
    return start(preview("RESEND", dead_texts(world, 3), world.operator), world.operator)


def approve(job: BulkJob, person: Any) -> BulkJob:
    return services.approve(job.pk, person=person, actor=actor_of(person, None))


def test_a_large_one_waits_for_somebody_else(world, large):
    assert (large.state, work(large).done_count) == (BulkState.WAITING, 0)
    with pytest.raises(BulkRefused, match="somebody else"):
        approve(large, world.operator)
    approve(large, world.owner)
    assert work(large).done_count == 3
    assert large.approved_by == world.owner
    told = AuditEntry.objects.filter(subject_type="bulkjob").order_by("id").values_list("action", "actor_id")
    asked, agreed = str(world.operator.pk), str(world.owner.pk)
    assert list(told)[:2] == [("bulk_job.asked_for", asked), ("bulk_job.approved", agreed)]


def test_the_second_person_may_repair_the_same_brand(world, large):
    with pytest.raises(BulkRefused):
        approve(large, world.auditor)
    with pytest.raises(BulkRefused):
        approve(large, make_user("stranger"))


def test_whoever_starts_somebody_elses_preview_is_not_its_second_person(world, monkeypatch):
    monkeypatch.setattr(services, "MOST_ALONE", 2)
    job = start(preview("RESEND", dead_texts(world, 3), world.operator), world.owner)
    with pytest.raises(BulkRefused):
        approve(job, world.owner)


def test_several_that_one_person_starts_within_a_day_count_as_one(world, monkeypatch):
    monkeypatch.setattr(services, "MOST_ALONE", 3)
    first, second, third = (dead_texts(world, 2) for _ in range(3))
    done = work(started("RESEND", first, world.operator))
    assert started("RESEND", second, world.operator).state == BulkState.WAITING
    assert started("DROP", third, make_superuser()).state == BulkState.RUNNING, "Somebody else has started none."
    _let_a_day_pass(done)
    assert started("RESEND", second, world.operator).state == BulkState.RUNNING


def test_jobs_that_were_stopped_on_other_days_and_go_on_together_count_as_one(world, monkeypatch):
    monkeypatch.setattr(services, "MOST_ALONE", 3)
    jobs = []
    for _ in range(2):
        job = started("RESEND", dead_texts(world, 2), world.operator)
        jobs.append(services.stop(job.pk, person=world.operator, actor=actor_of(world.operator, None)))
        _let_a_day_pass(job)

    again = [services.resume(one.pk, person=world.operator, actor=actor_of(world.operator, None)) for one in jobs]

    assert [one.state for one in again] == [BulkState.RUNNING, BulkState.WAITING]


def _let_a_day_pass(job: BulkJob) -> None:
    known, day = BulkJob.objects.get(pk=job.pk), timedelta(days=1)
    BulkJob.objects.filter(pk=job.pk).update(started_at=known.started_at - day, next_at=known.next_at - day)


def test_what_was_given_up_undone_and_what_a_second_person_agreed_to_counts_for_nobody(world, monkeypatch, large):
    approve(large, world.owner)
    given_up = started("RESEND", dead_texts(world, 2), world.operator)
    assert given_up.state == BulkState.RUNNING
    services.stop(given_up.pk, person=world.operator, actor=actor_of(world.operator, None))
    assert started("RESEND", dead_texts(world, 1), world.operator).state == BulkState.WAITING
    services.discard(given_up.pk, person=world.operator, actor=actor_of(world.operator, None))
    assert started("RESEND", dead_texts(world, 2), world.operator).state == BulkState.RUNNING


def test_who_takes_a_large_one_over_needs_a_second_person_too(world, large):
    approve(large, world.owner)
    Membership.objects.filter(user=world.operator).update(role="AUDITOR")
    assert work(large).state == BulkState.STOPPED
    services.resume(large.pk, person=world.owner, actor=actor_of(world.owner, None))
    with pytest.raises(BulkRefused, match="somebody else"):
        approve(large, world.owner)
    approve(large, make_superuser())
    assert work(large).done_count == 3


# --- around it -------------------------------------------------------------------------------------------------------


def test_after_a_restore_no_job_goes_on_by_itself(world):
    job = started("RESEND", dead_texts(world, 2), world.operator)
    services.stop_all(actor=COMMAND, because="A backup was restored.")
    assert (work(job).state, job.stopped_because) == (BulkState.STOPPED, "A backup was restored.")
    services.resume(job.pk, person=world.operator, actor=actor_of(world.operator, None))
    assert work(job).done_count == 2


def test_an_erasure_takes_the_person_out_of_the_reason(world):
    job = work(started("DROP", [world.dead], world.operator, reason=f"{world.consumer.name} asked us"))
    erased(world)
    job.refresh_from_db()
    assert world.consumer.name not in job.reason
    told = AuditEntry.objects.filter(subject_type="bulkjob", subject_id=str(job.pk)).values_list("reason", flat=True)
    assert not [reason for reason in told if world.consumer.name in reason]


def test_an_erasure_takes_the_person_out_of_what_the_job_did_to_rows_of_others():
    amber, other = make_two_brands()
    boss = make_superuser()
    reason = f"{amber.consumer.name} and others asked us"
    job = work(started("DROP", [amber.dead, *dead_texts(other, 2)], boss, reason=reason))
    assert job.done_count == 3
    erased(amber)
    told = AuditEntry.objects.filter(correlation_id=str(job.pk)).values_list("reason", flat=True)
    assert set(told) == {"••• and others asked us", ""}


def test_a_row_under_way_when_its_job_is_made_to_forget_somebody_is_undone():
    """Or it would be told with the reason as it was."""
    amber, other = make_two_brands()
    rows = [*dead_texts(other, 1), amber.dead]
    job = started("RESEND", rows, make_superuser(), reason=f"for {amber.consumer.name}")
    assert running._claim() is not None
    under_way = BulkJob.objects.select_related("asked_by").get(pk=job.pk)
    erased(amber)
    with pytest.raises(running._NoLongerOurs):
        running._do_next(under_way)
    assert work(job).state == BulkState.DONE
    assert {act.reason for act in AuditEntry.objects.filter(correlation_id=str(job.pk))} == {"•••", ""}


def erased(world: World) -> None:
    Conversation.objects.filter(consumer=world.consumer).update(state="CLOSED", closed_at=timezone.now())
    erase_consumer(consumer_id=world.consumer.pk, actor=COMMAND, reason="asked for")


def test_previews_that_nobody_started_go_after_a_day(world):
    kept = started("DROP", [world.parked], world.operator)
    preview("DROP", [world.dead], world.operator)
    assert services.forget_previews(before=timezone.now() + timedelta(seconds=1)) == 1
    assert BulkJob.objects.filter(pk=kept.pk).exists()
    assert not BulkItem.objects.filter(target_id=world.dead.pk, job__state="READY").exists()


def test_what_was_given_up_does_not_start(world):
    job = preview("RESEND", [world.dead], world.operator)
    services.discard(job.pk, person=world.operator, actor=actor_of(world.operator, None))
    with pytest.raises(BulkRefused, match="discarded"):
        start(job, world.operator)
