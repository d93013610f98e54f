"""Pages of accounts, app installations and channels: set up by forms, changed, paused, handed out."""

from __future__ import annotations

import html

import pytest
from django.urls import reverse

from audit.models import AuditEntry
from conversations.models import Consumer, Conversation, Lane
from core.actor import COMMAND
from core.errors import ConfigurationError
from installations import editing
from installations.models import Account, AppInstallation, Channel, State
from tests.factories import World, make_superuser, make_two_brands
from tests.installations.pages import (
    CLIENT_ID,
    SECRET,
    channel_form,
    do,
    installation_form,
    last_entry,
    page_of,
    signed_in,
    url_of,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def empty(world: World) -> World:
    """The brand with a connector whose channel nobody has used."""
    world.fresh = Channel.objects.create(  # type: ignore[attr-defined]
        brand=world.brand, account=world.account, installation=world.installation, type="custom", name="Fresh",
        prefix="fresh", config={"url": "https://fresh.example.com/in"},
    )  # fmt: skip
    return world


# --- from nothing to a connector, by forms ---------------------------------------------------------------------------


def test_a_brand_is_onboarded_by_forms_alone():
    root = make_superuser()
    client = signed_in(root)
    client.post(reverse("admin:access_brand_add"), {"name": "Cedar", "slug": "cedar", "retention_days": "30"})
    brand_id = last_entry("brand.created").subject_id
    client.post(
        reverse("admin:installations_account_add"),
        {"brand": brand_id, "lp_account_id": "12345678", "name": "Cedar", "domain_api": ""},
    )
    account = Account.objects.get(lp_account_id="12345678")
    client.post(reverse("admin:installations_appinstallation_add"), installation_form(account))
    installation = AppInstallation.objects.get(account=account)
    answer = client.post(reverse("admin:installations_channel_add"), channel_form(installation))
    channel = Channel.objects.get(installation=installation)
    assert (channel.prefix, channel.config) == ("custom", {"url": "https://gateway.example.com/out"})
    assert {str(row.brand_id) for row in (account, installation, channel)} == {brand_id}
    assert installation.features == ["RICH_CONTENT"]
    assert installation.secrets.get().reveal() == SECRET.encode()
    made = channel.secrets.get().reveal().decode()
    assert made in answer.content.decode()
    assert "no-store" in answer["Cache-Control"]
    names = ["brand", "account", "installation", "channel"]
    assert all(last_entry(f"{name}.created").brand_id == channel.brand_id for name in names)


@pytest.fixture
def mistyped(world: World) -> tuple[Account, AppInstallation]:
    """An account and an app installation that LivePerson has never accepted."""
    account = Account.objects.create(brand=world.brand, lp_account_id="77777777", name="Typed wrong")
    row = AppInstallation.objects.create(brand=world.brand, account=account, client_id=CLIENT_ID, test_passed=False)
    return account, row


def test_ids_that_were_mistyped_are_mended(mistyped, world):
    account, installation = mistyped
    client, right = signed_in(world.operator), CLIENT_ID[::-1]
    client.post(url_of(account), {"lp_account_id": "77777778", "name": "Typed right", "domain_api": ""})
    client.post(url_of(installation), installation_form(account, client_id=right))
    account.refresh_from_db()
    installation.refresh_from_db()
    assert (account.lp_account_id, installation.client_id) == ("77777778", right)
    assert last_entry("installation.changed").data["client_id"] == [CLIENT_ID, right]


def test_a_mended_client_id_is_not_that_of_another_of_the_account(mistyped, world):
    account, installation = mistyped
    other = AppInstallation.objects.create(brand=world.brand, account=account, client_id=CLIENT_ID[::-1])
    given = installation_form(account, client_id=other.client_id.upper())
    answer = signed_in(world.operator).post(url_of(installation), given)
    assert "This client id is in this account already." in answer.content.decode()


@pytest.mark.parametrize("why", ["accepted", "channel"])
def test_ids_with_which_something_has_begun_stay(why, mistyped, empty):
    account, installation = mistyped
    if why == "accepted":
        AppInstallation.objects.filter(pk=installation.pk).update(test_passed=True)
    else:
        Channel.objects.filter(name="Fresh").update(account=account, installation=installation)
    client = signed_in(empty.operator)
    client.post(url_of(account), {"lp_account_id": "77777778", "name": "Renamed", "domain_api": ""})
    client.post(url_of(installation), installation_form(account, client_id=CLIENT_ID[::-1]))
    account.refresh_from_db()
    installation.refresh_from_db()
    assert (account.lp_account_id, installation.client_id) == ("77777777", CLIENT_ID)
    installation.client_id = CLIENT_ID[::-1]
    with pytest.raises(ConfigurationError, match="the id stays"):
        editing.change(installation, fields=["client_id"], actor=COMMAND)


def test_a_given_channel_secret_is_kept_and_not_shown(world):
    given = "whsec_" + "A" * 43 + "="
    answer = signed_in(world.operator).post(
        reverse("admin:installations_channel_add"), channel_form(world.installation, secret_signing_secret=given)
    )
    channel = Channel.objects.get(name="Gateway")
    assert channel.secrets.get().reveal().decode() == given
    assert answer["Location"] == url_of(channel)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"config_url": "ftp://gateway.example.com"}, "cannot be used"),
        ({"config_url": "not an address"}, "cannot be used"),
        ({"name": ""}, "This field is required"),
        ({"name": "Channel AMBERXQJ7"}, "Another channel of this account has this name"),
        ({"prefix": "amber"}, "Another channel of this account has this prefix"),
        ({"prefix": "With Spaces"}, "Use lower-case letters"),
        ({"secret_signing_secret": "too short"}, "whsec_"),
        ({"installation": ""}, "This field is required"),
    ],
)
def test_what_is_wrong_with_a_channel_is_said_beside_the_field(values, sentence, world):
    answer = signed_in(world.operator).post(
        reverse("admin:installations_channel_add"), channel_form(world.installation, **values)
    )
    assert answer.status_code == 200
    assert sentence in html.unescape(answer.content.decode())
    assert not Channel.objects.filter(installation=world.installation, name="Gateway").exists()


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"client_id": "?"}, "The client id is the UUID"),
        ({"client_id": "taken"}, "This client id is in this account already"),
        ({"first_secret": ""}, "This field is required"),
        ({"campaign_id": "1"}, "enter both or none"),
        ({"features": ["TELEPATHY"]}, "not one of the available choices"),
        ({"account": "00000000-0000-7000-8000-000000000000"}, "not one of the available choices"),
    ],
)
def test_what_is_wrong_with_an_installation_is_said_beside_the_field(values, sentence, world):
    if values.get("client_id") == "taken":
        values = {"client_id": world.installation.client_id.upper()}
    answer = signed_in(world.operator).post(
        reverse("admin:installations_appinstallation_add"), installation_form(world.account, **values)
    )
    page = html.unescape(answer.content.decode())
    assert sentence in page
    assert SECRET not in page
    assert AppInstallation.objects.count() == 1


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"lp_account_id": "abc"}, "is a number"),
        ({"domain_api": "https://evil.example.com"}, "cannot be used"),
        ({"domain_api": "https://api.liveperson.net/path"}, "Scheme and host only"),
        ({"brand": ""}, "This field is required"),
    ],
)
def test_what_is_wrong_with_an_account_is_said_beside_the_field(values, sentence, world, settings):
    settings.ALLOW_PRIVATE_OUTBOUND = False
    given = {"brand": str(world.brand.pk), "lp_account_id": "12345678", "name": "", "domain_api": "", **values}
    answer = signed_in(world.operator).post(reverse("admin:installations_account_add"), given)
    assert sentence in html.unescape(answer.content.decode())
    assert Account.objects.count() == 1


