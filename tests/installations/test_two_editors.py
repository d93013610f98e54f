"""Forms that two people have open at once, and forms that leave something out."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest
from django.urls import reverse

from core.actor import COMMAND
from core.errors import ConfigurationError
from installations import editing, pausing
from installations.models import Account, AppInstallation, Channel
from tests.factories import World
from tests.installations.pages import (
    CLIENT_ID,
    SECRET,
    channel_form,
    installation_form,
    last_entry,
    page_of,
    signed_in,
    url_of,
)

pytestmark = pytest.mark.django_db


def seen_in(page: str) -> str:
    (seen,) = re.findall(r'name="seen" value="([0-9a-f]{32})"', page)
    return str(seen)


def form_of(world: World, noun: str, **values: Any) -> tuple[Any, dict[str, Any]]:
    """A row, and its form with other values."""
    if noun == "account":
        return world.account, {"name": world.account.name, "domain_api": "", **values}
    if noun == "installation":
        return world.installation, installation_form(world.account, **values)
    config = {"config_url": world.channel.config["url"]}
    return world.channel, channel_form(world.installation, **{"name": world.channel.name, **config, **values})


@pytest.mark.parametrize("noun", ["account", "installation", "channel"])
def test_who_comes_second_is_told_what_is_stored_and_overwrites_nothing_unknowingly(noun, world):
    row, first = form_of(world, noun, name="By the first")
    _, second = form_of(world, noun, name="By the second")
    seen = seen_in(page_of(world.owner, row))
    signed_in(world.operator).post(url_of(row), {**first, "seen": seen})

    answer = signed_in(world.owner).post(url_of(row), {**second, "seen": seen})

    page = html.unescape(answer.content.decode())
    assert "Somebody has changed this since you opened it, so nothing was stored." in page
    assert "Name: By the first" in page
    assert 'value="By the second"' in page
    row.refresh_from_db()
    assert row.name == "By the first"
    signed_in(world.owner).post(url_of(row), {**second, "seen": seen_in(page)})
    row.refresh_from_db()
    assert row.name == "By the second"
    assert last_entry(f"{noun}.changed").data["name"] == ["By the first", "By the second"]


def test_a_pause_meanwhile_is_no_conflict(world):
    row, given = form_of(world, "installation", name="Renamed")
    seen = seen_in(page_of(world.owner, row))
    AppInstallation.objects.filter(pk=row.pk).update(state="PAUSED", state_reason="holiday")
    assert signed_in(world.owner).post(url_of(row), {**given, "seen": seen}).status_code == 302


@pytest.mark.parametrize("noun", ["account", "installation", "channel"])
def test_a_change_between_the_look_and_the_lock_is_refused(noun, world):
    row = type(getattr(world, noun)).objects.get(pk=getattr(world, noun).pk)
    seen = editing.version_of(row)
    type(row).objects.filter(pk=row.pk).update(name="Meanwhile")
    row.name = "Mine"
    with pytest.raises(ConfigurationError, match="Somebody has changed this just now"):
        editing.change(row, fields=["name"], actor=COMMAND, seen=seen)


@pytest.mark.parametrize("noun", ["account", "installation", "channel"])
def test_a_page_that_stored_nothing_says_so_first_and_tells_of_the_row_as_it_is(noun, world):
    row, given = form_of(world, noun, name="Not stored " * 30)
    answer = signed_in(world.owner).post(url_of(row), given).content.decode()
    told, _, form = answer.partition('<p class="errornote')
    assert "Nothing was stored." in told
    assert "Not stored Not" not in told
    assert "Not stored Not" in form


# --- what is left out, or stands there twice -------------------------------------------------------------------------


@pytest.mark.parametrize("given", ["", "another"])
def test_the_secret_stays_whatever_the_form_of_a_change_says_of_it(given, world):
    signed_in(world.operator).post(
        url_of(world.installation), installation_form(world.account, name="Renamed", first_secret=given)
    )
    valid = world.installation.secrets.get(retired_at=None)
    assert valid.reveal().decode() == world.client_secret


def test_an_empty_secret_of_a_channel_keeps_the_old_one(world):
    signed_in(world.operator).post(
        url_of(world.channel), channel_form(world.installation, name="Renamed", secret_signing_secret="")
    )
    assert Channel.objects.get(pk=world.channel.pk).name == "Renamed"
    assert world.channel.secrets.get(retired_at=None).reveal().decode() == world.channel_secret


@pytest.mark.parametrize("written", [CLIENT_ID, CLIENT_ID.upper(), f"  {CLIENT_ID}\t", f"{CLIENT_ID.upper()} "])
def test_a_client_id_is_known_again_however_it_is_written(written, world):
    AppInstallation.objects.create(brand=world.brand, account=world.account, client_id=CLIENT_ID)
    answer = signed_in(world.operator).post(
        reverse("admin:installations_appinstallation_add"), installation_form(world.account, client_id=written)
    )
    assert "This client id is in this account already." in answer.content.decode()
    assert AppInstallation.objects.count() == 2


# --- what is tried at once -------------------------------------------------------------------------------------------


def test_the_credentials_of_a_new_connector_are_tried_at_once(world):
    Account.objects.filter(pk=world.account.pk).update(domain_api="http://127.0.0.1:9")
    answer = signed_in(world.operator).post(
        reverse("admin:installations_appinstallation_add"), installation_form(world.account), follow=True
    )
    made = AppInstallation.objects.get(client_id=CLIENT_ID)
    assert made.test_passed is False
    page = html.unescape(answer.content.decode())
    assert "Tested: " in page
    assert "The last connection test failed" in page
    assert SECRET not in page


# --- an account ------------------------------------------------------------------------------------------------------


def test_an_account_says_how_each_of_its_connectors_is(world):
    page = page_of(world.auditor, world.account)
    assert "Messages go through" in page
    assert "Active, with one channel." in page
    AppInstallation.objects.filter(pk=world.installation.pk).update(state="DISABLED", state_reason="moved away")
    page = page_of(world.operator, world.account)
    assert "Messages do not go through" in page
    assert "is disabled. Reason: moved away" in page
    assert url_of(world.installation) in page.split('class="cs-next"')[1].split("</div>")[0]


def test_an_account_without_a_connector_leads_to_the_form_for_one(world):
    empty = Account.objects.create(brand=world.brand, lp_account_id="99887766")
    page = page_of(world.operator, empty)
    assert f"/add/?account={empty.pk}" in page.split('class="cs-next"')[1].split("</div>")[0]


def test_the_page_of_a_connector_shows_its_last_thirty_days(world):
    for row in (world.installation, world.channel):
        page = page_of(world.auditor, row)
        assert "The last 30 days" in page
        assert "Failed and dead sends" in page


def test_an_account_whose_brand_is_paused_says_so(world):
    pausing.pause(world.brand, actor=COMMAND, reason="stocktaking")
    page = page_of(world.auditor, world.account)
    assert "is paused in both directions" in page
    assert "stocktaking" in page
