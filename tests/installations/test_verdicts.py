"""What is said of a connector: whether it is well, what is wrong with it, and what to do."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from access.templatetags.readable import told
from conversations.models import Dispatch, Lane
from core.actor import COMMAND
from core.breaker import Phase
from core.errors import RateLimited
from core.moments import in_utc
from installations import pausing, services
from installations.breakers import WAITING
from installations.findings import Check, Tone, Verdict
from installations.models import AppInstallation, AppToken, Channel, State, Upstream
from installations.verdicts import verdict_of
from tests.factories import World
from tests.installations.pages import CLIENT_ID, page_of
from webhooks.models import Delivery

pytestmark = pytest.mark.django_db


def verdict(world: World) -> Any:
    row = AppInstallation.objects.get(pk=world.installation.pk)
    return verdict_of(row, now=timezone.now())


def said(world: World) -> str:
    return " ".join(f"{finding.what} {finding.do}" for finding in verdict(world).findings)


def test_a_connector_that_is_well_says_so_first(world):
    assert verdict(world).tone is Tone.FINE
    assert "Messages go through" in page_of(world.auditor, world.installation)


@pytest.mark.parametrize(
    ("state", "reason", "tone", "sentence"),
    [
        (
            State.PAUSED,
            "the shop moves",
            Tone.PAUSED,
            "It is paused: webhooks are stored, nothing is sent. Reason: the shop moves",
        ),
        (State.DISABLED, "", Tone.STOPS, "its webhooks are refused"),
    ],
)
def test_a_connector_that_is_stopped_says_why_and_what_to_do(state, reason, tone, sentence, world):
    AppInstallation.objects.filter(pk=world.installation.pk).update(state=state, state_reason=reason)
    assert verdict(world).tone is tone
    assert sentence in said(world)
    page = page_of(world.operator, world.installation)
    assert verdict(world).headline in page
    assert sentence in page


def test_a_connector_that_is_stopped_says_since_when(world):
    pausing.pause(world.installation, actor=COMMAND, reason="the shop moves")
    AppInstallation.objects.update(state_changed_at=datetime(2026, 11, 21, 10, 3, tzinfo=UTC))
    assert "It is paused since 2026-11-21 10:03:00 UTC: webhooks are stored" in said(world)
    services.disable(world.installation, actor=COMMAND, reason="it has moved")
    AppInstallation.objects.update(state_changed_at=datetime(2026, 11, 22, 9, 0, tzinfo=UTC))
    assert "It is disabled since 2026-11-22 09:00:00 UTC: nothing is sent" in said(world)


def test_a_connector_whose_credentials_were_rejected_says_so(world):
    services.pause_for_credentials(world.installation.pk, detail="LivePerson answered HTTP 401.")
    AppInstallation.objects.update(state_changed_at=datetime(2026, 11, 21, 10, 3, tzinfo=UTC))
    sentence = (
        "LivePerson rejected the credentials, so it is paused since 2026-11-21 10:03:00 UTC. "
        "LivePerson answered HTTP 401."
    )
    assert verdict(world).tone is Tone.STOPS
    assert sentence in said(world)
    assert told(sentence) in page_of(world.operator, world.installation)


def test_a_connector_that_waits_for_a_secret_is_not_said_to_go_on_by_itself(world):
    services.pause_for_credentials(world.installation.pk, detail="LivePerson answered HTTP 401.")
    AppToken.objects.update(failures=1, expires_at=None, error_code="credentials_rejected")
    told = said(world)
    assert "LivePerson has not issued a token at one attempt (credentials rejected)." in told
    assert "goes on by itself" not in told


def test_a_channel_that_rejected_our_credentials_says_so(world):
    services.pause_channel_for_credentials(world.channel.pk, detail="The channel answered HTTP 401.")
    assert f"The channel {world.channel.name} rejected our credentials, so it was paused." in said(world)


def test_without_a_valid_secret(world):
    world.installation.secrets.update(retired_at=timezone.now())
    assert "It has no valid client secret." in said(world)


@pytest.mark.parametrize(
    ("whose", "sentence"),
    [
        ("installation", "cannot be opened, so webhooks are answered 503 and no token can be asked for."),
        ("channel", "cannot be opened, so webhooks are answered 503 and nothing is sent."),
    ],
)
def test_a_secret_whose_key_is_gone_stops_everything_and_the_page_says_so(whose, sentence, world):
    getattr(world, whose).secrets.update(sealed=b"\x01" + bytes(80))
    assert verdict(world).tone is Tone.STOPS
    page = page_of(world.operator, world.installation)
    assert sentence in page
    assert "not in ENCRYPTION_KEYS. Add that key." in page


def test_a_retired_secret_whose_key_is_gone_harms_nobody(world):
    world.installation.secrets.create(
        brand=world.installation.brand, sealed=b"\x01" + bytes(80), retired_at=timezone.now()
    )
    assert verdict(world).tone is Tone.FINE


def test_a_channel_without_an_address_says_that_agents_messages_fail(world):
    Channel.objects.filter(pk=world.channel.pk).update(config={})
    world.channel.refresh_from_db()
    assert verdict(world).tone is Tone.WORRIES
    expected = f"The channel {world.channel.name} has no address for outgoing messages: what agents write"
    assert expected in page_of(world.operator, world.installation)
    page = page_of(world.operator, world.channel)
    assert "Consumers can write, but not be answered" in page
    assert "It has no address for outgoing messages: what agents write fails." in page


def test_a_channel_with_an_address_can_be_answered(world):
    assert "Consumers can write and be answered" in page_of(world.operator, world.channel)


def test_when_liveperson_issues_no_token(world):
    AppToken.objects.filter(pk=world.installation.pk).update(sealed=None, failures=4, error_code="not_sent")
    assert "4 attempts in a row (not sent)" in said(world)


def test_an_old_failure_is_forgotten_once_a_token_is_there(world):
    AppToken.objects.filter(pk=world.installation.pk).update(
        failures=4, expires_at=timezone.now() + timedelta(minutes=50)
    )
    assert verdict(world).tone is Tone.FINE


def test_when_the_last_test_failed_or_none_was_made(world):
    AppInstallation.objects.filter(pk=world.installation.pk).update(test_passed=False, test_detail="No route.")
    assert verdict(world).tone is Tone.STOPS
    assert "The last connection test failed. No route." in said(world)
    AppInstallation.objects.filter(pk=world.installation.pk).update(test_passed=None)
    assert verdict(world).tone is Tone.WORRIES


def test_a_test_that_failed_before_liveperson_took_messages_tells_nothing_of_now(world):
    sent_at = timezone.now() - timedelta(minutes=1)
    Dispatch.objects.filter(direction="TO_LIVEPERSON", state="SENT").update(finished_at=sent_at)
    rows = AppInstallation.objects.filter(pk=world.installation.pk)

    rows.update(test_passed=False, test_detail="401.", tested_at=sent_at - timedelta(minutes=5))
    assert verdict(world).tone is Tone.WORRIES
    assert "LivePerson has taken messages since" in said(world)
    rows.update(tested_at=sent_at + timedelta(seconds=30))
    assert verdict(world).tone is Tone.STOPS


def test_when_no_notification_ever_came_or_none_for_long(world):
    Delivery.objects.filter(installation=world.installation).update(received_at=timezone.now() - timedelta(days=3))
    assert "arrived 3 days ago" in said(world)
    assert verdict(world).tone is Tone.WORRIES
    other = AppInstallation.objects.create(brand=world.brand, account=world.account, client_id=CLIENT_ID)
    what = [finding.what for finding in verdict_of(other, now=timezone.now()).findings]
    assert "No notification from LivePerson has arrived yet." in what
    assert "It has no channel, so no consumer can write." in what


def test_when_echoes_stay_away(world):
    old = timezone.now() - timedelta(minutes=10)
    lane = Lane.objects.filter(consumer=world.consumer, direction="TO_LIVEPERSON").get()
    Dispatch.objects.bulk_create(
        Dispatch(
            brand=world.brand, lane=lane, position=9000 + n, kind="TEXT", state="SENT", lp_sequence=50 + n,
            conversation=world.conversation, finished_at=old,
        )
        for n in range(3)
    )  # fmt: skip
    assert "none came back as a notification" in said(world)
    Dispatch.objects.filter(lp_sequence=52).update(echo_sequence=52)
    assert "none came back" not in said(world)


def test_a_paused_channel_is_named(world):
    Channel.objects.filter(pk=world.channel.pk).update(state=State.PAUSED, state_reason="holiday")
    assert f"The channel {world.channel.name} is paused. Reason: holiday" in said(world)


# --- upstreams -------------------------------------------------------------------------------------------------------


def test_an_upstream_that_does_not_answer_is_named_with_what_waits_and_the_next_try(world):
    now = timezone.now()
    Upstream.objects.create(
        brand=world.brand, installation=world.installation, name="liveperson:asyncMessagingEnt",
        phase=Phase.OPEN.value, opened_at=now - timedelta(minutes=5), probe_at=now + timedelta(seconds=20),
    )  # fmt: skip

    Lane.objects.filter(consumer=world.consumer).update(blocked_by=WAITING)
    waiting = Lane.objects.filter(consumer=world.consumer).count()
    text = said(world)
    page = page_of(world.auditor, world.installation)

    sentence = (
        "LivePerson (asyncMessagingEnt) is not called: calls to it have failed since "
        f"{in_utc(now - timedelta(minutes=5))}; {waiting} waiting; next try at {in_utc(now + timedelta(seconds=20))}."
    )
    assert waiting
    assert sentence in text
    assert told(sentence) in page
    assert verdict(world).tone is Tone.STOPS


def test_an_upstream_whose_next_try_is_due_waits_for_something_to_send(world):
    now = timezone.now()
    Upstream.objects.create(
        brand=world.brand, installation=world.installation, name="liveperson:asyncMessagingEnt",
        phase=Phase.OPEN.value, opened_at=now - timedelta(minutes=5), probe_at=now - timedelta(minutes=4),
    )  # fmt: skip

    assert "nothing waiting; what is sent next tries it." in said(world)


def test_an_upstream_that_asked_for_a_pause_is_named(world):
    until = timezone.now() + timedelta(minutes=2)
    Upstream.objects.filter(installation=world.installation).update(held_until=until)

    assert "The channel's server amber.example.com asked us to slow down" in said(world)
    assert f"nothing is sent to it before {in_utc(until)}." in said(world)
    assert verdict(world).tone is Tone.WORRIES


def test_what_was_answered_to_slow_down_counts_as_waiting(world):
    Upstream.objects.filter(installation=world.installation).update(held_until=timezone.now() + timedelta(minutes=2))
    lanes = Lane.objects.filter(consumer=world.consumer)
    lanes.update(blocked_by=RateLimited.code)

    assert f"asked us to slow down; {lanes.count()} waiting;" in said(world)


def test_why_sends_do_not_arrive_is_said_before_that_they_do_not():
    check = Check(name="Messages", means="They arrive.")
    symptom = check.stops("None of the last 5 arrived.", do="Look at the failures below.")
    cause = replace(check.worries("It asked us to slow down.", do="Nothing to do."), is_cause=True)
    told = Verdict(findings=(symptom, cause), fine="", worrying="", stopping="")

    assert told.troubles == (cause, symptom)
    assert told.tone is Tone.STOPS


def test_an_upstream_that_failed_now_and_then_is_not_spoken_of(world):
    Upstream.objects.filter(installation=world.installation).update(failed_at=timezone.now())

    assert "amber.example.com" not in said(world)
    assert verdict(world).tone is Tone.FINE