def test_an_account_of_another_brand_is_not_taken_over():
    amber, birch = make_two_brands()
    given = {"brand": str(amber.brand.pk), "lp_account_id": birch.account.lp_account_id, "name": "", "domain_api": ""}
    page = signed_in(amber.operator).post(reverse("admin:installations_account_add"), given).content.decode()
    assert "is on this site already" in page
    assert birch.mark not in page


@pytest.mark.parametrize("model", ["account", "appinstallation", "channel"])
def test_an_auditor_sees_and_changes_nothing(model, world):
    client = signed_in(world.auditor)
    row = {"account": world.account, "appinstallation": world.installation, "channel": world.channel}[model]
    page = page_of(world.auditor, row)
    assert "/do/" not in page
    assert 'name="_save"' not in page
    assert "/add/" not in page
    assert client.post(url_of(row), {"name": "x"}).status_code == 403
    assert client.get(reverse(f"admin:installations_{model}_add")).status_code == 403


def test_the_settings_of_a_channel_are_shown_to_an_auditor_too(world):
    assert world.channel.config["url"] in page_of(world.auditor, world.channel)


# --- changes ---------------------------------------------------------------------------------------------------------


def test_a_change_is_recorded_with_before_and_after(world):
    given = installation_form(world.account, name="Renamed", campaign_id="1", engagement_id="2", features=[])
    signed_in(world.operator).post(url_of(world.installation), given)
    changed = AppInstallation.objects.get(pk=world.installation.pk)
    assert (changed.name, changed.features, changed.client_id) == ("Renamed", [], world.installation.client_id)
    data = last_entry("installation.changed").data
    assert data["name"] == [world.installation.name, "Renamed"]
    assert data["features"] == [world.installation.features, []]


def test_the_prefix_is_frozen_once_a_consumer_has_written(world):
    assert 'name="prefix"' not in page_of(world.operator, world.channel)
    given = channel_form(world.installation, name=world.channel.name, prefix="other")
    signed_in(world.operator).post(url_of(world.channel), given)
    assert Channel.objects.get(pk=world.channel.pk).prefix == world.channel.prefix


