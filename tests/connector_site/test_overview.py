"""The first page: what needs somebody, and what happened, of the reader's brands alone; and what it costs."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from html import unescape
from urllib.parse import parse_qs, urlsplit

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from access.models import Brand
from audit.models import AuditEntry
from connector_site.bulk.models import BulkJob
from connector_site.models import Counting, Figure, RollupCount, Span
from connector_site.overview import now as this_moment
from connector_site.overview import tiles
from connector_site.rollups import counting, series
from conversations.models import Dispatch, Lane
from conversations.services import usage
from core.actor import COMMAND
from core.breaker import Phase
from installations import breakers, pausing
from installations.models import AppInstallation, AppToken, InstallationSecret, PausedDirection, Upstream
from installations.services import pause_channel_for_credentials
from tests.connector_site.plans import hide_statistics
from tests.connector_site.rollups.facts import count
from tests.factories import World, make_superuser, make_two_brands
from webhooks.models import Delivery

pytestmark = pytest.mark.django_db


@pytest.fixture
def two() -> tuple[World, World]:
    worlds = make_two_brands()
    RollupCount.objects.all().delete()
    return worlds


@pytest.fixture
def amber(two) -> World:
    return two[0]


def page(person: object, query: str = "") -> str:
    client = Client()
    client.force_login(person)  # type: ignore[arg-type]
    answer = client.get(f"/admin/{query}")
    assert answer.status_code == 200, answer.status_code
    return answer.content.decode()


def happened(world: World, figure: Figure, number: int, *, label: str = "", ago: timedelta = timedelta(0)) -> None:
    """As if it had been counted, in every span."""
    for span in Span:
        RollupCount.objects.create(
            brand=world.brand, span=span, at=counting.start_of(span, timezone.now() - ago), figure=figure,
            label=label, counting=Counting.MEASURED, count=number,
        )  # fmt: skip


def tile(text: str, label: str) -> tuple[str, str]:
    """Number and link of a tile."""
    found = re.search(
        rf'<(?:a href="([^"]*)"|div) class="cs-tile"[^>]*>\s*<b[^>]*>([^<]*)</b>\s*<span[^>]*>{label}<', text
    )
    assert found, label
    return found[2], unescape(found[1] or "")


def test_the_numbers_of_a_time_range_are_those_that_were_counted(two):
    happened(two[0], Figure.MESSAGES_TO_LIVEPERSON, 1_200)
    happened(two[1], Figure.MESSAGES_TO_LIVEPERSON, 34, ago=timedelta(hours=20))
    happened(two[1], Figure.MESSAGES_TO_LIVEPERSON, 5, ago=timedelta(days=4))
    for label, number in (("50", 98), ("250", 2)):
        happened(two[0], Figure.ACK_TO_LIVEPERSON, number, label=label)
    root = make_superuser()

    assert tile(page(root), "messages to LivePerson")[0] == "1,234"
    assert tile(page(root, "?range=hour"), "messages to LivePerson")[0] == "1,200"
    assert tile(page(root, "?range=week"), "messages to LivePerson")[0] == "1,239"
    assert tile(page(root), "webhook answered, p99")[0] == "250 ms"
    assert "p50 50 ms · 2.25 s below LivePerson&#x27;s 2.5 s" in page(root)
    assert tile(page(root, f"?brand={two[1].brand.pk}"), "messages to LivePerson")[0] == "34"


def test_every_number_leads_to_a_list_that_takes_its_filters(amber):
    for figure in Figure:
        label = {"ACK": "50", "THROUGH": "500", "REFUSED": "503"}.get(figure.split("_")[0], "")
        happened(amber, figure, 3, label=label if figure.split("_")[0] not in tiles.ENDS else "request_rejected")
    happened(amber, Figure.DEAD_TO_CHANNEL, 1, label="our_error")
    client = Client()
    client.force_login(amber.operator)
    text = client.get("/admin/").content.decode()

    links = {unescape(link) for link in re.findall(r'href="(/admin/[a-z]+/[a-z]+/\?[^"]+)"', text)}
    assert len(links) > 15
    for link in links:
        answer = client.get(link)
        assert answer.status_code == 200, (link, answer.status_code)


def test_what_waits_now_is_counted_in_the_tables_themselves(amber):
    long_ago = timezone.now() - timedelta(minutes=5)
    Lane.objects.filter(brand=amber.brand).update(due_at=None)
    Lane.objects.filter(brand=amber.brand, direction="TO_CHANNEL").update(due_at=long_ago)
    Delivery.objects.filter(brand=amber.brand, state="STORED").update(received_at=long_ago)

    text = page(amber.auditor)

    assert tile(text, "consumers wait for a send")[0] == "1"
    assert tile(text, "webhooks wait to be applied")[0] == "1"
    assert "for 5 min" in text
    for state, link in (("unknown sends", "UNKNOWN"), ("parked sends", "PARKED"), ("dead sends", "DEAD")):
        number, url = tile(text, state)
        assert (number, parse_qs(urlsplit(url).query)) == ("1", {"state": [link]})


@pytest.mark.parametrize(
    "held",
    [
        {"due_at": None, "blocked_by": "installation_paused"},
        {"due_at": timezone.now() + timedelta(days=1), "blocked_by": breakers.WAITING},
        {"due_at": timezone.now() + timedelta(days=1), "blocked_by": "refused"},
    ],
    ids=["pause", "host", "next try"],
)
def test_whoever_waits_for_something_else_than_a_worker_is_counted_too(amber, held):
    Lane.objects.filter(brand=amber.brand).update(due_at=None, blocked_by="")
    Lane.objects.filter(brand=amber.brand, direction="TO_CHANNEL").update(**held)

    text = page(amber.auditor)

    assert tile(text, "consumers wait for a send")[0] == "1"
    assert "1 held up" in text


def test_in_the_table_of_brands_what_is_due_and_what_is_held_up_stand_apart(two):
    Lane.objects.update(due_at=None, blocked_by="")
    Lane.objects.filter(brand=two[0].brand).update(blocked_by="brand_paused")
    held_up = Lane.objects.filter(brand=two[0].brand).count()
    text = page(make_superuser())
    assert f">{held_up} held up<" in text


@pytest.mark.parametrize("state", ["QUARANTINED", "DEAD"])
def test_webhooks_that_were_not_applied_lead_to_their_list(amber, state):
    Delivery.objects.filter(brand=amber.brand).update(state="PROCESSED")
    Delivery.objects.filter(pk=Delivery.objects.filter(brand=amber.brand).latest("id").pk).update(state=state)

    number, url = tile(page(amber.auditor), "webhooks not applied")

    assert (number, parse_qs(urlsplit(url).query)) == ("1", {"state": [state]})


@pytest.mark.parametrize(
    ("act", "told"),
    [
        (lambda w: AppInstallation.objects.update(state="PAUSED", paused_for="CREDENTIALS_REJECTED"), "It is paused"),
        (lambda w: pausing.pause(w.installation, reason="Holiday.", actor=COMMAND), "somebody resumes it: Holiday."),
        (lambda w: AppInstallation.objects.update(test_passed=False, test_detail="401."), "test failed. 401"),
        (
            lambda w: pausing.pause(w.channel, reason="A move.", direction=PausedDirection.TO_CHANNEL, actor=COMMAND),
            "towards the channel until somebody resumes it: A move.",
        ),
        (lambda w: pausing.pause(None, reason="Flood.", actor=COMMAND), "The whole platform"),
        (lambda w: pause_channel_for_credentials(w.channel.pk, detail="401."), "The site paused it in both directions"),
        (lambda w: InstallationSecret.objects.update(retired_at=timezone.now()), "has no valid client secret"),
        (lambda w: InstallationSecret.objects.update(retired_at=None), "2 client secrets are valid"),
        (lambda w: Upstream.objects.update(phase=Phase.OPEN.value, opened_at=timezone.now()), "is not called since"),
        (lambda w: AppToken.objects.update(failures=3, error_code="not_sent"), "The present one ends at"),
        (
            lambda w: AppToken.objects.update(failures=3, expires_at=timezone.now()),
            "Nothing is sent to LivePerson. Test the connection",
        ),
    ],
)  # fmt: skip
def test_what_needs_somebody_is_told_with_the_connector(amber, act, told):
    act(amber)

    text = page(amber.auditor)

    assert told in text
    assert f'href="/admin/installations/appinstallation/{amber.installation.pk}/change/"' in text


def test_what_is_paused_is_told_with_its_brand(two):
    """Channels of two brands may bear one name."""
    for world in two:
        pausing.pause(world.channel, reason="A move.", actor=COMMAND)

    text = page(make_superuser())

    for world in two:
        assert f">Channel {world.channel.name}, {world.brand}</a>" in text


def test_a_job_that_waits_for_a_second_person_is_told_to_those_who_may_agree(two):
    amber, birch = two
    asker = amber.owner
    job = BulkJob.objects.create(
        brand=amber.brand, kind="RESEND", state="WAITING", asked_by=asker, total=4210, reason="It is taken again."
    )
    link = reverse("admin:connector_site_bulkjob_change", args=[job.pk])

    told = page(amber.operator)

    assert f"{asker.get_username()} asks for it" in told
    assert link in told
    assert not [reader for reader in (asker, amber.auditor, birch.owner) if link in page(reader)]


def test_why_sends_did_not_go_through_stands_with_what_to_do(amber):
    happened(amber, Figure.FAILED_TO_LIVEPERSON, 7, label="request_rejected")
    happened(amber, Figure.DEAD_TO_CHANNEL, 2, label="not_sent")

    text = page(amber.operator)

    assert "Look at the answer: the request has to be changed before it is sent again." in text
    link = re.search(r'href="([^"]*error_code=request_rejected[^"]*)">7<', text)
    assert link
    assert parse_qs(urlsplit(unescape(link[1])).query) == {
        "state": ["FAILED"], "direction": ["TO_LIVEPERSON"], "error_code": ["request_rejected"], "since": ["day"],
    }  # fmt: skip


# --- who sees what ---------------------------------------------------------------------------------------------------


def test_a_brand_manager_sees_the_figures_of_their_brand_alone(two):
    amber, birch = two
    happened(birch, Figure.MESSAGES_TO_LIVEPERSON, 777_777)
    happened(birch, Figure.FAILED_TO_LIVEPERSON, 888_888, label="request_rejected")
    Upstream.objects.filter(brand=birch.brand).update(phase=Phase.OPEN.value, opened_at=timezone.now())
    AppToken.objects.filter(installation=birch.installation).update(failures=9)

    text = page(amber.owner)

    assert not [canary for canary in birch.canaries if canary in text]
    assert "777,777" not in text
    assert "888888" not in text
    assert "By brand" not in text


@pytest.mark.parametrize("wanted", ["other", "nobody", "no id", "\x00"])
def test_a_brand_that_is_not_ones_own_is_not_there(two, wanted):
    amber, birch = two
    client = Client()
    client.force_login(amber.owner)
    value = {"other": str(birch.brand.pk), "nobody": "01a1f8a2-0000-7000-8000-000000000000"}.get(wanted, wanted)

    answer = client.get("/admin/", {"brand": value})

    assert answer.status_code == 404
    assert AuditEntry.objects.filter(action="access.refused", brand=birch.brand).exists() is (wanted == "other")


@pytest.mark.parametrize("query", ["?range=century", "?range=", "?range=%00", "?nonsense=1"])
def test_a_range_that_there_is_not_shows_the_day(amber, query):
    assert "The last 24 hours" in page(amber.owner, query)


# --- nothing there ---------------------------------------------------------------------------------------------------


def test_an_empty_page_says_what_to_do(db):
    root = make_superuser()
    assert "Add a brand" in page(root)

    Brand.objects.create(slug="new", name="New")

    text = page(root)
    assert "It has no app installation yet" in text
    assert "Workers have counted nothing yet" in text
    assert 'class="chart"' not in text


# --- plots -----------------------------------------------------------------------------------------------------------


def test_what_is_plotted_stands_in_attributes_and_in_a_table(amber):
    happened(amber, Figure.MESSAGES_TO_CHANNEL, 4, ago=timedelta(hours=3))

    text = page(amber.owner)

    data = [json.loads(unescape(one)) for one in re.findall(r'data-value="([^"]*)"', text)]
    line = next(one for chart in data for one in chart["datasets"] if one["label"] == "to channels")
    assert line["data"][20] == 4
    assert sum(line["data"]) == 4
    assert datetime.fromisoformat(data[0]["times"][20]).astimezone(UTC).minute == 0
    assert '<td class="cs-number">4</td>' in text


# --- what it costs ---------------------------------------------------------------------------------------------------


def test_the_statements_are_as_many_however_much_there_is(two):
    """Brands, connectors, rows of the outbox and inbox, rollups: twice as much of each."""
    root = make_superuser()
    client = Client()
    client.force_login(root)
    client.get("/admin/")
    with CaptureQueriesContext(connection) as few:
        client.get("/admin/?range=week")
    from tests.factories import make_world

    for number in range(3):
        world = make_world(slug=f"more{number}", mark=f"MOREXQ{number}")
        for hours in range(30):
            happened(world, Figure.MESSAGES_TO_CHANNEL, 1, ago=timedelta(days=40 + hours))
    count(now=timezone.now() + timedelta(minutes=1))
    with CaptureQueriesContext(connection) as many:
        client.get("/admin/?range=week")

    assert len(many) == len(few) <= 17
    assert Dispatch.objects.count() > 12


@pytest.mark.parametrize(
    ("statement", "enters"),
    [
        (this_moment._WAITING, ["account_id.*due_at", "inbox_id", "brand_id.*state", "brand_id = brand.id[)]\n"]),
        (series._SUMS.format(of="source_id IS NULL"), ["brand_id.*source_id.*span.*at"]),
        (series._SUMS.format(of="source_id = ANY(%(sources)s)"), ["brand_id.*source_id.*span.*at"]),
        (counting._ENDED.keys, ["finished_at"]),
        (counting._ENDED.counts, ["finished_at", "message_id"]),
        (usage._SEGMENTS.keys, ["finished_at"]),
        (usage._SEGMENTS.counts, ["finished_at"]),
    ],
    ids=["what waits", "of brands", "of sources", "ends", "what ended", "accepted", "what was accepted"],
)
def test_every_question_enters_an_index(db, statement, enters):
    """That the conditions stand in the index, not behind it: small tables would be read whole, whatever there is."""
    tables = ("conversations_lane", "webhooks_delivery", "webhooks_event", "conversations_dispatch")
    hide_statistics(*tables, "connector_site_rollupcount")
    nobody, long_ago = "00000000-0000-0000-0000-000000000000", datetime(2026, 1, 1, tzinfo=UTC)
    values = {
        "brands": [nobody], "sources": [nobody], "most": 10, "most_unsettled": 10, "span": 3600, "begins": long_ago,
        "final_to": long_ago, "undoable": ["x"], "after_at": long_ago, "to_at": long_ago, "before_at": long_ago,
        "after_id": nobody, "to_id": nobody, "limit": 10,
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"EXPLAIN {statement}", values)
        plan = "\n".join(row[0] for row in cursor.fetchall())

    for columns in enters:
        assert re.search(rf"Index Cond: .*{columns}", plan), plan
    assert not re.search(rf"Seq Scan on ({'|'.join(tables)}|connector_site_rollupcount)", plan), plan
