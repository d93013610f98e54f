"""From a list to a preview, and the pages of a job: who may, what is shown, and that looking changes nothing."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from django.urls import reverse

from access.models import User
from audit.models import AuditEntry
from connector_site.bulk import services
from connector_site.bulk.models import BulkItem, BulkJob, BulkState
from conversations.models import Dispatch, DispatchState
from tests.admin_pages import signed_in, url_of
from tests.connector_site.bulk.rows import dead_deliveries, dead_texts, preview, started, work
from tests.factories import make_superuser, make_two_brands

pytestmark = pytest.mark.django_db

OUTBOX, INBOX = "admin:conversations_dispatch_changelist", "admin:webhooks_delivery_changelist"


def choose(user: User, action: str, rows: list[Any], *, at: str = OUTBOX, **given: Any) -> Any:
    """Tick rows of a list and choose an action."""
    chosen = {"action": action, "_selected_action": [str(row.pk) for row in rows], **given}
    return signed_in(user).post(reverse(at), chosen, follow=True)


def choose_all(user: User, action: str, *, at: str = OUTBOX, **filters: str) -> Any:
    """Everything that matches the list's filters."""
    given = {"action": action, "index": "0", "select_across": "1", "_selected_action": "all"}
    return signed_in(user).post(reverse(at, query=filters), given, follow=True)


def new_job(before: int = 1) -> BulkJob:
    """The one that was made by the test; every brand of the tests has one already."""
    assert BulkJob.objects.count() == before + 1
    return BulkJob.objects.latest("created_at")


def do(user: User, job: BulkJob, deed: str, **given: Any) -> Any:
    return signed_in(user).post(url_of(job, deed), given, follow=True)


# --- from the lists --------------------------------------------------------------------------------------------------


def test_what_was_ticked_is_previewed_and_then_started(world):
    page = choose(world.operator, "resend_together", [world.dead, world.parked]).content.decode()
    job = new_job()
    assert (job.state, job.total) == (BulkState.READY, 2)
    assert "Nothing has been done yet" in page
    assert "nobody knows whether their first try arrived" in page
    assert Dispatch.objects.filter(state=DispatchState.QUEUED).count() == 0
    do(world.operator, job, "start", reason="LivePerson is back", per_second=50)
    work(job)
    assert AuditEntry.objects.filter(action="dispatch.resent", reason="LivePerson is back").count() == 2


@pytest.mark.parametrize("ticked", ["x", "\0", "9" * 5000, " {} "])
def test_what_is_ticked_and_is_no_id_is_that_of_nothing(ticked, world):
    given = {"action": "resend_together", "_selected_action": [ticked.format(world.dead.pk), str(world.parked.pk)]}
    signed_in(world.operator).post(reverse(OUTBOX), given, follow=True)
    assert new_job().total == (2 if str(world.dead.pk) in ticked.format(world.dead.pk) else 1)


def test_everything_that_matches_the_filters_is_previewed(world):
    rows = dead_texts(world, 60)
    choose_all(world.operator, "resend_together", state="DEAD", since="day")
    job = new_job()
    assert job.total == 61
    assert job.wanted["filters"] == {"state": "DEAD"}
    assert job.wanted["since"]
    assert BulkItem.objects.filter(job=job, target_id=rows[-1].pk).exists()


def test_deliveries_are_chosen_in_their_list(world):
    dead_deliveries(world, 2)
    choose_all(world.operator, "replay_together", at=INBOX, state="DEAD")
    assert new_job().total == 2


def test_what_a_search_found_is_all_that_is_taken(world):
    choose_all(world.operator, "drop_together", q=str(world.dead.pk))
    assert [row.target_id for row in BulkItem.objects.filter(job=new_job())] == [world.dead.pk]


def test_a_filter_that_the_list_does_not_know_makes_no_job(world):
    choose_all(world.operator, "drop_together", state="nonsense")
    choose_all(world.operator, "drop_together", error_detail__startswith="a")
    assert BulkJob.objects.count() == 1


def test_where_nothing_can_be_done_the_list_says_so(world):
    page = choose_all(world.operator, "replay_together", at=INBOX, state="DEAD").content.decode()
    assert "is possible for nothing that matches" in page


def test_the_reason_is_asked_for(world):
    job = preview("RESEND", [world.dead], world.operator)
    page = do(world.operator, job, "start", reason="", per_second=50)
    job.refresh_from_db()
    assert job.state == BulkState.READY
    assert "This field is required" in page.content.decode()


@pytest.mark.parametrize("per_second", ["0", "-1", "51", "1e3", "x", "99999999999999999999"])
def test_an_odd_pace_is_refused(world, per_second):
    job = preview("RESEND", [world.dead], world.operator)
    assert do(world.operator, job, "start", reason="x", per_second=per_second).status_code == 200
    job.refresh_from_db()
    assert job.state == BulkState.READY


# --- whose rows ------------------------------------------------------------------------------------------------------


def test_ids_of_another_brand_are_left_out_and_its_trail_tells_of_them():
    amber, birch = make_two_brands()
    page = choose(amber.operator, "drop_together", [birch.dead, amber.dead]).content.decode()
    assert "Left out" in page
    assert [row.target_id for row in BulkItem.objects.filter(job=new_job(2))] == [amber.dead.pk]
    note = AuditEntry.objects.get(action="access.refused")
    assert (note.brand_id, note.subject_id) == (birch.brand.pk, str(birch.dead.pk))