def test_the_prefix_can_be_changed_before(empty):
    given = channel_form(empty.installation, name="Fresh", prefix="newer", config_url="https://fresh.example.com/in")
    signed_in(empty.operator).post(url_of(empty.fresh), given)
    assert Channel.objects.get(pk=empty.fresh.pk).prefix == "newer"
    assert last_entry("channel.changed").data == {"prefix": ["fresh", "newer"]}


def test_an_address_of_a_channel_is_changed_and_checked(empty):
    client = signed_in(empty.operator)
    given = channel_form(empty.installation, name="Fresh", prefix="fresh")
    client.post(url_of(empty.fresh), given)
    assert Channel.objects.get(pk=empty.fresh.pk).config == {"url": "https://gateway.example.com/out"}
    page = client.post(url_of(empty.fresh), {**given, "config_url": "gopher://x"}).content.decode()
    assert "cannot be used" in html.unescape(page)


def test_a_channel_moves_to_another_installation_of_its_account_alone(world):
    other_account = Account.objects.create(brand=world.brand, lp_account_id="99887766")
    here, there = (
        AppInstallation.objects.create(brand=world.brand, account=account, client_id=f"{CLIENT_ID[:-1]}{n}")
        for n, account in enumerate((world.account, other_account))
    )
    client = signed_in(world.operator)
    for target, moves in ((there, False), (here, True)):
        client.post(url_of(world.channel), channel_form(target, name=world.channel.name))
        assert (Channel.objects.get(pk=world.channel.pk).installation_id == target.pk) is moves


def test_a_channel_that_leaves_a_paused_installation_goes_on_at_once(world):
    Lane.objects.filter(consumer=world.consumer).update(due_at=None, blocked_by="installation_paused")
    here = AppInstallation.objects.create(brand=world.brand, account=world.account, client_id=CLIENT_ID)
    signed_in(world.operator).post(url_of(world.channel), channel_form(here, name=world.channel.name))
    assert not Lane.objects.filter(consumer=world.consumer, due_at=None).exists()


# --- deeds -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("noun", ["installation", "channel"])
def test_pause_resume_disable_enable(noun, world):
    row = getattr(world, noun)
    for name, state, done in (
        ("pause", State.PAUSED, "paused"),
        ("resume", State.ACTIVE, "resumed"),
        ("disable", State.DISABLED, "disabled"),
        ("enable", State.ACTIVE, "enabled"),
    ):
        assert do(world.operator, row, name, reason=f"to {name}").status_code == 302
        row.refresh_from_db()
        assert row.state == state
        entry = last_entry(f"{noun}.{done}")
        assert (entry.reason, entry.actor_id) == (f"to {name}", str(world.operator.pk))


def test_looking_at_a_deed_changes_nothing(world):
    for name in ("test", "pause", "disable", "add-secret", "retire-secret"):
        assert signed_in(world.operator).get(url_of(world.installation, "do", name)).status_code == 200
    world.installation.refresh_from_db()
    assert world.installation.state == State.ACTIVE
    done = AuditEntry.objects.filter(actor_id=str(world.operator.pk)).exclude(action="user.signed_in")
    assert not done.exists()


@pytest.mark.parametrize("name", ["test", "pause", "disable", "add-secret", "retire-secret"])
def test_an_auditor_may_do_none_of_it(name, world):
    assert do(world.auditor, world.installation, name, reason="x", secret="x").status_code == 403


def test_a_test_that_fails_says_why(world):
    # Nothing listens there: the answer of the network, not of a stand-in.
    Account.objects.filter(pk=world.account.pk).update(domain_api="http://127.0.0.1:9")
    page = signed_in(world.operator).post(url_of(world.installation, "do", "test"), follow=True).content.decode()
    assert "Messages do not go through" in page
    assert "The last connection test failed" in page
    assert last_entry("installation.tested").data == {"passed": False}


# --- what is handed out ----------------------------------------------------------------------------------------------


def test_the_page_holds_address_and_manifest_to_copy(world):
    page = page_of(world.operator, world.installation)
    address = f"/webhooks/liveperson/{world.installation.pk}/"
    assert page.count(address) > 5  # once by itself, and for each kind of notification in the manifest
    assert 'data-copy="webhook-url"' in page
    assert 'data-copy="manifest"' in page
    assert f"/webhooks/channels/{world.channel.pk}/" in page_of(world.operator, world.channel)


def test_nothing_is_deleted_by_a_page(world):
    for row in (world.account, world.installation, world.channel):
        assert (
            signed_in(make_superuser(f"root-{row.pk}")).post(url_of(row, "delete"), {"post": "yes"}).status_code == 403
        )
    assert Consumer.objects.exists()
    assert Conversation.objects.exists()
