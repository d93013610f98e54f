"""A rotation of secrets: added when LivePerson takes it, watched by what verifies, the old one retired when silent."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from adapters.registry import get_adapter
from core.actor import COMMAND
from core.errors import ConfigurationError
from installations import rotation, services
from installations.models import InstallationSecret
from tests.factories import World, make_two_brands
from tests.installations.pages import SECRET, do, last_entry, signed_in, url_of
from webhooks.models import Delivery

pytestmark = pytest.mark.django_db
WHO_ASKS = ("django_session", "access_user", "access_membership", "SAVEPOINT")


def rotation_page(user: Any, row: Any) -> str:
    answer = signed_in(user).get(reverse(f"admin:installations_{row._meta.model_name}_rotation", args=[row.pk]))
    assert answer.status_code == 200
    return answer.content.decode()


def verified(secret: InstallationSecret, *, ago: timedelta, count: int = 1) -> None:
    """So many webhooks that were signed with it."""
    for _ in range(count):
        Delivery.objects.create(
            brand_id=secret.brand_id, inbox_id=secret.installation_id, installation_id=secret.installation_id,
            received_at=timezone.now() - ago, secret_id=secret.pk, sha256=b"", size=2,
        )  # fmt: skip


@pytest.fixture
def under_way(world: World) -> World:
    """The old secret, and a newer one that was added an hour ago."""
    old = world.installation.secrets.get(retired_at=None)
    new = services.add_client_secret(world.installation, secret=SECRET, actor=COMMAND)
    assert new is not None
    InstallationSecret.objects.filter(pk=old.pk).update(created_at=timezone.now() - timedelta(days=9))
    InstallationSecret.objects.filter(pk=new.pk).update(created_at=timezone.now() - timedelta(hours=1))
    Delivery.objects.filter(installation=world.installation).update(received_at=timezone.now() - timedelta(days=2))
    world.old, world.new = old, new  # type: ignore[attr-defined]
    return world


def stage(world: World) -> rotation.Stage:
    (found,) = rotation.rotations_of(world.installation, now=timezone.now())
    return found.stage


def test_of_those_who_add_one_at_the_same_moment_the_first_does(under_way):
    """Whose page was asked before the other's secret was there."""
    with pytest.raises(ConfigurationError, match="A rotation is under way"):
        rotation.begin_unasked(under_way.installation, secret="y" * 40, actor=COMMAND)
    channel, name = under_way.channel, "signing_secret"
    rotation.begin_on_channel(channel, secret=get_adapter(channel.type).new_secret(), actor=COMMAND, name=name)
    with pytest.raises(ConfigurationError, match="A rotation is under way"):
        rotation.begin_on_channel(channel, secret=get_adapter(channel.type).new_secret(), actor=COMMAND, name=name)
    assert channel.secrets.filter(retired_at=None).count() == rotation.MOST_VALID


def test_it_comes_from_one_secret_to_one_by_four_stages(under_way):
    assert stage(under_way) is rotation.Stage.ADDED
    verified(under_way.old, ago=timedelta(minutes=2))
    verified(under_way.new, ago=timedelta(minutes=1))
    assert stage(under_way) is rotation.Stage.BOTH
    Delivery.objects.filter(secret_id=under_way.old.pk).update(received_at=timezone.now() - timedelta(minutes=11))
    assert stage(under_way) is rotation.Stage.SILENT
    services.retire_client_secret(under_way.old, actor=COMMAND)
    assert stage(under_way) is rotation.Stage.ONE


def test_the_old_one_is_in_use_while_the_new_one_came_before_it(under_way):
    verified(under_way.new, ago=timedelta(minutes=40))
    verified(under_way.old, ago=timedelta(minutes=20))
    assert stage(under_way) is rotation.Stage.BOTH


def test_the_page_shows_by_which_secret_webhooks_verify(under_way):
    verified(under_way.old, ago=timedelta(minutes=3), count=2)
    verified(under_way.new, ago=timedelta(minutes=1), count=5)
    page = rotation_page(under_way.auditor, under_way.installation)
    assert "The new secret is used; the old one was, too" in page
    assert '<td class="cs-number">5</td>' in page
    assert '<td class="cs-number">2</td>' in page
    assert f"?installation={under_way.installation.pk}" in page
    assert "/do/" not in page