def test_ids_of_another_brand_alone_make_no_job():
    amber, birch = make_two_brands()
    choose(amber.operator, "drop_together", [birch.dead])
    choose_all(amber.operator, "drop_together", brand=str(birch.brand.pk))
    assert BulkJob.objects.count() == 2


def test_an_auditor_is_offered_no_action_and_can_do_none(world):
    page = signed_in(world.auditor).get(reverse(OUTBOX)).content.decode()
    assert "resend_together" not in page
    choose(world.auditor, "drop_together", [world.dead])
    choose_all(world.auditor, "drop_together")
    assert BulkJob.objects.count() == 1
    job = preview("RESEND", [world.dead], world.operator)
    assert do(world.auditor, job, "start", reason="x", per_second=5).status_code == 403
    job.refresh_from_db()
    assert job.state == BulkState.READY
    assert "Start it" not in signed_in(world.auditor).get(url_of(job)).content.decode()


def test_a_job_over_several_brands_is_not_shown_to_people_of_one():
    amber, birch = make_two_brands()
    job = preview("RESEND", [amber.dead], amber.operator)
    BulkJob.objects.filter(pk=job.pk).update(brand=None)
    for part in ("", "progress/", "results/"):
        url = reverse("admin:connector_site_bulkjob_changelist") + f"{job.pk}/{part or 'change/'}"
        assert signed_in(amber.owner).get(url).status_code == 404


# --- its pages -------------------------------------------------------------------------------------------------------


def test_a_running_job_asks_for_itself_until_it_stands_still(world):
    job = started("RESEND", dead_texts(world, 2), world.operator)
    url = reverse("admin:connector_site_bulkjob_progress", args=[job.pk])
    client = signed_in(world.auditor)
    answer = client.get(url)
    assert "hx-get" in answer.content.decode()
    assert "HX-Refresh" not in answer.headers
    work(job)
    answer = client.get(url)
    assert "hx-get" not in answer.content.decode()
    assert answer.headers["HX-Refresh"] == "true"


def test_asking_for_the_progress_costs_a_few_statements(world, django_assert_max_num_queries):
    job = started("RESEND", dead_texts(world, 2), world.operator)
    client = signed_in(world.auditor)
    url = reverse("admin:connector_site_bulkjob_progress", args=[job.pk])
    client.get(url)
    with django_assert_max_num_queries(5):  # session, person, roles, the job as it may be seen, and as it is shown
        client.get(url)


def test_the_second_person_is_asked_and_the_first_is_not(world, monkeypatch):
    monkeypatch.setattr(services, "MOST_ALONE", 1)
    job = started("RESEND", dead_texts(world, 2), world.operator)
    own, other = (signed_in(who).get(url_of(job)).content.decode() for who in (world.operator, world.owner))
    assert "somebody else than you" in own
    assert "Agree and start" not in own
    assert "Agree and start" in other
    do(world.operator, job, "approve", reason="")
    assert BulkJob.objects.get(pk=job.pk).state == BulkState.WAITING
    do(world.owner, job, "approve", reason="")
    assert BulkJob.objects.get(pk=job.pk).state == BulkState.RUNNING


def test_the_preview_says_that_a_second_person_is_needed_for_what_comes_together(world, monkeypatch):
    monkeypatch.setattr(services, "MOST_ALONE", 2)
    started("RESEND", dead_texts(world, 1), world.operator)
    job = preview("RESEND", dead_texts(world, 2), world.operator)
    own, other = (signed_in(who).get(url_of(job)).content.decode() for who in (world.operator, make_superuser()))
    assert "with 1 of jobs that you have started alone" in own
    assert "once somebody else has agreed" not in other


def test_what_became_of_each_row_stands_in_a_file_that_a_spreadsheet_opens_without_harm(world):
    rows = dead_texts(world, 3)
    rows[1].message.content.delete()
    job = work(started("RESEND", rows, world.operator))
    BulkItem.objects.filter(job=job, target_id=rows[2].pk).update(detail="=1+1")
    answer = signed_in(world.auditor).get(reverse("admin:connector_site_bulkjob_results", args=[job.pk]))
    told = list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode(), newline="")))
    assert [(one["row"], one["outcome"]) for one in told] == [
        (str(rows[0].pk), "Done"), (str(rows[1].pk), "Not possible"), (str(rows[2].pk), "Done"),
    ]  # fmt: skip
    assert "has been removed" in told[1]["detail"]
    assert told[2]["detail"] == "'=1+1"


def test_rows_that_were_not_done_stand_on_the_page_with_the_reason(world):
    rows = dead_texts(world, 2)
    rows[0].message.content.delete()
    job = work(started("RESEND", rows, world.operator))
    page = signed_in(world.auditor).get(url_of(job)).content.decode()
    assert "has been removed" in page
    assert url_of(rows[0]) in page
    assert url_of(rows[1]) not in page


def test_before_a_delivery_is_applied_again_its_page_says_what_that_touches(world):
    (delivery,) = dead_deliveries(world, 1)
    page = signed_in(world.operator).get(url_of(delivery, "apply-again")).content.decode()
    assert "kept until" in page
    assert "Waits behind it" in page
