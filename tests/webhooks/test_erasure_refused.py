"""What stands against an erasure, and what does not."""

from __future__ import annotations

import pytest

from access import services as access
from conversations.models import (
    Consumer,
    MediaFile,
    MessageContent,
)
from conversations.services import holds
from conversations.services.erasure import RemovalRefused, erase_consumer, preview
from installations.models import AppInstallation, State
from tests.conversations.stand import Stand
from tests.webhooks.erasing import (
    ADA,
    EVE,
    NAME,
    ada,
    canaries,
    cells,
    disk_of_its_own,
    ended,
    erase,
    found,
    talked,
)
from webhooks import erasure
from webhooks.models import DeliveryBody

__all__ = ["disk_of_its_own", "ended", "talked"]  # fixtures


def assert_refused(match: str, *, reason: str = "asked for it") -> None:
    person = ada()
    before = list(cells())
    with pytest.raises(RemovalRefused, match=match):
        erase_consumer(consumer_id=person.pk, actor=EVE, reason=reason)
    assert list(cells()) == before


def test_a_hold_on_the_consumer_stands_against_it(ended: Stand) -> None:
    holds.hold_consumer(consumer_id=ada().pk, actor=EVE, reason="case 12")
    assert_refused("A legal hold stands on this consumer since .* Have it lifted first.")
    holds.lift_hold_of_consumer(consumer_id=ada().pk, actor=EVE, reason="settled")
    erase(ada())


def test_a_hold_on_the_brand_stands_against_it(ended: Stand) -> None:
    access.hold_brand(ended.onboarded.brand, actor=EVE, reason="case 13")
    assert_refused("A legal hold stands on this brand since .* Have it lifted first.")


def test_a_hold_on_the_brand_stops_what_is_under_way(ended: Stand) -> None:
    person = ada()
    erase_consumer(consumer_id=person.pk, actor=EVE, reason="asked for it")
    access.hold_brand(ended.onboarded.brand, actor=EVE, reason="case 13")
    bodies = DeliveryBody.objects.count()

    erasure.finish()
    assert DeliveryBody.objects.count() == bodies

    access.lift_hold_of_brand(ended.onboarded.brand, actor=EVE, reason="settled")
    erasure.finish()
    assert found(*canaries(Consumer(lp_consumer_id=NAME))) == set()


def test_an_open_conversation_stands_against_it(talked: Stand) -> None:
    assert "A conversation is open" in preview(ada()).obstacle
    assert_refused("A conversation is open at LivePerson")


def test_where_nobody_can_close_the_conversation_it_is_closed_here(talked: Stand) -> None:
    AppInstallation.objects.update(state=State.DISABLED)
    person = ada()

    erase(person)

    assert {(one.state, one.close_reason) for one in person.conversations.all()} == {("CLOSED", "ERASED")}
    assert found(*canaries(Consumer(lp_consumer_id=NAME))) == set()


@pytest.mark.parametrize("reason", [f"{NAME} has asked", f"asked by {ADA}", NAME.upper()])
def test_the_reason_does_not_name_the_person(ended: Stand, reason: str) -> None:
    assert_refused("Leave the name and the ids", reason=reason)


def test_nobody_is_erased_twice(ended: Stand) -> None:
    person = ada()
    erase(person)
    with pytest.raises(RemovalRefused, match="already"):
        erase_consumer(consumer_id=person.pk, actor=EVE, reason="again")
    with pytest.raises(Exception, match="nothing is left"):
        holds.hold_consumer(consumer_id=person.pk, actor=EVE, reason="too late")


def test_the_preview_tells_what_would_go(ended: Stand) -> None:
    told = preview(ada())
    assert (told.messages, told.files, told.obstacle) == (
        MessageContent.objects.filter(message__consumer=ada()).count(),
        MediaFile.objects.filter(message__consumer=ada()).count(),
        "",
    )
    assert told.messages >= 5
    assert told.files == 2
