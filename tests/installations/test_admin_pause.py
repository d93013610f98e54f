"""Pausing by forms: who may, what is asked, what stands on the pages, and the list."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from access.models import Role
from audit.models import AuditEntry
from core.actor import COMMAND
from installations import pausing, services
from installations.findings import Tone
from installations.models import Pause, PausedDirection
from installations.verdicts import verdict_of
from tests.admin_pages import signed_in, url_of
from tests.factories import World, make_superuser, make_two_brands, make_user

pytestmark = pytest.mark.django_db

LIST = "admin:installations_pause_changelist"
ADD = "admin:installations_pause_add"
KINDS = ("brand", "installation", "channel", "consumer")


@pytest.fixture
def worlds() -> tuple[World, World]:
    return make_two_brands()


@pytest.fixture
def world(worlds: tuple[World, World]) -> World:
    return worlds[0]


def in_force(**facts: object) -> Pause:
    return Pause.objects.get(ended_at=None, **facts)


def text_of(response) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", response.content.decode()).split())


def pause(row, **more) -> Pause:
    return pausing.pause(row, actor=COMMAND, reason="the gateway is moved", **more)


# --- the forms -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_each_is_paused_and_resumed_by_forms_and_its_page_says_so(kind, world):
    row, client = getattr(world, kind), signed_in(world.operator)
    until = (timezone.now() + timedelta(hours=2)).replace(second=0, microsecond=0)
    given = {"direction": "TO_CHANNEL", "reason": "the gateway is moved", "until": f"{until:%Y-%m-%dT%H:%M}"}

    told = client.post(url_of(row, "pause"), given, follow=True)

    made = in_force()
    assert (made.target_id, made.direction, made.until, made.by_name) == (
        row.pk,
        "TO_CHANNEL",
        until,
        world.operator.get_username(),
    )
    page = text_of(told)
    assert "is paused : nothing is sent to the channel" in page
    assert f"by {world.operator.get_username()}, until {until:%Y-%m-%d %H:%M}" in page
    assert "Because: the gateway is moved" in page
    entry = AuditEntry.objects.get(action=f"{kind}.paused")
    assert (entry.brand_id, entry.reason, entry.data["direction"]) == (world.brand.pk, made.reason, "TO_CHANNEL")

    told = client.post(url_of(row, "resume"), {"reason": "moved"}, follow=True)

    assert not Pause.objects.filter(ended_at=None).exists()
    assert "is paused :" not in text_of(told)
    assert AuditEntry.objects.filter(action=f"{kind}.resumed", actor_id=str(world.operator.pk)).exists()


def test_until_when_is_read_in_the_zone_of_who_pauses(world):
    there = (timezone.now() + timedelta(hours=2, minutes=330)).replace(second=0, microsecond=0)
    given = {"reason": "x", "until": f"{there:%Y-%m-%dT%H:%M}", "until_offset": "330"}

    signed_in(world.operator).post(url_of(world.brand, "pause"), given)

    assert in_force().until == there - timedelta(minutes=330)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"direction": "BOTH", "reason": ""}, "This field is required"),
        ({"direction": "BOTH", "reason": "  "}, "This field is required"),
        ({"direction": "SIDEWAYS", "reason": "x"}, "Select a valid choice"),
        ({"direction": "BOTH", "reason": "x", "until": "2020-01-01T10:00"}, "That time is over"),
        ({"direction": "BOTH", "reason": "x", "until": "tomorrow"}, "Enter a valid date/time"),
        ({"direction": "BOTH", "reason": "x", "until": "0001-01-01T00:00"}, "That time is over"),
        ({"direction": "BOTH", "reason": "x", "until": "9999-12-31T23:59"}, "Choose a time within a year"),
        (
            {"direction": "BOTH", "reason": "x", "until": "9999-12-31T23:59", "until_offset": "-840"},
            "Choose a time within a year",
        ),
        ({"direction": "BOTH", "reason": "x", "until_offset": "5000"}, "less than or equal to 1440"),
        ({"direction": "BOTH", "reason": "x" * 301}, "at most 300 characters"),
        ({"direction": "BOTH", "reason": "a\x00b"}, "Null characters are not allowed"),
    ],
)
def test_what_cannot_be_is_refused_with_a_sentence(given, sentence, world):
    answer = signed_in(world.operator).post(url_of(world.brand, "pause"), given, follow=True)

    assert answer.status_code == 200
    assert sentence in text_of(answer)
    assert not Pause.objects.filter(ended_at=None).exists()


def test_what_is_paused_in_one_direction_can_be_paused_in_the_others_only(world):
    pause(world.channel, direction=PausedDirection.TO_CHANNEL)
    client = signed_in(world.operator)

    page = client.get(url_of(world.channel, "pause")).content.decode()
    again = client.post(url_of(world.channel, "pause"), {"direction": "TO_CHANNEL", "reason": "x"})

    assert re.findall(r'<option value="([A-Z_]+)"', page) == ["BOTH", "TO_LIVEPERSON"]
    assert "Select a valid choice" in text_of(again)
    pause(world.channel)
    assert "not possible as things stand" in text_of(client.get(url_of(world.channel, "pause"), follow=True))


def test_two_who_pause_at_once_make_one_pause(world):
    pause(world.brand)
    with pytest.raises(pausing.NotPossible, match="paused already"):
        pause(world.brand)


def test_one_that_has_ended_is_not_ended_again(world):
    made = pause(world.brand)
    pausing.end(made.pk, actor=COMMAND)

    answer = signed_in(world.operator).post(url_of(made, "resume"), {}, follow=True)

    assert "not possible as things stand" in text_of(answer)
    assert AuditEntry.objects.filter(action="brand.resumed").count() == 1


def test_a_disabled_connector_is_not_paused(world):
    services.disable(world.channel, actor=COMMAND, reason="gone")
    with pytest.raises(pausing.NotPossible, match="disabled"):
        pause(world.channel)


def test_disabling_ends_a_pause_so_that_it_sends_when_it_is_enabled(world):
    pause(world.channel)
    services.disable(world.channel, actor=COMMAND, reason="gone")

    assert not Pause.objects.filter(ended_at=None).exists()


# --- who may ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_an_auditor_pauses_nothing(kind, world):
    answer = signed_in(world.auditor).post(url_of(getattr(world, kind), "pause"), {"reason": "x"})

    assert answer.status_code == 403
    assert not Pause.objects.filter(ended_at=None).exists()


@pytest.mark.parametrize("kind", KINDS)
def test_what_belongs_to_another_brand_is_not_there(kind, worlds):
    amber, birch = worlds
    answer = signed_in(amber.owner).post(url_of(getattr(birch, kind), "pause"), {"reason": "x"})

    assert answer.status_code == 404
    assert not Pause.objects.filter(ended_at=None).exists()


def test_a_pause_of_another_brand_is_not_there(worlds):
    amber, birch = worlds
    made = pause(birch.brand)
    client = signed_in(amber.operator)

    assert client.get(url_of(made)).status_code == 404
    assert client.post(url_of(made, "resume"), {}).status_code == 404
    for url in (reverse(LIST), reverse("admin:index"), url_of(amber.installation)):
        assert birch.brand.name not in client.get(url).content.decode()
    assert in_force() == made


def test_the_platform_is_paused_and_resumed_by_those_who_operate_in_all_brands(worlds):
    boss = make_user("night.watch", role=Role.OPERATOR, brand=None)
    client = signed_in(boss)

    told = client.post(reverse(ADD), {"direction": "BOTH", "reason": "the data centre moves", "until": ""}, follow=True)

    made = in_force(scope="PLATFORM")
    assert told.redirect_chain[-1][0] == reverse(LIST)
    assert AuditEntry.objects.get(action="platform.paused").actor_id == str(boss.pk)
    amber, _ = worlds
    for url in (url_of(amber.brand), url_of(amber.installation), url_of(amber.consumer), reverse(LIST)):
        page = text_of(signed_in(amber.operator).get(url))
        assert "The whole platform is paused : nothing is sent in either direction" in page, url
        assert "Because: the data centre moves" in page
    assert "The whole platform" in text_of(signed_in(amber.operator).get(reverse("admin:index")))
    assert "paused already" in text_of(client.get(reverse(ADD), follow=True))
    assert client.post(url_of(made, "resume"), {"reason": "it has moved"}).status_code == 302
    assert not Pause.objects.filter(ended_at=None).exists()


def test_a_brands_people_neither_pause_nor_resume_the_platform(world):
    made = pause(None)
    client = signed_in(world.owner)

    assert client.get(reverse(ADD)).status_code == 403
    assert client.post(reverse(ADD), {"direction": "TO_CHANNEL", "reason": "x"}).status_code == 403
    assert client.post(url_of(made, "resume"), {}).status_code == 404
    assert url_of(made, "resume") not in client.get(reverse(LIST)).content.decode()
    assert in_force() == made


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"direction": "BOTH", "reason": "", "until": ""}, "This field is required"),
        ({"direction": "BOTH", "reason": "x", "until": "2020-01-01T10:00"}, "That time is over"),
        ({"direction": "BOTH", "reason": "x", "until": "9999-12-31T10:00"}, "Choose a time within a year"),
        ({"direction": "X", "reason": "x", "until": ""}, "Select a valid choice"),
    ],
)
def test_a_pause_of_the_platform_that_cannot_be_is_refused_with_a_sentence(given, sentence, worlds):
    answer = signed_in(make_superuser()).post(reverse(ADD), given, follow=True)

    assert sentence in text_of(answer)
    assert not Pause.objects.filter(ended_at=None).exists()


# --- what is said ----------------------------------------------------------------------------------------------------


def test_what_a_person_has_paused_is_no_alarm(world):
    pause(world.brand, direction=PausedDirection.TO_LIVEPERSON)

    verdict = verdict_of(world.installation, now=timezone.now())

    assert verdict.tone is Tone.PAUSED
    assert verdict.headline.startswith("Paused")
    assert f"Brand {world.brand.name} is paused towards LivePerson" in verdict.troubles[0].what


def test_the_list_tells_what_was_paused_and_is_narrowed(world):
    now, ended = pause(world.brand), Pause.objects.get(target_id=world.channel.pk)
    client = signed_in(world.auditor)

    def listed(**asked: str) -> set[str]:
        page = client.get(reverse(LIST), asked).content.decode()
        return {str(one.pk) for one in (now, ended) if f'href="{url_of(one)}' in page}

    assert listed() == {str(now.pk), str(ended.pk)}
    assert listed(state="in_force") == {str(now.pk)}
    assert listed(state="ended", scope="CHANNEL") == {str(ended.pk)}
    page = text_of(client.get(url_of(ended)))
    assert f"Paused for {world.mark}" in page
    assert "Ended" in page


def test_the_page_of_a_consumer_offers_no_pause_once_they_are_erased(world):
    type(world.consumer).objects.filter(pk=world.consumer.pk).update(erased_at=timezone.now())

    assert url_of(world.consumer, "pause") not in signed_in(world.owner).get(url_of(world.consumer)).content.decode()


def test_what_the_site_paused_by_itself_is_told_by_the_verdict_and_not_resumed_beside_it(world):
    services.pause_for_credentials(world.installation.pk, detail="LivePerson answered HTTP 401.")
    client, made = signed_in(world.operator), in_force()

    own, below = (client.get(url_of(row)) for row in (world.installation, world.channel))

    assert "Because: LivePerson answered HTTP 401." not in text_of(own)
    assert "Because: LivePerson answered HTTP 401." in text_of(below)
    assert url_of(made, "resume") not in below.content.decode()
