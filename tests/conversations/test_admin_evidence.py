"""What a person is shown who has to decide about a send whose outcome nobody knows."""

from __future__ import annotations

import html
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from conversations.admin_requests import request_of
from conversations.models import Dialog, Dispatch, DispatchState, Step
from installations.models import AppInstallation, UnknownPolicy
from tests.admin_pages import signed_in, url_of
from tests.conversations.test_admin import page_of, say
from tests.factories import World

pytestmark = pytest.mark.django_db


@pytest.fixture
def doubtful(world: World) -> Dispatch:
    Dispatch.objects.filter(pk=world.parked.pk).update(
        sequence_before=4, unknown_at=timezone.now() - timedelta(minutes=2), content_digest=b"\x5a" * 32
    )
    return Dispatch.objects.get(pk=world.parked.pk)


def shown(world: World, dispatch: Dispatch) -> str:
    return html.unescape(page_of(world.auditor, dispatch))


def test_what_would_prove_it_is_said(doubtful: Dispatch, world: World) -> None:
    page = shown(world, doubtful)
    for words in ("the very same text (SHA-256 5a5a5a5a5a5a5a5a…)", doubtful.lp_dialog_id, "above 4"):
        assert words in page
    assert "Its echo has not come." in page
    assert "it is not known that echoes flow" in page


def test_later_echoes_and_numbers_that_nothing_came_with_are_told(doubtful: Dispatch, world: World) -> None:
    later = say(world, "later").dispatches.get()
    Dispatch.objects.filter(pk=later.pk).update(echo_sequence=6, finished_at=timezone.now())
    Dialog.objects.filter(lp_dialog_id=doubtful.lp_dialog_id).update(last_sequence=6, complete_to=4, ahead=[6])
    page = shown(world, doubtful)
    assert "One send after it on this channel came back: echoes flow, and its own is missing." in page
    assert "numbers have gone on from 4 to 6. Nothing has come with 5: it may be one of these." in page


def test_a_dialog_in_which_nothing_was_numbered_has_no_number_below_zero(doubtful: Dispatch, world: World) -> None:
    Dispatch.objects.filter(pk=doubtful.pk).update(sequence_before=-1)
    Dialog.objects.filter(lp_dialog_id=doubtful.lp_dialog_id).update(last_sequence=-1)
    page = shown(world, doubtful)
    assert "LivePerson has numbered nothing in this dialog since (nothing was numbered before)." in page
    assert "above -1" not in page


def test_an_echo_that_came_is_told(doubtful: Dispatch, world: World) -> None:
    Dispatch.objects.filter(pk=doubtful.pk).update(echo_sequence=5)
    assert "Its echo has come, with sequence 5: it arrived." in shown(world, doubtful)


@pytest.mark.parametrize(
    ("policy", "error_code", "sentence"),
    [
        (UnknownPolicy.AUTO, "unanswered", "sent again if a later send has come back"),
        (UnknownPolicy.PARK, "unanswered", "and is parked then"),
        (UnknownPolicy.HOLD, "unanswered", "until a person decides"),
        (UnknownPolicy.PARK, "refused", "LivePerson advises that"),
    ],
)
def test_what_the_site_does_by_itself_is_said(
    policy: str, error_code: str, sentence: str, doubtful: Dispatch, world: World
) -> None:
    AppInstallation.objects.filter(pk=world.installation.pk).update(unknown_policy=policy)
    Dispatch.objects.filter(pk=doubtful.pk).update(state=DispatchState.UNKNOWN, error_code=error_code)
    assert sentence in shown(world, doubtful)


@pytest.mark.parametrize("name", ["send-again", "mark-as-sent", "drop"])
def test_the_page_that_asks_has_the_evidence_on_it(name: str, doubtful: Dispatch, world: World) -> None:
    page = html.unescape(signed_in(world.operator).get(url_of(doubtful, name)).content.decode())
    assert "Its echo has not come." in page
    assert "Look into the conversation in LivePerson's workspace" in page


def test_the_timeline_leads_to_the_decision(doubtful: Dispatch, world: World) -> None:
    assert doubtful.message_id
    url = reverse("admin:message_timeline", args=[doubtful.message_id])
    beside = signed_in(world.auditor).get(url, headers={"HX-Request": "true"}).content.decode()
    assert "Nobody knows whether it arrived" in beside
    assert f'<a href="{url_of(doubtful)}">Decide it</a>' in beside


@pytest.mark.parametrize("step", [*Step.values, "", "NONSENSE"])
def test_a_request_is_told_without_tokens_and_words(step: str, world: World) -> None:
    for dispatch in Dispatch.objects.filter(brand=world.brand).select_related("message__content"):
        told = request_of(dispatch, step)
        assert "Words of" not in told
        assert "eyJ" not in told
    assert ("ms.PublishEvent" in request_of(world.dead, step)) is (step == Step.PUBLISH)
