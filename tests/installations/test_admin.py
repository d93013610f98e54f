"""Pages of accounts, app installations and channels: set up by forms, judged at a glance, secrets never shown."""

from __future__ import annotations

import html
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from access.models import User
from audit.models import AuditEntry
from conversations.models import Consumer, Conversation, Dispatch, Lane
from installations import services
from installations.models import (
    Account,
    AppInstallation,
    AppToken,
    Channel,
    ChannelSecret,
    InstallationSecret,
    State,
)
from installations.verdicts import Tone, verdict_of
from tests.factories import World, make_superuser, make_two_brands, make_world
from webhooks.models import Delivery

pytestmark = pytest.mark.django_db

CLIENT_ID = "5f0f9c1e-7b1c-4b53-9f3a-2f3b1f6f3f10"
SECRET = "a-client-secret-that-nobody-may-read"


@pytest.fixture
def world() -> World:
    return make_world(slug="amber", mark="AMBERXQJ7")


@pytest.fixture
def empty(world: World) -> World:
    """The brand with a connector whose channel nobody has used."""
    world.fresh = Channel.objects.create(  # type: ignore[attr-defined]
        brand=world.brand, account=world.account, installation=world.installation, type="custom", name="Fresh",
        prefix="fresh", config={"url": "https://fresh.example.com/in"},
    )  # fmt: skip
    return world


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def url_of(row: Any, name: str = "change", *more: str) -> str:
    return reverse(f"admin:installations_{row._meta.model_name}_{name}", args=[row.pk, *more])


def page_of(user: User, row: Any) -> str:
    answer = signed_in(user).get(url_of(row))
    assert answer.status_code == 200
    return html.unescape(answer.content.decode())


def do(user: User, row: Any, name: str, /, **given: Any) -> Any:
    return signed_in(user).post(url_of(row, "do", name), given)


def last_entry(action: str) -> AuditEntry:
    entry = AuditEntry.objects.filter(action=action).order_by("id").last()
    assert entry is not None, action
    return entry


def installation_form(account: Account, /, **values: Any) -> dict[str, Any]:
    return {
        "account": str(account.pk), "client_id": CLIENT_ID, "name": "Web shop", "first_secret": SECRET,
        "signature_policy": "AUTO", "unknown_policy": "AUTO", "features": ["RICH_CONTENT"], "campaign_id": "",
        "engagement_id": "", "skill_id": "", **values,
    }  # fmt: skip


def channel_form(installation: AppInstallation, /, **values: Any) -> dict[str, Any]:
    return {
        "installation": str(installation.pk), "name": "Gateway", "prefix": "",
        "config_url": "https://gateway.example.com/out", "secret_signing_secret": "", **values,
    }  # fmt: skip


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


# --- secrets ---------------------------------------------------------------------------------------------------------


def everything_shown(user: User, world: World) -> str:
    """All pages of a connector, its history included."""
    client = signed_in(user)
    urls = [
        *(url_of(row, name) for row in (world.installation, world.channel) for name in ("change", "history")),
        url_of(world.installation, "do", "retire-secret"),
        url_of(world.channel, "do", "retire-secret"),
        url_of(world.channel, "do", "add-secret"),
        *(f"/admin/audit/auditentry/{pk}/change/" for pk in AuditEntry.objects.values_list("pk", flat=True)),
    ]
    return "".join(client.get(url, follow=True).content.decode() for url in urls)


def test_no_page_shows_a_secret(world):
    do(world.operator, world.installation, "add-secret", secret=SECRET)
    shown = everything_shown(world.owner, world)
    assert SECRET not in shown
    assert f"client-secret-{world.mark}" not in shown
    assert f"whsec_{world.mark}" not in shown
    for secret in [*InstallationSecret.objects.all(), *ChannelSecret.objects.all()]:
        assert bytes(secret.sealed).hex() not in shown


def test_a_secret_does_not_come_back_after_an_error_in_another_field(world):
    answer = signed_in(world.operator).post(
        reverse("admin:installations_appinstallation_add"), installation_form(world.account, client_id="")
    )
    assert SECRET not in answer.content.decode()


def test_a_client_secret_is_added_and_an_old_one_retired(world):
    do(world.operator, world.installation, "add-secret", secret=SECRET)
    assert {s.reveal().decode() for s in world.installation.secrets.filter(retired_at=None)} >= {SECRET}
    old = world.installation.secrets.filter(retired_at=None).order_by("created_at").first()
    do(world.operator, world.installation, "retire-secret", secret=str(old.pk))
    old.refresh_from_db()
    assert old.retired_at is not None
    assert last_entry("installation.secret.retired").data == {"secret": str(old.pk)}
    assert last_entry("installation.secret.added").actor_id == str(world.operator.pk)


