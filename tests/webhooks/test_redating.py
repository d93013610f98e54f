"""What is stored already follows when a brand's retention is changed."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from access import services as access
from access.models import Brand
from conversations.models import MediaFile, MessageContent, Redating
from core.actor import COMMAND
from tests.conversations.notifications import said, typed
from tests.conversations.stand import Stand, forget_caches
from tests.webhooks.removals import EVE, disk_of_its_own, prune, talked
from webhooks.models import DeliveryBody
from webhooks.retention import walk

__all__ = ["disk_of_its_own", "talked"]  # fixtures


def change_retention(stand: Stand, days: int) -> None:
    brand = Brand.objects.get(pk=stand.onboarded.brand.pk)
    brand.retention_days = days
    access.change_brand(brand, fields=["retention_days"], actor=EVE)
    forget_caches()


def dates() -> set[int]:
    """In how many days from today each thing goes."""
    today = timezone.now().date()
    models: tuple[Any, ...] = (MessageContent, MediaFile, DeliveryBody)
    return {(day - today).days for model in models for day in model.objects.values_list("expires_on", flat=True)}


@pytest.mark.parametrize("days", [30, 400])
def test_what_is_stored_already_follows_when_the_retention_is_changed(
    talked: Stand, days: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webhooks.redating.BATCH", 2)
    assert dates() == {90}

    change_retention(talked, days)
    list(walk())
    assert dates() == {90}, "what other processes still store by the old days is waited for"
    prune(days=20 / 86400)

    assert dates() == {days}
    assert not Redating.objects.exists()


def test_what_goes_sooner_does_not_get_more_days(stand: Stand) -> None:
    stand.notify(said("elsewhere", 1, "somebody else's words"), typed("elsewhere", "ACTIVE"))
    stand.work()
    stand.pass_time(61)
    stand.work()
    assert dates() == {0}

    change_retention(stand, 400)
    prune(days=20 / 86400)

    assert dates() == {0}


def test_two_changes_in_a_row_end_with_the_last(talked: Stand) -> None:
    change_retention(talked, 10)
    change_retention(talked, 50)
    prune(days=20 / 86400)
    assert dates() == {50}


def test_another_change_of_a_brand_dates_nothing_anew(talked: Stand) -> None:
    brand = Brand.objects.get(pk=talked.onboarded.brand.pk)
    brand.name = "Another name"
    access.change_brand(brand, fields=["name"], actor=COMMAND)
    assert not Redating.objects.exists()
