"""A preview holds exactly the rows that match, within the person's brands, and says what is to be expected of them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from connector_site.bulk import gathering, running
from connector_site.bulk.models import BulkItem, BulkJob, BulkState
from connector_site.bulk.services import BulkRefused
from conversations.models import Conversation, ConversationState, Dispatch, DispatchState
from tests.connector_site.bulk.rows import dead_deliveries, dead_texts, matching, preview, work
from tests.factories import make_superuser, make_two_brands, make_user
from webhooks.models import DeliveryBody

pytestmark = pytest.mark.django_db


def targets(job: BulkJob) -> set[object]:
    return set(BulkItem.objects.filter(job=job).values_list("target_id", flat=True))


def test_what_is_ticked_is_what_it_is_about(world):
    job = preview("RESEND", [world.dead, world.parked], world.operator)
    assert (job.state, job.brand_id, job.total) == (BulkState.READY, world.brand.pk, 2)
    assert targets(job) == {world.dead.pk, world.parked.pk}
    assert job.oldest_at == min(world.dead.created_at, world.parked.created_at)


def test_the_preview_says_what_may_arrive_twice_what_is_closed_and_what_is_not_possible(world):
    sent = Dispatch.objects.filter(brand=world.brand, state=DispatchState.SENT)[0]
    Conversation.objects.filter(pk=world.conversation.pk).update(state=ConversationState.CLOSED)
    job = preview("RESEND", [world.dead, world.parked, sent], world.operator)
    assert (job.total, job.doubtful_count, job.closed_count, job.impossible_count) == (3, 1, 3, 1)


def test_a_preview_touches_nothing(world):
    matching("RESEND", world.operator)
    world.dead.refresh_from_db()
    assert world.dead.state == DispatchState.DEAD


def test_everything_that_matches_is_found_in_stretches(world, monkeypatch):
    monkeypatch.setattr(gathering, "STRETCH", 1)
    rows = dead_texts(world, 11)
    job = matching("RESEND", world.operator, filters={"state": "DEAD"})
    assert job.state == BulkState.GATHERING
    work(job)
    assert job.state == BulkState.READY
    assert targets(job) == {world.dead.pk, *(row.pk for row in rows)}
    assert job.total == 12


def test_filters_of_the_list_narrow_it(world):
    rows = dead_texts(world, 3)
    Dispatch.objects.filter(pk=rows[0].pk).update(error_code="rate_limited")
    job = matching("RESEND", world.operator, filters={"error_code": "rate_limited"})
    assert targets(job) == {rows[0].pk}
    closings = matching("DROP", world.operator, filters={"state": "UNKNOWN", "direction": "TO_LIVEPERSON"})
    assert targets(closings) == {world.unknown.pk}


def test_a_span_of_time_is_that_of_the_moment_at_which_it_was_asked_for(world):
    assert matching("RESEND", world.operator, since=timedelta(hours=1)).total == 3
    job = matching("RESEND", world.operator, since=timedelta(seconds=0))
    assert (job.total, job.state) == (0, BulkState.DISCARDED)


def test_what_comes_later_does_not_belong_to_it(world, monkeypatch):
    monkeypatch.setattr(gathering, "STRETCH", 1)
    dead_texts(world, 10)
    job = matching("RESEND", world.operator, filters={"state": "DEAD"})
    (late,) = dead_texts(world, 1)
    assert late.pk not in targets(work(job))
    assert job.total == 11


def test_queued_rows_are_found_for_dropping(world):
    rows = dead_texts(world, 2, state=DispatchState.QUEUED, finished_at=None)
    job = matching("DROP", world.operator, filters={"state": "QUEUED"})
    assert targets(job) == {row.pk for row in rows}


def test_a_job_takes_no_more_than_its_most_and_says_so(world, monkeypatch):
    monkeypatch.setattr(gathering, "MOST_ROWS", 4)
    dead_texts(world, 8)
    job = matching("RESEND", world.operator, filters={"state": "DEAD"})
    assert (job.total, job.is_cut, job.state) == (4, True, BulkState.READY)


def test_deliveries_without_a_body_are_foretold(world):
    rows = dead_deliveries(world, 3)
    DeliveryBody.objects.filter(pk=rows[0].pk).delete()
    job = matching("REPLAY", world.operator, filters={"state": "DEAD"})
    assert (job.total, job.impossible_count) == (3, 1)


def test_a_stretch_costs_a_fixed_number_of_statements(world, django_assert_max_num_queries):
    dead_texts(world, 30)
    with django_assert_max_num_queries(14):
        matching("RESEND", world.operator, filters={"state": "DEAD"})


# --- whose rows ------------------------------------------------------------------------------------------------------


def test_rows_of_another_brand_are_left_out():
    amber, birch = make_two_brands()
    job = preview("RESEND", [amber.dead, birch.dead], amber.operator)
    assert targets(job) == {amber.dead.pk}
    with pytest.raises(BulkRefused):
        preview("RESEND", [birch.dead], amber.operator)
    with pytest.raises(BulkRefused):
        matching("RESEND", amber.operator, brand=birch.brand.pk)
    assert targets(matching("RESEND", amber.operator)).isdisjoint({row.pk for row in birch.rows})


def test_an_auditor_makes_no_preview(world):
    with pytest.raises(BulkRefused):
        preview("RESEND", [world.dead], world.auditor)
    with pytest.raises(BulkRefused):
        matching("RESEND", world.auditor)


def test_who_works_for_two_brands_chooses_one():
    amber, birch = make_two_brands()
    both = make_user("both", role="OPERATOR", brand=amber.brand)
    both.memberships.create(role="OPERATOR", brand=birch.brand)
    with pytest.raises(BulkRefused, match="one brand at a time"):
        preview("RESEND", [amber.dead, birch.dead], both)
    with pytest.raises(BulkRefused, match="Choose a brand"):
        matching("RESEND", both)
    assert matching("RESEND", both, brand=birch.brand.pk).brand_id == birch.brand.pk


def test_who_works_for_all_brands_may_take_several_at_once():
    amber, birch = make_two_brands()
    job = matching("RESEND", make_superuser(), filters={"state": "DEAD"})
    assert job.brand is None
    assert targets(job) == {amber.dead.pk, birch.dead.pk}


def test_rows_that_turn_out_to_be_of_one_brand_are_a_job_of_that_brand():
    amber, birch = make_two_brands()
    Dispatch.objects.filter(pk=birch.dead.pk).update(state=DispatchState.SENT)
    assert matching("RESEND", make_superuser(), filters={"state": "DEAD"}).brand_id == amber.brand.pk


def test_the_workers_look_for_the_rest_by_themselves(world, monkeypatch):
    monkeypatch.setattr(gathering, "STRETCH", 1)
    dead_texts(world, 12)
    job = matching("RESEND", world.operator, filters={"state": "DEAD"})
    running.work()
    job.refresh_from_db()
    assert (job.state, job.total) == (BulkState.READY, 13)