def test_the_last_valid_secret_stays_and_the_reason_is_said(world):
    only = world.installation.secrets.get(retired_at=None)
    answer = signed_in(world.operator).post(
        url_of(world.installation, "do", "retire-secret"), {"secret": str(only.pk)}, follow=True
    )
    assert "This is the only valid secret" in answer.content.decode()
    only.refresh_from_db()
    assert only.retired_at is None


def test_secrets_are_told_apart_by_when_they_were_last_used(world):
    valid = world.installation.secrets.get(retired_at=None)
    assert page_of(world.operator, world.installation).count("by none of the newest") == 2
    newest = Delivery.objects.filter(installation=world.installation).latest("id")
    Delivery.objects.filter(pk=newest.pk).update(secret_id=valid.pk)
    assert page_of(world.operator, world.installation).count("by none of the newest") == 1
    asking = signed_in(world.operator).get(url_of(world.installation, "do", "retire-secret"), {"secret": valid.pk})
    assert f"last used {newest.received_at:%Y-%m-%d %H:%M} UTC" in asking.content.decode()
    assert f'value="{valid.pk}" selected' in asking.content.decode()


def test_a_secret_of_another_brand_cannot_be_retired_by_its_id():
    amber, birch = make_two_brands()
    foreign = birch.installation.secrets.get(retired_at=None)
    assert do(amber.operator, amber.installation, "retire-secret", secret=str(foreign.pk)).status_code == 200
    foreign.refresh_from_db()
    assert foreign.retired_at is None


def test_a_channel_secret_that_is_made_is_shown_this_once(world):
    answer = do(world.operator, world.channel, "add-secret", name="signing_secret", secret="")
    made = world.channel.secrets.order_by("created_at").last().reveal().decode()
    assert made.startswith("whsec_")
    assert made in answer.content.decode()
    assert "no-store" in answer["Cache-Control"]
    assert made not in everything_shown(world.owner, world)


def test_added_secret_resumes_what_rejected_credentials_had_paused(world):
    services.pause_for_credentials(world.installation.pk, detail="LivePerson answered 401.")
    do(world.operator, world.installation, "add-secret", secret=SECRET)
    world.installation.refresh_from_db()
    assert world.installation.state == State.ACTIVE


# --- the verdict -----------------------------------------------------------------------------------------------------


def verdict(world: World) -> Any:
    row = AppInstallation.objects.get(pk=world.installation.pk)
    return verdict_of(row, now=timezone.now())


def said(world: World) -> str:
    return " ".join(f"{finding.what} {finding.do}" for finding in verdict(world).findings)


def test_a_connector_that_is_well_says_so_first(world):
    assert verdict(world).tone is Tone.FINE
    assert "Messages go through" in page_of(world.auditor, world.installation)


@pytest.mark.parametrize(
    ("state", "reason", "sentence"),
    [
        (State.PAUSED, "the shop moves", "It is paused: webhooks are stored, nothing is sent. Reason: the shop moves"),
        (State.DISABLED, "", "its webhooks are refused"),
    ],
)
def test_a_connector_that_is_stopped_says_why_and_what_to_do(state, reason, sentence, world):
    AppInstallation.objects.filter(pk=world.installation.pk).update(state=state, state_reason=reason)
    assert verdict(world).tone is Tone.STOPS
    assert sentence in said(world)
    page = page_of(world.operator, world.installation)
    assert "Messages do not go through" in page
    assert sentence in page


def test_a_connector_whose_credentials_were_rejected_says_so(world):
    services.pause_for_credentials(world.installation.pk, detail="LivePerson answered HTTP 401.")
    sentence = "LivePerson rejected the credentials, so it was paused. LivePerson answered HTTP 401."
    assert verdict(world).tone is Tone.STOPS
    assert sentence in said(world)
    assert sentence in page_of(world.operator, world.installation)


def test_a_channel_that_rejected_our_credentials_says_so(world):
    services.pause_channel_for_credentials(world.channel.pk, detail="The channel answered HTTP 401.")
    assert f"The channel {world.channel.name} rejected our credentials, so it was paused." in said(world)


def test_without_a_valid_secret(world):
    world.installation.secrets.update(retired_at=timezone.now())
    assert "It has no valid client secret." in said(world)


def test_when_liveperson_issues_no_token(world):
    AppToken.objects.filter(pk=world.installation.pk).update(sealed=None, failures=4, error_code="not_sent")
    assert "4 attempts in a row (not_sent)" in said(world)


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