def test_the_old_one_is_retired_by_one_click_once_it_is_silent(under_way):
    verified(under_way.new, ago=timedelta(minutes=1))
    do(under_way.operator, under_way.installation, "retire-secret", secret=str(under_way.old.pk))
    under_way.old.refresh_from_db()
    assert under_way.old.retired_at is not None
    assert last_entry("installation.secret.retired").data == {"secret": str(under_way.old.pk), "last_used_at": None}


@pytest.mark.parametrize(
    ("which", "sentence"),
    [
        ("old", "It verified a webhook at"),
        ("new", "No webhook has shown yet that another secret is used in its place."),
    ],
)
def test_one_that_may_be_in_use_is_retired_only_when_somebody_says_so_twice(which, sentence, under_way):
    verified(under_way.old, ago=timedelta(minutes=3))
    secret = getattr(under_way, which)
    answer = do(under_way.operator, under_way.installation, "retire-secret", secret=str(secret.pk))
    assert sentence in answer.content.decode()
    secret.refresh_from_db()
    assert secret.retired_at is None
    do(under_way.operator, under_way.installation, "retire-secret", secret=str(secret.pk), anyway="on")
    secret.refresh_from_db()
    assert secret.retired_at is not None
    used_at = last_entry("installation.secret.retired").data["last_used_at"]
    assert (used_at is not None) is (which == "old")


def test_a_second_rotation_within_the_first_is_answered_with_what_to_do(under_way):
    answer = do(under_way.operator, under_way.installation, "add-secret", secret="a third")
    assert "A rotation is under way: two secrets are valid" in answer.content.decode()
    assert under_way.installation.secrets.filter(retired_at=None).count() == 2
    assert 'href="/admin/installations/appinstallation/' in rotation_page(under_way.operator, under_way.installation)


def test_a_second_rotation_of_a_channel_is_answered_so_too(world):
    do(world.operator, world.channel, "add-secret", name="signing_secret", secret="")
    answer = do(world.operator, world.channel, "add-secret", name="signing_secret", secret="")
    assert "A rotation is under way: two secrets are valid" in answer.content.decode()
    assert world.channel.secrets.filter(retired_at=None).count() == 2
    page = rotation_page(world.operator, world.channel)
    assert "The new secret has verified nothing yet" in page
    assert "whsec_" not in page


def test_a_secret_that_is_valid_already_is_not_added(world):
    answer = do(world.operator, world.installation, "add-secret", secret=f" {world.client_secret} ")
    assert answer["Location"] == url_of(world.installation, "do", "add-secret")
    assert world.installation.secrets.filter(retired_at=None).count() == 1


def test_where_liveperson_cannot_be_asked_a_secret_is_added_and_the_page_says_so(world):
    answer = signed_in(world.operator).post(
        url_of(world.installation, "do", "add-secret"), {"secret": SECRET}, follow=True
    )
    assert "Added, but LivePerson could not be asked about it." in answer.content.decode()
    assert world.installation.secrets.filter(retired_at=None).count() == 2


def test_it_is_not_the_page_of_another_brand():
    amber, birch = make_two_brands()
    address = reverse("admin:installations_appinstallation_rotation", args=[birch.installation.pk])
    assert signed_in(amber.operator).get(address).status_code == 404


def test_the_page_follows_by_itself_and_is_answered_with_nothing_while_nothing_changes(under_way):
    client, row = signed_in(under_way.owner), under_way.installation
    url = reverse("admin:installations_appinstallation_rotation", args=[row.pk])
    verified(under_way.old, ago=timedelta(minutes=2))

    def asked() -> tuple[str, str]:
        html = client.get(url, headers={"HX-Request": "true"}).content.decode()
        return html, re.findall(r'hx-get="\?seen=([0-9a-f]+)"', html)[0]

    html, seen = asked()
    assert "<html" not in html
    with CaptureQueriesContext(connection) as queries:
        assert client.get(f"{url}?seen={seen}").status_code == 204
    assert len([one for one in queries if not any(name in one["sql"] for name in WHO_ASKS)]) == 3
    verified(under_way.new, ago=timedelta(minutes=1))
    assert client.get(f"{url}?seen={seen}").status_code == 200
    assert "The new secret is used" in asked()[0]


def test_where_no_rotation_is_under_way_nothing_is_asked_for(world):
    assert 'hx-get="?seen=' not in rotation_page(world.owner, world.channel)
