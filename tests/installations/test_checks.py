"""The checks behind a verdict, the one next step with its button, and what both cost."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from conversations.models import Consumer, Dispatch, Lane
from core.actor import COMMAND
from core.ids import new_id
from installations import pausing, services
from installations.channel_verdicts import verdict_of_channel
from installations.findings import Step, Tone
from installations.models import AppInstallation, Channel, State
from installations.verdicts import verdict_of
from tests.factories import World
from tests.installations.pages import CLIENT_ID, page_of, signed_in, url_of
from webhooks.models import Delivery

pytestmark = pytest.mark.django_db


def verdict(world: World) -> Any:
    return verdict_of(AppInstallation.objects.get(pk=world.installation.pk), now=timezone.now())


def check_named(found: Any, name: str) -> Any:
    return next(one for one in found.findings if one.check.name == name)


def send(world: World, *, consumers: int, **values: Any) -> None:
    """One message of each of so many new consumers to LivePerson."""
    for number in range(consumers):
        name = f"amber:{new_id()}"
        consumer = Consumer.objects.create(
            brand=world.brand, account=world.account, channel=world.channel, ext_consumer_id=name,
            channel_consumer_id=name, last_seen_at=timezone.now(),
        )  # fmt: skip
        lane = Lane.objects.create(
            brand=world.brand, account=world.account, consumer=consumer, direction="TO_LIVEPERSON"
        )
        Dispatch.objects.create(
            **{"brand": world.brand, "lane": lane, "position": number + 1, "kind": "TEXT",
               "conversation": world.conversation, **values}
        )  # fmt: skip


# --- the checks ------------------------------------------------------------------------------------------------------


def test_every_check_says_what_it_is_good_for_and_when_it_was_last_seen(world):
    found = verdict(world)
    assert all(one.check.means for one in found.findings)
    last_at = Delivery.objects.filter(installation=world.installation).latest("id").received_at
    assert check_named(found, "Notifications").check.seen_at == last_at
    assert check_named(found, "Connection test").check.seen_at == AppInstallation.objects.get().tested_at
    page = page_of(world.auditor, world.installation)
    assert f"Nothing to do. All {len(found.findings)} checks are well." in page
    for one in found.findings:
        assert one.check.name in page


def test_several_consumers_whose_messages_fail_one_after_the_other_stop_the_connector(world):
    send(world, consumers=3, state="DEAD", error_code="request_rejected")
    finding = check_named(verdict(world), "Messages to LivePerson")
    assert (finding.tone, finding.step) == (Tone.STOPS, Step.SHOW_FAILURES)
    assert "is known to have arrived (request rejected)" in finding.what


@pytest.mark.parametrize(
    ("consumers", "values"),
    [
        (2, {"state": "DEAD", "error_code": "request_rejected"}),
        (5, {"state": "FAILED", "error_code": "consumer_gone"}),
    ],
)
def test_what_fails_for_a_few_consumers_only_does_not(consumers, values, world):
    Dispatch.objects.exclude(state="SENT").update(state="DROPPED")
    send(world, consumers=consumers, **values)
    assert check_named(verdict(world), "Messages to LivePerson").tone is Tone.FINE


@pytest.mark.parametrize("kind", ["TEXT", "OPEN"])
def test_what_is_tried_again_and_again_is_told_before_it_has_come_to_an_end(kind, world):
    send(world, consumers=1, kind=kind, state="QUEUED", error_code="refused", attempt_count=2)
    first = check_named(verdict(world), "Messages to LivePerson")
    send(world, consumers=2, kind=kind, state="QUEUED", error_code="refused", attempt_count=2)
    then = check_named(verdict(world), "Messages to LivePerson")

    assert (first.tone, first.step) == (Tone.WORRIES, Step.SHOW_FAILURES)
    assert first.what == "1 message to LivePerson did not go through at the last try (refused)."
    assert (then.tone, then.step) == (Tone.STOPS, Step.SHOW_FAILURES)


def test_what_waits_its_turn_says_nothing_of_the_connector(world):
    send(world, consumers=3, state="QUEUED")
    assert check_named(verdict(world), "Messages to LivePerson").tone is Tone.FINE


def test_the_last_one_is_not_called_accepted_when_it_failed(world):
    send(world, consumers=1, state="SENT", finished_at=timezone.now())
    send(world, consumers=1, state="FAILED", error_code="request_rejected")
    said = check_named(verdict(world), "Messages to LivePerson").what
    assert said == "1 failed since the last one was accepted: too few to say that it is the connector."


def test_a_message_that_arrived_since_clears_it(world):
    send(world, consumers=3, state="DEAD", error_code="request_rejected")
    send(world, consumers=1, state="SENT", finished_at=timezone.now())
    assert check_named(verdict(world), "Messages to LivePerson").tone is Tone.FINE


def test_a_channel_knows_whether_its_connector_is_stopped(world):
    services.disable(world.installation, actor=COMMAND, reason="moved away")
    channel = Channel.objects.select_related("installation").get(pk=world.channel.pk)
    found = verdict_of_channel(channel, now=timezone.now())
    assert found.headline == "Messages do not go through"
    assert found.troubles[0].step is Step.SHOW_INSTALLATION
    page = page_of(world.operator, world.channel)
    assert f'href="{url_of(world.installation)}"' in page
    assert "is disabled: nothing goes to LivePerson. Reason: moved away" in page


def test_a_channel_of_which_nothing_was_heard_says_so(world):
    Channel.objects.create(
        brand=world.brand, account=world.account, installation=world.installation, type="custom", name="Fresh",
        prefix="fresh", config={"url": "https://fresh.example.com/in"},
    )  # fmt: skip
    page = page_of(world.auditor, Channel.objects.get(name="Fresh"))
    assert "It has no valid secret" in page
    assert "Nothing has arrived from it yet." in page


# --- the next step ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "deed"),
    [
        ({"state": State.PAUSED}, "resume"),
        ({"state": State.DISABLED}, "enable"),
        ({"state": State.PAUSED, "paused_for": "CREDENTIALS_REJECTED"}, "add-secret"),
        ({"test_passed": None}, "test"),
        ({"test_passed": False}, "test"),
    ],
)
def test_the_worst_trouble_has_one_button_that_deals_with_it(values, deed, world):
    AppInstallation.objects.filter(pk=world.installation.pk).update(**values)
    page = page_of(world.operator, world.installation)
    block = page.split('class="cs-next"')[1].split("</div>")[0]
    assert url_of(world.installation, "do", deed) in block
    assert "cs-button-main" in block
    assert page.count("cs-button-main") == 1
    assert page.count(url_of(world.installation, "do", deed)) == 1


def test_a_connector_without_a_channel_leads_to_the_form_for_one(world):
    bare = AppInstallation.objects.create(
        brand=world.brand, account=world.account, client_id=CLIENT_ID, test_passed=True
    )
    services.add_client_secret(bare, secret="known", actor=COMMAND)
    page = page_of(world.operator, bare)
    assert f"/add/?installation={bare.pk}" in page.split('class="cs-next"')[1].split("</div>")[0]


def test_somebody_who_only_looks_is_told_what_to_do_and_offered_no_button(world):
    pausing.pause(world.installation, actor=COMMAND, reason="holiday")
    page = page_of(world.auditor, world.installation)
    assert "Resume it: what has waited goes out in its order." in page
    assert "/do/" not in page


# --- the price -------------------------------------------------------------------------------------------------------


def statements(world: World, row: Any) -> int:
    client = signed_in(world.operator)
    client.get(url_of(row))
    with CaptureQueriesContext(connection) as asked:
        assert client.get(url_of(row)).status_code == 200
    return len(asked)


@pytest.mark.parametrize("noun", ["installation", "channel", "account"])
def test_the_page_asks_as_much_however_much_there_is(noun, world):
    row = getattr(world, noun)
    before = statements(world, row)
    for number in range(8):
        fresh = Channel.objects.create(
            brand=world.brand, account=world.account, installation=world.installation, type="custom",
            name=f"C{number}", prefix=f"c{number}", config={"url": "https://c.example.com/in"},
        )  # fmt: skip
        services.add_channel_secret(fresh, secret=world.channel_secret, actor=COMMAND)
        services.add_client_secret(world.installation, secret=f"more-{number}", actor=COMMAND)
        services.add_channel_secret(world.channel, secret=world.channel_secret, actor=COMMAND)
        made = AppInstallation.objects.create(
            brand=world.brand, account=world.account, client_id=f"{CLIENT_ID[:-1]}{number}"
        )
        services.add_client_secret(made, secret="one", actor=COMMAND)
    send(world, consumers=8, state="DEAD", error_code="request_rejected", finished_at=timezone.now())
    send(world, consumers=8, state="SENT", lp_sequence=7, finished_at=timezone.now() - timedelta(hours=1))
    assert statements(world, row) == before
