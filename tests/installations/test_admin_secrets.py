"""Secrets on the pages of connectors: added and retired there, never shown."""

from __future__ import annotations

import pytest
from django.urls import reverse

from access.models import User
from audit.models import AuditEntry
from core.actor import COMMAND
from core.moments import in_utc
from installations import services
from installations.admin_rotation import RetireForm
from installations.models import ChannelSecret, InstallationSecret, State
from tests.factories import World, make_two_brands
from tests.installations.pages import SECRET, do, installation_form, last_entry, page_of, signed_in, url_of
from webhooks.models import Delivery

pytestmark = pytest.mark.django_db


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
    do(world.operator, world.installation, "retire-secret", secret=str(old.pk), anyway="on")
    old.refresh_from_db()
    assert old.retired_at is not None
    assert last_entry("installation.secret.retired").data["secret"] == str(old.pk)
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
    assert f"last used {in_utc(newest.received_at)}" in asking.content.decode()
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


def test_a_secret_that_is_added_while_the_page_of_retiring_is_made_breaks_nothing(world):
    form = RetireForm(row=world.installation)
    services.add_client_secret(world.installation, secret="added just now", actor=COMMAND)
    assert str(form["secret"]).count("<option") == 2, "the empty one, and the one that was there"
