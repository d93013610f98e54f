"""The manifest that LivePerson has, compared on the page with the one that is needed; what fails, listed below it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.utils import timezone

from installations.models import AppInstallation
from installations.onboarding import manifest_of
from tests.factories import World
from tests.installations.pages import do, last_entry, page_of, signed_in, url_of
from webhooks.models import Delivery, Event

pytestmark = pytest.mark.django_db


def compare(world: World, **given: Any) -> str:
    address = url_of(world.installation, "do", "compare-manifest")
    answer = signed_in(world.operator).post(address, {"manifest": "", "bearer": "", **given}, follow=True)
    assert answer.status_code == 200
    return str(answer.content.decode())


def held(world: World, **changed: Any) -> str:
    return json.dumps({**manifest_of(world.installation), **changed})


def test_a_manifest_that_is_as_it_should_be_says_so(world):
    assert "is as it should be" in compare(world, manifest=held(world))
    assert "When it was last compared it was as it should be." in page_of(world.auditor, world.installation)
    assert last_entry("installation.manifest.compared").data == {"differences": 0, "by": "pasted"}


def test_what_differs_stands_on_the_page_until_it_is_compared_again(world):
    page = compare(world, manifest=held(world, enabled=False, capabilities={}))
    assert "Messages do not go through" in page
    assert "differs in 2 points from what is needed. It is switched off" in page
    assert "It names no webhooks: no notification arrives." in page
    assert "Messages go through" in compare(world, manifest=held(world))


def test_a_client_secret_in_it_is_compared_and_kept_nowhere(world):
    page = compare(world, manifest=held(world, client_secret="canary-of-theirs"))
    assert "The client secret in it is none of those that are valid here" in page
    assert "canary-of-theirs" not in page
    assert "canary-of-theirs" not in str(AppInstallation.objects.values().get())
    assert "is as it should be" in compare(world, manifest=held(world, client_secret=world.client_secret))


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({}, "Give one of the two"),
        ({"manifest": "{}", "bearer": "x"}, "Give one of the two"),
        ({"manifest": "not JSON"}, "What was pasted is not JSON."),
        ({"manifest": "[" * 90_000}, "What was pasted is nested deeper"),
        ({"manifest": '{"a":' * 400 + "1" + "}" * 400}, "What was pasted is nested deeper"),
        ({"manifest": '{"client_name": NaN}'}, "What was pasted holds NaN"),
        ({"manifest": "x" * 100_001}, "at most 100000 characters"),
        ({"manifest": "[1, 2]"}, "No app installation in this list"),
        ({"bearer": "line\nbreak"}, "letters, digits and signs only"),
        ({"bearer": "a-session"}, "LivePerson did not show its app installations."),
    ],
)
def test_what_cannot_be_compared_is_answered_with_a_sentence(given, sentence, world):
    page = compare(world, **given).replace("&#x27;", "'")
    assert sentence in page
    assert AppInstallation.objects.get(pk=world.installation.pk).manifest_compared_at is None


def test_markup_in_it_is_shown_and_not_run(world):
    page = compare(world, manifest=held(world, scope="<script>alert(1)</script>"))
    assert "<script>alert(1)" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_an_auditor_does_not_compare(world):
    assert do(world.auditor, world.installation, "compare-manifest", manifest=held(world)).status_code == 403


# --- what never comes ------------------------------------------------------------------------------------------------


def tell(world: World, kind: str, *, count: int) -> None:
    delivery = Delivery.objects.filter(installation=world.installation).latest("id")
    Event.objects.bulk_create(
        Event(brand=world.brand, delivery=delivery, index=1000 + number, type=kind, outcome="APPLIED",
              at=timezone.now()) for number in range(count)
    )  # fmt: skip


def test_kinds_that_never_come_are_named(world):
    Event.objects.update(type="ChatStateEvent")
    tell(world, "ChatStateEvent", count=40)
    page = page_of(world.operator, world.installation)
    assert "there was no ContentEvent (what agents write) and no ExConversationChangeNotification" in page
    assert url_of(world.installation, "do", "compare-manifest") in page.split('class="cs-next"')[1].split("</div>")[0]


def test_few_notifications_say_nothing_about_kinds(world):
    assert "Too few notifications have come to tell" in page_of(world.auditor, world.installation)


# --- what failed -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("noun", ["installation", "channel"])
def test_the_last_failures_stand_there_by_cause_with_a_way_to_each(noun, world):
    world.dead.attempts.update(error_code="request_rejected", detail="LivePerson answered 400.", http_status=400)
    world.dead.refresh_from_db()
    page = page_of(world.auditor, getattr(world, noun))
    assert f"/admin/conversations/dispatch/{world.dead.pk}/change/" in page
    assert f"?channel={world.channel.pk}&error_code=request_rejected" in page
    assert "LivePerson answered 400." in page


def test_without_failures_the_page_says_so(world):
    world.dead.attempts.model.objects.update(outcome="ACCEPTED")
    assert "No try failed in the last seven days" in page_of(world.auditor, world.installation)
